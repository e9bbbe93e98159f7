#include "config/duration.h"

#include <charconv>
#include <limits>

#include <fmt/format.h>

namespace postrider {
namespace {

struct Unit {
  std::string_view name;
  std::uint64_t size;
};

constexpr Unit kTimeUnits[] = {{"d", 86'400'000}, {"h", 3'600'000}, {"min", 60'000}, {"s", 1000}, {"ms", 1}};
constexpr Unit kSizeUnits[] = {
    {"TiB", 1ull << 40}, {"GiB", 1ull << 30}, {"MiB", 1ull << 20}, {"KiB", 1ull << 10}, {"B", 1}};

// The largest count whose result still fits std::chrono::milliseconds, and any file size with it.
constexpr std::uint64_t kMax = std::numeric_limits<std::int64_t>::max();

template <std::size_t N>
Result<std::uint64_t> ParseWithUnit(std::string_view text, const Unit (&units)[N], std::string_view expected) {
  const auto malformed = [&](std::string_view found) {
    return Fail(ErrorCode::kInvalid, fmt::format("expected {}, found {}", expected, found));
  };
  std::uint64_t count = 0;
  const char* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, count);
  if (error == std::errc::result_out_of_range) return malformed("a number too large");
  const std::string_view shown = text.substr(0, 40);
  if (error != std::errc()) return malformed(fmt::format("\"{}\"", shown));
  const std::string_view name(stop, static_cast<std::size_t>(end - stop));
  if (name.empty()) return malformed(fmt::format("\"{}\" without a unit", shown));
  for (const Unit& unit : units) {
    if (name != unit.name) continue;
    if (count > kMax / unit.size) return malformed("a number too large");
    return count * unit.size;
  }
  return malformed(fmt::format("\"{}\"", shown));
}

template <std::size_t N>
std::string FormatWithUnit(std::uint64_t value, const Unit (&units)[N]) {
  for (const Unit& unit : units) {
    if (value >= unit.size && value % unit.size == 0) return fmt::format("{}{}", value / unit.size, unit.name);
  }
  return "0";
}

}  // namespace

Result<std::chrono::milliseconds> ParseDuration(std::string_view text) {
  const Result<std::uint64_t> count =
      ParseWithUnit(text, kTimeUnits, "a duration with its unit such as \"90s\", \"15min\", \"4h\" or \"2d\"");
  if (!count) return std::unexpected(count.error());
  return std::chrono::milliseconds(static_cast<std::int64_t>(*count));
}

std::string FormatDuration(std::chrono::milliseconds duration) {
  if (duration == duration.zero()) return "0s";
  if (duration < duration.zero()) return fmt::format("{}ms", duration.count());
  return FormatWithUnit(static_cast<std::uint64_t>(duration.count()), kTimeUnits);
}

Result<std::uint64_t> ParseSize(std::string_view text) {
  return ParseWithUnit(text, kSizeUnits, "a size with its unit such as \"512B\", \"64KiB\", \"256MiB\" or \"4GiB\"");
}

std::string FormatSize(std::uint64_t bytes) { return bytes == 0 ? "0B" : FormatWithUnit(bytes, kSizeUnits); }

}  // namespace postrider
