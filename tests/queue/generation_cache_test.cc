#include "queue/generation_cache.h"

#include <gtest/gtest.h>

#include <string>

namespace postrider::queue {
namespace {

TEST(GenerationCache, KeepsWhatWasUsedSinceTheLastTurn) {
  GenerationCache<int> cache(2);
  cache.Insert("a", 1);
  cache.Insert("b", 2);
  cache.Turn();
  ASSERT_NE(cache.Find("a"), nullptr);
  cache.Insert("c", 3);
  cache.Turn();
  EXPECT_NE(cache.Find("a"), nullptr);
  EXPECT_NE(cache.Find("c"), nullptr);
  EXPECT_EQ(cache.Find("b"), nullptr);
}

TEST(GenerationCache, SaysWhetherAnythingWasLost) {
  GenerationCache<int> cache(2);
  for (int i = 0; i < 4; ++i) {
    EXPECT_EQ(cache.losses(), 0u) << i;
    cache.Insert(std::to_string(i), i);
    cache.Turn();
  }
  EXPECT_EQ(cache.losses(), 1u) << "the first two were forgotten for the last two";
  EXPECT_EQ(cache.Find("0"), nullptr);
  EXPECT_NE(cache.Find("3"), nullptr);

  cache.Clear();
  EXPECT_EQ(cache.losses(), 2u);
  EXPECT_EQ(cache.Find("3"), nullptr);
}

}  // namespace
}  // namespace postrider::queue
