#include "throttle/minute_meter.h"

#include <gtest/gtest.h>

namespace postrider {
namespace {

using namespace std::chrono_literals;

const Monotonic kStart{1000h};

TEST(MinuteMeter, MeasuresASteadyRate) {
  MinuteMeter meter;
  EXPECT_EQ(meter.PerSecond(kStart), 0);
  for (int i = 0; i < 3000; ++i) meter.Count(kStart + i * 100ms);
  EXPECT_NEAR(meter.PerSecond(kStart + 300s), 10, 0.2);
}

TEST(MinuteMeter, AYoungOneMeasuresOverItsAge) {
  MinuteMeter meter;
  for (int i = 0; i < 200; ++i) meter.Count(kStart + i * 100ms);
  EXPECT_NEAR(meter.PerSecond(kStart + 20s), 10, 0.2);
  MinuteMeter burst;
  for (int i = 0; i < 50; ++i) burst.Count(kStart);
  EXPECT_NEAR(burst.PerSecond(kStart), 5, 1e-9);
}

TEST(MinuteMeter, ForgetsWhatIsOlderThanAMinute) {
  MinuteMeter meter;
  for (int i = 0; i < 600; ++i) meter.Count(kStart + i * 100ms);
  EXPECT_NEAR(meter.PerSecond(kStart + 90s), 5, 1);
  EXPECT_EQ(meter.PerSecond(kStart + 3min), 0);
  // Time that runs back is counted where time stands.
  meter.Count(kStart + 10min);
  meter.Count(kStart);
  EXPECT_GT(meter.PerSecond(kStart + 10min), 0);
}

}  // namespace
}  // namespace postrider
