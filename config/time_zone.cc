#include "config/time_zone.h"

#include <algorithm>
#include <array>
#include <exception>
#include <vector>

#include <date/tz.h>
#include <fmt/format.h>

namespace postrider {
namespace {

constexpr std::size_t kNameMax = 64;
constexpr int kMinutesOfDay = 24 * 60;
constexpr std::array<std::string_view, 7> kDays = {"Mon", "Tue", "Wed", "Thu", "Fri", "Sat", "Sun"};
constexpr std::uint8_t kEveryDay = 0x7f;

using Seconds = std::chrono::sys_seconds;

date::local_seconds LocalOf(std::chrono::local_days day, std::chrono::minutes minute) {
  return date::local_seconds(std::chrono::seconds(day.time_since_epoch()) + minute);
}

std::chrono::minutes OffsetOf(const date::time_zone& zone, Wall moment) {
  const auto info = zone.get_info(std::chrono::floor<std::chrono::seconds>(moment));
  return std::chrono::floor<std::chrono::minutes>(info.offset);
}

bool OpenAt(std::span<const SendWindow> windows, const TimeZone& zone, Wall moment) {
  const TimeZone::Reading reading = zone.Read(moment);
  return std::ranges::any_of(windows, [&](const SendWindow& window) { return window.Holds(reading); });
}

std::unexpected<Error> WindowExpected(std::string_view text) {
  return Fail(ErrorCode::kInvalid,
              fmt::format("expected days and times such as \"Mon-Fri 08:00-20:00\", \"Sat,Sun 10:00-18:00\" or "
                          "\"22:00-06:00\", found \"{}\"",
                          text.substr(0, 80)));
}

// -1: none.
int DayNumber(std::string_view name) {
  const auto found = std::ranges::find(kDays, name);
  return found == kDays.end() ? -1 : static_cast<int>(found - kDays.begin());
}

// "Mon-Fri,Sun"; 0 if it is not that.
std::uint8_t ParseDays(std::string_view text) {
  unsigned days = 0;
  while (true) {
    const std::size_t comma = text.find(',');
    const std::string_view part = text.substr(0, comma);
    const std::size_t dash = part.find('-');
    const int first = DayNumber(part.substr(0, dash));
    const int last = dash == part.npos ? first : DayNumber(part.substr(dash + 1));
    if (first < 0 || last < 0) return 0;
    for (int day = first;; day = (day + 1) % 7) {
      days |= 1u << day;
      if (day == last) break;
    }
    if (comma == text.npos) return static_cast<std::uint8_t>(days);
    text.remove_prefix(comma + 1);
  }
}

// "08:00"; -1 if it is not that.
int ParseTime(std::string_view text) {
  const auto digit = [&](std::size_t at) { return text[at] >= '0' && text[at] <= '9' ? text[at] - '0' : 100; };
  if (text.size() != 5 || text[2] != ':') return -1;
  const int hour = digit(0) * 10 + digit(1);
  const int minute = digit(3) * 10 + digit(4);
  const bool good = hour <= 24 && minute < 60 && hour * 60 + minute <= kMinutesOfDay;
  return good ? hour * 60 + minute : -1;
}

}  // namespace

Result<TimeZone> TimeZone::Find(std::string_view name) {
  if (name == "UTC") return TimeZone();
  if (name.empty() || name.size() > kNameMax) {
    return Fail(ErrorCode::kNotFound, "expected the name of a time zone such as \"Europe/Paris\"");
  }
  // The library throws for an unknown name and for a system without the data base.
  try {
    return TimeZone(date::locate_zone(name));
  } catch (const std::exception&) {
    return Fail(
        ErrorCode::kNotFound,
        fmt::format("no time zone is called \"{}\"; expected a name such as \"Europe/Paris\" or \"UTC\" (package "
                    "tzdata brings them, `timedatectl list-timezones` shows them)",
                    name));
  }
}

TimeZone TimeZone::FindOrUtc(std::string_view name) { return Find(name).value_or(TimeZone()); }

unsigned TimeZone::Reading::weekday() const { return std::chrono::weekday(day).iso_encoding() - 1; }

TimeZone::Reading TimeZone::Read(Wall moment) const {
  const std::chrono::minutes offset = zone_ == nullptr ? std::chrono::minutes(0) : OffsetOf(*zone_, moment);
  const auto local = std::chrono::floor<std::chrono::minutes>(moment.time_since_epoch()) + offset;
  const auto day = std::chrono::floor<std::chrono::days>(local);
  return {std::chrono::local_days(day), local - day};
}

TimeZone::Moments TimeZone::MomentsOf(std::chrono::local_days day, std::chrono::minutes minute) const {
  const date::local_seconds local = LocalOf(day, minute);
  if (zone_ == nullptr) {
    const Wall moment(local.time_since_epoch());
    return {moment, moment};
  }
  return {Wall(zone_->to_sys(local, date::choose::earliest)), Wall(zone_->to_sys(local, date::choose::latest))};
}

TimeZone::Day TimeZone::DayOf(Wall moment) const {
  const std::chrono::local_days day = Read(moment).day;
  const Moments start = MomentsOf(day, std::chrono::minutes(0));
  const Moments end = MomentsOf(day + std::chrono::days(1), std::chrono::minutes(0));
  // Where clocks go back over midnight itself, this day comes twice around the first moment of the next.
  return {start.first, moment < end.first ? end.first : end.last};
}

Wall TimeZone::NextChange(Wall moment) const {
  if (zone_ == nullptr) return Wall::max();
  const Seconds end = zone_->get_info(std::chrono::floor<std::chrono::seconds>(moment)).end;
  // Zones that change no more end in a year that no millisecond counts to.
  const bool known = end < std::chrono::floor<std::chrono::seconds>(Wall::max());
  return known ? Wall(end) : Wall::max();
}

std::string FormatMoment(Wall moment) {
  const auto minute = std::chrono::floor<std::chrono::minutes>(moment);
  const auto day = std::chrono::floor<std::chrono::days>(minute);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss<std::chrono::minutes> time(minute - day);
  return fmt::format("{:04}-{:02}-{:02} {:02}:{:02} UTC", static_cast<int>(date.year()),
                     static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()), time.hours().count(),
                     time.minutes().count());
}

