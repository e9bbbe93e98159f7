#include "config/rules.h"

#include <algorithm>
#include <cmath>
#include <tuple>

#include <fmt/format.h>

#include "config/check.h"
#include "config/schema.h"
#include "config/time_zone.h"

namespace postrider {
namespace {

using Rank = std::tuple<int, RuleLayer>;

// The value of one field, and the rule that had most to say about it.
template <typename T>
struct Best {
  std::optional<T> value{};
  Rank rank{-1, RuleLayer::kBuiltIn};
  const RuleOptions* from = nullptr;

  void Offer(const std::optional<T>& offered, const Rank& offered_rank, const RuleOptions& rule) {
    if (!offered || offered_rank <= rank) return;
    value = offered;
    rank = offered_rank;
    from = &rule;
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

  // visit(key, best, member), for every field of a rule.
  template <typename Visitor>
  void ForEach(const Visitor& visit) {
    visit("connections", connections, &RuleOptions::connections);
    visit("start_connections", start_connections, &RuleOptions::start_connections);
    visit("site_connections", site_connections, &RuleOptions::site_connections);
    visit("connect_rate", connect_rate, &RuleOptions::connect_rate);
    visit("messages_per_connection", messages_per_connection, &RuleOptions::messages_per_connection);
    visit("message_rate", message_rate, &RuleOptions::message_rate);
    visit("burst", burst, &RuleOptions::burst);
    visit("daily_quota", daily_quota, &RuleOptions::daily_quota);
    visit("time_zone", time_zone, &RuleOptions::time_zone);
    visit("total_connections", total_connections, &RuleOptions::total_connections);
    visit("total_message_rate", total_message_rate, &RuleOptions::total_message_rate);
    visit("campaign_message_rate", campaign_message_rate, &RuleOptions::campaign_message_rate);
    visit("adaptive", adaptive, &RuleOptions::adaptive);
    visit("rate_floor", rate_floor, &RuleOptions::rate_floor);
    visit("idle", idle, &RuleOptions::idle);
    visit("tls", tls, &RuleOptions::tls);
  }

  void Offer(const RuleOptions& rule) {
    const Rank rank(rule.match.Specificity(), rule.origin.layer);
    ForEach([&](std::string_view, auto& best, auto member) { best.Offer(rule.*member, rank, rule); });
  }

  // A burst was chosen for a rate of the same rule or a less specific one.
  [[nodiscard]] bool BurstCounts() const { return burst.value && burst.rank >= message_rate.rank; }
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
  if (rule.message_rate && BurstCounts()) rule.message_rate->burst = *burst.value;
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

Choice Choose(const Options& options, std::string_view domain, std::span<const std::string> mx_hosts,
              std::string_view provider) {
  Choice choice;
  const auto offer = [&](const RuleOptions& rule) {
    if (rule.match.Matches(domain, mx_hosts, provider)) choice.Offer(rule);
  };
  std::ranges::for_each(options.rules, offer);
  std::ranges::for_each(options.Providers().rules(), offer);
  return choice;
}

std::string Unquoted(std::string text) {
  if (text.size() < 2 || text.front() != '"') return text;
  return text.substr(1, text.size() - 2);
}

}  // namespace

EffectiveRule ResolveRule(const Options& options, std::string_view domain, std::span<const std::string> mx_hosts) {
  return Choose(options, domain, mx_hosts, options.Providers().OfMxSet(mx_hosts)).Effective();
}

EffectiveRule ResolveProviderRule(const Options& options, std::string_view provider) {
  const ProviderOptions* known = options.Providers().Find(provider);
  const std::vector<std::string> hosts(known == nullptr ? 0 : 1, known == nullptr ? "" : known->SampleHost());
  return Choose(options, {}, hosts, provider).Effective();
}

bool NarrowerThanProvider(const Options& options, const DomainPattern& pattern, std::string_view domain,
                          std::span<const std::string> mx_hosts) {
  const std::string_view provider = options.Providers().OfMxSet(mx_hosts);
  if (!pattern.Matches(domain, mx_hosts, provider)) return false;
  const ProviderOptions* known = options.Providers().Find(provider);
  if (known == nullptr) return pattern.text() != "*";
  const std::string host = known->SampleHost();
  return !pattern.Matches({}, std::span(&host, 1), provider);
}

ExplainedRule ExplainRule(const Options& options, std::string_view domain, std::span<const std::string> mx_hosts) {
  ExplainedRule explained;
  explained.provider = options.Providers().OfMxSet(mx_hosts);
  Choice choice = Choose(options, domain, mx_hosts, explained.provider);
  explained.rule = choice.Effective();
  if (!choice.BurstCounts()) choice.burst = {};
  const std::optional<RateLimit>& rate = explained.rule.message_rate;
  if (rate && !choice.burst.value) choice.burst.value = static_cast<int>(std::ceil(rate->BurstOrDefault()));
  RuleOptions effective;
  choice.ForEach([&](std::string_view, auto& best, auto member) { effective.*member = best.value; });

  const RuleOptions nobody;
  for (const OptionSchema& option : FindTable("rule")->options) {
    const RuleOptions* from = nullptr;
    bool known = false;
    choice.ForEach([&](std::string_view key, auto& best, auto) {
      if (key != option.key) return;
      known = true;
      from = best.from;
    });
    if (!known) continue;  // `match`
    ExplainedField& field = explained.fields.emplace_back();
    field.name = option.key;
    field.value = Unquoted(option.show(&effective));
    if (field.value.empty()) field.value = kNoLimit;
    const RuleOptions& rule = from == nullptr ? nobody : *from;
    field.pattern = rule.match.text();
    field.origin = rule.origin;
  }
  return explained;
}

std::string ToString(const RuleOrigin& origin) {
  switch (origin.layer) {
    case RuleLayer::kBuiltIn:
      return "built in";
    case RuleLayer::kShipped:
    case RuleLayer::kFile:
      return fmt::format("{}:{}", origin.file, origin.line);
    case RuleLayer::kOverride:
      break;
  }
  std::string text = "throttle set";
  if (!origin.set_by.empty()) text += " by " + origin.set_by;
  if (origin.set_at) text += " at " + FormatMoment(*origin.set_at);
  if (origin.until) text += ", until " + FormatMoment(*origin.until);
  return text;
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
