#pragma once
// The two clocks, kept apart by type. Monotonic time is for limits, deadlines and back-off; wall time is for due times,
// expiry, the delivery log and the Date header. Pure code takes both as an argument and never reads a clock.

#include <chrono>

namespace postrider {

using Monotonic = std::chrono::steady_clock::time_point;
using Wall = std::chrono::sys_time<std::chrono::milliseconds>;

struct Now {
  Monotonic monotonic;
  Wall wall;
};

}  // namespace postrider
