#pragma once
// Spreads out what would otherwise happen at one moment, by lengthening a wait and never shortening it.

#include <chrono>
#include <cstdint>

namespace postrider {

// duration plus 0 to 20 % of it, as random (uniform over its whole range) has it.
template <typename Rep, typename Period>
[[nodiscard]] constexpr std::chrono::milliseconds Lengthen(std::chrono::duration<Rep, Period> duration,
                                                           std::uint64_t random) {
  const std::chrono::milliseconds base = duration;
  const auto steps = static_cast<std::uint64_t>(base.count() / 5);
  return base + std::chrono::milliseconds(static_cast<std::int64_t>(steps == 0 ? 0 : random % (steps + 1)));
}

}  // namespace postrider
