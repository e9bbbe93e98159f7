#pragma once
// A new source earns its receivers' trust: per provider, a table says how many messages it may send on its first day,
// its second, and so on. It moves on only when most of a day's quota was used and few were deferred, goes two days back
// when it is blocked, and is warm behind the table's last day. One owner, one thread; time and the day are arguments.

#include <cstdint>
#include <optional>
#include <span>
#include <string_view>
#include <vector>

#include "config/time.h"
#include "throttle/daily_quota.h"
#include "throttle/state_record.h"

namespace postrider {

struct WarmUpPlan {
  // Warming begins (again) on this day: progress saved before it does not count.
  Wall start{};
  std::vector<std::uint64_t> quotas = DefaultQuotas();  // by day; at least one, each at least 1
  double used_share = 0.70;                             // of the day's quota, to move on
  double deferred_share = 0.05;                         // of what was sent, to stay below
  std::uint32_t steps_back = 2;

  // Cautious: 50, 100, 200, ... 10,000 on day 10, then about 15 % more each day to 175,000 on day 30.
  [[nodiscard]] static std::vector<std::uint64_t> DefaultQuotas();
};

class WarmUp {
 public:
  WarmUp(const Now& now, WarmUpPlan plan, const CalendarDay& day);

  // The day reached stays; a later start than before begins again.
  void SetPlan(const Now& now, WarmUpPlan plan);

  // Behind the last day: no limit.
  [[nodiscard]] bool warm() const { return index_ >= plan_.quotas.size(); }
  // From 0.
  [[nodiscard]] std::uint32_t day_index() const { return index_; }

  // Also decides what the day that is over was worth.
  void SetDay(Monotonic now, const CalendarDay& day);
  // Its answers and its saving; not asked once warm. FullToday() says: take a warm source.
  [[nodiscard]] DailyQuota& quota() { return quota_; }
  [[nodiscard]] const DailyQuota& quota() const { return quota_; }

  // An attempt was put off by the receiver.
  void Deferred() { ++deferred_; }
  // At once two days back, once a day; this day does not move on.
  void Blocked(Monotonic now);

  void Encode(StateWriter& writer, const Now& now, std::uint64_t counter) const;
  [[nodiscard]] bool Restore(std::string_view record, const Now& now);

 private:
  [[nodiscard]] std::uint64_t QuotaNow() const;

  WarmUpPlan plan_;
  std::uint32_t index_ = 0;
  bool blocked_today_ = false;
  std::uint64_t deferred_ = 0;
  DailyQuota quota_;
};

}  // namespace postrider
