#pragma once
// A mailbox as SMTP knows it: RFC 5321 section 4.1.2 with the lengths of 4.5.3.1, RFC 6531 for UTF-8.
// The domain is kept as a lower-case A-label (IDNA2008, RFC 5891); the local part is kept as written, quotes included
// only where the dot-string form cannot say it. No CR, LF, NUL or other control character can be inside.

#include <string>
#include <string_view>

#include "config/error.h"

namespace postrider {

struct EmailAddress {
  std::string local;            // at most 64 octets; as it goes on the wire, in quotes if it must be
  std::string domain;           // at most 255 octets; A-label, or an address literal "[...]"
  bool needs_smtputf8 = false;  // the local part holds non-ASCII

  // Accepts "local@domain" alone: no display name, no angle brackets, no comments, no source route.
  static Result<EmailAddress> Parse(std::string_view text);

  friend bool operator==(const EmailAddress&, const EmailAddress&) = default;
};

[[nodiscard]] std::string ToString(const EmailAddress& address);

// A host or mail domain as a lower-case A-label without a trailing dot; at most 253 octets, labels of 1 to 63.
// A trailing dot is accepted and dropped.
[[nodiscard]] Result<std::string> ParseDomain(std::string_view text);

// What may stand after the "@": a domain without a trailing dot, or an address literal, in its one canonical spelling.
[[nodiscard]] Result<std::string> ParseMailDomain(std::string_view text);

}  // namespace postrider
