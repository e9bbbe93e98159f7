#include "tests/engine/dns/scripted_server.h"

#include <arpa/inet.h>
#include <poll.h>
#include <sys/eventfd.h>
#include <sys/socket.h>
#include <unistd.h>

#include <array>

#include "config/check.h"
#include "tests/engine/dns/dns_message.h"

namespace postrider::dns {
namespace {

sockaddr_in Loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  address.sin_port = htons(port);
  return address;
}

unsigned At(const std::string& bytes, std::size_t at) { return static_cast<unsigned char>(bytes.at(at)); }

std::string ReadExactly(int descriptor, std::size_t size) {
  std::string bytes(size, '\0');
  return recv(descriptor, bytes.data(), size, MSG_WAITALL) == static_cast<ssize_t>(size) ? bytes : std::string();
}

}  // namespace

ScriptedServer::ScriptedServer(Script script) : script_(std::move(script)), stop_(eventfd(0, EFD_CLOEXEC)) {
  // The port the system chose for UDP may be taken for TCP: try again then.
  for (int tries = 0; tries < 100; ++tries) {
    udp_ = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
    tcp_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
    sockaddr_in address = Loopback(0);
    socklen_t length = sizeof address;
    auto* any = reinterpret_cast<sockaddr*>(&address);
    CHECK(bind(udp_, any, length) == 0 && getsockname(udp_, any, &length) == 0);
    if (bind(tcp_, any, length) == 0 && listen(tcp_, 16) == 0) {
      address_ = {IpAddress{IpAddress::Family::kIpv4, {127, 0, 0, 1}}, ntohs(address.sin_port)};
      break;
    }
    close(udp_);
    close(tcp_);
  }
  CHECK(address_.port != 0);
  thread_ = std::thread([this] { Run(); });
}

ScriptedServer::~ScriptedServer() {
  const std::uint64_t one = 1;
  CHECK(write(stop_, &one, sizeof one) == sizeof one);
  thread_.join();
  for (const int descriptor : {udp_, tcp_, stop_}) close(descriptor);
}

std::vector<Asked> ScriptedServer::asked() const {
  const std::lock_guard lock(mutex_);
  return asked_;
}

void ScriptedServer::Run() {
  std::array<pollfd, 3> events{{{udp_, POLLIN, 0}, {tcp_, POLLIN, 0}, {stop_, POLLIN, 0}}};
  for (;;) {
    CHECK(poll(events.data(), events.size(), -1) > 0);
    if (events[2].revents != 0) return;
    if (events[0].revents != 0) ServeDatagram();
    if (events[1].revents != 0) ServeConnection();
  }
}

void ScriptedServer::ServeDatagram() {
  std::string query(4096, '\0');
  sockaddr_in from{};
  socklen_t length = sizeof from;
  auto* any = reinterpret_cast<sockaddr*>(&from);
  const ssize_t size = recvfrom(udp_, query.data(), query.size(), 0, any, &length);
  if (size <= 0) return;
  query.resize(static_cast<std::size_t>(size));
  for (const std::string& reply : Answer(query, false)) sendto(udp_, reply.data(), reply.size(), 0, any, length);
}

void ScriptedServer::ServeConnection() {
  const int connection = accept4(tcp_, nullptr, nullptr, SOCK_CLOEXEC);
  if (connection < 0) return;
  const std::string size = ReadExactly(connection, 2);
  const std::string query = size.empty() ? std::string() : ReadExactly(connection, At(size, 0) << 8 | At(size, 1));
  if (!query.empty()) {
    for (const std::string& reply : Answer(query, true)) {
      const std::string framed = Two(static_cast<unsigned>(reply.size())) + reply;
      send(connection, framed.data(), framed.size(), MSG_NOSIGNAL);
    }
    // Until the client has read it all and closes.
    ReadExactly(connection, 1);
  }
  close(connection);
}

std::vector<std::string> ScriptedServer::Answer(const std::string& query, bool tcp) {
  Asked asked;
  asked.id = At(query, 0) << 8 | At(query, 1);
  asked.tcp = tcp;
  asked.wants_authentic = (At(query, 3) & 0x20) != 0;
  std::size_t at = 12;
  for (unsigned size = At(query, at); size != 0; size = At(query, at)) {
    if (!asked.name.empty()) asked.name.push_back('.');
    asked.name += query.substr(at + 1, size);
    at += size + 1;
  }
  asked.type = At(query, at + 1) << 8 | At(query, at + 2);
  {
    const std::lock_guard lock(mutex_);
    asked_.push_back(asked);
  }
  return script_(asked);
}

}  // namespace postrider::dns
