#include "engine/observe/admin_server.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <cerrno>
#include <cstdlib>
#include <cstring>
#include <exception>
#include <filesystem>

#include <CivetServer.h>
#include <arpa/inet.h>
#include <fmt/format.h>

#include "engine/observe/admin_access.h"
#include "engine/observe/admin_api.h"

namespace postrider::observe {
namespace {

constexpr long long kBodyBytesMax = 64 << 10;        // the largest body that any command needs is a few hundred bytes
constexpr std::size_t kStreamPieceBytes = 64 << 10;  // one write for some hundred lines
// Two scrapers, a watching operator or two, an export: more would take processor time from the cores.
constexpr const char* kThreads = "8";
constexpr const char* kTimeoutMilliseconds = "10000";  // a request that dawdles does not keep a thread

std::string_view Reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 400:
      return "Bad Request";
    case 403:
      return "Forbidden";
    case 404:
      return "Not Found";
    case 405:
      return "Method Not Allowed";
    case 409:
      return "Conflict";
    case 413:
      return "Content Too Large";
    case 422:
      return "Unprocessable Content";
    case 501:
      return "Not Implemented";
    case 503:
      return "Service Unavailable";
    case 507:
      return "Insufficient Storage";
    default:
      return "Internal Server Error";
  }
}

std::string Header(const ApiAnswer& answer) {
  return fmt::format(
      "HTTP/1.1 {} {}\r\nContent-Type: {}\r\nCache-Control: no-store\r\nX-Content-Type-Options: nosniff\r\n"
      "Connection: close\r\n",
      answer.status, Reason(answer.status), answer.content_type);
}

bool WriteWhole(mg_connection* connection, std::string_view bytes) {
  return mg_write(connection, bytes.data(), bytes.size()) == static_cast<int>(bytes.size());
}

void Send(mg_connection* connection, const ApiAnswer& answer, bool with_body) {
  std::string out = Header(answer);
  if (!answer.allow.empty()) fmt::format_to(std::back_inserter(out), "Allow: {}\r\n", answer.allow);
  fmt::format_to(std::back_inserter(out), "Content-Length: {}\r\n\r\n", answer.body.size());
  if (with_body) out += answer.body;
  WriteWhole(connection, out);
}

// Sends a body of unknown length in chunks. A failure before the first byte becomes an ordinary answer; after it, the
// last chunk stays out, by which the reader sees that something is missing.
void SendStream(mg_connection* connection, const ApiAnswer& answer) {
  std::string piece;
  bool begun = false;
  const auto flush = [&] {
    if (!begun && !WriteWhole(connection, Header(answer) + "Transfer-Encoding: chunked\r\n\r\n")) return false;
    begun = true;
    const bool sent = piece.empty() || mg_send_chunk(connection, piece.data(), static_cast<unsigned>(piece.size())) > 0;
    piece.clear();
    return sent;
  };
  const Result<void> done = answer.stream([&](std::string_view bytes) {
    piece += bytes;
    return piece.size() < kStreamPieceBytes || flush();
  });
  if (!done && !begun) return Send(connection, ErrorAnswer(done.error()), true);
  if (done && flush()) mg_send_chunk(connection, "", 0);
}

// The whole body; nullopt if it is too long or breaks off.
std::optional<std::string> ReadBody(mg_connection* connection, const mg_request_info& info) {
  if (info.content_length > kBodyBytesMax) return std::nullopt;
  std::string body;
  std::array<char, 4096> piece{};
  for (;;) {
    const int count = mg_read(connection, piece.data(), piece.size());
    if (count < 0) return std::nullopt;
    if (count == 0) return body;
    body.append(piece.data(), static_cast<std::size_t>(count));
    if (static_cast<long long>(body.size()) > kBodyBytesMax) return std::nullopt;
  }
}

std::string_view HeaderOf(const mg_connection* connection, const char* name) {
  const char* value = mg_get_header(connection, name);
  return value == nullptr ? std::string_view() : std::string_view(value);
}

