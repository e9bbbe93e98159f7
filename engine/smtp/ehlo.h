#pragma once
// What a server says about itself in its answer to EHLO (RFC 5321 section 4.1.1.1) or HELO.

#include "config/reply.h"
#include "engine/smtp/conversation.h"

namespace postrider::smtp {

// Unknown keywords and parameters that make no sense are passed over.
[[nodiscard]] ServerOffer ReadEhlo(const Reply& reply);
// HELO offers nothing but the host name.
[[nodiscard]] ServerOffer ReadHelo(const Reply& reply);

}  // namespace postrider::smtp
