#pragma once
// Civil time: the zones of the IANA data base, calendar days in them, and send windows such as "Mon-Fri 08:00-20:00".
// The zones are those of the system (package tzdata); without them there is still UTC. Immutable; any thread may use
// it.

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "config/error.h"
#include "config/time.h"

namespace date {
class time_zone;
}

namespace postrider {

class TimeZone {
 public:
  // UTC.
  TimeZone() = default;
  // "Europe/Paris", "America/New_York", "UTC"; in exactly this spelling.
  [[nodiscard]] static Result<TimeZone> Find(std::string_view name);
  // The same; UTC for a name that is none. For names that were checked when they were read.
  [[nodiscard]] static TimeZone FindOrUtc(std::string_view name);

  // The calendar day that holds the moment: 23, 24 or 25 hours where clocks are changed.
  struct Day {
    Wall start{};
    Wall end{};  // of which it is the first moment no more
    friend bool operator==(const Day&, const Day&) = default;
  };
  [[nodiscard]] Day DayOf(Wall moment) const;

  // What a clock on the wall shows.
  struct Reading {
    std::chrono::local_days day{};
    std::chrono::minutes minute{};           // since midnight, 0 to 1439
    [[nodiscard]] unsigned weekday() const;  // 0 is Monday
  };
  [[nodiscard]] Reading Read(Wall moment) const;

  // When the clock shows so many minutes after that day's midnight: the first and the last time, which differ for an
  // hour in autumn. A time that the clock skips in spring is the moment of the skip.
  struct Moments {
    Wall first{};
    Wall last{};
  };
  [[nodiscard]] Moments MomentsOf(std::chrono::local_days day, std::chrono::minutes minute) const;
  // The next change of the clocks after the moment; max() if none is known.
  [[nodiscard]] Wall NextChange(Wall moment) const;

 private:
  explicit TimeZone(const date::time_zone* zone) : zone_(zone) {}
  const date::time_zone* zone_ = nullptr;  // null: UTC; lives as long as the program
};

// "2026-11-23 09:00 UTC", to the minute.
[[nodiscard]] std::string FormatMoment(Wall moment);

// On these days from one time to another, which belongs to it no more; past midnight where it is not the later one.
struct SendWindow {
  std::uint8_t days = 0;  // bit 0 is Monday; the days on which it opens
  std::uint16_t from = 0;
  std::uint16_t to = 0;  // minutes since midnight, up to 1440

  // "Mon-Fri 08:00-20:00", "Sat,Sun 10:00-18:00", "22:00-06:00" (every day), "Mon 00:00-24:00".
  [[nodiscard]] static Result<SendWindow> Parse(std::string_view text);
  [[nodiscard]] bool Holds(const TimeZone::Reading& reading) const;

  friend bool operator==(const SendWindow&, const SendWindow&) = default;
};
[[nodiscard]] std::string ToString(const SendWindow& window);

// Whether mail may go at a moment, and when that changes; max() if never. No windows: always.
struct WindowState {
  bool open = true;
  Wall until = Wall::max();
};
[[nodiscard]] WindowState StateOf(std::span<const SendWindow> windows, const TimeZone& zone, Wall moment);
// The moment itself while open.
[[nodiscard]] Wall NextOpening(std::span<const SendWindow> windows, const TimeZone& zone, Wall moment);

}  // namespace postrider