class ApiHandler final : public CivetHandler {
 public:
  ApiHandler(const Options& options, const Controls& controls, EventTally& tally) : api_(options, controls, tally) {
    if (!options.host_name.empty()) own_names_.push_back(options.host_name);
  }
  void Stop() { api_.Stop(); }

  bool handleGet(CivetServer*, mg_connection* connection) override { return Serve(connection); }
  bool handleHead(CivetServer*, mg_connection* connection) override { return Serve(connection); }
  bool handlePost(CivetServer*, mg_connection* connection) override { return Serve(connection); }
  bool handlePut(CivetServer*, mg_connection* connection) override { return Serve(connection); }
  bool handleDelete(CivetServer*, mg_connection* connection) override { return Serve(connection); }
  bool handleOptions(CivetServer*, mg_connection* connection) override { return Serve(connection); }
  bool handlePatch(CivetServer*, mg_connection* connection) override { return Serve(connection); }

 private:
  bool Serve(mg_connection* connection) {
    const mg_request_info& info = *mg_get_request_info(connection);
    const std::string_view method = info.request_method;
    const ApiAnswer answer = Answer(connection, info, method);
    if (answer.stream) {
      SendStream(connection, answer);
    } else {
      Send(connection, answer, method != "HEAD");
    }
    return true;
  }

  ApiAnswer Answer(mg_connection* connection, const mg_request_info& info, std::string_view method) {
    const std::string_view host = HeaderOf(connection, "Host");
    const std::string_view origin = HeaderOf(connection, "Origin");
    if (!host.empty() && !IsOwnHost(host, own_names_)) {
      return ErrorAnswer(403, "Host names another host; ask by address, as localhost or as host_name");
    }
    if (!origin.empty() && !IsOwnOrigin(origin, host)) return ErrorAnswer(403, "pages of other origins may not ask");
    std::string body;
    BodyReader stream;
    if (AdminApi::StreamsBody(method, info.request_uri)) {
      stream = [connection, left = info.content_length](std::span<char> into) mutable -> std::optional<std::size_t> {
        const int count = mg_read(connection, into.data(), into.size());
        // Without a length (-1) the last chunk is what ends it, and civetweb misses that one itself.
        if (count < 0 || (count == 0 && left > 0)) return std::nullopt;
        if (left > 0) left -= count;
        return static_cast<std::size_t>(count);
      };
    } else if (method == "POST") {
      std::optional<std::string> read = ReadBody(connection, info);
      if (!read) return ErrorAnswer(413, fmt::format("the body is over {} bytes or broke off", kBodyBytesMax));
      body = *std::move(read);
    }
    return api_.Handle({.method = method,
                        .path = info.request_uri,
                        .query = info.query_string == nullptr ? "" : info.query_string,
                        .body = body,
                        .stream = std::move(stream)});
  }

  AdminApi api_;
  std::vector<std::string> own_names_;
};

sockaddr_storage ToSystem(const SocketAddress& address, socklen_t& length) {
  sockaddr_storage storage{};
  if (address.ip.IsIpv4()) {
    auto& ipv4 = reinterpret_cast<sockaddr_in&>(storage);
    ipv4.sin_family = AF_INET;
    ipv4.sin_port = htons(address.port);
    std::memcpy(&ipv4.sin_addr, address.ip.bytes.data(), sizeof ipv4.sin_addr);
    length = sizeof ipv4;
  } else {
    auto& ipv6 = reinterpret_cast<sockaddr_in6&>(storage);
    ipv6.sin6_family = AF_INET6;
    ipv6.sin6_port = htons(address.port);
    std::memcpy(&ipv6.sin6_addr, address.ip.bytes.data(), sizeof ipv6.sin6_addr);
    length = sizeof ipv6;
  }
  return storage;
}

