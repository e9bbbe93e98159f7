#pragma once
// How fast messages went over the last minute: six counts of ten seconds. One owner, one thread.

#include <array>
#include <cstdint>

#include "config/time.h"

namespace postrider {

class MinuteMeter {
 public:
  void Count(Monotonic now);
  // A second; of a meter younger than a minute, over its age, at least ten seconds.
  [[nodiscard]] double PerSecond(Monotonic now) const;

 private:
  static constexpr std::int64_t kSlots = 6;
  static constexpr std::int64_t kSlotSeconds = 10;
  void Advance(std::int64_t slot);

  std::array<std::uint32_t, kSlots> counts_{};
  std::int64_t slot_ = 0;
  std::int64_t first_slot_ = -1;
};

}  // namespace postrider
