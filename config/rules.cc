#include "config/rules.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "config/check.h"

namespace postrider {
namespace {

using Rank = std::tuple<int, RuleLayer>;

// The value of one field, and how much the rule that gave it had to say.
template <typename T>
struct Best {
  std::optional<T> value{};
  Rank rank{-1, RuleLayer::kBuiltIn};

  void Offer(const std::optional<T>& offered, const Rank& offered_rank) {
    if (!offered || offered_rank <= rank) return;
    value = offered;
    rank = offered_rank;
  }
};

struct Choice {
  Best<int> connections, start_connections, site_connections, messages_per_connection, burst, total_connections;
  Best<double> connect_rate, message_rate, total_message_rate, campaign_message_rate, rate_floor;
  Best<std::uint64_t> daily_quota;
  Best<std::string> time_zone;
  Best<bool> adaptive;
  Best<seconds> idle;
  Best<TlsDemand> tls;

  void Offer(const RuleOptions& rule) {
    const Rank rank(rule.match.Specificity(), rule.origin.layer);
    connections.Offer(rule.connections, rank);
    start_connections.Offer(rule.start_connections, rank);
    site_connections.Offer(rule.site_connections, rank);
    connect_rate.Offer(rule.connect_rate, rank);
    messages_per_connection.Offer(rule.messages_per_connection, rank);
    message_rate.Offer(rule.message_rate, rank);
    burst.Offer(rule.burst, rank);
    daily_quota.Offer(rule.daily_quota, rank);
    time_zone.Offer(rule.time_zone, rank);
    total_connections.Offer(rule.total_connections, rank);
    total_message_rate.Offer(rule.total_message_rate, rank);
    campaign_message_rate.Offer(rule.campaign_message_rate, rank);
    adaptive.Offer(rule.adaptive, rank);
    rate_floor.Offer(rule.rate_floor, rank);
    idle.Offer(rule.idle, rank);
    tls.Offer(rule.tls, rank);
  }

  [[nodiscard]] EffectiveRule Effective() const;
};

// 0 is an explicit "none".
template <typename T>
std::optional<T> LimitOf(const Best<T>& best) {
  return best.value && *best.value != 0 ? best.value : std::nullopt;
}

std::optional<RateLimit> RateOf(const Best<double>& best) {
  const std::optional<double> rate = LimitOf(best);
  if (!rate) return std::nullopt;
  return RateLimit{.per_second = *rate};
}

EffectiveRule Choice::Effective() const {
  // The built-in "*" has all of these.
  CHECK(connections.value && messages_per_connection.value && time_zone.value && adaptive.value && rate_floor.value &&
        idle.value && tls.value);
  EffectiveRule rule;
  rule.connections = *connections.value;
  rule.start_connections = LimitOf(start_connections).value_or(0);
  rule.site_connections = LimitOf(site_connections);
  rule.connect_rate = RateOf(connect_rate);
  rule.messages_per_connection = *messages_per_connection.value;
  rule.message_rate = RateOf(message_rate);
  if (rule.message_rate && burst.value && burst.rank >= message_rate.rank) rule.message_rate->burst = *burst.value;
  rule.daily_quota = LimitOf(daily_quota);
  rule.time_zone = *time_zone.value;
  rule.total_connections = LimitOf(total_connections);
  rule.total_message_rate = RateOf(total_message_rate);
  rule.campaign_message_rate = RateOf(campaign_message_rate);
  rule.adaptive = *adaptive.value;
  rule.rate_floor = {.per_second = *rate_floor.value, .burst = 1};
  rule.idle = *idle.value;
  rule.tls = *tls.value;
  return rule;
}

}  // namespace

EffectiveRule ResolveRule(const Options& options, std::string_view domain, std::span<const std::string> mx_hosts) {
  const ProviderTable& providers = options.Providers();
  const std::string_view provider = providers.OfMxSet(mx_hosts);
  Choice choice;
  const auto offer = [&](const RuleOptions& rule) {
    if (rule.match.Matches(domain, mx_hosts, provider)) choice.Offer(rule);
  };
  std::ranges::for_each(options.rules, offer);
  std::ranges::for_each(providers.rules(), offer);
  return choice.Effective();
}

std::vector<std::pair<std::string_view, std::string>> ProblemsOf(const RuleOptions& rule) {
  std::vector<std::pair<std::string_view, std::string>> problems;
  const auto beyond = [&](std::string_view key, const std::optional<int>& part) {
    if (!part || !rule.connections || *part <= *rule.connections) return;
    problems.emplace_back(key, fmt::format("{} = {} is more than connections = {}, of which it is a part", key, *part,
                                           *rule.connections));
  };
  beyond("start_connections", rule.start_connections);
  beyond("site_connections", rule.site_connections);
  if (rule.burst && rule.message_rate && *rule.message_rate == 0) {
    problems.emplace_back("burst",
                          "burst is for a message_rate, and message_rate = \"none\" here; take one of them out");
  }
  return problems;
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
