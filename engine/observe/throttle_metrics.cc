#include "engine/observe/throttle_metrics.h"

#include <algorithm>
#include <functional>
#include <map>
#include <set>
#include <string>
#include <string_view>
#include <utility>

#include "config/list_name.h"

namespace postrider::observe {
namespace {

using delivery::AllowanceSnapshot;
using delivery::GuardKind;
using delivery::GuardState;
using delivery::SiteMode;

constexpr std::string_view kOther = "other";
// The shipped rules are a few hundred; an operator's file of more makes the page no longer.
constexpr std::size_t kRulesMost = 1000;
constexpr std::size_t kListsMost = 50;

// Gives a provider its name, a site its own if the events' labels know it, and all others one together.
class Receivers {
 public:
  explicit Receivers(const EventCounts& events) {
    for (const auto& [key, count] : events.by_label) known_.insert(key.first);
  }
  [[nodiscard]] std::string_view LabelOf(const AllowanceSnapshot& allowance) const {
    return allowance.is_provider || known_.contains(allowance.receiver) ? std::string_view(allowance.receiver) : kOther;
  }

 private:
  std::set<std::string_view> known_;
};

// (source, receiver) -> the least value of those that share the labels: the one an operator would ask about.
using LeastByPath = std::map<std::pair<std::string_view, std::string_view>, double>;

void Keep(LeastByPath& least, std::string_view source, std::string_view receiver, double value) {
  const auto [place, is_new] = least.try_emplace({source, receiver}, value);
  if (!is_new) place->second = std::min(place->second, value);
}

void AddByPath(MetricPage& page, const MetricName& name, const LeastByPath& values) {
  page.Add(name);
  for (const auto& [path, value] : values) page.Value(value, {{"source", path.first}, {"receiver", path.second}});
}

}  // namespace

void AddReplies(MetricPage& page, const CoreTotals& machine, const EventCounts& events) {
  page.Add(Counter("postrider_categories_total",
                   "Deferrals, bounces, lost replies and path troubles since the start, by receiver and category."));
  for (const auto& [key, count] : events.by_category) {
    page.Value(count, {{"receiver", key.first}, {"category", ToString(key.second)}});
  }
  page.Add(Counter("postrider_hard_bounces_total",
                   "Bounces that say the address takes no mail: bad-mailbox, bad-domain, inactive-mailbox."));
  for (const auto& [label, count] : events.hard_bounces) page.Value(count, {{"receiver", label}});

  page.Add(Counter("postrider_actions_total", "What replies made the machine do, by the rule's action."));
  for (std::size_t kind = 1; kind < machine.counts.actions.size(); ++kind) {
    page.Value(machine.counts.actions[kind], {{"action", ToString(static_cast<ActionKind>(kind))}});
  }
  page.Add(Counter("postrider_reply_rule_hits_total", "Replies that a reply rule decided, by its name."));
  std::uint64_t rest = 0;
  std::size_t shown = 0;
  for (const auto& [rule, hits] : machine.rule_hits) {
    if (shown++ < kRulesMost) {
      page.Value(hits, {{"rule", rule}});
    } else {
      rest += hits;
    }
  }
  if (rest > 0) page.Value(rest, {{"rule", kOther}});
  page.Add(Counter("postrider_unmatched_replies_total", "Negative replies that no reply rule knew."))
      .Value(machine.counts.unmatched_replies);
}

void AddAllowances(MetricPage& page, const Snapshot& snapshot, const CoreTotals& machine, const EventCounts& events) {
  page.Add(Gauge("postrider_paths", "Paths (a source towards a site), by what they do."));
  for (std::size_t mode = 0; mode < machine.paths.size(); ++mode) {
    page.Value(static_cast<double>(machine.paths[mode]), {{"mode", ToString(static_cast<SiteMode>(mode))}});
  }
  const Receivers receivers(events);
  std::map<std::string_view, std::uint64_t> stopped;
  LeastByPath adaptive, quota, warm_up;
  for (const delivery::CoreSnapshot& core : snapshot.cores) {
    for (const AllowanceSnapshot& allowance : core.allowances) {
      const std::string_view receiver = receivers.LabelOf(allowance);
      stopped[receiver] += allowance.mode == SiteMode::kStopped ? 1 : 0;
      if (allowance.adaptive_rate > 0) Keep(adaptive, allowance.source, receiver, allowance.adaptive_rate);
      if (allowance.quota > 0) {
        const double used = static_cast<double>(allowance.quota_used) / static_cast<double>(allowance.quota);
        Keep(quota, allowance.source, receiver, std::max(0.0, 1 - used));
      }
      if (allowance.warm_up_day > 0) Keep(warm_up, allowance.source, receiver, allowance.warm_up_day);
    }
  }
  page.Add(Gauge("postrider_stopped_allowances",
                 "Sources that may send nothing to a receiver now, because of its replies or a breaker."));
  for (const auto& [receiver, count] : stopped) page.Value(count, {{"receiver", receiver}});
  AddByPath(page,
            Gauge("postrider_adaptive_messages_per_second",
                  "The rate that replies have lowered a source to at a receiver; missing while it is not lowered."),
            adaptive);
  AddByPath(page, Gauge("postrider_quota_left_ratio", "What is left of today's quota of a source at a receiver."),
            quota);
  AddByPath(page, Gauge("postrider_warm_up_day", "Day of the warm-up table that a source is on at a receiver, from 1."),
            warm_up);
}

void AddGuards(MetricPage& page, const Snapshot& snapshot) {
  std::map<std::pair<GuardKind, GuardState>, std::uint64_t> counts;
  for (const delivery::CoreSnapshot& core : snapshot.cores) {
    for (const delivery::GuardSnapshot& guard : core.guards) ++counts[{guard.kind, guard.state}];
  }
  page.Add(Gauge("postrider_guards",
                 "Guards that warn of something or have tripped; a tripped campaign guard is a campaign paused at a "
                 "receiver."));
  for (std::size_t kind = 0; kind < delivery::kGuardKinds; ++kind) {
    for (const GuardState state : {GuardState::kWarning, GuardState::kTripped}) {
      const auto guard = static_cast<GuardKind>(kind);
      page.Value(counts[{guard, state}], {{"guard", ToString(guard)}, {"state", ToString(state)}});
    }
  }
}

void AddSuppression(MetricPage& page, const SuppressionCounts& suppression) {
  page.Add(Gauge("postrider_suppression_entries",
                 "Addresses and domains on the suppression list, by list: global, or one that campaigns name."));
  const auto add = [&page](std::string_view list, const queue::ListCounts& counts) {
    page.Value(counts.addresses, {{"list", list}, {"kind", "address"}});
    page.Value(counts.domains, {{"list", list}, {"kind", "domain"}});
  };
  queue::ListCounts rest;
  std::size_t shown = 0;
  for (const auto& [list, counts] : suppression.lists) {
    if (shown++ < kListsMost) {
      add(ShownListName(list), counts);
    } else {
      rest.addresses += counts.addresses;
      rest.domains += counts.domains;
    }
  }
  // The global list stands first and is told even while it is empty.
  if (!suppression.lists.contains("")) add(ShownListName(""), {});
  if (shown > kListsMost) add(kOther, rest);
  page.Add(
          Counter("postrider_suppression_changes_total",
                  "Changes of the suppression list since the start: added by a reply rule or by hand, removed, or held "
                  "by a guard."))
      .Value(suppression.added_by_rule, {{"change", "added by rule"}})
      .Value(suppression.added_by_hand, {{"change", "added by hand"}})
      .Value(suppression.removed, {{"change", "removed"}})
      .Value(suppression.held, {{"change", "held"}});
}

}  // namespace postrider::observe
