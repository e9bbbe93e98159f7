#include "engine/smtp/envelope.h"

#include <fmt/format.h>

#include <charconv>
#include <cstddef>
#include <string_view>

namespace postrider::smtp {
namespace {

// A local part of 64 octets, "@", a domain of 255 (RFC 5321 section 4.5.3.1).
constexpr std::size_t kAddressBytes = 320;

// Nothing that could end the command's argument, or the command.
bool MayGoOnTheWire(std::string_view address, bool utf8) {
  if (address.size() > kAddressBytes) return false;
  bool quoted = false;
  for (std::size_t i = 0; i < address.size(); ++i) {
    const auto c = static_cast<unsigned char>(address[i]);
    if (c < 0x20 || c == 0x7f || (c >= 0x80 && !utf8)) return false;
    if (c == '"') {
      quoted = !quoted;
    } else if (c == '\\' && quoted) {
      ++i;  // what it quotes is looked at below
      if (i == address.size()) return false;
      const auto next = static_cast<unsigned char>(address[i]);
      if (next < 0x20 || next >= 0x7f) return false;
    } else if (!quoted && (c == ' ' || c == '<' || c == '>')) {
      return false;
    }
  }
  return !quoted;
}

}  // namespace

std::optional<std::string> WhyUnsupported(const Envelope& envelope, const ServerOffer& offer) {
  if (envelope.to.empty() || !MayGoOnTheWire(envelope.to, envelope.needs_smtputf8)) {
    return "the recipient address cannot be sent in SMTP: it is empty, too long, or has characters that are not "
           "allowed";
  }
  if (!MayGoOnTheWire(envelope.from, envelope.needs_smtputf8)) {
    return "the sender address cannot be sent in SMTP: it is too long, or has characters that are not allowed";
  }
  // RFC 6531 section 3.1: a server that offers SMTPUTF8 must offer 8BITMIME; one that does not is not trusted with it.
  if (envelope.needs_smtputf8 && !(offer.smtp_utf8 && offer.eight_bit_mime)) {
    return "the message needs SMTPUTF8, which the server does not offer";
  }
  if (envelope.needs_8bit && !offer.eight_bit_mime) {
    return "the message needs 8BITMIME, which the server does not offer";
  }
  if (offer.size_limit > 0 && envelope.size_estimate > offer.size_limit) {
    return fmt::format("the message of about {} octets is over the server's SIZE limit of {}", envelope.size_estimate,
                       offer.size_limit);
  }
  return std::nullopt;
}

void AppendMail(const Envelope& envelope, const ServerOffer& offer, std::string& out) {
  out.append("MAIL FROM:<").append(envelope.from).push_back('>');
  if (offer.size && envelope.size_estimate > 0) {
    char digits[20];
    const auto end = std::to_chars(digits, digits + sizeof digits, envelope.size_estimate).ptr;
    out.append(" SIZE=").append(digits, end);
  }
  if (envelope.needs_8bit) out.append(" BODY=8BITMIME");
  if (envelope.needs_smtputf8) out.append(" SMTPUTF8");
  out.append("\r\n");
}

void AppendRcpt(const Envelope& envelope, std::string& out) {
  out.append("RCPT TO:<").append(envelope.to).append(">\r\n");
}

}  // namespace postrider::smtp
