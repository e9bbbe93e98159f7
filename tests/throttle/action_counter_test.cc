#include "throttle/action_counter.h"

#include <gtest/gtest.h>

#include <deque>
#include <random>
#include <string>

namespace postrider {
namespace {

using namespace std::chrono_literals;

const Monotonic kStart{1000h};

ReplyAction Action(int threshold, std::chrono::seconds period) {
  ReplyAction action;
  action.kind = ActionKind::kStopPath;
  action.threshold = threshold;
  action.period = period;
  return action;
}

TEST(ActionCounter, AThresholdOfOneFiresAtOnceAndKeepsNothing) {
  ActionCounter counter;
  EXPECT_TRUE(counter.Count("ts04", Action(1, 600s), kStart));
  EXPECT_EQ(counter.entries(), 0u);
}

TEST(ActionCounter, FiresAtTheThirdWithinThePeriod) {
  ActionCounter counter;
  const ReplyAction action = Action(3, 600s);
  EXPECT_FALSE(counter.Count("rate", action, kStart));
  EXPECT_FALSE(counter.Count("rate", action, kStart + 300s));
  EXPECT_EQ(counter.Counted("rate", {}, action, kStart + 300s), 2);
  // The first is exactly a period old.
  EXPECT_FALSE(counter.Count("rate", action, kStart + 600s));
  EXPECT_TRUE(counter.Count("rate", action, kStart + 899s));
  // And counts anew.
  EXPECT_FALSE(counter.Count("rate", action, kStart + 899s));
  EXPECT_FALSE(counter.Count("rate", action, kStart + 899s));
  EXPECT_TRUE(counter.Count("rate", action, kStart + 899s));
}

TEST(ActionCounter, RulesAndTargetsCountEachForThemselves) {
  ActionCounter counter;
  const ReplyAction action = Action(2, 600s);
  EXPECT_FALSE(counter.Count("a", "mx1", action, kStart));
  EXPECT_FALSE(counter.Count("a", "mx2", action, kStart));
  EXPECT_FALSE(counter.Count("b", "mx1", action, kStart));
  EXPECT_TRUE(counter.Count("a", "mx2", action, kStart));
  EXPECT_TRUE(counter.Count("a", "mx1", action, kStart));
}

TEST(ActionCounter, TheOneHitLongestAgoMakesRoom) {
  ActionCounter counter(3);
  const ReplyAction action = Action(2, 600s);
  for (int i = 0; i < 3; ++i) EXPECT_FALSE(counter.Count(std::to_string(i), action, kStart + i * 1s));
  EXPECT_FALSE(counter.Count("3", action, kStart + 3s));
  EXPECT_EQ(counter.entries(), 3u);
  EXPECT_EQ(counter.Counted("0", {}, action, kStart + 3s), 0);
  EXPECT_TRUE(counter.Count("1", action, kStart + 4s));
}

TEST(ActionCounter, AHugeThresholdStaysBounded) {
  ActionCounter counter;
  const ReplyAction action = Action(1'000'000, 600s);
  int fired_at = 0;
  for (int i = 1; i <= 2000 && fired_at == 0; ++i) {
    if (counter.Count("many", action, kStart)) fired_at = i;
  }
  EXPECT_EQ(fired_at, ReplyAction::kThresholdMax);
}

TEST(ActionCounter, AgreesWithCountingEverything) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    std::mt19937_64 random(seed);
    const ReplyAction action = Action(2 + static_cast<int>(random() % 6), std::chrono::seconds(1 + random() % 600));
    ActionCounter counter;
    std::deque<Monotonic> hits;
    Monotonic now = kStart;
    int fired = 0;
    for (int i = 0; i < 2000; ++i) {
      now += std::chrono::seconds(random() % (static_cast<std::uint64_t>(action.period.count()) / 2 + 1));
      hits.push_back(now);
      while (now - hits.front() >= action.period) hits.pop_front();
      const bool expected = hits.size() >= static_cast<std::size_t>(action.threshold);
      ASSERT_EQ(counter.Count("rule", action, now), expected) << seed << " " << i;
      if (expected) {
        hits.clear();
        ++fired;
      }
    }
    EXPECT_GT(fired, 0) << seed;
  }
}

}  // namespace
}  // namespace postrider
