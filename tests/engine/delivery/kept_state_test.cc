// What guards hold and what was learned outlives a restart, and is forgotten when it holds no more.

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/engine/delivery/world.h"

namespace postrider::delivery {
namespace {

using queue::EventKind;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using State = std::vector<std::pair<std::string, std::string>>;

ReplyRule Rule(const std::string& pattern, Category category, Scope scope, ReplyAction action = {}) {
  ReplyRule rule;
  rule.name = "rule-of-" + pattern;
  rule.patterns = {pattern};
  rule.category = category;
  rule.scope = scope;
  rule.action = action;
  rule.samples = {{.reply = "450 " + pattern, .stage = Stage::kRcpt, .provider = {}}};
  rule.file = "test";
  return rule;
}

WorldSettings SettingsWith(std::vector<ReplyRule> rules, std::uint32_t cores) {
  WorldSettings settings;
  settings.options = TestOptions();
  settings.cores = cores;
  settings.classifier = ReplyClassifier::Make(std::move(rules)).value();
  return settings;
}

State StateOf(const World& world) { return {world.queue.state().begin(), world.queue.state().end()}; }

std::size_t CountKeys(const World& world, std::string_view prefix) {
  return static_cast<std::size_t>(std::ranges::count_if(
      world.queue.state(), [prefix](const auto& entry) { return entry.first.starts_with(prefix); }));
}

// Of all cores.
std::vector<GuardSnapshot> GuardsOf(World& world, std::uint32_t cores, GuardKind kind) {
  std::vector<GuardSnapshot> guards;
  for (std::uint32_t core = 0; core < cores; ++core) {
    for (const GuardSnapshot& guard : world.Snapshot(core).guards) {
      if (guard.kind == kind) guards.push_back(guard);
    }
  }
  return guards;
}

class KeptOverARestart : public testing::TestWithParam<std::uint32_t> {
 protected:
  const std::uint32_t cores_ = GetParam();
};
INSTANTIATE_TEST_SUITE_P(Cores, KeptOverARestart, testing::Values(1u, 3u));

CampaignPlan Offer() {
  CampaignPlan plan{.recipients = Recipients(2000, {"one.test"})};
  plan.spec.name = "offer";
  return plan;
}

TEST_P(KeptOverARestart, APausedCampaignStaysPausedAtThatProviderUntilItIsResumed) {
  WorldSettings settings = SettingsWith(
      {Rule("dmarc", Category::kAuthFailure, Scope::kSender, {.kind = ActionKind::kPauseSender, .duration = {}})},
      cores_);
  {
    World world(settings);
    world.AddReceiver("mx.one.test", {"one.test"}).script.on_content = [](const ReceivedMessage&) {
      return std::string("550 5.7.26 dmarc");
    };
    world.Submit(Offer());
    ASSERT_TRUE(world.RunUntil([&] { return GuardsOf(world, cores_, GuardKind::kCampaign).size() == 1; }, minutes(1)));
    world.RunFor(seconds(1));
    ASSERT_EQ(CountKeys(world, "guard/campaign/1/"), 1u) << "within a second";
    settings.state = StateOf(world);
  }
  World world(settings);
  // Before it has any mail in hand.
  const std::vector<GuardSnapshot> held = GuardsOf(world, cores_, GuardKind::kCampaign);
  ASSERT_EQ(held.size(), 1u);
  EXPECT_EQ(held[0].campaign, "offer");
  EXPECT_EQ(held[0].receiver, "mx.one.test");
  EXPECT_EQ(held[0].state, GuardState::kTripped);
  EXPECT_TRUE(held[0].reason.contains("its replies met the rule rule-of-dmarc")) << held[0].reason;
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  Receiver& other = world.AddReceiver("mx.two.test", {"two.test"});
  CampaignPlan plan = Offer();
  for (const std::string& one : Recipients(100, {"two.test"})) plan.recipients.push_back(one);
  world.Submit(plan);
  world.RunFor(minutes(5));
  EXPECT_EQ(receiver.taken.size(), 0u);
  EXPECT_EQ(other.taken.size(), 100u);
  EXPECT_EQ(GuardsOf(world, cores_, GuardKind::kCampaign).size(), 1u);
  world.Tell(CoreCommand::Kind::kResume, CoreCommand::Target::kCampaignAt, "offer", "mx.one.test");
  EXPECT_TRUE(world.RunToEnd());
  EXPECT_EQ(receiver.taken.size(), 2000u);
  world.RunFor(seconds(1));
  EXPECT_EQ(CountKeys(world, "guard/"), 0u);
}

TEST_P(KeptOverARestart, WhatHasNoMailInHandCanBeResumedToo) {
  WorldSettings settings = SettingsWith(
      {Rule("dmarc", Category::kAuthFailure, Scope::kSender, {.kind = ActionKind::kPauseSender, .duration = {}})},
      cores_);
  {
    World world(settings);
    world.AddReceiver("mx.one.test", {"one.test"}).script.on_content = [](const ReceivedMessage&) {
      return std::string("550 5.7.26 dmarc");
    };
    world.Submit(Offer());
    world.RunFor(seconds(10));
    settings.state = StateOf(world);
  }
  World world(settings);
  ASSERT_EQ(GuardsOf(world, cores_, GuardKind::kCampaign).size(), 1u);
  world.Tell(CoreCommand::Kind::kResume, CoreCommand::Target::kCampaignAt, "offer", "mx.one.test");
  EXPECT_TRUE(GuardsOf(world, cores_, GuardKind::kCampaign).empty());
}

TEST_P(KeptOverARestart, OfACampaignThatIsOverNothingIsKept) {
  WorldSettings settings = SettingsWith(
      {Rule("dmarc", Category::kAuthFailure, Scope::kSender, {.kind = ActionKind::kPauseSender, .duration = {}})},
      cores_);
  World world(settings);
  world.AddReceiver("mx.one.test", {"one.test"}).script.on_content = [](const ReceivedMessage&) {
    return std::string("550 5.7.26 dmarc");
  };
  const queue::CampaignPtr campaign = world.Submit(Offer());
  world.RunFor(seconds(10));
  ASSERT_EQ(CountKeys(world, "guard/campaign/"), 1u);
  world.SetState(campaign->id, queue::CampaignState::kCancelled);
  ASSERT_TRUE(world.RunToEnd());
  world.RunFor(seconds(1));
  EXPECT_EQ(CountKeys(world, "guard/campaign/"), 0u);
  EXPECT_TRUE(GuardsOf(world, cores_, GuardKind::kCampaign).empty());
}

TEST_P(KeptOverARestart, ABounceStormGoesOn) {
  WorldSettings settings = SettingsWith({Rule("NoSuchUser", Category::kBadMailbox, Scope::kRecipient)}, cores_);
  settings.options.guard.campaign_pause_bounces = 2;  // never
  const auto deny = [](const ReceivedMessage&) { return std::string("550 5.1.1 NoSuchUser"); };
  std::uint64_t bounced = 0;
  {
    World world(settings);
    world.AddReceiver("mx.one.test", {"one.test"}).script.on_rcpt = deny;
    world.Submit(Offer());
    world.RunFor(minutes(3));
    EXPECT_EQ(GuardsOf(world, cores_, GuardKind::kBounceStorm).size(), 0u) << "it has no mail in hand now, but";
    ASSERT_EQ(CountKeys(world, "guard/storm/"), 1u);
    bounced = world.queue.Count(EventKind::kBounced);
    settings.state = StateOf(world);
  }
  EXPECT_GT(bounced, 50u);
  World world(settings);
  world.AddReceiver("mx.one.test", {"one.test"}).script.on_rcpt = deny;
  world.Submit(Offer());
  world.RunFor(minutes(3));
  EXPECT_EQ(world.queue.Count(EventKind::kBounced), 0u) << "nobody more is given up";
}

TEST_P(KeptOverARestart, ALearnedCapIsKnownForADay) {
  WorldSettings settings = SettingsWith(
      {Rule("too many messages", Category::kThrottled, Scope::kConnection, {.kind = ActionKind::kReconnect})}, cores_);
  const auto script = [](const ReceivedMessage& message) {
    return message.number > 5 ? std::string("452 too many messages on it") : std::string();
  };
  {
    World world(settings);
    world.AddReceiver("mx.one.test", {"one.test"}).script.on_mail = script;
    world.Submit(Offer());
    ASSERT_TRUE(world.RunToEnd());
    world.RunFor(seconds(1));
    ASSERT_EQ(CountKeys(world, "cap/"), 1u);
    settings.state = StateOf(world);
  }
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  int refused = 0;
  receiver.script.on_mail = [&](const ReceivedMessage& message) {
    refused += message.number > 5 ? 1 : 0;
    return script(message);
  };
  world.Submit(Offer());
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(refused, 0) << "it was known before the first";
  world.RunFor(hours(25));
  EXPECT_EQ(CountKeys(world, "cap/"), 0u);
}

TEST(KeptDoubts, AboutDomainsGoOn) {
  WorldSettings settings;
  settings.options = TestOptions();
  std::vector<std::string> domains;
  for (int i = 0; i < 200; ++i) domains.push_back("gone" + std::to_string(i) + ".test");
  {
    World world(settings);
    world.Submit({.recipients = Recipients(200, domains)});
    world.RunFor(minutes(1));
    ASSERT_EQ(GuardsOf(world, 1, GuardKind::kNoDomains).size(), 1u);
    ASSERT_EQ(CountKeys(world, "guard/domains/0"), 1u);
    settings.state = StateOf(world);
  }
  World world(settings);
  EXPECT_EQ(GuardsOf(world, 1, GuardKind::kNoDomains).size(), 1u);
  world.RunFor(hours(1));
  EXPECT_TRUE(GuardsOf(world, 1, GuardKind::kNoDomains).empty()) << "it ends by itself once nothing is missing";
  EXPECT_EQ(CountKeys(world, "guard/domains/"), 0u);
}

TEST(KeptAllowances, ThatHoldNothingAreForgottenAfterADay) {
  WorldSettings settings;
  settings.options = TestOptions();
  RuleOptions& everything = settings.options.rules.front();
  everything.start_connections = 2;
  World world(settings);
  std::vector<std::string> domains;
  for (int i = 0; i < 300; ++i) {
    domains.push_back("d" + std::to_string(i) + ".test");
    world.AddReceiver("mx." + domains.back(), {domains.back()});
  }
  world.Submit({.recipients = Recipients(300 * 25, domains)});
  ASSERT_TRUE(world.RunToEnd());
  world.RunFor(minutes(5));
  EXPECT_GE(CountKeys(world, "allowance/"), 200u) << "they earned a connection";
  world.RunFor(hours(26));
  EXPECT_EQ(CountKeys(world, "allowance/"), 0u);
}

TEST(KeptAllowances, WhoseBucketIsNotEmptyYetAreKept) {
  WorldSettings settings;
  settings.options = TestOptions();
  settings.options.rules.front().message_rate = 10.0 / 86'400;
  settings.options.rules.front().burst = 100;
  World world(settings);
  world.AddReceiver("mx.one.test", {"one.test"});
  world.Submit({.recipients = Recipients(20, {"one.test"})});
  ASSERT_TRUE(world.RunToEnd());
  world.RunFor(hours(40));
  EXPECT_EQ(CountKeys(world, "allowance/"), 1u) << "it is full for two days";
  world.RunFor(hours(40));
  EXPECT_EQ(CountKeys(world, "allowance/"), 0u);
}

TEST(KeptRates, OfAllSourcesAtAReceiverHoldOverIdleTimeAndARestart) {
  WorldSettings settings;
  settings.options = TestOptions();
  settings.options.rules.front().total_message_rate = 1.0 / 3600;
  {
    World world(settings);
    Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
    for (int i = 0; i < 5; ++i) {
      CampaignPlan plan{.recipients = Recipients(1, {"one.test"})};
      plan.spec.name = "offer" + std::to_string(i);
      world.Submit(plan);
      if (i == 0) {
        ASSERT_TRUE(world.RunToEnd());
      }
      world.RunFor(minutes(3));
    }
    EXPECT_EQ(receiver.taken.size(), 1u);
    EXPECT_EQ(CountKeys(world, "limit/total/"), 1u);
    settings.state = StateOf(world);
    settings.begins = world.now().wall;
  }
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  world.Submit({.recipients = Recipients(1, {"one.test"})});
  world.RunFor(minutes(44));
  EXPECT_EQ(receiver.taken.size(), 0u);
  world.RunFor(minutes(2));
  EXPECT_EQ(receiver.taken.size(), 1u);
  world.RunFor(hours(2));
  EXPECT_EQ(CountKeys(world, "limit/"), 0u);
}

TEST(KeptRates, OfACampaignAtAReceiverHoldOverARestart) {
  WorldSettings settings;
  settings.options = TestOptions();
  settings.options.rules.front().campaign_message_rate = 1.0 / 3600;
  {
    World world(settings);
    world.AddReceiver("mx.one.test", {"one.test"});
    world.Submit({.recipients = Recipients(3, {"one.test"})});
    world.RunFor(minutes(3));
    EXPECT_EQ(world.taken(), 1u);
    EXPECT_EQ(CountKeys(world, "limit/part/1/"), 1u);
    settings.state = StateOf(world);
    settings.begins = world.now().wall;
  }
  World world(settings);
  world.AddReceiver("mx.one.test", {"one.test"});
  world.Submit({.recipients = Recipients(2, {"one.test"})});
  world.RunFor(minutes(56));
  EXPECT_EQ(world.taken(), 0u);
  ASSERT_TRUE(world.RunToEnd(hours(3)));
  EXPECT_EQ(world.taken(), 2u);
  world.RunFor(hours(2));
  EXPECT_EQ(CountKeys(world, "limit/"), 0u);
}

TEST(KeptRecords, DamagedOnesAreToldAndBeginAnew) {
  WorldSettings settings;
  settings.options = TestOptions();
  for (const std::string key :
       {"limit/total/", "limit/part/", "limit/part/1/x", "limit/", "guard/campaign/1/mx.one.test:25,starttls||,,0|---|",
        "guard/campaign/x", "guard/campaign/", "guard/storm/", "guard/domains/0", "guard/domains/", "cap/", "cap/x",
        "guard/"}) {
    for (const std::string value : {"", "x", "P\x01", "\xff\xff\xff\xff\xff\xff\xff\xff"})
      settings.state.emplace_back(key, value);
  }
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  world.Submit(Offer());
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(receiver.taken.size(), 2000u);
}

TEST_P(KeptOverARestart, WhatIsHeldStaysHeldUnderARuleThatWasMadeMeanwhile) {
  WorldSettings settings = SettingsWith(
      {Rule("dmarc", Category::kAuthFailure, Scope::kSender, {.kind = ActionKind::kPauseSender, .duration = {}}),
       Rule("too many messages", Category::kThrottled, Scope::kConnection, {.kind = ActionKind::kReconnect})},
      cores_);
  const auto content = [](const ReceivedMessage& message) {
    if (message.number > 2) return std::string("452 too many messages");
    return message.from == "bad@sender.test" ? std::string("550 5.7.26 dmarc") : std::string();
  };
  CampaignPlan bad = Offer();
  bad.spec.envelope_from = "bad@sender.test";
  CampaignPlan good = Offer();
  good.spec.name = "other";
  {
    World world(settings);
    world.AddReceiver("mx.one.test", {"one.test"}).script.on_content = content;
    world.Submit(bad);
    world.Submit(good);
    ASSERT_TRUE(world.RunUntil([&] { return GuardsOf(world, cores_, GuardKind::kCampaign).size() == 1; }, minutes(1)));
    world.RunFor(seconds(1));
    ASSERT_EQ(CountKeys(world, "cap/"), 1u);
    RuleOptions rule;
    rule.match = DomainPattern::Parse("one.test").value();
    rule.connections = 5;
    settings.options.rules.push_back(rule);
    world.Reload(settings.options);
    world.RunFor(seconds(1));
    EXPECT_EQ(CountKeys(world, "guard/campaign/"), 1u);
    EXPECT_EQ(CountKeys(world, "cap/"), 1u);
    for (const auto& [key, value] : world.queue.state()) {
      if (key.starts_with("guard/campaign/") || key.starts_with("cap/")) {
        EXPECT_TRUE(key.ends_with("|one.test ")) << key;
      }
    }
  }
}

}  // namespace
}  // namespace postrider::delivery
