#include "throttle/path_limits.h"

#include <gtest/gtest.h>

namespace postrider {
namespace {

using namespace std::chrono_literals;

const Monotonic kStart{std::chrono::hours(1000)};

EffectiveRule Rule(int connections, std::optional<double> per_second) {
  EffectiveRule rule;
  rule.connections = connections;
  rule.messages_per_connection = 3;
  if (per_second) rule.message_rate = RateLimit{.per_second = *per_second};
  rule.idle = seconds(5);
  return rule;
}

TEST(PathLimits, WithoutARateEveryMessageGoes) {
  PathLimits limits(kStart, Rule(1, std::nullopt));
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(limits.AdmitMessage(kStart).Go());
}

TEST(PathLimits, TheRateBindsAndSaysUntilWhen) {
  PathLimits limits(kStart, Rule(1, 2.0));
  EXPECT_TRUE(limits.AdmitMessage(kStart).Go());
  EXPECT_TRUE(limits.AdmitMessage(kStart).Go());
  const Admission refused = limits.AdmitMessage(kStart);
  EXPECT_FALSE(refused.Go());
  EXPECT_EQ(refused.limit, Limit::kMessageRate);
  EXPECT_EQ(refused.not_before, kStart + 500ms);
  EXPECT_TRUE(limits.AdmitMessage(refused.not_before).Go());
}

TEST(PathLimits, ASlowRateHasABurstOfOne) {
  PathLimits limits(kStart, Rule(1, 0.1));
  EXPECT_TRUE(limits.AdmitMessage(kStart).Go());
  EXPECT_EQ(limits.AdmitMessage(kStart).not_before, kStart + 10s);
}

TEST(PathLimits, ARefusalOrAQuestionTakesNothing) {
  PathLimits limits(kStart, Rule(1, 1.0));
  EXPECT_TRUE(limits.AskMessage(kStart).Go());
  EXPECT_TRUE(limits.AskMessage(kStart).Go());
  EXPECT_TRUE(limits.AdmitMessage(kStart).Go());
  for (int i = 0; i < 10; ++i) EXPECT_EQ(limits.AdmitMessage(kStart).not_before, kStart + 1s);
}

TEST(PathLimits, APermitThatCouldNotGoReturns) {
  PathLimits limits(kStart, Rule(1, 1.0));
  EXPECT_TRUE(limits.AdmitMessage(kStart).Go());
  limits.ReturnMessage(kStart);
  EXPECT_TRUE(limits.AdmitMessage(kStart).Go());
  EXPECT_FALSE(limits.AdmitMessage(kStart).Go());
}

TEST(PathLimits, AnswersWithTheLatestOfAllLimits) {
  PathLimits limits(kStart, Rule(1, 0.01));
  EXPECT_TRUE(limits.AdmitMessage(kStart).Go());
  limits.backoff().Fail(kStart, 0);
  // The rate holds for 100 s, the back-off for 60.
  EXPECT_EQ(limits.AdmitMessage(kStart).limit, Limit::kMessageRate);
  EXPECT_EQ(limits.AdmitMessage(kStart).not_before, kStart + 100s);
  limits.backoff().Succeed();
  limits.backoff().Fail(kStart + 50s, 0);
  EXPECT_EQ(limits.AdmitMessage(kStart + 50s).limit, Limit::kBackoff);
  EXPECT_EQ(limits.AdmitMessage(kStart + 50s).not_before, kStart + 110s);
  EXPECT_TRUE(limits.AdmitMessage(kStart + 110s).Go());
}

TEST(PathLimits, ConnectionsAreCountedFromConnectToClose) {
  PathLimits limits(kStart, Rule(2, std::nullopt));
  EXPECT_TRUE(limits.MayConnect(kStart));
  limits.Connected();
  limits.Connected();
  EXPECT_FALSE(limits.MayConnect(kStart));
  EXPECT_EQ(limits.AskConnect(kStart).limit, Limit::kConnections);
  EXPECT_EQ(limits.AskConnect(kStart).not_before, Monotonic::max());
  limits.Disconnected();
  EXPECT_TRUE(limits.MayConnect(kStart));
  EXPECT_EQ(limits.connections(), 1);
}

TEST(PathLimits, BackOffHoldsConnectsToo) {
  PathLimits limits(kStart, Rule(2, std::nullopt), Backoff(10s, 20s));
  limits.backoff().Fail(kStart, 0);
  EXPECT_EQ(limits.AskConnect(kStart).limit, Limit::kBackoff);
  EXPECT_EQ(limits.AskConnect(kStart).not_before, kStart + 10s);
  EXPECT_TRUE(limits.MayConnect(kStart + 10s));
}

TEST(PathLimits, ANewRuleKeepsTheHistoryAndLetsOpenConnectionsRunOut) {
  PathLimits limits(kStart, Rule(3, 1.0));
  EXPECT_TRUE(limits.AdmitMessage(kStart).Go());
  for (int i = 0; i < 3; ++i) limits.Connected();
  limits.SetRule(kStart, Rule(1, 0.5));
  EXPECT_EQ(limits.AdmitMessage(kStart).not_before, kStart + 2s);
  EXPECT_EQ(limits.connections(), 3);
  limits.Disconnected();
  limits.Disconnected();
  EXPECT_FALSE(limits.MayConnect(kStart));
  limits.Disconnected();
  EXPECT_TRUE(limits.MayConnect(kStart));
  // The limit taken away and set again: what was sent before still counts.
  limits.SetRule(kStart, Rule(1, std::nullopt));
  EXPECT_TRUE(limits.AdmitMessage(kStart).Go());
  limits.SetRule(kStart, Rule(1, 0.5));
  EXPECT_EQ(limits.AskMessage(kStart).not_before, kStart + 2s);
}

TEST(PathLimits, AConnectionIsUsedUpAtItsLastMessage) {
  const PathLimits limits(kStart, Rule(1, std::nullopt));
  EXPECT_FALSE(limits.UsedUp(2));
  EXPECT_TRUE(limits.UsedUp(3));
}

TEST(PathLimits, LimitsHaveNamesForPeople) {
  EXPECT_EQ(ToString(Limit::kNone), "none");
  EXPECT_EQ(ToString(Limit::kBackoff), "backoff");
  EXPECT_EQ(ToString(Limit::kMessageRate), "message-rate");
  EXPECT_EQ(ToString(Limit::kConnections), "connections");
}

}  // namespace
}  // namespace postrider
