#pragma once
// Moments as the log and the API write them: RFC 3339 in UTC with milliseconds, "2026-11-24T05:44:00.123Z". Pure.

#include <optional>
#include <string>
#include <string_view>

#include "config/time.h"

namespace postrider::observe {

// Years 0000 to 9999; what lies beyond is written as the nearest moment within.
[[nodiscard]] std::string FormatRfc3339(Wall time);

// Reads exactly what FormatRfc3339 writes.
[[nodiscard]] std::optional<Wall> ParseRfc3339(std::string_view text);

// FormatRfc3339 for a stream of moments that mostly share their second: its text is kept. Not for several threads.
class Rfc3339Writer {
 public:
  void Append(Wall time, std::string& out);

 private:
  std::chrono::sys_seconds second_ = std::chrono::sys_seconds::min();
  std::string text_;  // up to and with the seconds
};

}  // namespace postrider::observe
