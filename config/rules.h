#pragma once
// What the options say about the mail of one domain: limits and TLS gathered from the rules, and the route. Pure;
// called once when a domain's MX set is known or the configuration has changed, not for each message.

#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "config/options.h"

namespace postrider {

struct EffectiveRule {
  int connections = 0;
  int messages_per_connection = 0;
  std::optional<double> messages_per_second;  // unset: no limit
  seconds idle{};
  TlsDemand tls = TlsDemand::kOpportunistic;

  friend bool operator==(const EffectiveRule&, const EffectiveRule&) = default;
};

// Field by field the most specific rule that sets it; of two equally specific ones, the earlier in the file.
[[nodiscard]] EffectiveRule ResolveRule(const Options& options, std::string_view domain,
                                        std::span<const std::string> mx_hosts);

// The most specific route of the domain; null: MX lookup, port 25, STARTTLS. Lives as long as options.
[[nodiscard]] const RouteOptions* FindRoute(const Options& options, std::string_view domain);

}  // namespace postrider
