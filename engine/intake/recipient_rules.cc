#include "engine/intake/recipient_rules.h"

#include <algorithm>

#include <fmt/format.h>

namespace postrider::intake {

RecipientRules::RecipientRules(const Options& options) {
  for (const RouteOptions& route : options.routes) {
    std::string pattern = route.match.Canonical();
    if (pattern.starts_with('[')) routed_literals_.push_back(std::move(pattern));
  }
}

Result<EmailAddress> RecipientRules::Parse(std::string_view text) const {
  Result<EmailAddress> address = EmailAddress::Parse(text);
  if (!address || !address->domain.starts_with('[')) return address;
  if (std::ranges::find(routed_literals_, address->domain) != routed_literals_.end()) return address;
  return Fail(ErrorCode::kInvalid, fmt::format("{} is an address literal, not a mail domain; only a [[route]] that "
                                               "matches \"{}\" lets its mail go",
                                               address->domain, address->domain));
}

}  // namespace postrider::intake
