#include "tools/plan_model.h"

#include <algorithm>
#include <array>
#include <cmath>
#include <limits>
#include <utility>

namespace postrider::tools {
namespace {

constexpr double kNever = std::numeric_limits<double>::infinity();
constexpr double kHorizonSeconds = 10.0 * 365 * 86'400;
constexpr double kNothing = 1e-6;         // of a message
constexpr double kQuotaAnHour = 1.0 / 8;  // throttle/daily_quota.h
constexpr double kUnlimited = 1e9;        // messages a second, where no limit binds at all

// What one source group sends to one receiver.
struct Flow {
  std::size_t receiver = 0;
  std::size_t source = 0;
  double weight = 1;
  double rate = 0;
  Limit limit = Limit::kNone;
  bool fixed = false;
};

// The sum of its flows' rates, each times its share, is at most the capacity.
struct Constraint {
  double capacity = 0;
  Limit limit = Limit::kNone;
  std::vector<std::pair<std::size_t, double>> uses;
};

// One source group's quota at one allowance.
struct Quota {
  double used = 0;         // today
  std::uint32_t days = 0;  // that began since the start
};

class Machine {
 public:
  explicit Machine(const PlanInput& input)
      : input_(input),
        remaining_(input.receivers.size()),
        blame_(input.receivers.size()),
        quotas_(input.allowances.size() * input.sources.size()) {
    outcome_.receivers.resize(input.receivers.size());
    for (const PlanAllowance& allowance : input.allowances) {
      zones_.push_back(TimeZone::FindOrUtc(allowance.rule.time_zone));
      day_ends_.push_back(HasQuota(allowance) ? SecondsTo(zones_.back().DayOf(input.start).end) : kNever);
    }
  }

  PlanOutcome Run() {
    const bool canary = input_.canary_share > 0;
    for (std::size_t i = 0; i < remaining_.size(); ++i) {
      const auto all = static_cast<double>(input_.receivers[i].recipients);
      remaining_[i] = canary ? std::min(all, std::ceil(all * input_.canary_share)) : all;
      if (all == 0) outcome_.receivers[i].done = input_.start;
    }
    const std::vector<double> first = remaining_;
    bool whole = Drain();
    if (canary && whole) {
      outcome_.canary_done = At(now_);
      bool more = false;
      for (std::size_t i = 0; i < remaining_.size(); ++i) {
        remaining_[i] = static_cast<double>(input_.receivers[i].recipients) - first[i];
        more |= remaining_[i] > kNothing;
        if (remaining_[i] > kNothing) outcome_.receivers[i].done.reset();
      }
      if (more) {
        PassTo(now_ + std::chrono::duration<double>(input_.canary_wait).count());
        whole = Drain();
      }
    }
    Finish(whole);
    return std::move(outcome_);
  }

 private:
  [[nodiscard]] Wall At(double seconds) const {
    return input_.start + std::chrono::milliseconds(static_cast<std::int64_t>(std::llround(seconds * 1000)));
  }
  [[nodiscard]] double SecondsTo(Wall moment) const {
    return moment == Wall::max() ? kNever : std::chrono::duration<double>(moment - input_.start).count();
  }
  [[nodiscard]] bool HasQuota(const PlanAllowance& allowance) const {
    return allowance.rule.daily_quota.has_value() ||
           std::ranges::any_of(input_.sources, [](const PlanSource& source) { return source.warm_up_day.has_value(); });
  }
  [[nodiscard]] Quota& QuotaOf(std::size_t allowance, std::size_t source) {
    return quotas_[allowance * input_.sources.size() + source];
  }
  // Today's, of one source at one receiver of its size; and which of the two it is.
  [[nodiscard]] std::pair<std::optional<double>, Limit> PerDay(std::size_t allowance, std::size_t source) {
    std::optional<double> quota;
    Limit limit = Limit::kDailyQuota;
    if (const auto& configured = input_.allowances[allowance].rule.daily_quota) {
      quota = static_cast<double>(*configured);
    }
    if (const auto& first_day = input_.sources[source].warm_up_day) {
      const std::size_t day = *first_day + QuotaOf(allowance, source).days;
      const auto& table = input_.warm_up_quotas;
      if (day < table.size() && (!quota || static_cast<double>(table[day]) < *quota)) {
        quota = static_cast<double>(table[day]);
        limit = Limit::kWarmUp;
      }
    }
    return {quota, limit};
  }
  [[nodiscard]] double SecondsEach(const EffectiveRule& rule) const {
    const double opening = rule.messages_per_connection > 0
                               ? input_.seconds_per_connection / rule.messages_per_connection
                               : 0;  // spread over more messages than matter
    return input_.seconds_per_message + opening;
  }

