#include "throttle/adaptive_rate.h"

#include <algorithm>

namespace postrider {
namespace {

constexpr std::chrono::seconds kLoweredAtMostEach{60};
constexpr std::chrono::minutes kCleanPeriod{5};
constexpr std::chrono::minutes kCleanPeriodResuming{1};
constexpr double kStep = 1.05;
// Where no rate is set and little was sent, the measured rate says nothing of what the receiver bears: start from ten a
// minute.
constexpr double kLeastStart = 10.0 / 60;
// Where no rate is set, the lowered one ends at so many times the rate at which the trouble began: from there it has
// not bound for long, and the number of connections limits again.
constexpr double kTopOverBegin = 2;
constexpr double kLeastFloor = 1.0 / 86'400;

enum Field : std::uint8_t {
  kRate = 1,
  kTroubledAt,
  kBegunAt,
  kResuming,
  kStopped,
  kSince,
  kLoweredAt,
  kCleanSince,
};

}  // namespace

void AdaptiveRate::SetBounds(double floor, double ceiling) {
  ceiling_ = std::max(0.0, ceiling);
  floor_ = std::max(floor, kLeastFloor);
  if (ceiling_ > 0) floor_ = std::min(floor_, ceiling_);
  if (!active()) return;
  rate_ = std::max(rate_, floor_);
  if (rate_ >= Top()) Forget();
}

double AdaptiveRate::Top() const { return ceiling_ > 0 ? ceiling_ : std::max(kTopOverBegin * begun_at_, floor_); }

double AdaptiveRate::Begin(Monotonic now, double measured) {
  if (active()) return rate_;
  begun_at_ = ceiling_ > 0 ? ceiling_ : std::max({measured, kLeastStart, floor_});
  since_ = now;
  return begun_at_;
}

bool AdaptiveRate::Throttled(Monotonic now, double measured, std::optional<double> to) {
  if (active()) {
    clean_since_ = now;
    const bool lower = to && std::max(*to, floor_) < rate_;
    if (now - lowered_at_ < kLoweredAtMostEach && !lower) return false;
  }
  const bool was_active = active();
  const double base = Begin(now, measured);
  const double target = std::max(to ? *to : base / 2, floor_);
  if (target >= base) return false;
  // A named rate says nothing about the one that was too fast; the way back to that is known to be long.
  resuming_ = to.has_value();
  troubled_at_ = was_active && resuming_ ? std::max(troubled_at_, base) : base;
  rate_ = target;
  lowered_at_ = clean_since_ = now;
  return true;
}

void AdaptiveRate::Stopped(Monotonic now, double measured) {
  if (active() && stopped_) {
    clean_since_ = now;
    return;
  }
  const double base = Begin(now, measured);
  troubled_at_ = base;
  rate_ = std::max(base / 2, floor_);
  resuming_ = true;
  stopped_ = true;
  lowered_at_ = clean_since_ = now;
}

bool AdaptiveRate::Accepted(Monotonic now) {
  if (!active()) return false;
  if (stopped_) {
    // The probe: from here on minutes can be clean.
    stopped_ = false;
    clean_since_ = now;
    return false;
  }
  const std::chrono::minutes period = resuming_ ? kCleanPeriodResuming : kCleanPeriod;
  if (now - clean_since_ < period) return false;
  // One step for each period in which mail was taken, none for those in which nothing was sent.
  clean_since_ = now - clean_since_ < 2 * period ? clean_since_ + period : now;
  rate_ *= kStep;
  if (resuming_ && rate_ >= troubled_at_) {
    rate_ = std::max(troubled_at_, floor_);
    resuming_ = false;
  }
  if (rate_ >= Top()) Forget();
  return true;
}

void AdaptiveRate::Forget() {
  rate_ = 0;
  resuming_ = false;
  stopped_ = false;
}

void AdaptiveRate::Encode(StateWriter& writer, const Now& now) const {
  if (!active()) return;
  writer.Real(kRate, rate_);
  writer.Real(kTroubledAt, troubled_at_);
  writer.Real(kBegunAt, begun_at_);
  writer.Number(kResuming, resuming_ ? 1 : 0);
  writer.Number(kStopped, stopped_ ? 1 : 0);
  writer.Moment(kSince, since_, now);
  writer.Moment(kLoweredAt, lowered_at_, now);
  writer.Moment(kCleanSince, clean_since_, now);
}

bool AdaptiveRate::Restore(std::string_view record, const Now& now) {
  AdaptiveRate restored = *this;
  restored.Forget();
  StateReader reader(record);
  while (reader.Next()) {
    const std::optional<double> real = reader.Real();
    const std::optional<std::uint64_t> number = reader.Number();
    const std::optional<Monotonic> moment = reader.Moment(now);
    if (real && (*real < 0 || *real > 1e9)) return false;
    if (reader.field() == kRate && real) restored.rate_ = *real;
    if (reader.field() == kTroubledAt && real) restored.troubled_at_ = *real;
    if (reader.field() == kBegunAt && real) restored.begun_at_ = *real;
    if (reader.field() == kResuming && number) restored.resuming_ = *number != 0;
    if (reader.field() == kStopped && number) restored.stopped_ = *number != 0;
    // Of the past, whatever the clock says now.
    if (reader.field() == kSince && moment) restored.since_ = std::min(*moment, now.monotonic);
    if (reader.field() == kLoweredAt && moment) restored.lowered_at_ = std::min(*moment, now.monotonic);
    if (reader.field() == kCleanSince && moment) restored.clean_since_ = std::min(*moment, now.monotonic);
  }
  if (!reader.sound()) return false;
  restored.SetBounds(floor_, ceiling_);
  *this = restored;
  return true;
}

}  // namespace postrider
