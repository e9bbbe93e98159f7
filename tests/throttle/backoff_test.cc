#include "throttle/backoff.h"

#include <gtest/gtest.h>

#include <limits>

namespace postrider {
namespace {

using namespace std::chrono_literals;

const Monotonic kStart{std::chrono::hours(1000)};

TEST(Backoff, BlocksNothingUntilSomethingFails) {
  const Backoff backoff;
  EXPECT_FALSE(backoff.Blocked(kStart));
  EXPECT_EQ(backoff.failures(), 0);
  EXPECT_LT(backoff.until(), kStart);
}

TEST(Backoff, DoublesFromAMinuteToHalfAnHour) {
  Backoff backoff;
  Monotonic now = kStart;
  for (std::chrono::minutes wait : {1min, 2min, 4min, 8min, 16min, 30min, 30min, 30min}) {
    backoff.Fail(now, 0);
    EXPECT_EQ(backoff.until(), now + wait);
    EXPECT_TRUE(backoff.Blocked(backoff.until() - 1ns));
    EXPECT_FALSE(backoff.Blocked(backoff.until()));
    now = backoff.until();
  }
  EXPECT_EQ(backoff.failures(), 8);
}

TEST(Backoff, ASuccessStartsAfresh) {
  Backoff backoff;
  backoff.Fail(kStart, 0);
  backoff.Fail(kStart + 1h, 0);
  backoff.Succeed();
  EXPECT_EQ(backoff.failures(), 0);
  EXPECT_FALSE(backoff.Blocked(kStart + 1h));
  backoff.Fail(kStart + 2h, 0);
  EXPECT_EQ(backoff.until(), kStart + 2h + 1min);
}

TEST(Backoff, ManyConnectionsFailingTogetherCountAsOne) {
  Backoff backoff;
  for (int i = 0; i < 40; ++i) backoff.Fail(kStart + std::chrono::seconds(i), 0);
  EXPECT_EQ(backoff.failures(), 1);
  EXPECT_EQ(backoff.until(), kStart + 1min);
}

TEST(Backoff, JitterLengthensByAtMostAFifth) {
  for (std::uint64_t random : {std::uint64_t{0}, std::uint64_t{12'001}, std::numeric_limits<std::uint64_t>::max()}) {
    Backoff backoff;
    backoff.Fail(kStart, random);
    EXPECT_GE(backoff.until(), kStart + 60s);
    EXPECT_LE(backoff.until(), kStart + 72s);
  }
  Backoff most;
  most.Fail(kStart, 12'000);
  EXPECT_EQ(most.until(), kStart + 72s);
}

TEST(Backoff, FirstAndLongestAreTheCallers) {
  Backoff backoff(10s, 15s);
  backoff.Fail(kStart, 0);
  EXPECT_EQ(backoff.until(), kStart + 10s);
  backoff.Fail(kStart + 1h, 0);
  EXPECT_EQ(backoff.until(), kStart + 1h + 15s);
  Backoff odd(10s, 5s);
  odd.Fail(kStart, 0);
  EXPECT_EQ(odd.until(), kStart + 5s);
}

TEST(Backoff, DoesNotOverflowHoweverOftenItFails) {
  Backoff backoff(1ms, 1000h);
  Monotonic now = kStart;
  for (int i = 0; i < 1000; ++i) {
    backoff.Fail(now, 0);
    ASSERT_GT(backoff.until(), now);
    ASSERT_LE(backoff.until(), now + 1000h);
    now = backoff.until();
  }
  EXPECT_EQ(backoff.until() - (now - 1000h), 1000h);
}

}  // namespace
}  // namespace postrider
