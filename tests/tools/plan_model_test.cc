// Hand-computed: each expectation says its sum.
#include "tools/plan_model.h"

#include <gtest/gtest.h>

namespace postrider::tools {
namespace {

using std::chrono::days;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::seconds;

const Wall kMidnight{std::chrono::sys_days(std::chrono::year(2026) / 11 / 24)};  // a Tuesday

// One source, one allowance that nothing limits, one receiver.
PlanInput One(std::uint64_t recipients) {
  PlanInput input;
  input.start = kMidnight;
  input.sources = {{.name = "a"}};
  input.allowances = {{.name = "google", .rule = {}}};
  input.receivers = {
      {.name = "google", .is_provider = true, .recipients = recipients, .domains = 1, .allowances = {0}}};
  input.seconds_per_message = 0.5;
  input.seconds_per_connection = 1;
  return input;
}

double SecondsOf(const std::optional<Wall>& moment) {
  return moment ? std::chrono::duration<double>(*moment - kMidnight).count() : -1;
}

TEST(Plan, IsDoneAtOnceWithoutRecipients) {
  const PlanOutcome outcome = Forecast(One(0));
  EXPECT_EQ(outcome.done, kMidnight);
  EXPECT_EQ(outcome.receivers[0].done, kMidnight);
}

TEST(Plan, AMessageRateDecides) {
  PlanInput input = One(36'000);
  input.allowances[0].rule.message_rate = RateLimit{10, 0};
  const PlanOutcome outcome = Forecast(input);
  // 36,000 / 10 a second.
  EXPECT_NEAR(SecondsOf(outcome.done), 3600, 0.01);
  EXPECT_EQ(outcome.receivers[0].decides, Limit::kMessageRate);
  EXPECT_NEAR(outcome.receivers[0].rate, 10, 1e-9);
  EXPECT_EQ(outcome.last, 0u);
}

TEST(Plan, ConnectionsCarryWhatAMessageTakesAndTheirOpening) {
  PlanInput input = One(1000);
  input.allowances[0].rule.connections = 4;
  input.allowances[0].rule.messages_per_connection = 20;
  // A message takes 0.5 s and a twentieth of the second that opening takes: 0.55 s; four at a time.
  EXPECT_NEAR(SecondsOf(Forecast(input).done), 1000 * 0.55 / 4, 0.01);
  EXPECT_EQ(Forecast(input).receivers[0].decides, Limit::kConnections);
  // Two sites of one connection each are less than four.
  input.allowances[0].rule.site_connections = 1;
  input.allowances[0].sites = 2;
  EXPECT_NEAR(SecondsOf(Forecast(input).done), 1000 * 0.55 / 2, 0.01);
  EXPECT_EQ(Forecast(input).receivers[0].decides, Limit::kSiteConnections);
}

TEST(Plan, NewConnectionsCarrySoManyMessagesEach) {
  PlanInput input = One(1200);
  input.allowances[0].rule.connect_rate = RateLimit{0.2, 0};
  input.allowances[0].rule.messages_per_connection = 10;
  // 0.2 connections a second, ten messages each: two a second.
  EXPECT_NEAR(SecondsOf(Forecast(input).done), 600, 0.01);
  EXPECT_EQ(Forecast(input).receivers[0].decides, Limit::kConnectRate);
}

TEST(Plan, EachSourceHasAnAllowanceOfItsOwn) {
  PlanInput input = One(3000);
  input.allowances[0].rule.message_rate = RateLimit{1, 0};
  input.sources = {{.name = "a, b", .alike = 2}, {.name = "c"}};
  EXPECT_NEAR(SecondsOf(Forecast(input).done), 1000, 0.01);
  input.allowances[0].rule.total_message_rate = RateLimit{2, 0};
  EXPECT_NEAR(SecondsOf(Forecast(input).done), 1500, 0.01);
  EXPECT_EQ(Forecast(input).receivers[0].decides, Limit::kTotalRate);
}

TEST(Plan, AQuotaIsPacedAndGoesOnTheNextDay) {
  PlanInput input = One(20'000);
  input.allowances[0].rule.daily_quota = 8000;
  // 1,000 an hour for eight hours a day: 8,000 today, 8,000 tomorrow, 4,000 in four hours of the day after.
  const PlanOutcome outcome = Forecast(input);
  EXPECT_NEAR(SecondsOf(outcome.done), 2 * 86'400 + 4 * 3600, 1);
  EXPECT_EQ(outcome.receivers[0].decides, Limit::kDailyQuota);
  // A start at 20:00 leaves four hours of today: 4,000, then 8,000, then 8,000.
  input.start = kMidnight + hours(20);
  EXPECT_NEAR(SecondsOf(Forecast(input).done), 2 * 86'400 + 8 * 3600, 1);
}

TEST(Plan, DaysAreThoseOfTheRulesTimeZone) {
  PlanInput input = One(8001);
  input.allowances[0].rule.daily_quota = 8000;
  input.allowances[0].rule.time_zone = "America/New_York";
  // At 00:00 UTC it is 19:00 there, so five hours and 5,000 are left of the day; 3,001 more take 3 h 3.6 s.
  EXPECT_NEAR(SecondsOf(Forecast(input).done), 5 * 3600 + 3 * 3600 + 3.6, 1);
}

TEST(Plan, AWarmingSourceFollowsItsDayTable) {
  PlanInput input = One(500);
  input.warm_up_quotas = {80, 160, 320};
  input.sources[0].warm_up_day = 0;
  // 80 on the first day, 160 on the second, then 260 at 40 an hour (an eighth of 320): 6.5 h.
  EXPECT_NEAR(SecondsOf(Forecast(input).done), 2 * 86'400 + 6.5 * 3600, 1);
  EXPECT_EQ(Forecast(input).receivers[0].decides, Limit::kWarmUp);
  // Behind the table the source is warm.
  input.receivers[0].recipients = 560 + 100;
  input.allowances[0].rule.message_rate = RateLimit{1, 0};
  EXPECT_NEAR(SecondsOf(Forecast(input).done), 3 * 86'400 + 100, 1);
  // What is warm takes what the warming one may not.
  input.sources.push_back({.name = "warm"});
  EXPECT_LT(SecondsOf(Forecast(input).done), 660);
}

TEST(Plan, ACampaignsRateIsSharedEvenly) {
  PlanInput input = One(1000);
  input.campaign_rate = 10;
  input.allowances.push_back({.name = "slow", .rule = {}});
  input.allowances[1].rule.message_rate = RateLimit{2, 0};
  input.receivers.push_back({.name = "slow", .recipients = 1000, .domains = 1, .allowances = {1}});
  const PlanOutcome outcome = Forecast(input);
  // The slow one takes 2 of the 10, the other the 8 that are left: 125 s; 1000 / 2 = 500 s.
  EXPECT_NEAR(SecondsOf(outcome.receivers[0].done), 125, 0.01);
  EXPECT_EQ(outcome.receivers[0].decides, Limit::kCampaignRate);
  EXPECT_NEAR(SecondsOf(outcome.receivers[1].done), 500, 0.01);
  EXPECT_EQ(outcome.receivers[1].decides, Limit::kMessageRate);
  EXPECT_EQ(outcome.last, 1u);
}

TEST(Plan, WideLimitsHoldOverAllReceivers) {
  PlanInput input = One(600);
  input.allowances.push_back({.name = "b", .rule = {}});
  input.receivers.push_back({.name = "b", .recipients = 600, .domains = 1, .allowances = {1}});
  const auto decided_by = [&](Limit limit, double after) {
    const PlanOutcome outcome = Forecast(input);
    EXPECT_NEAR(SecondsOf(outcome.done), after, 0.01) << ToString(limit);
    EXPECT_EQ(outcome.receivers[0].decides, limit);
  };
  input.sources[0].limits.rate = 4;
  decided_by(Limit::kSourceRate, 300);
  input.pool.rate = 3;
  decided_by(Limit::kPoolRate, 400);
  input.sender.rate = 2;
  decided_by(Limit::kSenderRate, 600);
  input.sender.rate.reset();
  input.pool.rate.reset();
  // One connection carries two a second, as a message takes 0.5 s.
  input.sources[0].limits.connections = 1;
  decided_by(Limit::kSourceConnections, 600);
  input.sources[0].limits.connections.reset();
  input.sender.connections = 1;
  decided_by(Limit::kSenderConnections, 600);
}

TEST(Plan, ADomainsOwnAllowanceAndItsProvidersBothHold) {
  PlanInput input = One(1000);
  input.allowances[0].rule.message_rate = RateLimit{10, 0};  // the provider
  input.allowances.push_back({.name = "example.org", .rule = {}});
  input.allowances[1].rule.message_rate = RateLimit{1, 0};
  input.receivers.push_back({.name = "example.org", .recipients = 100, .domains = 1, .allowances = {1, 0}});
  const PlanOutcome outcome = Forecast(input);
  // 1 a second for the domain leaves 9 for the rest: 100 s; then 100 of 1000 are left for 10 a second.
  EXPECT_NEAR(SecondsOf(outcome.receivers[1].done), 100, 0.01);
  EXPECT_NEAR(SecondsOf(outcome.receivers[0].done), 110, 0.01);
}

TEST(Plan, ManySmallDomainsGoBesideEachOther) {
  PlanInput input = One(1000);
  input.allowances[0].rule.message_rate = RateLimit{1, 0};
  input.allowances[0].parallel = 100;  // the largest has ten
  EXPECT_NEAR(SecondsOf(Forecast(input).done), 10, 0.01);
}

TEST(Plan, NothingGoesOutsideTheWindows) {
  PlanInput input = One(7200);
  input.allowances[0].rule.message_rate = RateLimit{1, 0};
  input.windows = {SendWindow::Parse("08:00-09:00").value()};
  // An hour today and an hour tomorrow.
  EXPECT_NEAR(SecondsOf(Forecast(input).done), 86'400 + 9 * 3600, 0.1);
  EXPECT_EQ(Forecast(input).receivers[0].decides, Limit::kWindow);
}

TEST(Plan, ACanaryGoesFirstAndIsWaitedFor) {
  PlanInput input = One(1000);
  input.allowances[0].rule.message_rate = RateLimit{1, 0};
  input.canary_share = 0.01;
  input.canary_wait = seconds(600);
  const PlanOutcome outcome = Forecast(input);
  EXPECT_NEAR(SecondsOf(outcome.canary_done), 10, 0.01);
  EXPECT_NEAR(SecondsOf(outcome.done), 10 + 600 + 990, 0.01);
}

TEST(Plan, SaysThatItNeverEnds) {
  PlanInput input = One(10);
  input.allowances[0].rule.daily_quota = 0;
  PlanOutcome outcome = Forecast(input);
  EXPECT_FALSE(outcome.done);
  EXPECT_EQ(outcome.receivers[0].decides, Limit::kDailyQuota);
  input = One(10);
  input.allowances[0].rule.message_rate = RateLimit{1e-12, 0};
  EXPECT_FALSE(Forecast(input).done);
  input.sources.clear();
  EXPECT_FALSE(Forecast(input).done);
}

TEST(Plan, AHundredReceiversWithQuotasOverAYearAreWorkedOutInAMoment) {
  PlanInput input = One(0);
  input.allowances.clear();
  input.receivers.clear();
  for (std::size_t i = 0; i < 100; ++i) {
    input.allowances.push_back({.name = "r", .rule = {}});
    input.allowances.back().rule.daily_quota = 1000;
    input.allowances.back().rule.connections = 8;
    input.receivers.push_back({.name = "r", .recipients = 365'000 - i * 1000, .domains = 1, .allowances = {i}});
  }
  const PlanOutcome outcome = Forecast(input);
  EXPECT_NEAR(SecondsOf(outcome.done), 364 * 86'400 + 8 * 3600, 60);
}

}  // namespace
}  // namespace postrider::tools
