#include "engine/observe/throttle_metrics.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "engine/observe/metrics.h"

namespace postrider::observe {
namespace {

using delivery::AllowanceSnapshot;
using delivery::GuardKind;
using delivery::GuardSnapshot;
using delivery::GuardState;
using delivery::SiteMode;
using testing::HasSubstr;
using testing::Not;

AllowanceSnapshot Allowance(std::string source, std::string receiver, bool is_provider) {
  AllowanceSnapshot allowance;
  allowance.source = std::move(source);
  allowance.receiver = std::move(receiver);
  allowance.is_provider = is_provider;
  return allowance;
}

std::string Page(const Snapshot& snapshot, const EventCounts& events = {}) {
  return RenderMetrics(snapshot, {}, events);
}

TEST(ThrottleMetrics, CountActionsRulesAndUnmatchedRepliesOverAllCores) {
  Snapshot snapshot;
  for (int i = 0; i < 2; ++i) {
    delivery::CoreSnapshot& core = snapshot.cores.emplace_back();
    core.counts.actions[static_cast<std::size_t>(ActionKind::kStopPath)] = 2;
    core.counts.unmatched_replies = 5;
    core.rule_hits["gmail-rate"] = 7;
  }
  const std::string page = Page(snapshot);
  EXPECT_THAT(page, HasSubstr("postrider_actions_total{action=\"stop-path\"} 4\n"));
  EXPECT_THAT(page, HasSubstr("postrider_actions_total{action=\"pause-sender\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("postrider_reply_rule_hits_total{rule=\"gmail-rate\"} 14\n"));
  EXPECT_THAT(page, HasSubstr("postrider_unmatched_replies_total 10\n"));
}

TEST(ThrottleMetrics, NameNoMoreThanAThousandRules) {
  Snapshot snapshot;
  delivery::CoreSnapshot& core = snapshot.cores.emplace_back();
  for (int i = 0; i < 1200; ++i) core.rule_hits[fmt::format("rule-{:04}", i)] = 1;
  const std::string page = Page(snapshot);
  EXPECT_THAT(page, HasSubstr("{rule=\"rule-0999\"} 1\n"));
  EXPECT_THAT(page, Not(HasSubstr("rule-1000")));
  EXPECT_THAT(page, HasSubstr("postrider_reply_rule_hits_total{rule=\"other\"} 200\n"));
}

TEST(ThrottleMetrics, AddUpTheSecondsOfEveryLimitUnderItsName) {
  Snapshot snapshot;
  for (int i = 0; i < 2; ++i) {
    delivery::CoreSnapshot& core = snapshot.cores.emplace_back();
    core.counts.limited_seconds[static_cast<std::size_t>(Limit::kMessageRate)] = 1.25;
    core.counts.limited_seconds[static_cast<std::size_t>(Limit::kTotalRate)] = 3;
  }
  const std::string page = Page(snapshot);
  EXPECT_THAT(page, HasSubstr("postrider_limited_seconds_total{limit=\"message-rate\"} 2.5\n"));
  EXPECT_THAT(page, HasSubstr("postrider_limited_seconds_total{limit=\"total-rate\"} 6\n"));
  EXPECT_THAT(page, HasSubstr("postrider_limited_seconds_total{limit=\"unsynced\"} 0\n"));
}

TEST(ThrottleMetrics, NameProvidersAlwaysAndSitesOnlyWhereTheEventsDo) {
  Snapshot snapshot;
  delivery::CoreSnapshot& core = snapshot.cores.emplace_back();
  core.allowances = {Allowance("a", "google", true), Allowance("a", "mx.known.example", false),
                     Allowance("a", "mx.unknown.example", false), Allowance("a", "mx.nobody.example", false)};
  for (AllowanceSnapshot& allowance : core.allowances) {
    allowance.adaptive_rate = 2;
    allowance.warm_up_day = 9;
    allowance.quota = 100;
    allowance.quota_used = 25;
  }
  core.allowances[0].mode = SiteMode::kStopped;
  core.allowances[2].adaptive_rate = 0.5;
  core.allowances[3].mode = SiteMode::kStopped;
  core.allowances[3].quota_used = 130;
  EventCounts events;
  events.by_label[{"mx.known.example", queue::EventKind::kDelivered}] = 1;
  const std::string page = Page(snapshot, events);
  EXPECT_THAT(page, HasSubstr("postrider_stopped_allowances{receiver=\"google\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("postrider_stopped_allowances{receiver=\"mx.known.example\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("postrider_stopped_allowances{receiver=\"other\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("postrider_adaptive_messages_per_second{source=\"a\",receiver=\"google\"} 2\n"));
  EXPECT_THAT(page, HasSubstr("postrider_adaptive_messages_per_second{source=\"a\",receiver=\"other\"} 0.5\n"));
  EXPECT_THAT(page, HasSubstr("postrider_warm_up_day{source=\"a\",receiver=\"google\"} 9\n"));
  EXPECT_THAT(page, HasSubstr("postrider_quota_left_ratio{source=\"a\",receiver=\"google\"} 0.75\n"));
  EXPECT_THAT(page, HasSubstr("postrider_quota_left_ratio{source=\"a\",receiver=\"other\"} 0\n")) << "never below 0";
  EXPECT_THAT(page, Not(HasSubstr("mx.unknown.example")));
}

TEST(ThrottleMetrics, TellOfNoRateThatIsNotLoweredAndNoWarmUpThatIsOver) {
  Snapshot snapshot;
  snapshot.cores.emplace_back().allowances = {Allowance("a", "google", true)};
  const std::string page = Page(snapshot);
  EXPECT_THAT(page, Not(HasSubstr("adaptive_messages_per_second{")));
  EXPECT_THAT(page, Not(HasSubstr("warm_up_day{")));
  EXPECT_THAT(page, Not(HasSubstr("quota_left_ratio{")));
  EXPECT_THAT(page, HasSubstr("postrider_stopped_allowances{receiver=\"google\"} 0\n"));
}

TEST(ThrottleMetrics, CountPathsByModeAndGuardsByStateWithoutNamingACampaign) {
  Snapshot snapshot;
  delivery::CoreSnapshot& core = snapshot.cores.emplace_back();
  core.paths[static_cast<std::size_t>(SiteMode::kStopped)] = 3;
  GuardSnapshot& guard = core.guards.emplace_back();
  guard.kind = GuardKind::kCampaign;
  guard.state = GuardState::kTripped;
  guard.campaign = "secret-campaign";
  guard.reason = "6 % hard bounces";
  const std::string page = Page(snapshot);
  EXPECT_THAT(page, HasSubstr("postrider_paths{mode=\"stopped\"} 3\n"));
  EXPECT_THAT(page, HasSubstr("postrider_paths{mode=\"backing off\"} 0\n"));
  EXPECT_THAT(page, HasSubstr("postrider_guards{guard=\"campaign\",state=\"tripped\"} 1\n"));
  EXPECT_THAT(page, HasSubstr("postrider_guards{guard=\"own network\",state=\"warning\"} 0\n"));
  EXPECT_THAT(page, Not(HasSubstr("secret")));
}

TEST(ThrottleMetrics, GiveCategoriesHardBouncesAndSuppressions) {
  EventCounts events;
  events.by_category[{"google", Category::kThrottled}] = 11;
  events.hard_bounces["google"] = 4;
  Snapshot snapshot;
  snapshot.suppression = {.lists = {{"", {1000, 2, 0}}, {"offers", {7, 0, 0}}},
                          .added_by_rule = 3,
                          .added_by_hand = 4,
                          .removed = 5,
                          .held = 6};
  snapshot.commits_failing = true;
  const std::string page = Page(snapshot, events);
  EXPECT_THAT(page, HasSubstr("postrider_categories_total{receiver=\"google\",category=\"throttled\"} 11\n"));
  EXPECT_THAT(page, HasSubstr("postrider_hard_bounces_total{receiver=\"google\"} 4\n"));
  EXPECT_THAT(page, HasSubstr("postrider_suppression_entries{list=\"global\",kind=\"address\"} 1000\n"));
  EXPECT_THAT(page, HasSubstr("postrider_suppression_entries{list=\"global\",kind=\"domain\"} 2\n"));
  EXPECT_THAT(page, HasSubstr("postrider_suppression_entries{list=\"offers\",kind=\"address\"} 7\n"));
  for (const char* change : {"\"added by rule\"} 3\n", "\"added by hand\"} 4\n", "\"removed\"} 5\n", "\"held\"} 6\n"}) {
    EXPECT_THAT(page, HasSubstr(std::string("postrider_suppression_changes_total{change=") + change));
  }
  EXPECT_THAT(page, HasSubstr("postrider_commits_failing 1\n"));
}

TEST(ThrottleMetrics, NameABoundedNumberOfSuppressionLists) {
  Snapshot snapshot;
  EXPECT_THAT(Page(snapshot, {}), HasSubstr("postrider_suppression_entries{list=\"global\",kind=\"address\"} 0\n"));
  for (int i = 0; i < 60; ++i) snapshot.suppression.lists["list" + std::to_string(100 + i)] = {1, 2, 0};
  const std::string page = Page(snapshot, {});
  EXPECT_THAT(page, HasSubstr("{list=\"list149\",kind=\"address\"} 1\n"));
  EXPECT_THAT(page, Not(HasSubstr("list150")));
  EXPECT_THAT(page, HasSubstr("{list=\"other\",kind=\"address\"} 10\n"));
  EXPECT_THAT(page, HasSubstr("{list=\"other\",kind=\"domain\"} 20\n"));
}

}  // namespace
}  // namespace postrider::observe
