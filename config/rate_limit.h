#pragma once
// A rate as an operator writes it: so many in a period, and how many may go at once after a rest.

#include <algorithm>

namespace postrider {

struct RateLimit {
  double per_second = 0;
  double burst = 0;  // 0: one second's worth, at least 1

  // What the bucket is made with: an hour's allowance is never sent in its first second.
  [[nodiscard]] double BurstOrDefault() const { return burst > 0 ? burst : std::max(1.0, per_second); }

  friend bool operator==(const RateLimit&, const RateLimit&) = default;
};

}  // namespace postrider
