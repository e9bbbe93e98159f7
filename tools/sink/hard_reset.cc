#include "tools/sink/hard_reset.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include <cstring>
#include <filesystem>
#include <optional>
#include <string>
#include <system_error>

namespace postrider::sink {
namespace {

using Query = int (*)(int, sockaddr*, socklen_t*);

std::optional<SocketAddress> Ask(Query query, int descriptor) {
  sockaddr_storage storage{};
  socklen_t length = sizeof(storage);
  if (query(descriptor, reinterpret_cast<sockaddr*>(&storage), &length) != 0) return std::nullopt;
  SocketAddress address;
  if (storage.ss_family == AF_INET) {
    const auto& v4 = reinterpret_cast<const sockaddr_in&>(storage);
    std::memcpy(address.ip.bytes.data(), &v4.sin_addr, sizeof(v4.sin_addr));
    address.port = ntohs(v4.sin_port);
  } else if (storage.ss_family == AF_INET6) {
    const auto& v6 = reinterpret_cast<const sockaddr_in6&>(storage);
    address.ip.family = IpAddress::Family::kIpv6;
    std::memcpy(address.ip.bytes.data(), &v6.sin6_addr, sizeof(v6.sin6_addr));
    address.port = ntohs(v6.sin6_port);
  } else {
    return std::nullopt;
  }
  return address;
}

}  // namespace

bool CloseWithReset(const io::Socket& socket) {
  const SocketAddress local = socket.local();
  const SocketAddress remote = socket.remote();
  std::error_code error;
  std::filesystem::directory_iterator entry("/proc/self/fd", error);
  for (; !error && entry != std::filesystem::directory_iterator(); entry.increment(error)) {
    const int descriptor = std::atoi(entry->path().filename().c_str());
    if (Ask(&getpeername, descriptor) != remote || Ask(&getsockname, descriptor) != local) continue;
    const linger abrupt{1, 0};
    return setsockopt(descriptor, SOL_SOCKET, SO_LINGER, &abrupt, sizeof(abrupt)) == 0;
  }
  return false;
}

}  // namespace postrider::sink
