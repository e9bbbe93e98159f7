#include "tools/admin_client.h"

#include <algorithm>
#include <array>
#include <memory>
#include <vector>

#include <civetweb.h>
#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "config/load.h"
#include "config/text_file.h"

namespace postrider::tools {
namespace {

constexpr SocketAddress kDefaultAddress{IpAddress{IpAddress::Family::kIpv4, {127, 0, 0, 1}}, 8025};
// A search of the delivery log reads all of it; everything else answers within a second.
constexpr int kTimeoutMilliseconds = 600'000;
constexpr std::size_t kErrorBodyMax = 64 << 10;
// The daemon reads no longer ones. The longest address, percent-encoded, is a tenth of it.
constexpr std::size_t kPathMax = 8 << 10;
constexpr std::size_t kConfigBytesMax = 16 << 20;
constexpr std::size_t kPieceBytes = 64 << 10;  // of an upload

using Connection = std::unique_ptr<mg_connection, decltype(&mg_close_connection)>;

ErrorCode CodeOf(int status) {
  switch (status) {
    case 400:
    case 409:
    case 422:
      return ErrorCode::kInvalid;
    case 403:
      return ErrorCode::kDenied;
    case 404:
      return ErrorCode::kNotFound;
    case 413:
      return ErrorCode::kTooLarge;
    case 503:
      return ErrorCode::kBusy;
    default:
      return ErrorCode::kIo;
  }
}

// What the daemon said, or the status if it said nothing that we know.
Error ToError(int status, const std::string& body) {
  const nlohmann::json json = nlohmann::json::parse(body, nullptr, false);
  if (json.is_object() && json.contains("error") && json["error"].is_string()) {
    return {CodeOf(status), json["error"].get<std::string>()};
  }
  return {CodeOf(status), fmt::format("the daemon answered with HTTP status {}", status)};
}

// Any address that a wildcard stands for; loopback is one.
SocketAddress Reachable(SocketAddress address) {
  if (!address.ip.IsUnspecified()) return address;
  const bool ipv4 = address.ip.IsIpv4();
  address.ip.bytes = {};
  if (ipv4) {
    address.ip.bytes = {127, 0, 0, 1};
  } else {
    address.ip.bytes[15] = 1;
  }
  return address;
}

std::string Joined(const Diagnostics& diagnostics) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics) text += (text.empty() ? "" : "\n") + ToString(diagnostic);
  return text;
}

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlanks = " \t\r";
  const std::size_t begin = text.find_first_not_of(kBlanks);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlanks) - begin + 1);
}

// admin.listen as it stands in a configuration that is wrong elsewhere: whoever wants to ask the daemon, which still
// runs with what it read before, need not mend it first. kNotFound: it is not said.
Result<SocketAddress> FindListen(std::string_view text) {
  std::string_view table;
  while (!text.empty()) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    const std::string_view line = Trimmed(text.substr(0, end));
    text.remove_prefix(std::min(end + 1, text.size()));
    if (line.starts_with('[')) table = line.substr(0, line.find(']') + 1);
    const std::size_t equals = line.find('=');
    if (equals == std::string_view::npos) continue;
    const std::string_view key = Trimmed(line.substr(0, equals));
    if (table == "[admin]" ? key != "listen" : !table.empty() || key != "admin.listen") continue;
    const std::string_view value = Trimmed(line.substr(equals + 1));
    const std::size_t close = value.empty() ? 0 : value.find(value.front(), 1);
    if (close == std::string_view::npos || (!value.starts_with('"') && !value.starts_with('\''))) {
      return Fail(ErrorCode::kInvalid, "admin.listen cannot be read");
    }
    return SocketAddress::Parse(value.substr(1, close - 1));
  }
  return Fail(ErrorCode::kNotFound, "admin.listen is not said");
}

Result<Connection> Connect(const SocketAddress& address, std::string_view path) {
  if (path.size() > kPathMax) {
    return Fail(ErrorCode::kTooLarge,
                fmt::format("what is asked for is {} octets long; no address and no name is", path.size()));
  }
  std::array<char, 256> reason{};
  mg_init_library(MG_FEATURES_DEFAULT);
  Connection connection(
      mg_connect_client(postrider::ToString(address.ip).c_str(), address.port, 0, reason.data(), reason.size()),
      &mg_close_connection);
  if (connection != nullptr) return connection;
  return Fail(ErrorCode::kUnavailable,
              fmt::format("no daemon answers at {} ({}); is `postrider run` running? --admin ADDRESS:PORT or --config "
                          "FILE say where it listens",
                          postrider::ToString(address), reason.data()));
}

