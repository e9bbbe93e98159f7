#pragma once
// Whether this host has an address, asked of the kernel in the way a connection will: by binding a socket to it. For
// the start, so that a source that cannot send is told at once and not message by message. Any thread.

#include "config/error.h"
#include "config/ip_address.h"

namespace postrider::io {

// kInvalid: the host does not have it. The sentence names the address.
[[nodiscard]] Result<void> CheckLocalAddress(const IpAddress& address);
// Also that the interface which has it is up. For while it runs: at the start an interface may still be coming up.
[[nodiscard]] Result<void> CheckLocalInterface(const IpAddress& address);

}  // namespace postrider::io
