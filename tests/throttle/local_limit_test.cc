#include "throttle/local_limit.h"

#include <gtest/gtest.h>

namespace postrider {
namespace {

using namespace std::chrono_literals;

const Monotonic kStart{1000h};

TEST(LocalLimit, UnsetItNeverBinds) {
  LocalLimit limit(Limit::kTotalRate, Limit::kTotalConnections);
  EXPECT_FALSE(limit.limited());
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(limit.AdmitMessage(kStart).Go());
  limit.ReturnMessage(kStart, kStart);
  limit.Connecting();
  EXPECT_TRUE(limit.AskConnect(kStart).Go());
  limit.Disconnected();
}

TEST(LocalLimit, AnswersUnderItsOwnNames) {
  LocalLimit limit(Limit::kTotalRate, Limit::kTotalConnections);
  limit.Set(kStart, RateLimit{1, 2}, 1);
  EXPECT_TRUE(limit.AdmitMessage(kStart).Go());
  EXPECT_TRUE(limit.AdmitMessage(kStart).Go());
  EXPECT_EQ(limit.AskMessage(kStart).limit, Limit::kTotalRate);
  EXPECT_EQ(limit.AskMessage(kStart).not_before, kStart + 1s);
  limit.Connecting();
  EXPECT_EQ(limit.AskConnect(kStart).limit, Limit::kTotalConnections);
  EXPECT_EQ(limit.AskConnect(kStart).not_before, Monotonic::max());
  limit.Disconnected();
  EXPECT_TRUE(limit.AskConnect(kStart).Go());
  limit.ReturnMessage(kStart, kStart);
  EXPECT_TRUE(limit.AskMessage(kStart).Go());
}

TEST(LocalLimit, LeavesTheReserveToOthers) {
  LocalLimit limit(Limit::kCampaignAtProvider);
  limit.Set(kStart, RateLimit{10, 10});
  int sent = 0;
  while (limit.AdmitMessage(kStart, 0.2).Go()) ++sent;
  EXPECT_EQ(sent, 8);
  EXPECT_TRUE(limit.AdmitMessage(kStart).Go());
}

TEST(LocalLimit, KeepsItsHistoryWhenTheRateChanges) {
  LocalLimit limit(Limit::kTotalRate);
  limit.Set(kStart, RateLimit{10, 10});
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(limit.AdmitMessage(kStart).Go());
  limit.Set(kStart, RateLimit{1, 1});
  EXPECT_EQ(limit.AskMessage(kStart).not_before, kStart + 1s);
  limit.Set(kStart, std::nullopt);
  EXPECT_TRUE(limit.AskMessage(kStart).Go());
}

}  // namespace
}  // namespace postrider
