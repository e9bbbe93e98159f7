#include "tools/rule_trial.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

namespace postrider::tools {
namespace {

using std::chrono::seconds;
using testing::HasSubstr;
using testing::SizeIs;

ReplyRule Rule(std::string name, std::string pattern, Category category, Scope scope, std::string sample) {
  ReplyRule rule;
  rule.name = std::move(name);
  rule.patterns = {std::move(pattern)};
  rule.category = category;
  rule.scope = scope;
  rule.samples = {{.reply = std::move(sample), .stage = Stage::kRcpt, .provider = {}}};
  rule.file = "test";
  return rule;
}

ReplyRule Gone() {
  ReplyRule rule = Rule("gone", "gone", Category::kBadMailbox, Scope::kRecipient, "550 gone");
  rule.suppress = ReplyRule::Suppress::kAtOnce;
  return rule;
}

ReplyRule Slow() {
  ReplyRule rule = Rule("slow", "slow down", Category::kThrottled, Scope::kPath, "421 slow down");
  rule.action = {.kind = ActionKind::kStopPath, .threshold = 3, .period = seconds(60)};
  return rule;
}

ReplyClassifierPtr Make(std::vector<ReplyRule> rules) {
  auto classifier = ReplyClassifier::Make(std::move(rules));
  EXPECT_TRUE(classifier.has_value());
  return *classifier;
}

LogReply Said(int code, std::string text, int second = 0) {
  LogReply logged;
  logged.time = Wall(seconds(1'800'000'000 + second));
  logged.about_recipient = true;
  logged.fate = code >= 500 ? Fate::kBounced : Fate::kDeferred;
  logged.category = Category::kOther;
  logged.recipient = "ana@example.org";
  logged.campaign = "offer";
  logged.site = "mx.example.org";
  logged.source = "a";
  logged.stage = Stage::kRcpt;
  logged.reply = *ParseReplyText(fmt::format("{} {}", code, text));
  return logged;
}

TEST(RuleTrial, SaysNothingOfRulesThatAgree) {
  RuleTrial trial(Make({Gone()}), Make({Gone()}));
  for (int i = 0; i < 5; ++i) trial.Add(Said(550, "gone"));
  EXPECT_EQ(trial.report().replies, 5u);
  EXPECT_EQ(trial.report().changed, 0u);
  EXPECT_EQ(trial.report().before.suppressed.at_once, 5u);
  EXPECT_EQ(trial.report().after.suppressed.at_once, 5u);
  EXPECT_THAT(RenderTrial(trial.report(), Terminal{}), HasSubstr("0 of 5 replies would be judged otherwise\n"));
}

TEST(RuleTrial, CountsWhoWouldHaveBouncedAndWhoNot) {
  ReplyRule hold = Rule("hold", "gone", Category::kThrottled, Scope::kPath, "550 gone");
  ReplyRule late =
      Rule("late", "mailbox is dead", Category::kInactiveMailbox, Scope::kRecipient, "450 mailbox is dead");
  late.fate = Fate::kBounced;
  late.suppress = ReplyRule::Suppress::kOnSecond;
  RuleTrial trial(Make({Gone()}), Make({hold, late}));
  for (int i = 0; i < 30; ++i) {
    LogReply logged = Said(550, fmt::format("ana{} is gone", i));
    logged.recipient = fmt::format("ana{}@example.org", i);
    trial.Add(logged);
  }
  for (const char* campaign : {"offer", "news"}) {
    LogReply logged = Said(450, "mailbox is dead");
    logged.campaign = campaign;
    for (int attempt = 0; attempt < 3; ++attempt) trial.Add(logged);
  }
  const RuleTrial::Report& report = trial.report();
  EXPECT_EQ(report.changed, 36u);
  EXPECT_EQ(report.would_not_bounce.count, 30u);
  EXPECT_THAT(report.would_not_bounce.examples, SizeIs(10));
  EXPECT_EQ(report.would_not_bounce.examples[0], "ana0@example.org (offer, mx.example.org): 550 ana0 is gone");
  EXPECT_EQ(report.would_bounce.count, 2u) << "each campaign's once, however often it was refused";
  EXPECT_EQ(report.before.bounced, 30u);
  EXPECT_EQ(report.after.bounced, 6u);
  EXPECT_EQ(report.before.suppressed.at_once, 30u);
  EXPECT_EQ(report.after.suppressed.at_once, 0u);
  EXPECT_EQ(report.after.suppressed.on_second, 6u);
  ASSERT_THAT(report.changes, SizeIs(2));
  EXPECT_EQ(report.before.hits.at("gone"), 30u);
  EXPECT_EQ(report.before.hits.at(""), 6u);
  const std::string text = RenderTrial(report, Terminal{});
  EXPECT_THAT(text, HasSubstr("30 recipients that bounced would have been tried again:\n  ana0@example.org (offer"));
  EXPECT_THAT(text, HasSubstr("2 more recipients would have bounced:\n"));
  EXPECT_THAT(text, HasSubstr("bad-mailbox, bounced, recipient, suppress at-once"));
  EXPECT_THAT(text, HasSubstr("throttled, deferred, path, suppress no"));
}

TEST(RuleTrial, CountsActionsAsTheMachineDoes) {
  // Three within a minute, per source and receiver.
  RuleTrial trial(Make({Gone()}), Make({Slow()}));
  for (int i = 0; i < 6; ++i) trial.Add(Said(421, "slow down", i * 10));
  EXPECT_EQ(trial.report().after.actions[static_cast<std::size_t>(ActionKind::kStopPath)], 2u);
  for (int i = 0; i < 6; ++i) trial.Add(Said(421, "slow down", 1000 + i * 100));
  for (const char* source : {"b", "c", "d"}) {
    LogReply logged = Said(421, "slow down", 10'000);
    logged.source = source;
    trial.Add(logged);
  }
  EXPECT_EQ(trial.report().after.actions[static_cast<std::size_t>(ActionKind::kStopPath)], 2u);
  EXPECT_EQ(trial.report().before.actions[static_cast<std::size_t>(ActionKind::kStopPath)], 0u);
}

TEST(RuleTrial, ComparesWithTheLogIfThereAreNoOtherRules) {
  RuleTrial trial(nullptr, Make({Gone()}));
  LogReply same = Said(550, "gone");
  same.category = Category::kBadMailbox;
  trial.Add(same);
  EXPECT_EQ(trial.report().changed, 0u);
  LogReply other = Said(550, "gone");
  other.fate = Fate::kDeferred;
  other.category = Category::kThrottled;
  trial.Add(other);
  EXPECT_EQ(trial.report().changed, 1u);
  EXPECT_EQ(trial.report().would_bounce.count, 1u);
  const std::string text = RenderTrial(trial.report(), Terminal{});
  EXPECT_THAT(text, HasSubstr("(the log)"));
  EXPECT_THAT(text, testing::ContainsRegex("suppressed at once +[?] +2\n"));
  EXPECT_THAT(text, HasSubstr("\n(?: the log does not tell; with RULES, "));
}

TEST(RuleTrial, CallsNobodyBouncedByAReplyAboutAPath) {
  RuleTrial trial(Make({Gone()}), Make({Rule("x", "odd", Category::kBadMailbox, Scope::kRecipient, "550 odd")}));
  LogReply logged = Said(550, "odd");
  logged.about_recipient = false;
  trial.Add(logged);
  EXPECT_EQ(trial.report().would_bounce.count, 0u);
  EXPECT_EQ(trial.report().after.bounced, 0u);
}

TEST(RuleTrial, KeepsExamplesThatAreUnlikeEachOther) {
  RuleTrial trial(Make({Slow()}), Make({Gone()}));
  for (int i = 0; i < 1000; ++i) trial.Add(Said(450, fmt::format("<ana{}@example.org> gone in {} s", i, i)));
  trial.Add(Said(450, "gone with the wind"));
  ASSERT_THAT(trial.report().changes, SizeIs(1));
  EXPECT_THAT(trial.report().changes.begin()->second.examples, SizeIs(2));
}

TEST(RuleTrial, IsBoundedWhateverTheLogHolds) {
  RuleTrial trial(Make({Gone()}), Make({Slow()}));
  for (int i = 0; i < 25'000; ++i) {
    LogReply logged = Said(421, "slow down", i);
    logged.source = fmt::format("source{}", i);
    trial.Add(logged);
  }
  EXPECT_TRUE(trial.report().actions_cut);
  EXPECT_THAT(trial.report().changes, SizeIs(1));
}

TEST(RuleTrial, ToldAsJson) {
  RuleTrial trial(Make({Gone()}), Make({Slow()}));
  trial.Add(Said(550, "gone \x1b\xff"));
  for (int i = 0; i < 3; ++i) trial.Add(Said(421, "slow down", i));
  const auto json = nlohmann::json::parse(TrialJson(trial.report()));
  EXPECT_EQ(json.at("replies"), 4);
  EXPECT_EQ(json.at("changed"), 4);
  EXPECT_EQ(json.at("changes").at(0).at("after").at("rule"), "slow");
  EXPECT_EQ(json.at("changes").at(1).at("before").at("suppress"), "at-once");
  EXPECT_EQ(json.at("after").at("actions").at("stop-path"), 1);
  EXPECT_EQ(json.at("after").at("unmatched"), 1);
}

}  // namespace
}  // namespace postrider::tools
