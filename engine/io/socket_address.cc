#include "engine/io/socket_address.h"

#include <algorithm>
#include <cstring>

namespace postrider::io {
namespace {

using NameCall = int(int, sockaddr*, socklen_t*) noexcept;

SocketAddress Ask(NameCall* call, int descriptor) {
  KernelAddress address{};
  address.length = sizeof address.ipv6;
  if (call(descriptor, &address.any, &address.length) != 0) return {};
  return FromKernel(address);
}

}  // namespace

KernelAddress ToKernel(const SocketAddress& address) {
  KernelAddress kernel{};
  if (address.ip.IsIpv4()) {
    kernel.ipv4 = sockaddr_in{};
    kernel.ipv4.sin_family = AF_INET;
    kernel.ipv4.sin_port = htons(address.port);
    std::memcpy(&kernel.ipv4.sin_addr, address.ip.bytes.data(), sizeof kernel.ipv4.sin_addr);
    kernel.length = sizeof kernel.ipv4;
  } else {
    kernel.ipv6 = sockaddr_in6{};
    kernel.ipv6.sin6_family = AF_INET6;
    kernel.ipv6.sin6_port = htons(address.port);
    std::memcpy(&kernel.ipv6.sin6_addr, address.ip.bytes.data(), sizeof kernel.ipv6.sin6_addr);
    kernel.length = sizeof kernel.ipv6;
  }
  return kernel;
}

SocketAddress FromKernel(const KernelAddress& kernel) {
  SocketAddress address;
  if (kernel.any.sa_family == AF_INET) {
    std::memcpy(address.ip.bytes.data(), &kernel.ipv4.sin_addr, sizeof kernel.ipv4.sin_addr);
    address.port = ntohs(kernel.ipv4.sin_port);
  } else if (kernel.any.sa_family == AF_INET6) {
    address.ip.family = IpAddress::Family::kIpv6;
    std::memcpy(address.ip.bytes.data(), &kernel.ipv6.sin6_addr, sizeof kernel.ipv6.sin6_addr);
    address.port = ntohs(kernel.ipv6.sin6_port);
  }
  return address;
}

SocketAddress LocalAddress(int descriptor) { return Ask(getsockname, descriptor); }
SocketAddress PeerAddress(int descriptor) { return Ask(getpeername, descriptor); }

}  // namespace postrider::io
