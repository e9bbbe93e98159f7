#include "throttle/daily_quota.h"

#include <algorithm>
#include <cmath>

namespace postrider {
namespace {

constexpr double kShareOfAnHour = 1.0 / 8;
constexpr double kHour = 3600;

enum Field : std::uint8_t {
  kDayStart = 1,
  kDayEnd,
  kCounter,
  kPaceDepth,
  kSavedAt,
  kLeftDayStart,
  kLeftDayEnd,
  kLeftCounter,
};

bool Overlap(const CalendarDay& one, const CalendarDay& other) {
  return one.start < other.end && other.start < one.end;
}

std::uint64_t ChunkOf(std::uint64_t per_day) { return std::max<std::uint64_t>(1, per_day / 100); }

}  // namespace

DailyQuota::DailyQuota(const Now& now, std::uint64_t per_day, const CalendarDay& day) : per_day_(per_day), day_(day) {
  began_ = now.monotonic;
  SetPace(now.monotonic);
}

void DailyQuota::SetQuota(Monotonic now, std::uint64_t per_day) {
  per_day_ = per_day;
  SetPace(now);
}

void DailyQuota::SetPace(Monotonic now) {
  // An hour holds rate * 3600 + burst - 1 at most (its first and last moment are never both inside), so the burst of a
  // second's worth comes off the rate.
  const double hourly = std::max(1.0, std::floor(static_cast<double>(per_day_) * kShareOfAnHour));
  const double burst = std::max(1.0, hourly / kHour);
  pace_.SetRate(now, (hourly - (burst - 1)) / kHour, burst);
}

void DailyQuota::SetDay(Monotonic now, const CalendarDay& day) {
  if (!Overlap(day, day_)) {
    const Count left{day_, used_};
    used_ = left_ && Overlap(day, left_->day) ? left_->used : 0;
    // Back: what went while the clock was ahead went on this day; or it is behind now, and this is the same day.
    if (day.end <= left.day.start) used_ += left.used;
    left_ = left;
    saved_ = 0;
    began_ = now;
  }
  day_ = day;
}

DailyQuota::Answer DailyQuota::Ask(const Now& now) const {
  if (FullToday()) return {Binds::kFull, now.monotonic + std::max(day_.end - now.wall, Wall::duration(1))};
  const Monotonic earliest = pace_.Earliest(now.monotonic);
  if (earliest > now.monotonic) return {Binds::kPace, earliest};
  if (used_ >= saved_) return {Binds::kUnsaved, Monotonic::max()};
  return {Binds::kNothing, now.monotonic};
}

void DailyQuota::Take(Monotonic now) {
  ++used_;
  pace_.Take(now);
}

void DailyQuota::Return(Monotonic now, Monotonic taken_at) {
  // What was taken yesterday is not given back to today.
  if (taken_at >= began_ && used_ > 0) --used_;
  pace_.Return(now, taken_at);
}

bool DailyQuota::WantsSave() const {
  if (saved_ >= per_day_) return false;
  return saved_ <= used_ || saved_ - used_ <= ChunkOf(per_day_) / 2;
}

std::uint64_t DailyQuota::Ahead() const {
  return std::max({used_, saved_, std::min(per_day_, used_ + ChunkOf(per_day_))});
}

void DailyQuota::Saved(const CalendarDay& day, std::uint64_t ahead) {
  if (day == day_) saved_ = std::max(saved_, ahead);
}

void DailyQuota::Encode(StateWriter& writer, const Now& now, std::uint64_t counter) const {
  writer.Moment(kDayStart, day_.start);
  writer.Moment(kDayEnd, day_.end);
  writer.Number(kCounter, counter);
  writer.Real(kPaceDepth, pace_.Depth(now.monotonic));
  writer.Moment(kSavedAt, now.wall);
  if (!left_) return;
  writer.Moment(kLeftDayStart, left_->day.start);
  writer.Moment(kLeftDayEnd, left_->day.end);
  writer.Number(kLeftCounter, left_->used);
}

bool DailyQuota::Restore(std::string_view record, const Now& now) {
  std::optional<Wall> start, end, saved_at, left_start, left_end;
  std::optional<std::uint64_t> counter, left_counter;
  double depth = 0;
  StateReader reader(record);
  while (reader.Next()) {
    if (reader.field() == kDayStart) start = reader.Moment();
    if (reader.field() == kDayEnd) end = reader.Moment();
    if (reader.field() == kCounter) counter = reader.Number();
    if (reader.field() == kPaceDepth) depth = reader.Real().value_or(0);
    if (reader.field() == kSavedAt) saved_at = reader.Moment();
    if (reader.field() == kLeftDayStart) left_start = reader.Moment();
    if (reader.field() == kLeftDayEnd) left_end = reader.Moment();
    if (reader.field() == kLeftCounter) left_counter = reader.Number();
  }
  // The longest day has 25 hours; historical changes of zones have made one of 48.
  constexpr std::chrono::hours kLongestDay{48};
  if (!reader.sound() || !start || !end || !saved_at || !counter) return false;
  if (*end <= *start || *end - *start > kLongestDay || depth < 0) return false;
  const double away_seconds = std::chrono::duration<double>(std::max(now.wall - *saved_at, Wall::duration(0))).count();
  pace_.Restore(now.monotonic, depth, 0, away_seconds);
  day_ = {*start, *end};
  left_.reset();
  if (left_start && left_end && left_counter) left_ = Count{{*left_start, *left_end}, *left_counter};
  used_ = saved_ = *counter;
  began_ = now.monotonic;
  return true;
}

}  // namespace postrider
