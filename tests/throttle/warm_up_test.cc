#include "throttle/warm_up.h"

#include <gtest/gtest.h>

#include <algorithm>

namespace postrider {
namespace {

using namespace std::chrono_literals;

const Wall kMidnight{std::chrono::sys_days(std::chrono::November / 23 / 2026)};
const Now kNow{Monotonic(1000h), kMidnight};

CalendarDay Day(int number) { return {kMidnight + number * 24h, kMidnight + (number + 1) * 24h}; }

WarmUpPlan Plan() {
  WarmUpPlan plan;
  plan.start = kMidnight;
  plan.quotas = {10, 20, 40, 80};
  return plan;
}

void Send(WarmUp& warm_up, int count) {
  for (int i = 0; i < count; ++i) warm_up.quota().Take(kNow.monotonic);
}

TEST(WarmUp, TheTableRisesFromFiftyTo175000InThirtyDays) {
  const std::vector<std::uint64_t> quotas = WarmUpPlan::DefaultQuotas();
  ASSERT_EQ(quotas.size(), 30u);
  EXPECT_EQ(quotas.front(), 50u);
  EXPECT_EQ(quotas[9], 10'000u);
  EXPECT_EQ(quotas.back(), 175'000u);
  EXPECT_TRUE(std::ranges::is_sorted(quotas));
  for (std::size_t i = 1; i < quotas.size(); ++i) EXPECT_LE(quotas[i], 2 * quotas[i - 1]) << i;
}

TEST(WarmUp, MovesOnOnlyOnAGoodDay) {
  struct Case {
    int sent;
    int deferred;
    std::uint32_t next;
  };
  for (const Case& one : {Case{7, 0, 1}, Case{6, 0, 0}, Case{10, 0, 1}, Case{10, 1, 0}, Case{0, 0, 0}}) {
    WarmUp warm_up(kNow, Plan(), Day(0));
    Send(warm_up, one.sent);
    for (int i = 0; i < one.deferred; ++i) warm_up.Deferred();
    warm_up.SetDay(kNow.monotonic, Day(1));
    EXPECT_EQ(warm_up.day_index(), one.next) << one.sent << " sent, " << one.deferred << " deferred";
    EXPECT_EQ(warm_up.quota().used(), 0u);
    EXPECT_EQ(warm_up.quota().per_day(), one.next == 1 ? 20u : 10u);
  }
}

TEST(WarmUp, DaysWithoutMailDoNotCount) {
  WarmUp warm_up(kNow, Plan(), Day(0));
  Send(warm_up, 10);
  // The next mail is a week later: one good day is one step.
  warm_up.SetDay(kNow.monotonic, Day(7));
  EXPECT_EQ(warm_up.day_index(), 1u);
}

TEST(WarmUp, IsWarmBehindTheTable) {
  WarmUp warm_up(kNow, Plan(), Day(0));
  for (int day = 1; day <= 4; ++day) {
    EXPECT_FALSE(warm_up.warm());
    Send(warm_up, static_cast<int>(warm_up.quota().per_day()));
    EXPECT_TRUE(warm_up.quota().FullToday());
    warm_up.SetDay(kNow.monotonic, Day(day));
  }
  EXPECT_TRUE(warm_up.warm());
  // Troubles of a warm source are for others to judge.
  warm_up.Blocked(kNow.monotonic);
  EXPECT_TRUE(warm_up.warm());
}

TEST(WarmUp, ABlockGoesTwoDaysBackOnceADay) {
  WarmUp warm_up(kNow, Plan(), Day(0));
  for (int day = 1; day <= 3; ++day) {
    Send(warm_up, static_cast<int>(warm_up.quota().per_day()));
    warm_up.SetDay(kNow.monotonic, Day(day));
  }
  ASSERT_EQ(warm_up.day_index(), 3u);
  Send(warm_up, 30);
  warm_up.Blocked(kNow.monotonic);
  warm_up.Blocked(kNow.monotonic);
  EXPECT_EQ(warm_up.day_index(), 1u);
  // What was sent today is more than the smaller quota.
  EXPECT_TRUE(warm_up.quota().FullToday());
  // And the day, though well used, does not move on.
  warm_up.SetDay(kNow.monotonic, Day(4));
  EXPECT_EQ(warm_up.day_index(), 1u);
  warm_up.Blocked(kNow.monotonic);
  EXPECT_EQ(warm_up.day_index(), 0u);
}

TEST(WarmUp, ALaterStartBeginsAgain) {
  WarmUp warm_up(kNow, Plan(), Day(0));
  Send(warm_up, 10);
  warm_up.SetDay(kNow.monotonic, Day(1));
  WarmUpPlan plan = Plan();
  plan.quotas.back() = 100;
  warm_up.SetPlan(kNow, plan);
  EXPECT_EQ(warm_up.day_index(), 1u);
  plan.start += 24h;
  warm_up.SetPlan(kNow, plan);
  EXPECT_EQ(warm_up.day_index(), 0u);
}

TEST(WarmUp, ComesBackFromDiskAndJudgesTheDayItWasAway) {
  WarmUp warm_up(kNow, Plan(), Day(0));
  Send(warm_up, 10);
  warm_up.SetDay(kNow.monotonic, Day(1));
  Send(warm_up, 15);
  StateWriter writer;
  warm_up.Encode(writer, kNow, warm_up.quota().used());

  WarmUp restored(kNow, Plan(), Day(1));
  ASSERT_TRUE(restored.Restore(writer.fields(), kNow));
  restored.SetDay(kNow.monotonic, Day(1));
  EXPECT_EQ(restored.day_index(), 1u);
  EXPECT_EQ(restored.quota().used(), 15u);
  EXPECT_EQ(restored.quota().per_day(), 20u);

  WarmUp next_day(kNow, Plan(), Day(2));
  ASSERT_TRUE(next_day.Restore(writer.fields(), kNow));
  next_day.SetDay(kNow.monotonic, Day(2));
  EXPECT_EQ(next_day.day_index(), 2u);

  WarmUpPlan again = Plan();
  again.start += 24h;
  WarmUp anew(kNow, again, Day(1));
  ASSERT_TRUE(anew.Restore(writer.fields(), kNow));
  anew.SetDay(kNow.monotonic, Day(1));
  EXPECT_EQ(anew.day_index(), 0u);
  // What was sent today was sent today.
  EXPECT_EQ(anew.quota().used(), 15u);
}

TEST(WarmUp, RestoresNothingFromGarbage) {
  WarmUp warm_up(kNow, Plan(), Day(0));
  Send(warm_up, 3);
  EXPECT_FALSE(warm_up.Restore("", kNow));
  EXPECT_FALSE(warm_up.Restore("\x01\x02nonsense", kNow));
  StateWriter writer;
  writer.Moment(1, kMidnight);
  writer.Number(2, 99);
  writer.Text(6, "no quota");
  EXPECT_FALSE(warm_up.Restore(writer.fields(), kNow));
  EXPECT_EQ(warm_up.day_index(), 0u);
  EXPECT_EQ(warm_up.quota().used(), 3u);
}

}  // namespace
}  // namespace postrider
