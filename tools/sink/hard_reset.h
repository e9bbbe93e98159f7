#pragma once
// Ends a connection with a TCP RST instead of an orderly close. Only a receiver that plays faults wants that, so the
// Network seam has no word for it; this finds the socket's descriptor by its two addresses, which costs a walk over the
// process's open files: fine for a fault now and then.

#include "engine/io/network.h"

namespace postrider::sink {

// Call it right before the socket is destroyed; its closing is then abrupt. False if no such socket was found.
bool CloseWithReset(const io::Socket& socket);

}  // namespace postrider::sink
