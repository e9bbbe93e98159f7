#include "throttle/daily_quota.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>

namespace postrider {
namespace {

using namespace std::chrono_literals;

const Wall kMidnight{std::chrono::sys_days(std::chrono::November / 23 / 2026)};
const Now kNow{Monotonic(1000h), kMidnight};
const CalendarDay kDay{kMidnight, kMidnight + 24h};
const CalendarDay kNextDay{kMidnight + 24h, kMidnight + 48h};

Now After(std::chrono::nanoseconds elapsed) {
  return {kNow.monotonic + elapsed, kNow.wall + std::chrono::floor<std::chrono::milliseconds>(elapsed)};
}

void SaveAhead(DailyQuota& quota) {
  if (quota.WantsSave()) quota.Saved(quota.day(), quota.Ahead());
}

TEST(DailyQuota, NothingGoesBeforeTheCounterIsSavedAhead) {
  DailyQuota quota(kNow, 1000, kDay);
  const DailyQuota::Answer answer = quota.Ask(kNow);
  EXPECT_EQ(answer.binds, DailyQuota::Binds::kUnsaved);
  EXPECT_EQ(answer.not_before, Monotonic::max());
  EXPECT_TRUE(quota.WantsSave());
  EXPECT_EQ(quota.Ahead(), 10u);
  quota.Saved(kDay, quota.Ahead());
  EXPECT_EQ(quota.Ask(kNow).binds, DailyQuota::Binds::kNothing);
  EXPECT_FALSE(quota.WantsSave());
}

TEST(DailyQuota, TheSavedCounterIsNeverLowerThanTheTruthAndAtMostOnePerCentHigher) {
  for (const std::uint64_t per_day : {1u, 50u, 1000u, 175'000u}) {
    DailyQuota quota(kNow, per_day, kDay);
    std::uint64_t durable = 0;
    Monotonic now = kNow.monotonic;
    while (!quota.FullToday() && now < kNow.monotonic + 23h) {
      if (quota.WantsSave()) {
        durable = quota.Ahead();
        quota.Saved(kDay, durable);
      }
      const DailyQuota::Answer answer = quota.Ask(After(now - kNow.monotonic));
      if (answer.binds == DailyQuota::Binds::kNothing) {
        quota.Take(now);
      } else {
        ASSERT_EQ(answer.binds, DailyQuota::Binds::kPace);
        now = answer.not_before;
      }
      ASSERT_GE(durable, quota.used());
      ASSERT_LE(durable - quota.used(), std::max<std::uint64_t>(1, per_day / 100));
    }
    EXPECT_EQ(quota.used(), per_day);
  }
}

TEST(DailyQuota, NoHourHoldsMoreThanAnEighthAndTheDayIsUsedUp) {
  for (const std::uint64_t per_day : {1u, 5u, 8u, 50u, 1000u, 43'210u, 175'000u}) {
    DailyQuota quota(kNow, per_day, kDay);
    std::deque<Monotonic> hour;
    std::mt19937_64 random(per_day);
    Monotonic now = kNow.monotonic;
    const std::uint64_t most = std::max<std::uint64_t>(1, per_day / 8);
    while (now < kNow.monotonic + 24h) {
      SaveAhead(quota);
      const Now moment = After(now - kNow.monotonic);
      const DailyQuota::Answer answer = quota.Ask(moment);
      if (answer.binds == DailyQuota::Binds::kFull) break;
      if (answer.binds == DailyQuota::Binds::kPace) {
        now = answer.not_before + std::chrono::microseconds(random() % 1000);
        continue;
      }
      quota.Take(now);
      hour.push_back(now);
      while (hour.front() <= now - 1h) hour.pop_front();
      ASSERT_LE(hour.size(), most) << per_day;
    }
    EXPECT_EQ(quota.used(), per_day);
  }
}

TEST(DailyQuota, FullIsUntilTheDayEndsAndTheNextBeginsAtNothing) {
  DailyQuota quota(kNow, 1, kDay);
  SaveAhead(quota);
  quota.Take(kNow.monotonic);
  EXPECT_TRUE(quota.FullToday());
  const Now later = After(2h);
  EXPECT_EQ(quota.Ask(later).binds, DailyQuota::Binds::kFull);
  EXPECT_EQ(quota.Ask(later).not_before, kNow.monotonic + 24h);
  EXPECT_FALSE(quota.DayIsOver(later.wall));
  EXPECT_TRUE(quota.DayIsOver(kNextDay.start));
  quota.SetDay(After(24h).monotonic, kNextDay);
  EXPECT_EQ(quota.used(), 0u);
  // A save of yesterday says nothing about today.
  quota.Saved(kDay, 1);
  EXPECT_EQ(quota.Ask(After(24h)).binds, DailyQuota::Binds::kUnsaved);
}

TEST(DailyQuota, AClockOrZoneThatIsChangedKeepsTheCount) {
  DailyQuota quota(kNow, 100, kDay);
  SaveAhead(quota);
  quota.Take(kNow.monotonic);
  // The same moment in a zone whose day began three hours before.
  quota.SetDay(kNow.monotonic, {kMidnight - 3h, kMidnight + 21h});
  EXPECT_EQ(quota.used(), 1u);
  // The clock goes back by two days.
  quota.SetDay(kNow.monotonic, {kMidnight - 48h, kMidnight - 24h});
  EXPECT_EQ(quota.used(), 1u);
}

TEST(DailyQuota, AClockThatJumpsADayAheadAndBackForgetsNothing) {
  DailyQuota quota(kNow, 100, kDay);
  const auto take = [&quota](int count) {
    for (int i = 0; i < count; ++i) {
      SaveAhead(quota);
      quota.Take(kNow.monotonic);
    }
  };
  take(50);
  quota.SetDay(kNow.monotonic, kNextDay);
  EXPECT_EQ(quota.used(), 0u);
  take(10);
  quota.SetDay(kNow.monotonic, kDay);
  EXPECT_EQ(quota.used(), 60u);
  EXPECT_EQ(quota.Ask(After(12h)).binds, DailyQuota::Binds::kUnsaved) << "what was saved was another day's";
  // Nor one that was a day behind for a while, with a restart meanwhile.
  quota.SetDay(kNow.monotonic, {kMidnight - 24h, kMidnight});
  StateWriter writer;
  quota.Encode(writer, kNow, quota.used());
  DailyQuota restored(kNow, 100, {kMidnight - 24h, kMidnight});
  ASSERT_TRUE(restored.Restore(writer.fields(), kNow));
  restored.SetDay(kNow.monotonic, kDay);
  EXPECT_EQ(restored.used(), 60u);
}

TEST(DailyQuota, ANewQuotaCountsWhatWasUsed) {
  DailyQuota quota(kNow, 1000, kDay);
  for (int i = 0; i < 8; ++i) {
    SaveAhead(quota);
    quota.Take(kNow.monotonic);
  }
  quota.SetQuota(kNow.monotonic, 8);
  EXPECT_TRUE(quota.FullToday());
  quota.SetQuota(kNow.monotonic, 0);
  EXPECT_EQ(quota.Ask(kNow).binds, DailyQuota::Binds::kFull);
  quota.SetQuota(kNow.monotonic, 9);
  EXPECT_FALSE(quota.FullToday());
}

TEST(DailyQuota, WhatIsReturnedIsFreeAgainButNotForTheNextDay) {
  DailyQuota quota(kNow, 10, kDay);
  SaveAhead(quota);
  quota.Take(kNow.monotonic);
  quota.Return(kNow.monotonic, kNow.monotonic);
  EXPECT_EQ(quota.used(), 0u);
  quota.Take(kNow.monotonic);
  const Monotonic next = kNow.monotonic + 24h;
  quota.SetDay(next, kNextDay);
  SaveAhead(quota);
  quota.Take(next);
  quota.Return(next, kNow.monotonic);
  EXPECT_EQ(quota.used(), 1u);
}

TEST(DailyQuota, ComesBackFromDiskWithItsDay) {
  DailyQuota quota(kNow, 800, kDay);
  for (int i = 0; i < 3; ++i) {
    SaveAhead(quota);
    quota.Take(kNow.monotonic);
  }
  StateWriter writer;
  quota.Encode(writer, kNow, quota.used());
  const Now restart{Monotonic(1s), kNow.wall + 10ms};
  DailyQuota restored(restart, 800, kDay);
  ASSERT_TRUE(restored.Restore(writer.fields(), restart));
  restored.SetDay(restart.monotonic, kDay);
  EXPECT_EQ(restored.used(), 3u);
  // The pace too: 3 were sent at once, a rate of one in 36 s.
  EXPECT_EQ(restored.Ask(restart).binds, DailyQuota::Binds::kPace);
  // On the next day it begins anew.
  ASSERT_TRUE(restored.Restore(writer.fields(), restart));
  restored.SetDay(restart.monotonic, kNextDay);
  EXPECT_EQ(restored.used(), 0u);
}

TEST(DailyQuota, RestoresNothingFromADayThatCannotBe) {
  DailyQuota quota(kNow, 10, kDay);
  const auto record = [](Wall start, Wall end, std::uint64_t counter) {
    StateWriter writer;
    writer.Moment(1, start);
    writer.Moment(2, end);
    writer.Number(3, counter);
    writer.Real(4, 0);
    writer.Moment(5, start);
    return writer.fields();
  };
  EXPECT_TRUE(quota.Restore(record(kDay.start, kDay.end, 3), kNow));
  EXPECT_EQ(quota.used(), 3u);
  EXPECT_FALSE(quota.Restore(record(kDay.end, kDay.start, 7), kNow));
  EXPECT_FALSE(quota.Restore(record(kDay.start, kDay.end + 48h, 7), kNow));
  EXPECT_FALSE(quota.Restore("nonsense", kNow));
  EXPECT_FALSE(quota.Restore("", kNow));
  EXPECT_EQ(quota.used(), 3u);
}

}  // namespace
}  // namespace postrider
