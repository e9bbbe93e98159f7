#include "engine/io/local_address.h"

#include <ifaddrs.h>
#include <net/if.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <memory>
#include <optional>
#include <system_error>

#include <fmt/format.h>

#include "engine/io/socket_address.h"

namespace postrider::io {
namespace {

std::optional<IpAddress> AddressOf(const sockaddr& kernel) {
  KernelAddress address;
  if (kernel.sa_family == AF_INET) {
    address.length = sizeof address.ipv4;
  } else if (kernel.sa_family == AF_INET6) {
    address.length = sizeof address.ipv6;
  } else {
    return std::nullopt;
  }
  std::memcpy(&address.any, &kernel, address.length);
  return FromKernel(address).ip;
}

using Interfaces = std::unique_ptr<ifaddrs, decltype(&freeifaddrs)>;

Interfaces ReadInterfaces() {
  ifaddrs* list = nullptr;
  if (getifaddrs(&list) != 0) list = nullptr;
  return Interfaces(list, &freeifaddrs);
}

}  // namespace

Result<void> CheckLocalAddress(const IpAddress& address) {
  // A datagram socket: its port is in no connection's way.
  const int descriptor = socket(address.IsIpv4() ? AF_INET : AF_INET6, SOCK_DGRAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0 && errno != EAFNOSUPPORT) return {};  // says nothing about the address
  int error = EAFNOSUPPORT;
  if (descriptor >= 0) {
    const KernelAddress kernel = ToKernel({address, 0});
    error = bind(descriptor, &kernel.any, kernel.length) == 0 ? 0 : errno;
    close(descriptor);
  }
  if (error == 0) return {};
  if (error == EADDRNOTAVAIL) {
    return Fail(ErrorCode::kInvalid, fmt::format("{} is not an address of this host", ToString(address)));
  }
  return Fail(ErrorCode::kInvalid, fmt::format("{} cannot be used on this host: {}", ToString(address),
                                               std::generic_category().message(error)));
}

std::vector<IpAddress> LocalAddresses() {
  std::vector<IpAddress> addresses;
  const Interfaces interfaces = ReadInterfaces();
  for (const ifaddrs* one = interfaces.get(); one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr) continue;
    if (const std::optional<IpAddress> address = AddressOf(*one->ifa_addr)) addresses.push_back(*address);
  }
  return addresses;
}

Result<void> CheckLocalInterface(const IpAddress& address) {
  if (Result<void> checked = CheckLocalAddress(address); !checked) return checked;
  const Interfaces interfaces = ReadInterfaces();  // none: says nothing about the address
  for (const ifaddrs* one = interfaces.get(); one != nullptr; one = one->ifa_next) {
    if (one->ifa_addr == nullptr || AddressOf(*one->ifa_addr) != address) continue;
    constexpr unsigned kUp = IFF_UP | IFF_RUNNING;
    if ((one->ifa_flags & kUp) == kUp) return {};
    return Fail(ErrorCode::kInvalid,
                fmt::format("{} is on the interface {}, which is down", ToString(address), one->ifa_name));
  }
  return {};  // of a network that the host takes as its own, such as 127.0.0.0/8
}

}  // namespace postrider::io
