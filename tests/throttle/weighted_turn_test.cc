#include "throttle/weighted_turn.h"

#include <gtest/gtest.h>

#include <array>
#include <random>
#include <vector>

namespace postrider {
namespace {

struct Campaign {
  int name = 0;
  int taken = 0;
  TurnLink<Campaign> link;
};
using Turns = WeightedTurn<Campaign, &Campaign::link>;

TEST(WeightedTurn, EachGoesAsOftenAsItsWeightInATurn) {
  Turns turns;
  EXPECT_EQ(turns.front(), nullptr);
  std::array<Campaign, 3> campaigns{};
  for (int i = 0; i < 3; ++i) campaigns[static_cast<std::size_t>(i)].name = i;
  turns.Add(campaigns[0], 1);
  turns.Add(campaigns[1], 3);
  turns.Add(campaigns[2], 2);
  std::vector<int> order;
  for (int i = 0; i < 12; ++i) {
    order.push_back(turns.front()->name);
    turns.Charge();
  }
  EXPECT_EQ(order, (std::vector<int>{0, 1, 1, 1, 2, 2, 0, 1, 1, 1, 2, 2}));
  for (Campaign& campaign : campaigns) turns.Remove(campaign);
  EXPECT_TRUE(turns.empty());
}

TEST(WeightedTurn, WhoPassesKeepsItsPlaceInTheRing) {
  Turns turns;
  std::array<Campaign, 2> campaigns{};
  turns.Add(campaigns[0], 5);
  turns.Add(campaigns[1], 1);
  turns.Charge();
  turns.Pass();
  EXPECT_EQ(turns.front(), &campaigns[1]);
  turns.Charge();
  // It begins its next turn whole.
  for (int i = 0; i < 5; ++i) {
    EXPECT_EQ(turns.front(), &campaigns[0]);
    turns.Charge();
  }
  EXPECT_EQ(turns.front(), &campaigns[1]);
  turns.Remove(campaigns[1]);
  turns.Remove(campaigns[0]);
}

TEST(WeightedTurn, LeavingInTheMiddleOfATurnHandsItOn) {
  Turns turns;
  std::array<Campaign, 3> campaigns{};
  for (Campaign& campaign : campaigns) turns.Add(campaign, 4);
  turns.Charge();
  turns.Remove(campaigns[0]);
  EXPECT_FALSE(Turns::Linked(campaigns[0]));
  EXPECT_EQ(turns.front(), &campaigns[1]);
  // Coming back it stands behind all others, with nothing saved up.
  turns.Add(campaigns[0], 4);
  for (int i = 0; i < 8; ++i) turns.Charge();
  EXPECT_EQ(turns.front(), &campaigns[0]);
  for (Campaign& campaign : campaigns) turns.Remove(campaign);
  EXPECT_EQ(turns.size(), 0u);
}

TEST(WeightedTurn, ANewWeightCountsFromTheNextTurn) {
  Turns turns;
  std::array<Campaign, 2> campaigns{};
  turns.Add(campaigns[0], 2);
  turns.Add(campaigns[1], 1);
  turns.SetWeight(campaigns[0], 3);
  for (int i = 0; i < 3; ++i) turns.Charge();
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(turns.front(), &campaigns[0]);
    turns.Charge();
  }
  EXPECT_EQ(turns.front(), &campaigns[1]);
  turns.Remove(campaigns[0]);
  turns.Remove(campaigns[1]);
}

TEST(WeightedTurn, SharesFollowTheWeightsWhileTheSameWait) {
  std::mt19937_64 random(3);
  for (int round = 0; round < 20; ++round) {
    Turns turns;
    std::vector<Campaign> campaigns(1 + random() % 10);
    std::vector<std::uint32_t> weights;
    double sum = 0;
    for (Campaign& campaign : campaigns) {
      weights.push_back(1 + static_cast<std::uint32_t>(random() % 20));
      sum += weights.back();
      turns.Add(campaign, weights.back());
    }
    constexpr int kTaken = 50'000;
    for (int i = 0; i < kTaken; ++i) {
      ++turns.front()->taken;
      turns.Charge();
    }
    for (std::size_t i = 0; i < campaigns.size(); ++i) {
      EXPECT_NEAR(campaigns[i].taken, kTaken * weights[i] / sum, weights[i]);
      turns.Remove(campaigns[i]);
    }
  }
}

}  // namespace
}  // namespace postrider
