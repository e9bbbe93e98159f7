#include "tools/plan_receivers.h"

#include <algorithm>
#include <iterator>

#include "config/rules.h"
#include "engine/delivery/site.h"
#include "engine/delivery/site_table.h"

namespace postrider::tools {
namespace {

PlanLimits LimitsOf(const std::optional<RateLimit>& rate, const std::optional<int>& connections) {
  PlanLimits limits{.rate = {}, .connections = connections};
  if (rate) limits.rate = rate->per_second;
  return limits;
}

}  // namespace

void DomainCounts::Add(std::string_view domain) {
  const auto found = counts_.find(domain);
  if (found != counts_.end()) {
    ++found->second;
  } else if (counts_.size() < most_) {
    counts_.emplace(domain, 1);
  } else {
    ++beyond_;
  }
}

std::vector<std::pair<std::string, std::uint64_t>> DomainCounts::Take() {
  std::vector<std::pair<std::string, std::uint64_t>> sorted;
  sorted.reserve(counts_.size());
  while (!counts_.empty()) {
    auto node = counts_.extract(counts_.begin());
    sorted.emplace_back(std::move(node.key()), node.mapped());
  }
  std::ranges::sort(sorted, [](const auto& a, const auto& b) {
    return a.second != b.second ? a.second > b.second : a.first < b.first;
  });
  return sorted;
}

std::size_t ReceiverBuilder::AllowanceOf(const std::string& key, const std::string& name, const EffectiveRule& rule) {
  const auto [place, is_new] = allowance_index_.try_emplace(key, allowances_.size());
  if (is_new) allowances_.push_back({.name = name, .rule = rule, .sites = 0});
  return place->second;
}

// As delivery's SiteTable and DestinationTable have it.
void ReceiverBuilder::Add(std::string_view domain, std::uint64_t recipients, const dns::MxAnswer* mx) {
  const bool has_route = FindRoute(options_, domain) != nullptr;
  if (mx != nullptr && !has_route &&
      (mx->status == dns::MxStatus::kNullMx || mx->status == dns::MxStatus::kNoDomain ||
       mx->status == dns::MxStatus::kNoMail)) {
    refused_ += recipients;
    return;
  }
  if (mx != nullptr && mx->status != dns::MxStatus::kFound) mx = nullptr;
  const delivery::SiteTarget target = delivery::TargetOf(options_, domain, mx);
  std::vector<std::string> names;
  for (const delivery::SiteHost& host : target.hosts) names.push_back(host.name);
  const std::string own_rules = delivery::OwnRulesOf(options_, domain, names);
  const std::string site = names.empty() ? std::string(domain) : names.front();
  std::vector<std::size_t> allowances;
  std::string key;
  std::string name;
  const bool is_provider = !target.provider.empty() && own_rules.empty();
  if (target.provider.empty() || !own_rules.empty()) {
    // Where the hosts are not known a domain stands for itself.
    key = "site/" + (names.empty() ? std::string(domain) : target.base_key) + "|" + own_rules;
    name = own_rules.empty() ? site : std::string(domain);
    allowances.push_back(AllowanceOf(key, name, ResolveRule(options_, domain, names)));
  }
  if (!target.provider.empty()) {
    // The rules of a provider as a whole: no domain's, and no single host's.
    std::vector<std::string> below;
    if (const std::size_t dot = site.find('.'); dot != std::string::npos) below.push_back("*" + site.substr(dot));
    const std::string of_provider = "provider/" + target.provider;
    allowances.push_back(AllowanceOf(of_provider, target.provider, ResolveRule(options_, {}, below)));
    if (is_provider) {
      key = of_provider;
      name = target.provider;
    }
  }
  for (const std::size_t allowance : allowances) {
    if (sites_.try_emplace({allowance, names.empty() ? std::string(domain) : target.base_key}, true).second) {
      ++allowances_[allowance].sites;
    }
  }
  const auto [place, is_new] = receiver_index_.try_emplace(key, receivers_.size());
  if (is_new) {
    receivers_.push_back(
        {.name = name, .is_provider = is_provider, .recipients = 0, .domains = 0, .allowances = std::move(allowances)});
  }
  PlanReceiver& receiver = receivers_[place->second];
  receiver.recipients += recipients;
  ++receiver.domains;
}

void ReceiverBuilder::AddSmall(std::string_view domain, std::uint64_t recipients) {
  // A route or a rule of its own makes it one that is known.
  if (FindRoute(options_, domain) != nullptr || !delivery::OwnRulesOf(options_, domain, {}).empty()) {
    return Add(domain, recipients, nullptr);
  }
  const EffectiveRule rule = ResolveRule(options_, domain, {});
  auto found = std::ranges::find(small_, rule, &Small::rule);
  if (found == small_.end()) found = small_.insert(small_.end(), {.rule = rule});
  ++found->domains;
  found->recipients += recipients;
  found->largest = std::max(found->largest, recipients);
}

void ReceiverBuilder::Finish(PlanInput& input) {
  for (const Small& small : small_) {
    allowances_.push_back({.name = "other domains",
                           .rule = small.rule,
                           .sites = 1,
                           .parallel = static_cast<double>(small.recipients) / static_cast<double>(small.largest)});
    receivers_.push_back({.name = "other domains",
                          .is_provider = false,
                          .recipients = small.recipients,
                          .domains = small.domains,
                          .allowances = {allowances_.size() - 1}});
  }
  input.allowances = std::move(allowances_);
  input.receivers = std::move(receivers_);
}

std::vector<PlanSource> PlanSourcesOf(const Options& options, std::string_view pool, Wall start) {
  const auto known = std::ranges::find(options.pools, pool, &PoolOptions::name);
  std::vector<PlanSource> sources;
  for (const SourceOptions& source : options.sources) {
    const bool belongs = known == options.pools.end()
                             ? pool == "default"
                             : std::ranges::find(known->sources, source.name) != known->sources.end();
    if (!belongs) continue;
    PlanSource one{.name = source.name, .limits = LimitsOf(source.Rate(), source.connections)};
    if (source.warm_up) {
      const auto days = std::chrono::floor<std::chrono::days>(start) - *source.warm_up;
      const auto day = static_cast<std::uint32_t>(std::max<std::int64_t>(0, days.count()));
      if (day < options.warm_up.quotas.size()) one.warm_up_day = day;
    }
    const auto alike = std::ranges::find_if(sources, [&](const PlanSource& other) {
      return other.limits.rate == one.limits.rate && other.limits.connections == one.limits.connections &&
             other.warm_up_day == one.warm_up_day;
    });
    if (alike == sources.end()) {
      sources.push_back(std::move(one));
    } else {
      ++alike->alike;
      alike->name += ", " + one.name;
    }
  }
  return sources;
}

}  // namespace postrider::tools
