#include "engine/io/local_address.h"

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <system_error>

#include <fmt/format.h>

#include "engine/io/socket_address.h"

namespace postrider::io {

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

}  // namespace postrider::io
