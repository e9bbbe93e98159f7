#pragma once
// Addresses between the house's plain values and the kernel's sockaddr. Used by engine/io alone.

#include <netinet/in.h>
#include <sys/socket.h>

#include "config/ip_address.h"

namespace postrider::io {

struct KernelAddress {
  union {
    sockaddr any;
    sockaddr_in ipv4;
    sockaddr_in6 ipv6;
  };
  socklen_t length = 0;
};

[[nodiscard]] KernelAddress ToKernel(const SocketAddress& address);
// Unspecified for a family we do not know.
[[nodiscard]] SocketAddress FromKernel(const KernelAddress& address);

// What getsockname and getpeername say; unspecified if the descriptor is not a connected socket.
[[nodiscard]] SocketAddress LocalAddress(int descriptor);
[[nodiscard]] SocketAddress PeerAddress(int descriptor);

}  // namespace postrider::io
