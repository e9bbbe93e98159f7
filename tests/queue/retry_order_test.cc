#include "queue/retry_order.h"

#include <gtest/gtest.h>

namespace postrider::queue {
namespace {

Wall At(std::int64_t seconds) { return Wall(std::chrono::seconds(seconds)); }
constexpr std::chrono::milliseconds kTick{1};

TEST(RetryOrder, PutsNothingBehindWhatWasRead) {
  RetryOrder order(1);
  EXPECT_EQ(order.Observe(At(100)), At(100));
  EXPECT_EQ(order.Place(At(50), std::nullopt, false), At(100) + kTick);
  EXPECT_EQ(order.Place(At(200), std::nullopt, false), At(200));
}

TEST(RetryOrder, ReadsNothingBeyondWhatIsNotYetCommitted) {
  RetryOrder order(1);
  EXPECT_EQ(order.Place(At(150), std::nullopt, false), At(150));
  EXPECT_EQ(order.Observe(At(200)), At(150) - kTick);
  order.Committed();
  EXPECT_EQ(order.Observe(At(200)), At(200));
}

TEST(RetryOrder, KeepsItsOrderWhenTheClockIsSetBack) {
  RetryOrder order(1);
  (void)order.Observe(At(1000));
  EXPECT_EQ(order.Observe(At(10)), At(10));
  EXPECT_EQ(order.Place(At(20), std::nullopt, false), At(1000) + kTick);
}

TEST(RetryOrder, PutsEndingJobsAfterAllOthersInOrderOfComing) {
  RetryOrder order(1);
  const Wall first = order.Place(At(5), std::nullopt, true);
  const Wall second = order.Place(At(4), std::nullopt, true);
  EXPECT_GE(first, kEndingFrom);
  EXPECT_LT(first, second);
  (void)order.Observe(At(100));
  // Expired as far as a reader may have seen.
  EXPECT_GT(order.Place(At(200), At(100), false), second);
  EXPECT_EQ(order.Place(At(200), At(101), false), At(200));
  // Until that is committed, no reader may find the campaign expired.
  EXPECT_EQ(order.Observe(At(300)), At(101) - kTick);
}

TEST(RetryOrder, AdvancesOnlyWhatNobodyCanHaveTaken) {
  RetryOrder order(1);
  (void)order.Observe(At(100));
  EXPECT_EQ(order.Advance(At(100), At(90), std::nullopt), std::nullopt) << "a reader may have it";
  EXPECT_EQ(order.Advance(At(300), At(300), std::nullopt), std::nullopt) << "not earlier";
  EXPECT_EQ(order.Advance(At(300), At(400), std::nullopt), std::nullopt) << "later";
  EXPECT_EQ(order.Advance(kEndingFrom, At(200), std::nullopt), std::nullopt) << "it ends anyway";
  EXPECT_EQ(order.Advance(At(300), At(200), At(100)), std::nullopt) << "a reader may have all of an expired campaign";
  EXPECT_EQ(order.Observe(At(150)), At(150)) << "nothing was moved";
  EXPECT_EQ(order.Advance(At(300), At(200), At(250)), At(200));
  EXPECT_EQ(order.Advance(At(300), At(120), std::nullopt), At(150) + kTick);
  // Until the commit nobody reads where they were, nor where they will be, nor ends their campaign.
  EXPECT_EQ(order.Observe(At(400)), At(150));
  order.Committed();
  EXPECT_EQ(order.Observe(At(400)), At(400));
}

TEST(RetryOrder, AdvancesNothingPastTheExpiryThatAReaderMightSee) {
  RetryOrder order(1);
  EXPECT_EQ(order.Advance(At(300), At(200), At(150)), At(200));
  EXPECT_EQ(order.Observe(At(400)), At(150) - kTick);
}

TEST(RetryOrder, BearsMomentsAtTheEdges) {
  RetryOrder order(1);
  EXPECT_LT(order.Observe(Wall::max()), kEndingFrom);
  EXPECT_LT(order.Place(Wall::max(), std::nullopt, false), kEndingFrom);
  EXPECT_GT(order.Place(Wall::min(), std::nullopt, false), Wall{});
}

TEST(RetryOrder, PutsEndingJobsAfterThoseOfEarlierRuns) {
  RetryOrder first(1);
  RetryOrder second(2);
  Wall last{};
  for (int i = 0; i < 1000; ++i) last = first.Place(At(5), std::nullopt, true);
  EXPECT_GT(second.Place(At(5), std::nullopt, true), last);
}

TEST(RetryOrder, LetsNoReaderPastTheExpiryOfWhatIsBeingPaused) {
  RetryOrder order(1);
  (void)order.Observe(At(100));
  EXPECT_FALSE(order.PauseBefore(At(100)));
  EXPECT_TRUE(order.PauseBefore(At(101)));
  EXPECT_EQ(order.Observe(At(200)), At(101) - kTick);
  order.Committed();
  EXPECT_EQ(order.Observe(At(200)), At(200));
}

TEST(RetryHeads, KnowsAHeadUntilSomethingIsPut) {
  RetryHeads heads;
  DomainRecord record;
  record.retry_from = At(10);
  record.retry_stamp = 5;
  EXPECT_EQ(heads.From("key", record), At(10));
  heads.Learn("key", record, At(30));
  EXPECT_EQ(heads.From("key", record), At(30));
  record.retry_stamp = 6;
  EXPECT_EQ(heads.From("key", record), At(10));
  // A reader that was slower with an older view changes nothing.
  heads.Learn("key", record, At(20));
  DomainRecord old = record;
  old.retry_stamp = 5;
  heads.Learn("key", old, At(40));
  EXPECT_EQ(heads.From("key", record), At(20));
}

TEST(GenerationCache, ForgetsWhatWasNotUsedForTwoTurns) {
  GenerationCache<int> cache(2);
  cache.Insert("a", 1);
  cache.Insert("b", 2);
  cache.Turn();
  ASSERT_NE(cache.Find("a"), nullptr);
  cache.Insert("c", 3);
  EXPECT_EQ(cache.size(), 3u);
  cache.Turn();
  EXPECT_EQ(cache.Find("b"), nullptr);
  ASSERT_NE(cache.Find("a"), nullptr);
  EXPECT_EQ(cache.Find("a")->second, 1);
  cache.Erase("a");
  EXPECT_EQ(cache.Find("a"), nullptr);
}

TEST(GenerationCache, KeepsPlacesValidBetweenTurns) {
  GenerationCache<int> cache(1);
  auto* a = &cache.Insert("a", 1);
  cache.Turn();
  EXPECT_EQ(cache.Find("a"), a);
  for (int i = 0; i < 1000; ++i) cache.Insert(std::to_string(i), i);
  EXPECT_EQ(cache.Find("a"), a);
  EXPECT_EQ(a->second, 1);
}

}  // namespace
}  // namespace postrider::queue
