#include "config/send_schedule.h"

#include <gtest/gtest.h>

#include <random>

namespace postrider {
namespace {

using namespace std::chrono_literals;

Wall At(std::chrono::year_month_day day, std::chrono::minutes minute = {}) {
  return std::chrono::sys_days(day) + minute;
}

std::vector<SendWindow> Windows(std::initializer_list<const char*> texts) {
  std::vector<SendWindow> windows;
  for (const char* text : texts) windows.push_back(SendWindow::Parse(text).value());
  return windows;
}

TEST(SendSchedule, IsAlwaysOpenWithoutWindows) {
  const SendSchedule schedule({}, "UTC");
  EXPECT_TRUE(schedule.At(At(2026y / 6 / 5)).open);
  EXPECT_EQ(schedule.At(At(2026y / 6 / 5)).until, Wall::max());
}

// In whatever order it is asked, as when the clock is set to and fro: what it kept never answers for another moment.
TEST(SendSchedule, AnswersAsIfItHadKeptNothing) {
  const std::vector<SendWindow> windows = Windows({"Mon-Fri 08:00-20:00", "Sun 02:30-04:00"});
  const TimeZone paris = TimeZone::FindOrUtc("Europe/Paris");
  const SendSchedule schedule(windows, "Europe/Paris");
  std::mt19937_64 random(7);
  Wall moment = At(2027y / 3 / 26);
  for (int i = 0; i < 3000; ++i) {
    // Mostly a little further, now and then back or far away.
    const auto step = std::chrono::milliseconds(static_cast<std::int64_t>(random() % 1'200'000));
    moment += i % 50 == 0 ? -40 * step : i % 70 == 0 ? 60 * step : step;
    const WindowState expected = StateOf(windows, paris, moment);
    ASSERT_EQ(schedule.At(moment).open, expected.open) << moment.time_since_epoch();
    ASSERT_EQ(schedule.At(moment).until, expected.until) << moment.time_since_epoch();
  }
}

}  // namespace
}  // namespace postrider