Result<SendWindow> SendWindow::Parse(std::string_view text) {
  constexpr std::size_t kTextMax = 80;
  if (text.size() > kTextMax) return WindowExpected(text);
  SendWindow window;
  const std::size_t blank = text.find(' ');
  window.days = blank == text.npos ? kEveryDay : ParseDays(text.substr(0, blank));
  const std::string_view times = blank == text.npos ? text : text.substr(blank + 1);
  constexpr std::size_t kTimesSize = std::string_view("08:00-20:00").size();
  if (window.days == 0 || times.size() != kTimesSize || times[5] != '-') return WindowExpected(text);
  const int from = ParseTime(times.substr(0, 5));
  const int to = ParseTime(times.substr(6));
  if (from < 0 || to < 0 || from == kMinutesOfDay) return WindowExpected(text);
  if (from == to) {
    return Fail(ErrorCode::kInvalid, fmt::format("\"{}\" opens and closes at once; a whole day is 00:00-24:00", text));
  }
  window.from = static_cast<std::uint16_t>(from);
  window.to = static_cast<std::uint16_t>(to);
  return window;
}

bool SendWindow::Holds(const TimeZone::Reading& reading) const {
  const unsigned today = reading.weekday();
  const unsigned yesterday = (today + 6) % 7;
  const auto opens = [this](unsigned day) { return ((days >> day) & 1) != 0; };
  const auto minute = static_cast<int>(reading.minute.count());
  if (from < to) return opens(today) && from <= minute && minute < to;
  return (opens(today) && from <= minute) || (opens(yesterday) && minute < to);
}

std::string ToString(const SendWindow& window) {
  std::string text;
  if (window.days != kEveryDay) {
    for (unsigned day = 0; day < kDays.size(); ++day) {
      const auto holds = [&](unsigned other) { return other < kDays.size() && ((window.days >> other) & 1) != 0; };
      if (!holds(day)) continue;
      unsigned last = day;
      while (holds(last + 1)) ++last;
      text += fmt::format("{}{}", text.empty() ? "" : ",", kDays[day]);
      if (last > day) text += fmt::format("{}{}", last > day + 1 ? "-" : ",", kDays[last]);
      day = last;
    }
    text += ' ';
  }
  return text +
         fmt::format("{:02}:{:02}-{:02}:{:02}", window.from / 60, window.from % 60, window.to / 60, window.to % 60);
}

WindowState StateOf(std::span<const SendWindow> windows, const TimeZone& zone, Wall moment) {
  if (windows.empty()) return {};
  // It can change where a window begins or ends, and where clocks are changed. In a week each window comes at least
  // once, and in a second one if the first time fell into the hour that spring skips.
  constexpr int kDaysAhead = 15;
  std::vector<Wall> changes;
  const std::chrono::local_days today = zone.Read(moment).day;
  for (int ahead = -1; ahead <= kDaysAhead; ++ahead) {
    for (const SendWindow& window : windows) {
      for (const std::uint16_t edge : {window.from, window.to}) {
        const TimeZone::Moments moments = zone.MomentsOf(today + std::chrono::days(ahead), std::chrono::minutes(edge));
        changes.insert(changes.end(), {moments.first, moments.last});
      }
    }
  }
  const Wall horizon = moment + std::chrono::days(kDaysAhead);
  for (Wall change = zone.NextChange(moment); change < horizon; change = zone.NextChange(change)) {
    changes.push_back(change);
  }
  std::ranges::sort(changes);
  WindowState state{.open = OpenAt(windows, zone, moment), .until = Wall::max()};
  for (const Wall change : changes) {
    if (change <= moment || OpenAt(windows, zone, change) == state.open) continue;
    state.until = change;
    break;
  }
  return state;
}

Wall NextOpening(std::span<const SendWindow> windows, const TimeZone& zone, Wall moment) {
  const WindowState state = StateOf(windows, zone, moment);
  return state.open ? moment : state.until;
}

}  // namespace postrider
