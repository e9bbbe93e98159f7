#pragma once
// A message's envelope as commands: what this server can take, and the MAIL and RCPT lines.

#include <optional>
#include <string>

#include "engine/smtp/conversation.h"

namespace postrider::smtp {

// Why a message with this envelope cannot be given to this server, as a sentence; nullopt: it can. Addresses are looked
// at again, here where they meet the wire: a CR or LF in one would be a command of its own.
[[nodiscard]] std::optional<std::string> WhyUnsupported(const Envelope& envelope, const ServerOffer& offer);

void AppendMail(const Envelope& envelope, const ServerOffer& offer, std::string& out);
void AppendRcpt(const Envelope& envelope, std::string& out);

}  // namespace postrider::smtp
