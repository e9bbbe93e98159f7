#pragma once
// Numbers, times and foreign text as a person reads them on a terminal. Pure.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

#include "config/time.h"

namespace postrider::tools {

// 1234567 -> "1,234,567".
[[nodiscard]] std::string FormatCount(std::uint64_t count);
// 0.5 -> "0.5", 12.34 -> "12", 1234.5 -> "1,234": as many digits as say something.
[[nodiscard]] std::string FormatRate(double per_second);
// "0 s", "45 s", "3 min 20 s", "5 h 10 min", "2 d 3 h".
[[nodiscard]] std::string FormatSpan(std::chrono::seconds span);
// "in 5 min", or "now" for what is past; "" for no time at all.
[[nodiscard]] std::string FormatUntil(const std::optional<Wall>& time, Wall now);
// How long ago, "2 h 5 min"; "" for no time at all.
[[nodiscard]] std::string FormatSince(const std::optional<Wall>& time, Wall now);
// "1.2 GiB", "345 MiB", "12 KiB".
[[nodiscard]] std::string FormatBytes(std::uint64_t bytes);

// Text from outside, harmless to a terminal: control characters (C1 ones too) and broken UTF-8 become "?", line breaks
// " | " or, in PrintableLines, stay.
[[nodiscard]] std::string Printable(std::string_view text);
[[nodiscard]] std::string PrintableLines(std::string_view text);

// Columns that valid UTF-8 takes, one per code point.
[[nodiscard]] std::size_t Columns(std::string_view text);
// Cut to so many columns, with "..." if anything was lost.
[[nodiscard]] std::string Shorten(std::string_view text, std::size_t columns);

}  // namespace postrider::tools
