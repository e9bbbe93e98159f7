#include "throttle/adaptive_rate.h"

#include <gtest/gtest.h>

#include <random>

namespace postrider {
namespace {

using namespace std::chrono_literals;

const Monotonic kStart{std::chrono::hours(1000)};
const Now kNow{kStart, Wall(std::chrono::hours(490'000))};

// Accepts one each second; returns the moment at which the rate is no longer below `rate`, or the end of the time.
Monotonic AcceptUntil(AdaptiveRate& adaptive, Monotonic from, double rate, std::chrono::hours longest) {
  Monotonic now = from;
  while (now < from + longest && adaptive.active() && adaptive.rate() < rate) {
    now += 1s;
    (void)adaptive.Accepted(now);
  }
  return now;
}

TEST(AdaptiveRate, BindsOnlyOnceItWasThrottled) {
  AdaptiveRate adaptive(1.0 / 60, 10);
  EXPECT_FALSE(adaptive.active());
  EXPECT_FALSE(adaptive.Accepted(kStart));
  EXPECT_TRUE(adaptive.Throttled(kStart, 3));
  EXPECT_TRUE(adaptive.active());
  // From the operator's rate, not from what happened to be sent.
  EXPECT_DOUBLE_EQ(adaptive.rate(), 5);
  EXPECT_EQ(adaptive.since(), kStart);
}

TEST(AdaptiveRate, IsHalvedAtMostOnceAMinute) {
  AdaptiveRate adaptive(1.0 / 60, 16);
  EXPECT_TRUE(adaptive.Throttled(kStart, 0));
  for (int i = 1; i < 60; ++i) EXPECT_FALSE(adaptive.Throttled(kStart + i * 1s, 0));
  EXPECT_DOUBLE_EQ(adaptive.rate(), 8);
  EXPECT_TRUE(adaptive.Throttled(kStart + 60s, 0));
  EXPECT_DOUBLE_EQ(adaptive.rate(), 4);
}

TEST(AdaptiveRate, NeverLeavesFloorAndCeiling) {
  AdaptiveRate adaptive(2, 16);
  for (int i = 0; i < 10; ++i) (void)adaptive.Throttled(kStart + i * 61s, 0);
  EXPECT_DOUBLE_EQ(adaptive.rate(), 2);
  // A floor above the ceiling is the ceiling.
  AdaptiveRate narrow(5, 1);
  EXPECT_FALSE(narrow.Throttled(kStart, 0));
  EXPECT_FALSE(narrow.active());
}

TEST(AdaptiveRate, RisesByATwentiethForEachFiveCleanMinutes) {
  AdaptiveRate adaptive(0.1, 10);
  ASSERT_TRUE(adaptive.Throttled(kStart, 0));
  EXPECT_FALSE(adaptive.Accepted(kStart + 299s));
  EXPECT_TRUE(adaptive.Accepted(kStart + 300s));
  EXPECT_DOUBLE_EQ(adaptive.rate(), 5 * 1.05);
  EXPECT_FALSE(adaptive.Accepted(kStart + 301s));
  // A complaint, even one that lowers nothing, begins the minutes anew.
  ASSERT_TRUE(adaptive.Throttled(kStart + 599s, 0));
  const double lowered = adaptive.rate();
  EXPECT_FALSE(adaptive.Throttled(kStart + 650s, 0));
  EXPECT_FALSE(adaptive.Accepted(kStart + 949s));
  EXPECT_TRUE(adaptive.Accepted(kStart + 950s));
  EXPECT_DOUBLE_EQ(adaptive.rate(), lowered * 1.05);
}

TEST(AdaptiveRate, NothingSentProvesNothing) {
  AdaptiveRate adaptive(0.1, 10);
  ASSERT_TRUE(adaptive.Throttled(kStart, 0));
  // After a day of rest, one step for the one that was taken.
  EXPECT_TRUE(adaptive.Accepted(kStart + 24h));
  EXPECT_DOUBLE_EQ(adaptive.rate(), 5 * 1.05);
  EXPECT_FALSE(adaptive.Accepted(kStart + 24h + 1s));
}

TEST(AdaptiveRate, EndsAtTheCeiling) {
  AdaptiveRate adaptive(0.1, 10);
  ASSERT_TRUE(adaptive.Throttled(kStart, 0));
  const Monotonic well = AcceptUntil(adaptive, kStart, 100, 24h);
  EXPECT_FALSE(adaptive.active());
  // 15 steps of 5 %.
  EXPECT_EQ(well, kStart + 75min);
}

TEST(AdaptiveRate, WithoutARateStartsFromWhatWasSentAndEndsWellAboveIt) {
  AdaptiveRate adaptive(1.0 / 60, 0);
  ASSERT_TRUE(adaptive.Throttled(kStart, 20));
  EXPECT_DOUBLE_EQ(adaptive.rate(), 10);
  (void)AcceptUntil(adaptive, kStart, 39, 24h);
  EXPECT_TRUE(adaptive.active());
  (void)AcceptUntil(adaptive, kStart + 24h, 41, 24h);
  EXPECT_FALSE(adaptive.active());
}

TEST(AdaptiveRate, WhereNextToNothingWasSentStartsFromTenAMinute) {
  AdaptiveRate adaptive(1.0 / 60, 0);
  ASSERT_TRUE(adaptive.Throttled(kStart, 0));
  EXPECT_DOUBLE_EQ(adaptive.rate(), 5.0 / 60);
}

TEST(AdaptiveRate, ANamedRateIsTakenAtOnceAndTheWayBackIsFaster) {
  AdaptiveRate adaptive(1.0 / 3600, 10);
  ASSERT_TRUE(adaptive.Throttled(kStart, 0, 1.0 / 60));
  EXPECT_DOUBLE_EQ(adaptive.rate(), 1.0 / 60);
  EXPECT_TRUE(adaptive.resuming());
  // Those that follow say the same.
  EXPECT_FALSE(adaptive.Throttled(kStart + 1s, 0, 1.0 / 60));
  EXPECT_TRUE(adaptive.resuming());
  const Monotonic well = AcceptUntil(adaptive, kStart + 1s, 10, 24h);
  // 132 steps of a minute: neither a jump nor days.
  EXPECT_GT(well, kStart + 2h);
  EXPECT_LT(well, kStart + 3h);
}

TEST(AdaptiveRate, ANamedRateAboveTheOneInForceLowersNothing) {
  AdaptiveRate adaptive(0.1, 2);
  EXPECT_FALSE(adaptive.Throttled(kStart, 0, 5.0));
  EXPECT_FALSE(adaptive.active());
}

TEST(AdaptiveRate, AfterAStopResumesAtHalfAndRisesFromTheProbeOn) {
  AdaptiveRate adaptive(0.1, 0);
  adaptive.Stopped(kStart, 8);
  EXPECT_DOUBLE_EQ(adaptive.rate(), 4);
  // A stop that comes before anything was taken is the same trouble.
  adaptive.Stopped(kStart + 2h, 0);
  EXPECT_DOUBLE_EQ(adaptive.rate(), 4);
  const Monotonic probe = kStart + 4h;
  EXPECT_FALSE(adaptive.Accepted(probe));
  const Monotonic back = AcceptUntil(adaptive, probe, 8, 24h);
  // From a half: 15 steps of 5 %, each a clean minute.
  EXPECT_EQ(back, probe + 15min);
  EXPECT_FALSE(adaptive.resuming());
  // Beyond, at the usual pace.
  EXPECT_FALSE(adaptive.Accepted(back + 4min));
  EXPECT_TRUE(adaptive.Accepted(back + 5min));
}

TEST(AdaptiveRate, NewTroubleOnTheWayBackEndsTheFasterPace) {
  AdaptiveRate adaptive(0.1, 10);
  adaptive.Stopped(kStart, 0);
  (void)adaptive.Accepted(kStart + 1h);
  ASSERT_TRUE(adaptive.Throttled(kStart + 1h + 1s, 0));
  EXPECT_FALSE(adaptive.resuming());
  EXPECT_DOUBLE_EQ(adaptive.rate(), 2.5);
  EXPECT_DOUBLE_EQ(adaptive.troubled_at(), 5);
}

TEST(AdaptiveRate, NewBoundsHoldAtOnce) {
  AdaptiveRate adaptive(0.1, 10);
  ASSERT_TRUE(adaptive.Throttled(kStart, 0));
  adaptive.SetBounds(6, 10);
  EXPECT_DOUBLE_EQ(adaptive.rate(), 6);
  // The operator's own rate is now the lower one.
  adaptive.SetBounds(1, 5);
  EXPECT_FALSE(adaptive.active());
}

TEST(AdaptiveRate, StaysWithinBoundsAndNeverJumpsWhateverHappens) {
  for (std::uint64_t seed = 1; seed <= 50; ++seed) {
    std::mt19937_64 random(seed);
    const double ceiling = seed % 3 == 0 ? 0 : std::uniform_real_distribution<double>(0.5, 100)(random);
    const double floor = std::uniform_real_distribution<double>(0.01, 0.4)(random);
    AdaptiveRate adaptive(floor, ceiling);
    Monotonic now = kStart;
    Monotonic troubled_at = kStart;
    int rises = 0;
    for (int i = 0; i < 5000; ++i) {
      const double before = adaptive.rate();
      const bool was_active = adaptive.active();
      const std::uint64_t event = random() % 40;
      if (event <= 2) {
        troubled_at = now;
        rises = 0;
      }
      switch (event) {
        case 0:
          (void)adaptive.Throttled(now, 30);
          break;
        case 1:
          (void)adaptive.Throttled(now, 30, 0.02);
          break;
        case 2:
          adaptive.Stopped(now, 30);
          break;
        default:
          (void)adaptive.Accepted(now);
          break;
      }
      if (adaptive.active()) {
        ASSERT_GE(adaptive.rate(), floor);
        if (ceiling > 0) {
          ASSERT_LE(adaptive.rate(), ceiling);
        }
        if (was_active && adaptive.rate() > before) {
          ASSERT_LE(adaptive.rate(), before * 1.05 + 1e-9);
          ++rises;
          ASSERT_LE(rises * 1min, now - troubled_at);
        }
      }
      now += std::chrono::milliseconds(random() % 30'000);
    }
  }
}

TEST(AdaptiveRate, IsTheSameAfterARestart) {
  AdaptiveRate adaptive(0.1, 10);
  adaptive.Stopped(kStart, 0);
  StateWriter writer;
  adaptive.Encode(writer, kNow);
  AdaptiveRate restored(0.1, 10);
  // Another clock, an hour later.
  const Now later{Monotonic(5s), kNow.wall + 1h};
  ASSERT_TRUE(restored.Restore(writer.fields(), later));
  EXPECT_DOUBLE_EQ(restored.rate(), 5);
  EXPECT_TRUE(restored.resuming());
  EXPECT_DOUBLE_EQ(restored.troubled_at(), 10);
  EXPECT_EQ(restored.since(), later.monotonic - 1h);
  EXPECT_FALSE(restored.Accepted(later.monotonic));
  EXPECT_TRUE(restored.Accepted(later.monotonic + 1min));
}

TEST(AdaptiveRate, RestoresNothingFromARateThatCannotBe) {
  StateWriter writer;
  writer.Real(1, -3);
  AdaptiveRate adaptive(0.1, 10);
  EXPECT_FALSE(adaptive.Restore(writer.fields(), kNow));
  EXPECT_FALSE(adaptive.active());
  // Above the ceiling: not lowered at all.
  StateWriter high;
  high.Real(1, 50);
  EXPECT_TRUE(adaptive.Restore(high.fields(), kNow));
  EXPECT_FALSE(adaptive.active());
}

}  // namespace
}  // namespace postrider
