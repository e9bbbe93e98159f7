#include "config/time_zone.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <random>
#include <string>
#include <vector>

namespace postrider {
namespace {

using namespace std::chrono_literals;
using std::chrono::local_days;
using std::chrono::sys_days;
using testing::HasSubstr;

TimeZone Zone(std::string_view name) {
  const Result<TimeZone> zone = TimeZone::Find(name);
  EXPECT_TRUE(zone.has_value()) << name;
  return zone.value_or(TimeZone());
}

// A moment in UTC.
Wall At(std::chrono::year_month_day day, std::chrono::minutes time = 0min) { return sys_days(day) + time; }

std::vector<SendWindow> Windows(const std::vector<std::string>& texts) {
  std::vector<SendWindow> windows;
  for (const std::string& text : texts) {
    const Result<SendWindow> window = SendWindow::Parse(text);
    EXPECT_TRUE(window.has_value()) << text;
    if (window) windows.push_back(*window);
  }
  return windows;
}

TEST(TimeZone, IsFoundByItsExactName) {
  for (const char* name : {"UTC", "Europe/Paris", "America/New_York", "Asia/Kolkata", "Etc/GMT+12"}) {
    EXPECT_TRUE(TimeZone::Find(name).has_value()) << name;
  }
  for (const std::string name :
       {"", "Europe", "europe/paris", "Paris", " UTC", "../../etc/passwd", "/etc/localtime", "Europe/Paris/", "."}) {
    EXPECT_FALSE(TimeZone::Find(name).has_value()) << name;
  }
  EXPECT_FALSE(TimeZone::Find(std::string(100'000, 'a')).has_value());
  EXPECT_FALSE(TimeZone::Find(std::string("UTC\0", 4)).has_value());
  EXPECT_THAT(TimeZone::Find("Europe/Pari").error().message, HasSubstr("no time zone is called \"Europe/Pari\""));
  EXPECT_EQ(TimeZone::FindOrUtc("nowhere").DayOf(At(2026y / 3 / 1, 90min)).start, At(2026y / 3 / 1));
}

TEST(TimeZone, ADayBeginsAtItsOwnMidnight) {
  EXPECT_EQ(TimeZone().DayOf(At(2026y / 3 / 1, 23h + 59min)), (TimeZone::Day{At(2026y / 3 / 1), At(2026y / 3 / 2)}));
  const TimeZone paris = Zone("Europe/Paris");
  const TimeZone::Day winter{At(2026y / 1 / 9, 23h), At(2026y / 1 / 10, 23h)};
  EXPECT_EQ(paris.DayOf(At(2026y / 1 / 10, 12h)), winter);
  EXPECT_EQ(paris.DayOf(winter.start), winter);
  EXPECT_EQ(paris.DayOf(winter.end - 1ms), winter);
  EXPECT_EQ(paris.DayOf(winter.end).start, winter.end);
  EXPECT_EQ(Zone("Asia/Kolkata").DayOf(At(2026y / 1 / 10)).start, At(2026y / 1 / 9, 18h + 30min));
}

TEST(TimeZone, ADayIsShorterInSpringAndLongerInAutumn) {
  const TimeZone paris = Zone("Europe/Paris");
  const TimeZone::Day spring = paris.DayOf(At(2026y / 3 / 29, 12h));
  EXPECT_EQ(spring.end - spring.start, 23h);
  const TimeZone::Day autumn = paris.DayOf(At(2026y / 10 / 25, 12h));
  EXPECT_EQ(autumn.end - autumn.start, 25h);
}

// Where clocks are changed at midnight, it does not exist once, and comes twice the other time.
TEST(TimeZone, DaysAreWholeWhereClocksAreChangedAtMidnight) {
  for (const auto& [name, first, last] : {std::tuple("America/Sao_Paulo", 2018y / 2 / 1, 2019y / 3 / 1),
                                          {"Africa/Cairo", 2024y / 4 / 1, 2025y / 1 / 1},
                                          {"Atlantic/Azores", 2026y / 1 / 1, 2026y / 12 / 1},
                                          {"America/Havana", 2026y / 1 / 1, 2026y / 12 / 1},
                                          {"America/Goose_Bay", 2010y / 1 / 1, 2011y / 12 / 1},
                                          {"Pacific/Apia", 2011y / 12 / 1, 2012y / 2 / 1},
                                          {"Australia/Lord_Howe", 2026y / 1 / 1, 2026y / 12 / 1}}) {
    const TimeZone zone = Zone(name);
    for (Wall moment = At(first); moment < At(last); moment += 17min) {
      const TimeZone::Day day = zone.DayOf(moment);
      ASSERT_LE(day.start, moment) << name;
      ASSERT_LT(moment, day.end) << name;
      ASSERT_LE(day.end - day.start, 25h) << name;
      ASSERT_GE(day.end - day.start, 22h + 59min) << name;
    }
  }
}

TEST(TimeZone, AClockOnTheWallIsRead) {
  const TimeZone paris = Zone("Europe/Paris");
  const TimeZone::Reading reading = paris.Read(At(2026y / 7 / 5, 22h + 5min));
  EXPECT_EQ(reading.day, local_days(2026y / 7 / 6));
  EXPECT_EQ(reading.minute, 5min);
  EXPECT_EQ(reading.weekday(), 0u);
  EXPECT_EQ(TimeZone().Read(At(2026y / 7 / 5, 22h)).weekday(), 6u);
  EXPECT_EQ(TimeZone().Read(At(1969y / 12 / 31, 23h)).minute, 23h);
}

TEST(TimeZone, ATimeComesTwiceInAutumnAndIsSkippedInSpring) {
  const TimeZone paris = Zone("Europe/Paris");
  const TimeZone::Moments twice = paris.MomentsOf(local_days(2026y / 10 / 25), 150min);
  EXPECT_EQ(twice.first, At(2026y / 10 / 25, 30min));
  EXPECT_EQ(twice.last, At(2026y / 10 / 25, 90min));
  const TimeZone::Moments skipped = paris.MomentsOf(local_days(2026y / 3 / 29), 150min);
  EXPECT_EQ(skipped.first, At(2026y / 3 / 29, 60min));
  EXPECT_EQ(skipped.last, skipped.first);
  EXPECT_EQ(paris.NextChange(At(2026y / 3 / 1)), At(2026y / 3 / 29, 60min));
  EXPECT_EQ(TimeZone().NextChange(At(2026y / 3 / 1)), Wall::max());
}

TEST(SendWindow, IsReadAndWrittenAlike) {
  for (const auto& [text, written] : {std::pair("Mon-Fri 08:00-20:00", "Mon-Fri 08:00-20:00"),
                                      {"Sat,Sun 10:00-18:00", "Sat,Sun 10:00-18:00"},
                                      {"22:00-06:00", "22:00-06:00"},
                                      {"Mon-Sun 00:00-24:00", "00:00-24:00"},
                                      {"Fri-Mon 09:30-10:00", "Mon,Fri-Sun 09:30-10:00"},
                                      {"Wed,Mon,Tue 00:00-00:01", "Mon-Wed 00:00-00:01"}}) {
    const Result<SendWindow> window = SendWindow::Parse(text);
    ASSERT_TRUE(window.has_value()) << text;
    EXPECT_EQ(ToString(*window), written);
    EXPECT_EQ(SendWindow::Parse(written), *window);
  }
}

TEST(SendWindow, WhatIsNoneIsRefused) {
  for (const std::string text : {"",
                                 " ",
                                 "Mon",
                                 "Mon ",
                                 "mon 08:00-20:00",
                                 "Montag 08:00-20:00",
                                 "Mon-Fri  08:00-20:00",
                                 "Mon-Fri 8:00-20:00",
                                 "Mon-Fri 08:00-20:00 ",
                                 "Mon-Fri 08:00 - 20:00",
                                 "Mon- 08:00-20:00",
                                 "-Fri 08:00-20:00",
                                 ", 08:00-20:00",
                                 "Mon,,Tue 08:00-20:00",
                                 "Mon-Tue-Wed 08:00-20:00",
                                 "08:00-24:01",
                                 "24:00-08:00",
                                 "25:00-08:00",
                                 "08:60-20:00",
                                 "08:00-08:00",
                                 "08.00-20.00",
                                 "-8:00-20:00",
                                 "08:00-20:0x",
                                 "08:00",
                                 "08:00-20:00\n",
                                 "Every 08:00-20:00"}) {
    EXPECT_FALSE(SendWindow::Parse(text).has_value()) << '"' << text << '"';
  }
  EXPECT_FALSE(SendWindow::Parse(std::string(100'000, 'M')).has_value());
  EXPECT_FALSE(SendWindow::Parse(std::string("08:00-20:00\0", 12)).has_value());
  EXPECT_THAT(SendWindow::Parse("08:00-08:00").error().message, HasSubstr("a whole day is 00:00-24:00"));
}

TEST(SendWindow, MangledTextNeverDoesWorseThanAnError) {
  std::mt19937 random(3);
  int read = 0;
  for (int round = 0; round < 5000; ++round) {
    std::string text = "Mon-Fri,Sun 08:00-20:00";
    for (unsigned i = 0; i < 1 + random() % 3; ++i) text[random() % text.size()] = "MonTueFri,-:0129 x"[random() % 18];
    const Result<SendWindow> window = SendWindow::Parse(text);
    if (!window) continue;
    ++read;
    EXPECT_EQ(SendWindow::Parse(ToString(*window)), *window) << text;
  }
  EXPECT_GT(read, 50);
}

TEST(SendWindows, NoneMeansAlways) {
  const WindowState state = StateOf({}, TimeZone(), At(2026y / 3 / 1));
  EXPECT_TRUE(state.open);
  EXPECT_EQ(state.until, Wall::max());
  const std::vector<SendWindow> whole = Windows({"Mon-Thu 00:00-24:00", "Fri-Sun 00:00-24:00"});
  EXPECT_TRUE(StateOf(whole, Zone("Europe/Paris"), At(2026y / 3 / 29)).open);
  EXPECT_EQ(StateOf(whole, Zone("Europe/Paris"), At(2026y / 3 / 29)).until, Wall::max());
}

TEST(SendWindows, OpenAndCloseInTheirZone) {
  const std::vector<SendWindow> windows = Windows({"Mon-Fri 08:00-20:00", "Sat 10:00-12:00"});
  const TimeZone paris = Zone("Europe/Paris");
  const auto state = [&](Wall moment) { return StateOf(windows, paris, moment); };
  // Friday, 5 June 2026, summer time: two hours before UTC.
  EXPECT_FALSE(state(At(2026y / 6 / 5, 5h + 59min)).open);
  EXPECT_EQ(state(At(2026y / 6 / 5, 5h + 59min)).until, At(2026y / 6 / 5, 6h));
  EXPECT_TRUE(state(At(2026y / 6 / 5, 6h)).open);
  EXPECT_EQ(state(At(2026y / 6 / 5, 6h)).until, At(2026y / 6 / 5, 18h));
  EXPECT_FALSE(state(At(2026y / 6 / 5, 18h)).open);
  EXPECT_EQ(NextOpening(windows, paris, At(2026y / 6 / 5, 18h)), At(2026y / 6 / 6, 8h));
  EXPECT_EQ(NextOpening(windows, paris, At(2026y / 6 / 6, 10h)), At(2026y / 6 / 8, 6h));
  EXPECT_EQ(NextOpening(windows, paris, At(2026y / 6 / 8, 7h)), At(2026y / 6 / 8, 7h));
}

TEST(SendWindows, AWindowPastMidnightBelongsToTheDayItOpens) {
  const std::vector<SendWindow> windows = Windows({"Fri 22:00-06:00"});
  EXPECT_FALSE(StateOf(windows, TimeZone(), At(2026y / 6 / 5, 3h)).open);
  EXPECT_EQ(NextOpening(windows, TimeZone(), At(2026y / 6 / 5, 3h)), At(2026y / 6 / 5, 22h));
  const WindowState night = StateOf(windows, TimeZone(), At(2026y / 6 / 6, 3h));
  EXPECT_TRUE(night.open);
  EXPECT_EQ(night.until, At(2026y / 6 / 6, 6h));
}

TEST(SendWindows, FollowTheClockWhenItIsChanged) {
  const TimeZone paris = Zone("Europe/Paris");
  // In spring 02:00 to 03:00 does not exist: a window in it does not open that night.
  const std::vector<SendWindow> skipped = Windows({"Sun 02:10-02:20"});
  EXPECT_EQ(NextOpening(skipped, paris, At(2026y / 3 / 28)), At(2026y / 4 / 5, 10min));
  // One that begins in it opens when the clock has passed its beginning.
  const std::vector<SendWindow> half = Windows({"Sun 02:30-04:00"});
  EXPECT_EQ(NextOpening(half, paris, At(2026y / 3 / 29)), At(2026y / 3 / 29, 60min));
  EXPECT_EQ(StateOf(half, paris, At(2026y / 3 / 29, 60min)).until, At(2026y / 3 / 29, 2h));
  // In autumn it comes twice.
  const WindowState first = StateOf(skipped, paris, At(2026y / 10 / 25, 12min));
  EXPECT_TRUE(first.open);
  EXPECT_EQ(first.until, At(2026y / 10 / 25, 20min));
  EXPECT_EQ(NextOpening(skipped, paris, first.until), At(2026y / 10 / 25, 70min));
  // A window around the change keeps its times on the wall.
  const std::vector<SendWindow> day = Windows({"00:00-12:00"});
  EXPECT_EQ(StateOf(day, paris, At(2026y / 3 / 28, 23h)).until, At(2026y / 3 / 29, 10h));
  EXPECT_EQ(StateOf(day, paris, At(2026y / 10 / 24, 22h)).until, At(2026y / 10 / 25, 11h));
}

// Whatever the zone: the state holds until the moment it names, and is the other one then.
TEST(SendWindows, HoldUntilTheMomentTheyName) {
  const std::vector<std::vector<SendWindow>> sets = {
      Windows({"Mon-Fri 08:00-20:00", "Sat 10:00-12:00"}), Windows({"23:30-00:30"}),
      Windows({"Sun 01:30-02:30", "Sun 02:00-03:10"}), Windows({"Mon 00:00-24:00", "Tue 00:00-00:05"})};
  for (const char* name : {"UTC", "Europe/Paris", "America/Havana", "Australia/Lord_Howe", "Africa/Cairo"}) {
    const TimeZone zone = Zone(name);
    for (const std::vector<SendWindow>& windows : sets) {
      Wall moment = At(2026y / 1 / 1);
      for (int changes = 0; changes < 300; ++changes) {
        const WindowState state = StateOf(windows, zone, moment);
        ASSERT_GT(state.until, moment) << name;
        ASSERT_LE(state.until - moment, std::chrono::days(8)) << name;
        for (Wall inside = moment; inside < state.until; inside += (state.until - moment) / 7 + 1ms) {
          const TimeZone::Reading reading = zone.Read(inside);
          const bool open = std::ranges::any_of(windows, [&](const SendWindow& one) { return one.Holds(reading); });
          ASSERT_EQ(open, state.open) << name;
        }
        ASSERT_NE(StateOf(windows, zone, state.until).open, state.open) << name;
        moment = state.until;
      }
    }
  }
}

}  // namespace
}  // namespace postrider
