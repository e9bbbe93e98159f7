#include "tools/progress.h"

#include <gtest/gtest.h>

#include <cmath>

namespace postrider::tools {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

std::chrono::steady_clock::time_point At(double s) {
  return std::chrono::steady_clock::time_point(milliseconds(static_cast<int>(s * 1000)));
}

TEST(ProgressBar, IsFullOnlyWhenAllIsDone) {
  EXPECT_EQ(ProgressBar(0, 12), "[----------]");
  EXPECT_EQ(ProgressBar(0.55, 12), "[#####-----]");
  EXPECT_EQ(ProgressBar(0.999, 12), "[#########-]");
  EXPECT_EQ(ProgressBar(1, 12), "[##########]");
}

TEST(ProgressBar, StaysInItsFrame) {
  EXPECT_EQ(ProgressBar(7, 12), "[##########]");
  EXPECT_EQ(ProgressBar(-1, 12), "[----------]");
  EXPECT_EQ(ProgressBar(std::nan(""), 12), "[----------]");
  EXPECT_EQ(ProgressBar(1, 0), "[]");
}

TEST(RateMeter, NeedsTwoMoments) {
  RateMeter meter;
  EXPECT_EQ(meter.PerSecond(), std::nullopt);
  meter.Observe(At(0), 100);
  EXPECT_EQ(meter.PerSecond(), std::nullopt);
  meter.Observe(At(0), 100);
  EXPECT_EQ(meter.PerSecond(), std::nullopt) << "the same moment twice";
  meter.Observe(At(2), 300);
  EXPECT_DOUBLE_EQ(meter.PerSecond().value(), 100);
}

TEST(RateMeter, LooksTenSecondsBack) {
  RateMeter meter;
  for (int s = 0; s <= 20; ++s) meter.Observe(At(s), s <= 10 ? 0u : static_cast<std::uint64_t>(s - 10) * 50);
  EXPECT_DOUBLE_EQ(meter.PerSecond().value(), 50);
}

TEST(RateMeter, BeginsAgainWhenTheCountFalls) {
  RateMeter meter;
  meter.Observe(At(0), 1000);
  meter.Observe(At(1), 2000);
  meter.Observe(At(2), 5);
  EXPECT_EQ(meter.PerSecond(), std::nullopt);
  meter.Observe(At(3), 15);
  EXPECT_DOUBLE_EQ(meter.PerSecond().value(), 10);
}

TEST(TimeLeft, IsRoundedUpAndUnknownWhereItWouldNeverEnd) {
  EXPECT_EQ(TimeLeft(0, 0), seconds(0));
  EXPECT_EQ(TimeLeft(101, 10), seconds(11));
  EXPECT_EQ(TimeLeft(1, 0), std::nullopt);
  EXPECT_EQ(TimeLeft(1, -3), std::nullopt);
  EXPECT_EQ(TimeLeft(1, std::nan("")), std::nullopt);
  EXPECT_EQ(TimeLeft(~0ull, 1), std::nullopt);
}

}  // namespace
}  // namespace postrider::tools
