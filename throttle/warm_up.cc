#include "throttle/warm_up.h"

#include <algorithm>
#include <utility>

#include "config/check.h"
#include "config/options.h"

namespace postrider {
namespace {

enum Field : std::uint8_t { kStart = 1, kIndex, kBlockedToday, kDeferred, kQuota };

}  // namespace

std::vector<std::uint64_t> WarmUpPlan::DefaultQuotas() { return WarmUpOptions().quotas; }

WarmUp::WarmUp(const Now& now, WarmUpPlan plan, const CalendarDay& day)
    : plan_(std::move(plan)), quota_(now, plan_.quotas.empty() ? 0 : plan_.quotas.front(), day) {
  CHECK(!plan_.quotas.empty());
}

std::uint64_t WarmUp::QuotaNow() const { return plan_.quotas[std::min<std::size_t>(index_, plan_.quotas.size() - 1)]; }

void WarmUp::SetPlan(const Now& now, WarmUpPlan plan) {
  CHECK(!plan.quotas.empty());
  const bool again = plan.start > plan_.start;
  plan_ = std::move(plan);
  if (again) {
    index_ = 0;
    blocked_today_ = false;
  }
  quota_.SetQuota(now.monotonic, QuotaNow());
}

void WarmUp::SetDay(Monotonic now, const CalendarDay& day) {
  if (day.start >= quota_.day().end) {
    const auto used = static_cast<double>(quota_.used());
    const bool used_enough = used >= plan_.used_share * static_cast<double>(QuotaNow());
    const bool few_deferred = static_cast<double>(deferred_) < plan_.deferred_share * std::max(used, 1.0);
    if (!warm() && !blocked_today_ && used_enough && few_deferred) ++index_;
    blocked_today_ = false;
    deferred_ = 0;
    quota_.SetQuota(now, QuotaNow());
  }
  quota_.SetDay(now, day);
}

void WarmUp::Blocked(Monotonic now) {
  if (warm() || std::exchange(blocked_today_, true)) return;
  index_ -= std::min(index_, plan_.steps_back);
  quota_.SetQuota(now, QuotaNow());
}

void WarmUp::Encode(StateWriter& writer, const Now& now, std::uint64_t counter) const {
  StateWriter quota;
  quota_.Encode(quota, now, counter);
  writer.Moment(kStart, plan_.start);
  writer.Number(kIndex, index_);
  writer.Number(kBlockedToday, blocked_today_ ? 1 : 0);
  writer.Number(kDeferred, deferred_);
  writer.Text(kQuota, quota.fields());
}

bool WarmUp::Restore(std::string_view record, const Now& now) {
  std::optional<Wall> start;
  std::optional<std::uint64_t> index, blocked, deferred;
  std::optional<std::string_view> quota;
  StateReader reader(record);
  while (reader.Next()) {
    if (reader.field() == kStart) start = reader.Moment();
    if (reader.field() == kIndex) index = reader.Number();
    if (reader.field() == kBlockedToday) blocked = reader.Number();
    if (reader.field() == kDeferred) deferred = reader.Number();
    if (reader.field() == kQuota) quota = reader.Text();
  }
  if (!reader.sound() || !start || !index || !quota) return false;
  // Of an earlier warming: what it reached does not count, but what was sent today does.
  const bool counts = *start >= plan_.start;
  DailyQuota restored = quota_;
  const auto reached = static_cast<std::uint32_t>(std::min<std::uint64_t>(*index, plan_.quotas.size()));
  const std::uint32_t before = std::exchange(index_, counts ? reached : 0);
  restored.SetQuota(now.monotonic, QuotaNow());
  if (!restored.Restore(*quota, now)) {
    index_ = before;
    return false;
  }
  quota_ = restored;
  blocked_today_ = counts && blocked.value_or(0) != 0;
  deferred_ = deferred.value_or(0);
  return true;
}

}  // namespace postrider
