#pragma once
// The addresses of this host. Whether it has one is asked of the kernel in the way a connection will ask: by binding a
// socket to it. For the start, so that a source that cannot send is told at once and not message by message. Any
// thread.

#include <vector>

#include "config/error.h"
#include "config/ip_address.h"

namespace postrider::io {

// kInvalid: the host does not have it. The sentence names the address.
[[nodiscard]] Result<void> CheckLocalAddress(const IpAddress& address);
// Every address of the host's interfaces; none if the kernel does not say.
[[nodiscard]] std::vector<IpAddress> LocalAddresses();
// Also that the interface which has it is up. For while it runs: at the start an interface may still be coming up.
[[nodiscard]] Result<void> CheckLocalInterface(const IpAddress& address);

}  // namespace postrider::io