  // ---- what goes in one stretch

  void MakeFlows() {
    flows_.clear();
    constraints_.clear();
    std::vector<std::vector<std::size_t>> of_allowance(quotas_.size());
    for (std::size_t r = 0; r < remaining_.size(); ++r) {
      if (remaining_[r] <= kNothing) continue;
      const PlanReceiver& receiver = input_.receivers[r];
      const double parallel = input_.allowances[receiver.allowances.front()].parallel;
      for (std::size_t s = 0; s < input_.sources.size(); ++s) {
        for (const std::size_t a : receiver.allowances) {
          of_allowance[a * input_.sources.size() + s].push_back(flows_.size());
        }
        flows_.push_back({.receiver = r, .source = s, .weight = parallel * input_.sources[s].alike});
      }
    }
    for (std::size_t a = 0; a < input_.allowances.size(); ++a) {
      std::vector<std::size_t> all;
      for (std::size_t s = 0; s < input_.sources.size(); ++s) {
        const std::vector<std::size_t>& mine = of_allowance[a * input_.sources.size() + s];
        if (mine.empty()) continue;
        LimitAllowance(a, s, mine);
        all.insert(all.end(), mine.begin(), mine.end());
      }
      if (!all.empty()) LimitTotals(input_.allowances[a], all);
    }
    LimitShared();
  }

  void Limited(double capacity, Limit limit, const std::vector<std::size_t>& flows, double share) {
    Constraint& constraint = constraints_.emplace_back();
    constraint.capacity = capacity;
    constraint.limit = limit;
    for (const std::size_t flow : flows) constraint.uses.emplace_back(flow, share);
  }

  void LimitAllowance(std::size_t a, std::size_t s, const std::vector<std::size_t>& flows) {
    const PlanAllowance& allowance = input_.allowances[a];
    const EffectiveRule& rule = allowance.rule;
    const double times = allowance.parallel * input_.sources[s].alike;
    if (rule.message_rate) Limited(rule.message_rate->per_second * times, Limit::kMessageRate, flows, 1);
    double open = rule.connections > 0 ? rule.connections : kNever;
    Limit of_open = Limit::kConnections;
    if (rule.site_connections && *rule.site_connections * static_cast<double>(allowance.sites) < open) {
      open = *rule.site_connections * static_cast<double>(allowance.sites);
      of_open = Limit::kSiteConnections;
    }
    const double seconds = SecondsEach(rule);
    if (open != kNever && seconds > 0) Limited(open * times, of_open, flows, seconds);
    if (rule.connect_rate && rule.messages_per_connection > 0) {
      Limited(rule.connect_rate->per_second * rule.messages_per_connection * times, Limit::kConnectRate, flows, 1);
    }
    const auto [quota, limit] = PerDay(a, s);
    if (!quota) return;
    const double left = *quota * times - QuotaOf(a, s).used;
    const double an_hour = std::max(1.0, *quota * kQuotaAnHour);
    Limited(left > kNothing ? std::min(an_hour, *quota) / 3600 * times : 0, limit, flows, 1);
  }

  void LimitTotals(const PlanAllowance& allowance, const std::vector<std::size_t>& flows) {
    const EffectiveRule& rule = allowance.rule;
    const double times = allowance.parallel;
    if (rule.total_message_rate) Limited(rule.total_message_rate->per_second * times, Limit::kTotalRate, flows, 1);
    if (rule.total_connections && SecondsEach(rule) > 0) {
      Limited(*rule.total_connections * times, Limit::kTotalConnections, flows, SecondsEach(rule));
    }
    if (rule.campaign_message_rate) {
      Limited(rule.campaign_message_rate->per_second * times, Limit::kCampaignAtProvider, flows, 1);
    }
  }

