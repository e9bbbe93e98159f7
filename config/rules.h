#pragma once
// What the options say about the mail of one domain: limits and TLS gathered from the rules, and the route. Pure;
// called once when a domain's MX set is known or the configuration has changed, not for each message.

#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/options.h"
#include "config/rate_limit.h"

namespace postrider {

// An unset limit does not bind. An allowance is one source's at one provider, or at one site whose provider is unknown.
struct EffectiveRule {
  int connections = 0;                      // open ones of the allowance
  int start_connections = 0;                // so many at first, one more per 20 clean deliveries; 0: all at once
  std::optional<int> site_connections{};    // of one site within the allowance
  std::optional<RateLimit> connect_rate{};  // new connections of the allowance
  int messages_per_connection = 0;
  std::optional<RateLimit> message_rate{};     // attempted recipients of the allowance
  std::optional<std::uint64_t> daily_quota{};  // of them in a calendar day of time_zone, at most an eighth an hour
  std::string time_zone = "UTC";               // IANA name
  std::optional<int> total_connections{};      // of all sources together at this provider (or site)
  std::optional<RateLimit> total_message_rate{};
  std::optional<RateLimit> campaign_message_rate{};  // of one campaign at this provider (or site)
  bool adaptive = true;                              // replies lower the rate, success raises it again
  RateLimit rate_floor{1.0 / 60, 1};                 // not below this
  seconds idle{};
  TlsDemand tls = TlsDemand::kOpportunistic;

  friend bool operator==(const EffectiveRule&, const EffectiveRule&) = default;
};

// Field by field the most specific rule that sets it; of two equally specific ones that of the higher layer, then the
// earlier one. A burst counts only if it is at least as specific as the message_rate that won: it was chosen for that
// one or a less specific one. mx_hosts are in the order of preference; empty while they are not known.
[[nodiscard]] EffectiveRule ResolveRule(const Options& options, std::string_view domain,
                                        std::span<const std::string> mx_hosts);

// That of a provider as a whole: what its name, the first of its MX suffixes and "*" say. A pattern for some of its
// hosts or domains is not among them. "": nobody's, "*" alone.
[[nodiscard]] EffectiveRule ResolveProviderRule(const Options& options, std::string_view provider);
// Such a pattern, for mail of this domain and MX set: their limits lie within those of the provider.
[[nodiscard]] bool NarrowerThanProvider(const Options& options, const DomainPattern& pattern, std::string_view domain,
                                        std::span<const std::string> mx_hosts);

// What `postrider throttle show` tells about one field.
struct ExplainedField {
  std::string_view name;  // its key in [[rule]]
  std::string value;      // as an operator writes it, without quotes: "5", "20/min", "required"; "none": no limit
  std::string pattern;    // of the rule that gave it
  RuleOrigin origin;
};

struct ExplainedRule {
  EffectiveRule rule;
  std::string provider;                // "" if unknown
  std::vector<ExplainedField> fields;  // all of them, in the order of the example
};

// The same as ResolveRule, and where each value comes from.
[[nodiscard]] ExplainedRule ExplainRule(const Options& options, std::string_view domain,
                                        std::span<const std::string> mx_hosts);
// "built in", "/etc/postrider/postrider.toml:12", "throttle set by ana at 2026-11-23 09:00 UTC, until ...".
[[nodiscard]] std::string ToString(const RuleOrigin& origin);

// Fields of one rule that contradict each other: the key to point at, and what is wrong.
[[nodiscard]] std::vector<std::pair<std::string_view, std::string>> ProblemsOf(const RuleOptions& rule);

// The most specific route of the domain; null: MX lookup, port 25, STARTTLS. Lives as long as options.
[[nodiscard]] const RouteOptions* FindRoute(const Options& options, std::string_view domain);

}  // namespace postrider
