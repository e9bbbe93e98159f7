#pragma once
// The seam through which time enters: the one real implementation reads the kernel's clocks, the simulation has its
// own. Any thread may call the real one. Nothing else in the house reads a clock.

#include <memory>

#include "config/time.h"

namespace postrider::io {

class Clock {
 public:
  virtual ~Clock() = default;
  [[nodiscard]] virtual Now Read() = 0;
};

[[nodiscard]] std::unique_ptr<Clock> MakeSystemClock();

}  // namespace postrider::io
