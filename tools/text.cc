#include "tools/text.h"

#include <algorithm>
#include <cmath>

#include <fmt/format.h>

namespace postrider::tools {
namespace {

bool IsContinuation(char c) { return (static_cast<unsigned char>(c) & 0xc0) == 0x80; }

// Octets of the code point at the front of text if it is well formed and no control character, else 0.
std::size_t PrintableLength(std::string_view text) {
  const auto first = static_cast<unsigned char>(text[0]);
  if (first < 0x80) return first >= 0x20 && first != 0x7f ? 1 : 0;
  const std::size_t length = first >= 0xf0 && first <= 0xf4 ? 4 : first >= 0xe0 ? 3 : first >= 0xc2 ? 2 : 0;
  if (length == 0 || first > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if (!IsContinuation(text[i])) return 0;
  }
  const auto second = static_cast<unsigned char>(text[1]);
  if (first == 0xc2 && second < 0xa0) return 0;  // C1 controls: U+009B begins a sequence as ESC [ does
  if ((first == 0xe0 && second < 0xa0) || (first == 0xed && second > 0x9f)) return 0;
  if ((first == 0xf0 && second < 0x90) || (first == 0xf4 && second > 0x8f)) return 0;
  return length;
}

std::string MadePrintable(std::string_view text, std::string_view line_break) {
  std::string out;
  while (!text.empty()) {
    const std::size_t length = PrintableLength(text);
    if (length > 0) {
      out += text.substr(0, length);
    } else if (text[0] == '\n') {
      out += line_break;
    } else {
      out += text[0] == '\t' ? ' ' : '?';
    }
    text.remove_prefix(std::max<std::size_t>(length, 1));
  }
  return out;
}

}  // namespace

std::string FormatCount(std::uint64_t count) {
  std::string text = std::to_string(count);
  for (std::size_t at = text.size(); at > 3; at -= 3) text.insert(at - 3, ",");
  return text;
}

std::string FormatRate(double per_second) {
  if (!(per_second > 0)) return "0";
  if (per_second < 9.95) return fmt::format("{:.1f}", per_second);
  constexpr double kMost = 1e15;  // beyond any rate; keeps the conversion defined
  return FormatCount(static_cast<std::uint64_t>(std::llround(std::min(per_second, kMost))));
}

std::string FormatSpan(std::chrono::seconds span) {
  const std::int64_t s = std::max<std::int64_t>(0, span.count());
  if (s < 60) return fmt::format("{} s", s);
  if (s < 3600) return s % 60 == 0 ? fmt::format("{} min", s / 60) : fmt::format("{} min {} s", s / 60, s % 60);
  if (s < 86'400) return fmt::format("{} h {} min", s / 3600, s % 3600 / 60);
  return fmt::format("{} d {} h", s / 86'400, s % 86'400 / 3600);
}

std::string FormatUntil(const std::optional<Wall>& time, Wall now) {
  if (!time) return "";
  if (*time <= now) return "now";
  return "in " + FormatSpan(std::chrono::ceil<std::chrono::seconds>(*time - now));
}

std::string FormatSince(const std::optional<Wall>& time, Wall now) {
  return time ? FormatSpan(std::chrono::floor<std::chrono::seconds>(now - *time)) : "";
}

std::string FormatBytes(std::uint64_t bytes) {
  constexpr const char* kUnits[] = {"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"};
  auto value = static_cast<double>(bytes);
  std::size_t unit = 0;
  for (; value >= 1024 && unit + 1 < std::size(kUnits); ++unit) value /= 1024;
  return unit == 0 || value >= 9.95 ? fmt::format("{:.0f} {}", value, kUnits[unit])
                                    : fmt::format("{:.1f} {}", value, kUnits[unit]);
}

std::string Printable(std::string_view text) { return MadePrintable(text, " | "); }
std::string PrintableLines(std::string_view text) { return MadePrintable(text, "\n"); }

std::size_t Columns(std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(text, [](char c) { return !IsContinuation(c); }));
}

std::string Shorten(std::string_view text, std::size_t columns) {
  constexpr std::string_view kDots = "...";
  if (Columns(text) <= columns) return std::string(text);
  const std::size_t keep = columns > kDots.size() ? columns - kDots.size() : 0;
  std::size_t end = 0;
  for (std::size_t seen = 0; end < text.size(); ++end) {
    if (!IsContinuation(text[end]) && seen++ == keep) break;
  }
  return std::string(text.substr(0, end)) + std::string(kDots.substr(0, std::min(columns, kDots.size())));
}

}  // namespace postrider::tools
