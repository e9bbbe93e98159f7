#pragma once
// Durations and sizes as an operator writes them: "5ms", "90s", "15min", "4h", "2d"; "512B", "64KiB", "256MiB", "4GiB".
// A number alone is refused, for it leaves the unit to be guessed; so are fractions, signs and blanks.

#include <chrono>
#include <cstdint>
#include <string>
#include <string_view>

#include "config/error.h"

namespace postrider {

[[nodiscard]] Result<std::chrono::milliseconds> ParseDuration(std::string_view text);
// In the largest unit that needs no fraction: "90s", "15min", "36h", "2d".
[[nodiscard]] std::string FormatDuration(std::chrono::milliseconds duration);

[[nodiscard]] Result<std::uint64_t> ParseSize(std::string_view text);
[[nodiscard]] std::string FormatSize(std::uint64_t bytes);

}  // namespace postrider
