#include "throttle/retry_schedule.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace postrider {
namespace {

using namespace std::chrono_literals;

const Wall kNow{std::chrono::hours(500'000)};
constexpr std::uint64_t kMost = std::numeric_limits<std::uint64_t>::max();

TEST(RetrySchedule, FollowsTheScheduleAndRepeatsItsLast) {
  const RetryOptions retry{{7min, 15min, 4h}, 48h};
  EXPECT_EQ(NextAttempt(retry, 1, kNow, 0), kNow + 7min);
  EXPECT_EQ(NextAttempt(retry, 2, kNow, 0), kNow + 15min);
  EXPECT_EQ(NextAttempt(retry, 3, kNow, 0), kNow + 4h);
  EXPECT_EQ(NextAttempt(retry, 4, kNow, 0), kNow + 4h);
  EXPECT_EQ(NextAttempt(retry, std::numeric_limits<int>::max(), kNow, 0), kNow + 4h);
}

TEST(RetrySchedule, ACountThatCannotBeIsTakenForTheFirst) {
  const RetryOptions retry{{7min, 15min}, 48h};
  EXPECT_EQ(NextAttempt(retry, 0, kNow, 0), kNow + 7min);
  EXPECT_EQ(NextAttempt(retry, std::numeric_limits<int>::min() + 1, kNow, 0), kNow + 7min);
}

TEST(RetrySchedule, JitterLengthensByUpToAFifthAndUsesAllOfIt) {
  const RetryOptions retry{{10min}, 48h};
  std::mt19937_64 random(1);
  Wall least = Wall::max(), most = Wall::min();
  for (int i = 0; i < 10'000; ++i) {
    const Wall next = NextAttempt(retry, 1, kNow, random());
    least = std::min(least, next);
    most = std::max(most, next);
  }
  EXPECT_GE(least, kNow + 10min);
  EXPECT_LE(most, kNow + 12min);
  EXPECT_LT(least, kNow + 10min + 2s);
  EXPECT_GT(most, kNow + 12min - 2s);
  EXPECT_LE(NextAttempt(retry, 1, kNow, kMost), kNow + 12min);
}

TEST(RetrySchedule, TheDefaultsOutlastAGreylistByTheirSecondRetry) {
  const Options options;
  for (const RetryOptions* retry : {&options.retry_bulk, &options.retry_transactional}) {
    const Wall second = NextAttempt(*retry, 1, kNow, 0);
    EXPECT_GE(NextAttempt(*retry, 2, second, 0) - kNow, 300s);
  }
}

}  // namespace
}  // namespace postrider
