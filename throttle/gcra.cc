#include "throttle/gcra.h"

#include <algorithm>
#include <cmath>

#include "config/check.h"

namespace postrider {
namespace {

using Nanoseconds = std::chrono::duration<double, std::nano>;

// Rounding must not make a caller who waited until Earliest() wait again: a billionth of one message is forgiven.
constexpr double kForgiven = 1e-9;
// The longest wait that is computed; beyond it a double no longer fits the clock's nanoseconds with room to spare.
constexpr std::chrono::hours kLongestWait{24 * 365};

}  // namespace

double Gcra::Leaked(Monotonic now) const {
  if (now <= as_of_) return 0;
  return std::chrono::duration<double>(now - as_of_).count() * per_second_;
}

void Gcra::AgeTo(Monotonic now) {
  aside_ = Aside(now);
  depth_ = Depth(now);
  as_of_ = std::max(as_of_, now);
}

void Gcra::SetRate(Monotonic now, double per_second, double burst) {
  CHECK(per_second >= 0 && burst >= 1);
  AgeTo(now);
  // burst_ + aside_ never passes the largest burst there was, and depth_ never burst_: so their sum is the bucket of
  // all the time, which keeps the promise over all rates.
  const double moved = burst > burst_ ? std::min(aside_, burst - burst_) : -std::max(0.0, depth_ - burst);
  depth_ += moved;
  aside_ -= moved;
  per_second_ = per_second;
  burst_ = burst;
}

Monotonic Gcra::EarliestFor(Monotonic now, double count, double reserve) const {
  const double room = burst_ - reserve - count;
  if (per_second_ <= 0 || room < -kForgiven) return Monotonic::max();
  const double excess = Depth(now) - room;
  if (excess <= kForgiven) return now;
  const Nanoseconds wait(std::ceil(excess / per_second_ * 1e9));
  if (wait >= kLongestWait) return now + kLongestWait;
  return std::max(now, as_of_) + std::chrono::duration_cast<std::chrono::nanoseconds>(wait);
}

double Gcra::ReserveOf(double share) const { return std::max(0.0, std::min(share * burst_, burst_ - 1)); }

void Gcra::Take(Monotonic now, double count) {
  AgeTo(now);
  const double before = depth_;
  depth_ = before + count;
  while (low_count_ > 0 && lows_[low_count_ - 1].depth >= before) --low_count_;
  if (low_count_ == lows_.size()) {
    lows_[1].depth = lows_[0].depth;
    std::copy(lows_.begin() + 1, lows_.end(), lows_.begin());
    --low_count_;
  }
  lows_[low_count_++] = {as_of_, before};
}

void Gcra::Return(Monotonic now, Monotonic taken_at, double count) {
  // Without the Take the depth would be lower by `count`, or by as much as was left at its lowest since: from there on
  // it would have stood at nothing.
  AgeTo(now);
  double low = depth_;
  std::size_t first = 0;
  while (first < low_count_ && lows_[first].at <= taken_at) ++first;
  if (first < low_count_) low = std::min(low, lows_[first].depth);
  const double refund = std::clamp(count, 0.0, low);
  depth_ -= refund;
  for (std::size_t i = first; i < low_count_; ++i) lows_[i].depth -= refund;
  // Earlier ones that are no longer lower than those after them.
  std::size_t kept = first;
  while (first < low_count_ && kept > 0 && lows_[kept - 1].depth >= lows_[first].depth) --kept;
  std::copy(lows_.begin() + static_cast<std::ptrdiff_t>(first), lows_.begin() + static_cast<std::ptrdiff_t>(low_count_),
            lows_.begin() + static_cast<std::ptrdiff_t>(kept));
  low_count_ -= first - kept;
}

void Gcra::Restore(Monotonic now, double depth, double aside, double away_seconds) {
  CHECK(depth >= 0 && aside >= 0 && away_seconds >= 0);
  const double leaked = away_seconds * per_second_;
  const double owed = std::max(0.0, depth + aside - leaked);
  depth_ = std::min(std::max(0.0, depth - leaked), burst_);
  aside_ = owed - depth_;
  as_of_ = std::max(as_of_, now);
  low_count_ = 0;
}

}  // namespace postrider