// Why the address cannot be listened on; civetweb does not say.
std::string WhyNot(const SocketAddress& address) {
  socklen_t length = 0;
  const sockaddr_storage storage = ToSystem(address, length);
  const int fd = socket(storage.ss_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const int on = 1;
  std::string reason;
  if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &on, sizeof on) != 0 ||
      bind(fd, reinterpret_cast<const sockaddr*>(&storage), length) != 0 || listen(fd, 1) != 0) {
    reason = std::strerror(errno);
  }
  if (fd >= 0) close(fd);
  return reason;
}

// civetweb's accepting thread sleeps in poll() for up to 2 s before it sees that it shall stop. Its listening socket,
// shut down, ends that sleep; the one way to it is to look for it among this process's descriptors.
void ShutListener(const SocketAddress& address) {
  socklen_t own_length = 0;
  const sockaddr_storage own = ToSystem(address, own_length);
  std::error_code error;
  std::filesystem::directory_iterator entry("/proc/self/fd", error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const int fd = std::atoi(entry->path().filename().c_str());
    int listens = 0;
    socklen_t length = sizeof listens;
    if (getsockopt(fd, SOL_SOCKET, SO_ACCEPTCONN, &listens, &length) != 0 || listens == 0) continue;
    sockaddr_storage name{};
    length = sizeof name;
    if (getsockname(fd, reinterpret_cast<sockaddr*>(&name), &length) != 0 || length != own_length) continue;
    if (std::memcmp(&name, &own, length) == 0) shutdown(fd, SHUT_RDWR);
  }
}

class CivetAdminServer final : public AdminServer {
 public:
  CivetAdminServer(const Options& options, const Controls& controls, EventTally& tally,
                   const std::vector<std::string>& civet_options, const CivetCallbacks& callbacks)
      : address_(options.admin.listen), handler_(options, controls, tally), server_(civet_options, &callbacks) {
    server_.addHandler("/", handler_);
    const std::vector<int> ports = server_.getListeningPorts();
    if (!ports.empty()) address_.port = static_cast<std::uint16_t>(ports.front());
  }
  ~CivetAdminServer() override {
    handler_.Stop();
    ShutListener(address_);
    server_.close();
  }
  std::uint16_t port() const override { return address_.port; }

 private:
  SocketAddress address_;
  ApiHandler handler_;
  CivetServer server_;
};

int Discard(const mg_connection*, const char*) { return 1; }

}  // namespace

Result<std::unique_ptr<AdminServer>> MakeAdminServer(const Options& options, const Controls& controls,
                                                     EventTally& tally) {
  const SocketAddress& listen = options.admin.listen;
  const std::string address = ToString(listen);
  if (!listen.ip.IsLoopback() && !options.admin.allow_remote) {
    return Fail(
        ErrorCode::kDenied,
        fmt::format("admin.listen = \"{}\" is not a loopback address: everyone who reaches it could stop the mail; "
                    "use 127.0.0.1, or set admin.allow_remote = true behind a firewall",
                    address));
  }
  // Nothing but handlers: no document root, no CGI, no TLS (a port with "s" or "r" behind it would turn that on).
  const std::vector<std::string> civet_options = {
      "listening_ports",   address, "num_threads", kThreads, "request_timeout_ms", kTimeoutMilliseconds,
      "enable_keep_alive", "no"};
  CivetCallbacks callbacks;
  // Its complaints about single requests go to nobody; failures are ours to report. log_access stays unset: with it
  // civetweb calls localtime() in several threads at once.
  callbacks.log_message = Discard;
  mg_init_library(MG_FEATURES_DEFAULT);
  try {
    return std::make_unique<CivetAdminServer>(options, controls, tally, civet_options, callbacks);
  } catch (const std::exception& failure) {
    const std::string reason = WhyNot(listen);
    return Fail(ErrorCode::kUnavailable,
                fmt::format("cannot listen on {} (admin.listen): {}; is another postrider running? choose another port",
                            address, reason.empty() ? failure.what() : reason));
  }
}

}  // namespace postrider::observe
