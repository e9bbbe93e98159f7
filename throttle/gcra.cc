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

double Gcra::Depth(Monotonic now) const {
  if (now <= as_of_) return depth_;
  const double elapsed_seconds = std::chrono::duration<double>(now - as_of_).count();
  return std::max(0.0, depth_ - elapsed_seconds * per_second_);
}

void Gcra::SetRate(Monotonic now, double per_second, double burst) {
  CHECK(per_second >= 0 && burst >= 1);
  depth_ = Depth(now);
  as_of_ = std::max(as_of_, now);
  per_second_ = per_second;
  burst_ = burst;
}

Monotonic Gcra::Earliest(Monotonic now) const {
  if (per_second_ <= 0) return Monotonic::max();
  const double excess = Depth(now) + 1 - burst_;
  if (excess <= kForgiven) return now;
  const Nanoseconds wait(std::ceil(excess / per_second_ * 1e9));
  if (wait >= kLongestWait) return now + kLongestWait;
  return std::max(now, as_of_) + std::chrono::duration_cast<std::chrono::nanoseconds>(wait);
}

void Gcra::Take(Monotonic now) {
  depth_ = Depth(now) + 1;
  as_of_ = std::max(as_of_, now);
}

void Gcra::Return(Monotonic now) {
  depth_ = std::max(0.0, Depth(now) - 1);
  as_of_ = std::max(as_of_, now);
}

}  // namespace postrider
