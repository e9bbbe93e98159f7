#include "engine/observe/rfc3339.h"

#include <algorithm>
#include <charconv>
#include <chrono>

#include <fmt/format.h>

namespace postrider::observe {
namespace {

using std::chrono::sys_days;

constexpr Wall kFirst = sys_days(std::chrono::year(0) / 1 / 1);
constexpr Wall kLast = sys_days(std::chrono::year(10000) / 1 / 1) - std::chrono::milliseconds(1);

std::string FormatSecond(std::chrono::sys_seconds time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(time - day);
  return fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), clock.hours().count(),
                     clock.minutes().count(), clock.seconds().count());
}

// The number in text[from, from + digits), which must be nothing but digits; -1 otherwise.
int Digits(std::string_view text, std::size_t from, std::size_t digits) {
  int value = 0;
  for (const char c : text.substr(from, digits)) {
    if (c < '0' || c > '9') return -1;
    value = value * 10 + (c - '0');
  }
  return value;
}

}  // namespace

void Rfc3339Writer::Append(Wall time, std::string& out) {
  time = std::clamp(time, kFirst, kLast);
  const auto second = std::chrono::floor<std::chrono::seconds>(time);
  if (second != second_) {
    second_ = second;
    text_ = FormatSecond(second);
  }
  const auto milliseconds = static_cast<int>((time - second).count());
  const char fraction[5] = {'.', static_cast<char>('0' + milliseconds / 100),
                            static_cast<char>('0' + milliseconds / 10 % 10), static_cast<char>('0' + milliseconds % 10),
                            'Z'};
  out += text_;
  out.append(fraction, sizeof fraction);
}

std::string FormatRfc3339(Wall time) {
  std::string text;
  Rfc3339Writer().Append(time, text);
  return text;
}

std::optional<Wall> ParseRfc3339(std::string_view text) {
  constexpr std::string_view kShape = "0000-00-00T00:00:00.000Z";
  if (text.size() != kShape.size()) return std::nullopt;
  for (std::size_t i = 0; i < kShape.size(); ++i) {
    if (kShape[i] != '0' && text[i] != kShape[i]) return std::nullopt;
  }
  const int year = Digits(text, 0, 4), month = Digits(text, 5, 2), day = Digits(text, 8, 2);
  const int hour = Digits(text, 11, 2), minute = Digits(text, 14, 2), second = Digits(text, 17, 2);
  const int millisecond = Digits(text, 20, 3);
  if (std::min({year, month, day, hour, minute, second, millisecond}) < 0) return std::nullopt;
  const std::chrono::year_month_day date(std::chrono::year(year), std::chrono::month(static_cast<unsigned>(month)),
                                         std::chrono::day(static_cast<unsigned>(day)));
  if (!date.ok() || hour > 23 || minute > 59 || second > 59) return std::nullopt;
  return sys_days(date) + std::chrono::hours(hour) + std::chrono::minutes(minute) + std::chrono::seconds(second) +
         std::chrono::milliseconds(millisecond);
}

}  // namespace postrider::observe
