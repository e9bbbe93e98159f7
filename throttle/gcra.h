#pragma once
// A rate limit: the generic cell rate algorithm, kept as the depth of a leaky bucket so that a change of rate keeps the
// history. In no span of time are more taken than rate * span + burst, whatever the rates were in between (then: the
// sum of each rate times its span, plus the largest burst). One owner, one thread; time is an argument and never runs
// back.

#include "config/time.h"

namespace postrider {

class Gcra {
 public:
  // Until SetRate is called, nothing may go.
  Gcra() = default;
  Gcra(double per_second, double burst) : per_second_(per_second), burst_(burst) {}

  // burst >= 1: how many may go at once after a rest. What was taken before still counts, at the rates of its time.
  void SetRate(Monotonic now, double per_second, double burst);

  // The first moment, not before now, at which one more may go; Monotonic::max() if the rate is 0.
  [[nodiscard]] Monotonic Earliest(Monotonic now) const;
  // Counts one, also where Earliest(now) is later than now.
  void Take(Monotonic now);
  // Undoes a Take whose cause did not happen.
  void Return(Monotonic now);

  [[nodiscard]] double per_second() const { return per_second_; }
  [[nodiscard]] double burst() const { return burst_; }

 private:
  [[nodiscard]] double Depth(Monotonic now) const;

  double per_second_ = 0;
  double burst_ = 1;
  double depth_ = 0;  // taken and not yet leaked away, as of as_of_
  Monotonic as_of_{};
};

}  // namespace postrider