  // Of limits over many receivers.
  void LimitWide(const PlanLimits& limits, double times, Limit rate, Limit connections,
                 const std::vector<std::size_t>& flows) {
    if (flows.empty()) return;
    if (limits.rate) Limited(*limits.rate * times, rate, flows, 1);
    if (!limits.connections) return;
    Constraint constraint;
    constraint.capacity = *limits.connections * times;
    constraint.limit = connections;
    for (const std::size_t flow : flows) {
      const PlanReceiver& receiver = input_.receivers[flows_[flow].receiver];
      constraint.uses.emplace_back(flow, SecondsEach(input_.allowances[receiver.allowances.front()].rule));
    }
    constraints_.push_back(std::move(constraint));
  }

  void LimitShared() {
    std::vector<std::size_t> all;
    std::vector<std::vector<std::size_t>> by_source(input_.sources.size());
    for (std::size_t i = 0; i < flows_.size(); ++i) {
      all.push_back(i);
      by_source[flows_[i].source].push_back(i);
    }
    for (std::size_t s = 0; s < by_source.size(); ++s) {
      LimitWide(input_.sources[s].limits, input_.sources[s].alike, Limit::kSourceRate, Limit::kSourceConnections,
                by_source[s]);
    }
    LimitWide(input_.pool, 1, Limit::kPoolRate, Limit::kPoolConnections, all);
    LimitWide(input_.sender, 1, Limit::kSenderRate, Limit::kSenderConnections, all);
    if (input_.campaign_rate > 0) Limited(input_.campaign_rate, Limit::kCampaignRate, all, 1);
  }

  // All flows rise together until a limit is reached; those it holds stay there, the others rise on.
  void Fill() {
    std::size_t free = flows_.size();
    std::vector<double> used(constraints_.size());
    while (free > 0) {
      double step = kNever;
      std::size_t tightest = constraints_.size();
      std::vector<double> speed(constraints_.size());
      for (std::size_t c = 0; c < constraints_.size(); ++c) {
        for (const auto& [flow, share] : constraints_[c].uses) {
          if (!flows_[flow].fixed) speed[c] += share * flows_[flow].weight;
        }
        if (speed[c] <= 0) continue;
        const double room = std::max(0.0, constraints_[c].capacity - used[c]) / speed[c];
        if (room < step) {
          step = room;
          tightest = c;
        }
      }
      if (tightest == constraints_.size()) break;
      for (Flow& flow : flows_) {
        if (!flow.fixed) flow.rate += step * flow.weight;
      }
      for (std::size_t c = 0; c < constraints_.size(); ++c) used[c] += speed[c] * step;
      const auto fix = [&](const Constraint& constraint) {
        for (const auto& [index, share] : constraint.uses) {
          Flow& flow = flows_[index];
          if (std::exchange(flow.fixed, true)) continue;
          flow.limit = constraint.limit;
          --free;
        }
      };
      fix(constraints_[tightest]);
      for (std::size_t c = 0; c < constraints_.size(); ++c) {
        if (speed[c] > 0 && used[c] >= constraints_[c].capacity * (1 - 1e-9)) fix(constraints_[c]);
      }
    }
    for (Flow& flow : flows_) {
      if (!flow.fixed) flow.rate = kUnlimited;
    }
  }

  // ---- time

  // False: it would never end.
  bool Drain() {
    // Each receiver ends once, and each day and window some thousand times at most.
    constexpr int kStretchesMost = 2'000'000;
    for (int i = 0; i < kStretchesMost && now_ < kHorizonSeconds; ++i) {
      if (std::ranges::all_of(remaining_, [](double left) { return left <= kNothing; })) return true;
      double until = kNever;
      if (!input_.windows.empty()) {
        const WindowState state = StateOf(input_.windows, input_.zone, At(now_));
        // A moment is a whole millisecond; never stand still.
        until = std::max(SecondsTo(state.until), now_ + 0.001);
        if (!state.open) {
          if (until == kNever) return false;
          Blame(Limit::kWindow, until - now_);
          PassTo(until);
          continue;
        }
      }
      if (!Stretch(until)) return false;
    }
    return false;
  }