Result<void> ReadAnswer(mg_connection* connection, const SocketAddress& address,
                        const std::function<bool(std::string_view)>& write) {
  std::array<char, 256> reason{};
  if (mg_get_response(connection, reason.data(), reason.size(), kTimeoutMilliseconds) < 0) {
    return Fail(ErrorCode::kUnavailable,
                fmt::format("what listens at {} is no postrider daemon, or it is stopping ({})",
                            postrider::ToString(address), reason.data()));
  }
  const mg_response_info& info = *mg_get_response_info(connection);
  const bool good = info.status_code >= 200 && info.status_code < 300;
  std::string refusal;
  long long total = 0;
  std::array<char, 16 << 10> piece;
  int count = 0;
  while ((count = mg_read(connection, piece.data(), piece.size())) > 0) {
    total += count;
    const std::string_view bytes(piece.data(), static_cast<std::size_t>(count));
    if (!good) {
      refusal += bytes.substr(0, kErrorBodyMax - std::min(kErrorBodyMax, refusal.size()));
    } else if (!write(bytes)) {
      return {};
    }
  }
  if (!good) return std::unexpected(ToError(info.status_code, refusal));
  if (count < 0 || (info.content_length >= 0 && total < info.content_length)) {
    return Fail(ErrorCode::kIo, "the daemon's answer broke off before its end; what came so far is not all");
  }
  return {};
}

}  // namespace

Result<AdminClient> AdminClient::Find(const AdminPlace& place) {
  if (!place.address.empty()) {
    Result<SocketAddress> address = SocketAddress::Parse(place.address);
    if (!address) return Fail("--admin", std::move(address.error()));
    return AdminClient(*address);
  }
  const bool named = !place.config.empty();
  const std::filesystem::path file = named ? place.config : std::filesystem::path(kDefaultConfig);
  const auto options = LoadOptions(file);
  SocketAddress listen = options ? (*options)->admin.listen : kDefaultAddress;
  if (!options) {
    const Result<std::string> text = ReadTextFile(file, kConfigBytesMax);
    const Result<SocketAddress> found = text ? FindListen(*text) : std::unexpected(text.error());
    // Where the daemon listens may be asked for by those who cannot read its configuration.
    const bool unsaid = !text ? !named : !found && found.error().code == ErrorCode::kNotFound;
    if (!found && !unsaid) return Fail(ErrorCode::kInvalid, Joined(options.error()));
    if (found) listen = *found;
  }
  if (listen.port == 0) {
    return Fail(
        ErrorCode::kInvalid,
        "admin.listen has port 0, so the system chose one: say --admin ADDRESS:PORT (the daemon's first message "
        "names it)");
  }
  return AdminClient(Reachable(listen));
}

Result<void> AdminClient::Ask(std::string_view method, std::string_view path, std::string_view body,
                              const Write& write) const {
  const Result<Connection> connection = Connect(address_, path);
  if (!connection) return std::unexpected(connection.error());
  const std::string request =
      fmt::format("{} {} HTTP/1.1\r\nHost: {}\r\nContent-Length: {}\r\nConnection: close\r\n\r\n{}", method, path,
                  postrider::ToString(address_), body.size(), body);
  mg_write(connection->get(), request.data(), request.size());
  return ReadAnswer(connection->get(), address_, write);
}

Result<std::string> AdminClient::AskForText(std::string_view method, std::string_view path,
                                            std::string_view body) const {
  std::string answer;
  const Result<void> asked = Ask(method, path, body, [&](std::string_view bytes) {
    answer += bytes;
    return true;
  });
  if (!asked) return std::unexpected(asked.error());
  return answer;
}

Result<std::string> AdminClient::Get(std::string_view path) const { return AskForText("GET", path, ""); }

Result<std::string> AdminClient::Post(std::string_view path, std::string_view body) const {
  return AskForText("POST", path, body);
}

Result<std::string> AdminClient::Delete(std::string_view path) const { return AskForText("DELETE", path, ""); }

Result<std::string> AdminClient::Upload(std::string_view path,
                                        const std::function<Result<std::size_t>(std::span<char>)>& read) const {
  const Result<Connection> connection = Connect(address_, path);
  if (!connection) return std::unexpected(connection.error());
  const auto send = [&](std::string_view bytes) {
    return mg_write(connection->get(), bytes.data(), bytes.size()) == static_cast<int>(bytes.size());
  };
  bool heard =
      send(fmt::format("POST {} HTTP/1.1\r\nHost: {}\r\nTransfer-Encoding: chunked\r\nConnection: close\r\n\r\n", path,
                       postrider::ToString(address_)));
  std::vector<char> piece(kPieceBytes);
  // A daemon that hears no more has already said why.
  while (heard) {
    const Result<std::size_t> count = read(piece);
    if (!count) return std::unexpected(count.error());
    if (*count == 0) break;
    heard = send(fmt::format("{:x}\r\n{}\r\n", *count, std::string_view(piece.data(), *count)));
  }
  if (heard) send("0\r\n\r\n");
  std::string answer;
  const Result<void> asked = ReadAnswer(connection->get(), address_, [&](std::string_view bytes) {
    answer += bytes;
    return true;
  });
  if (!asked) return std::unexpected(asked.error());
  return answer;
}

Result<void> AdminClient::Stream(std::string_view path, const std::function<bool(std::string_view)>& write) const {
  return Ask("GET", path, "", write);
}

}  // namespace postrider::tools
