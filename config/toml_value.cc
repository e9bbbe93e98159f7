#include "config/toml_value.h"

#include <chrono>

#include <fmt/format.h>

namespace postrider {

namespace {

// A list of one kind: all texts or all whole numbers. An empty list is of texts.
FileValue ToList(const toml::array& array) {
  TextList texts;
  NumberList numbers;
  for (const toml::node& element : array) {
    if (const auto* text = element.as_string()) {
      texts.push_back(text->get());
    } else if (const auto* number = element.as_integer()) {
      numbers.push_back(number->get());
    } else {
      return std::monostate();
    }
  }
  if (numbers.empty()) return texts;
  if (texts.empty()) return numbers;
  return std::monostate();
}

FileValue ToDay(const toml::date& date) {
  const std::chrono::year_month_day day(std::chrono::year(date.year), std::chrono::month(date.month),
                                        std::chrono::day(date.day));
  if (!day.ok()) return std::monostate();
  return std::chrono::sys_days(day);
}

}  // namespace

FileValue ToFileValue(const toml::node& node) {
  if (const auto* text = node.as_string()) return text->get();
  if (const auto* integer = node.as_integer()) return integer->get();
  if (const auto* number = node.as_floating_point()) return number->get();
  if (const auto* boolean = node.as_boolean()) return boolean->get();
  if (const auto* date = node.as_date()) return ToDay(date->get());
  if (const auto* array = node.as_array()) return ToList(*array);
  return std::monostate();
}

Result<Wall> ToMoment(const toml::node& node) {
  const auto* moment = node.as_date_time();
  if (moment == nullptr || !moment->get().offset) {
    return Fail(ErrorCode::kInvalid,
                "expected a moment with its offset from UTC, without quotes, as in 2026-11-23T09:00:00+01:00");
  }
  const toml::date_time& read = moment->get();
  const std::chrono::year_month_day day(std::chrono::year(read.date.year), std::chrono::month(read.date.month),
                                        std::chrono::day(read.date.day));
  if (!day.ok()) return Fail(ErrorCode::kInvalid, "there is no such day");
  // The fraction apart: a moment counted in nanoseconds would end in the year 2262.
  const auto fraction = std::chrono::floor<std::chrono::milliseconds>(std::chrono::nanoseconds(read.time.nanosecond));
  return Wall(std::chrono::sys_days(day)) + std::chrono::hours(read.time.hour) +
         std::chrono::minutes(read.time.minute) + std::chrono::seconds(read.time.second) + fraction -
         std::chrono::minutes(read.offset->minutes);
}

std::string ToToml(Wall moment) {
  const auto day = std::chrono::floor<std::chrono::days>(moment);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss<std::chrono::milliseconds> time(moment - day);
  std::string text = fmt::format("{:04}-{:02}-{:02}T{:02}:{:02}:{:02}", static_cast<int>(date.year()),
                                 static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                                 time.hours().count(), time.minutes().count(), time.seconds().count());
  if (time.subseconds().count() > 0) text += fmt::format(".{:03}", time.subseconds().count());
  return text + "Z";
}

}  // namespace postrider