  bool Stretch(double until) {
    MakeFlows();
    Fill();
    std::vector<double> rates(remaining_.size());
    for (const Flow& flow : flows_) rates[flow.receiver] += flow.rate;
    if (std::exchange(first_stretch_, false)) {
      for (std::size_t r = 0; r < rates.size(); ++r) outcome_.receivers[r].rate = rates[r];
    }
    for (std::size_t r = 0; r < rates.size(); ++r) {
      if (remaining_[r] > kNothing && rates[r] > 0) until = std::min(until, now_ + remaining_[r] / rates[r]);
    }
    const std::size_t sources = input_.sources.size();
    std::vector<double> of_quota(quotas_.size());
    for (const Flow& flow : flows_) {
      for (const std::size_t a : input_.receivers[flow.receiver].allowances) {
        of_quota[a * sources + flow.source] += flow.rate;
        until = std::min(until, std::max(day_ends_[a], now_ + 0.001));
      }
    }
    for (std::size_t a = 0; a < input_.allowances.size(); ++a) {
      for (std::size_t s = 0; s < sources; ++s) {
        const double rate = of_quota[a * sources + s];
        const auto quota = rate > 0 ? PerDay(a, s).first : std::nullopt;
        if (!quota) continue;
        const double left = *quota * input_.allowances[a].parallel * input_.sources[s].alike - QuotaOf(a, s).used;
        until = std::min(until, now_ + std::max(left, kNothing) / rate);
      }
    }
    if (until == kNever) return false;
    const double span = until - now_;
    for (const Flow& flow : flows_) {
      const double all = rates[flow.receiver];
      const double share = all > 0 ? flow.rate / all : 1.0 / static_cast<double>(input_.sources.size());
      blame_[flow.receiver][static_cast<std::size_t>(flow.limit)] += span * share;
      for (const std::size_t a : input_.receivers[flow.receiver].allowances) {
        QuotaOf(a, flow.source).used += flow.rate * span;
      }
    }
    for (std::size_t r = 0; r < rates.size(); ++r) {
      if (remaining_[r] <= kNothing) continue;
      remaining_[r] -= rates[r] * span;
      if (remaining_[r] > kNothing) continue;
      remaining_[r] = 0;
      outcome_.receivers[r].done = At(until);
    }
    PassTo(until);
    return true;
  }

  // Days begin on the way.
  void PassTo(double until) {
    now_ = until;
    for (std::size_t a = 0; a < day_ends_.size(); ++a) {
      while (day_ends_[a] <= now_ + 1e-6) {
        for (std::size_t s = 0; s < input_.sources.size(); ++s) {
          Quota& quota = QuotaOf(a, s);
          quota.used = 0;
          ++quota.days;
        }
        day_ends_[a] = SecondsTo(zones_[a].DayOf(At(day_ends_[a])).end);
      }
    }
  }

  void Blame(Limit limit, double seconds) {
    for (std::size_t r = 0; r < remaining_.size(); ++r) {
      if (remaining_[r] > kNothing) blame_[r][static_cast<std::size_t>(limit)] += seconds;
    }
  }

  void Finish(bool whole) {
    for (std::size_t r = 0; r < blame_.size(); ++r) {
      const auto most = std::ranges::max_element(blame_[r]);
      if (*most > 0) outcome_.receivers[r].decides = static_cast<Limit>(most - blame_[r].begin());
      const auto& done = outcome_.receivers[r].done;
      if (!done) {
        outcome_.last = r;
        whole = false;
      }
      if (!whole) continue;
      if (!outcome_.last || *done > *outcome_.receivers[*outcome_.last].done) outcome_.last = r;
    }
    if (!whole) return;
    outcome_.done = outcome_.last ? outcome_.receivers[*outcome_.last].done : std::optional(input_.start);
  }

  const PlanInput& input_;
  PlanOutcome outcome_;
  double now_ = 0;  // seconds since the start
  bool first_stretch_ = true;
  std::vector<double> remaining_;
  std::vector<std::array<double, kLimits>> blame_;
  std::vector<Quota> quotas_;
  std::vector<TimeZone> zones_;
  std::vector<double> day_ends_;
  std::vector<Flow> flows_;
  std::vector<Constraint> constraints_;
};

}  // namespace

PlanOutcome Forecast(const PlanInput& input) {
  if (input.sources.empty()) {
    PlanOutcome nothing;
    nothing.receivers.resize(input.receivers.size());
    return nothing;
  }
  return Machine(input).Run();
}

}  // namespace postrider::tools
