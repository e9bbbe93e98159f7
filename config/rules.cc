#include "config/rules.h"

#include "config/check.h"

namespace postrider {
namespace {

// The value of one field, and how specific the rule was that gave it.
template <typename T>
struct Best {
  std::optional<T> value;
  int specificity = -1;

  void Offer(const std::optional<T>& offered, int offered_specificity) {
    if (!offered || offered_specificity <= specificity) return;
    value = offered;
    specificity = offered_specificity;
  }
};

}  // namespace

EffectiveRule ResolveRule(const Options& options, std::string_view domain, std::span<const std::string> mx_hosts) {
  Best<int> connections, messages_per_connection;
  Best<double> messages_per_second;
  Best<seconds> idle;
  Best<TlsDemand> tls;
  for (const RuleOptions& rule : options.rules) {
    if (!rule.match.Matches(domain, mx_hosts)) continue;
    const int specificity = rule.match.Specificity();
    connections.Offer(rule.connections, specificity);
    messages_per_connection.Offer(rule.messages_per_connection, specificity);
    messages_per_second.Offer(rule.messages_per_second, specificity);
    idle.Offer(rule.idle, specificity);
    tls.Offer(rule.tls, specificity);
  }
  // rules[0] is "*" and complete.
  CHECK(connections.value && messages_per_connection.value && idle.value && tls.value);
  EffectiveRule rule;
  rule.connections = *connections.value;
  rule.messages_per_connection = *messages_per_connection.value;
  if (messages_per_second.value) rule.message_rate = RateLimit{.per_second = *messages_per_second.value};
  rule.idle = *idle.value;
  rule.tls = *tls.value;
  return rule;
}

const RouteOptions* FindRoute(const Options& options, std::string_view domain) {
  const RouteOptions* best = nullptr;
  for (const RouteOptions& route : options.routes) {
    if (!route.match.Matches(domain, {})) continue;
    if (best == nullptr || route.match.Specificity() > best->match.Specificity()) best = &route;
  }
  return best;
}

}  // namespace postrider
