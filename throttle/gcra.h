#pragma once
// A rate limit: the generic cell rate algorithm, kept as the depth of a leaky bucket so that a change of rate keeps the
// history. In no span of time are more taken than rate * span + burst, whatever the rates were in between (then: the
// sum of each rate times its span, plus the largest burst); what is returned counts as never taken. One owner, one
// thread; time is an argument, and one that runs back counts as standing still.

#include <algorithm>
#include <array>
#include <cstddef>

#include "config/time.h"

namespace postrider {

class Gcra {
 public:
  // Until SetRate is called, nothing may go.
  Gcra() = default;
  Gcra(double per_second, double burst) : per_second_(per_second), burst_(burst) {}

  // burst >= 1: how many may go at once after a rest. What was taken before still counts: a bucket that was full is
  // full. What a smaller burst has no room for is set aside, and counts again when there is room for it: a lower rate
  // is not to pay for what went at the higher one before anything goes, but lowering and raising it gives nothing.
  void SetRate(Monotonic now, double per_second, double burst);

  // The first moment, not before now, at which one more may go and `reserve` of the burst is left after it;
  // Monotonic::max() if the rate is 0.
  [[nodiscard]] Monotonic Earliest(Monotonic now, double reserve = 0) const { return EarliestFor(now, 1, reserve); }
  // The same for several at once; Monotonic::max() also if the burst has no room for them.
  [[nodiscard]] Monotonic EarliestFor(Monotonic now, double count, double reserve) const;
  // So large a share of the burst, but never so much that none could go.
  [[nodiscard]] double ReserveOf(double share) const;
  // Counts one or more, also where Earliest(now) is later than now.
  void Take(Monotonic now, double count = 1);
  // Undoes an earlier Take. What would have leaked away unused meanwhile is not given back: it would allow more in a
  // span than the rate does. With work waiting all the time nothing leaks unused, and all is given back.
  void Return(Monotonic now, Monotonic taken_at, double count = 1);

  [[nodiscard]] double per_second() const { return per_second_; }
  [[nodiscard]] double burst() const { return burst_; }
  // Taken and not yet leaked away, of this burst.
  [[nodiscard]] double Depth(Monotonic now) const { return std::max(0.0, depth_ - Leaked(now)); }
  // Set aside, and not yet leaked away: it leaks after the depth.
  [[nodiscard]] double Aside(Monotonic now) const { return std::clamp(depth_ + aside_ - Leaked(now), 0.0, aside_); }
  // What they were in an earlier life, away_seconds ago. A depth that this burst has no room for is set aside.
  void Restore(Monotonic now, double depth, double aside = 0, double away_seconds = 0);

 private:
  // The depth right before a Take. Kept are those lower than all later ones: so the lowest since any moment is the
  // first after it. Only a few: the oldest are merged, with the lower depth at the later moment.
  struct Low {
    Monotonic at{};
    double depth = 0;
  };

  [[nodiscard]] double Leaked(Monotonic now) const;
  void AgeTo(Monotonic now);

  double per_second_ = 0;
  double burst_ = 1;
  double depth_ = 0;  // as of as_of_
  double aside_ = 0;  // leaks once depth_ is 0
  Monotonic as_of_{};
  std::array<Low, 4> lows_{};
  std::size_t low_count_ = 0;
};

}  // namespace postrider
