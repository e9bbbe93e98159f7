// What replies cause beyond their own recipient: rules and their actions, and guards over many outcomes.

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/engine/delivery/world.h"

namespace postrider::delivery {
namespace {

using queue::EventKind;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

ReplyRule Rule(std::string pattern, Category category, Scope scope, ReplyAction action) {
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

WorldSettings SettingsWith(std::vector<ReplyRule> rules) {
  WorldSettings settings;
  settings.options = TestOptions();
  auto classifier = ReplyClassifier::Make(std::move(rules));
  EXPECT_TRUE(classifier.has_value());
  if (classifier) settings.classifier = *classifier;
  return settings;
}

std::size_t PathEventsWith(const World& world, std::string_view text) {
  return static_cast<std::size_t>(std::ranges::count_if(
      world.queue.PathEvents(), [text](const queue::Event& event) { return event.reply.contains(text); }));
}

// Why each campaign that a guard holds is held.
std::vector<std::string> HeldCampaigns(World& world) {
  std::vector<std::string> reasons;
  for (const GuardSnapshot& guard : world.Snapshot().guards) {
    if (guard.kind == GuardKind::kCampaign && guard.state == GuardState::kTripped) reasons.push_back(guard.reason);
  }
  return reasons;
}

TEST(Reaction, AStopHoldsTheMailUnchargedAndRecoversWithAProbe) {
  World world(SettingsWith(
      {Rule("TSS04", Category::kThrottled, Scope::kPath, {.kind = ActionKind::kStopPath, .duration = hours(2)})}));
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  receiver.script.on_rcpt = [](const ReceivedMessage&) { return std::string("421 4.7.0 [TSS04] deferred"); };
  world.Submit({.recipients = Recipients(100, {"one.test"})});
  world.RunFor(minutes(5));
  const std::uint64_t sessions = receiver.sessions;
  EXPECT_EQ(world.queue.queued(), 100u);
  EXPECT_EQ(world.queue.Find("ana99@one.test").attempts, 0);
  EXPECT_EQ(PathEventsWith(world, "stop-path by rule rule-of-TSS04"), 1u);
  EXPECT_EQ(world.Snapshot().sites.at(0).mode, SiteMode::kStopped);
  EXPECT_EQ(world.Snapshot().counts.actions[static_cast<std::size_t>(ActionKind::kStopPath)], 1u);
  receiver.script.on_rcpt = nullptr;
  world.RunFor(minutes(90));
  EXPECT_EQ(receiver.sessions, sessions) << "two hours are two hours";
  EXPECT_TRUE(world.RunToEnd(hours(2)));
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 100u);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Reaction, AHostIsSkippedForItsOwnRepliesAlone) {
  for (const int of_the_first : {1, 2}) {
    World world(SettingsWith({Rule("disk is full", Category::kOther, Scope::kHost,
                                   {.kind = ActionKind::kSkipHost, .threshold = 2, .duration = hours(1)})}));
    Receiver& first = world.AddReceiver("mx1.one.test", {"one.test"});
    Receiver& second = world.AddReceiver("mx2.one.test", {"one.test"});
    const auto full = [](int times) {
      return [times](const ReceivedMessage&) mutable {
        return times-- > 0 ? std::string("450 4.3.1 disk is full") : std::string();
      };
    };
    first.script.on_rcpt = full(of_the_first);
    second.script.on_rcpt = full(1);
    world.Submit({.recipients = Recipients(500, {"one.test"})});
    ASSERT_TRUE(world.RunToEnd(hours(2)));
    EXPECT_GT(first.taken.size(), 0u);
    EXPECT_GT(second.taken.size(), 0u);
    EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 500u);
    EXPECT_EQ(PathEventsWith(world, "skip-host by rule rule-of-disk is full"), of_the_first == 2 ? 1u : 0u);
  }
}

TEST(Reaction, RepliesThatNoRuleKnowsAreCollected) {
  World world(SettingsWith({Rule("known", Category::kThrottled, Scope::kPath, {})}));
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  receiver.script.on_rcpt = [](const ReceivedMessage& message) { return "550 5.1.1 <" + message.to + "> smells odd"; };
  world.Submit({.recipients = Recipients(3, {"one.test"})});
  ASSERT_TRUE(world.RunToEnd());
  const CoreSnapshot snapshot = world.Snapshot();
  ASSERT_TRUE(snapshot.unmatched.has_value());
  EXPECT_EQ(snapshot.unmatched->total(), 3u);
  ASSERT_EQ(snapshot.unmatched->clusters(), 1u);
  EXPECT_EQ(snapshot.unmatched->Top(1)[0].count, 3u);
  EXPECT_EQ(snapshot.unmatched->Top(1)[0].stage, Stage::kRcpt);
  EXPECT_EQ(snapshot.counts.unmatched_replies, 3u);
}

TEST(Reaction, ACapThatIsToldIsKeptFromThenOnAndChargesNobody) {
  World world(SettingsWith({Rule("Max message per connection", Category::kThrottled, Scope::kConnection,
                                 {.kind = ActionKind::kReconnect})}));
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  receiver.script.on_mail = [](const ReceivedMessage& message) {
    return message.number > 5 ? std::string("421 Max message per connection reached") : std::string();
  };
  world.Submit({.recipients = Recipients(200, {"one.test"})});
  ASSERT_TRUE(world.RunToEnd(minutes(5)));
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 200u);
  EXPECT_TRUE(std::ranges::all_of(world.queue.events(), [](const queue::Event& event) { return event.attempt <= 1; }));
  EXPECT_EQ(world.Snapshot().counts.path_backoffs, 0u);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Reaction, ACapThatIsToldInAnswerToTheContentEndsItsMessageOnce) {
  for (const std::string reply : {"421 too many messages", "452 too many messages"}) {
    WorldSettings settings = SettingsWith(
        {Rule("too many messages", Category::kThrottled, Scope::kConnection, {.kind = ActionKind::kReconnect})});
    settings.options.rules.front().connections = 1;
    World world(settings);
    Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
    receiver.script.on_rcpt = [&receiver](const ReceivedMessage& message) {
      // It answers before the content has left, which ends the connection in any case.
      receiver.script.sending = std::chrono::milliseconds(message.number > 5 ? 5 : 0);
      return std::string();
    };
    receiver.script.on_content = [&reply](const ReceivedMessage& message) {
      return message.number > 5 ? reply : std::string();
    };
    world.Submit({.recipients = Recipients(200, {"one.test"})});
    ASSERT_TRUE(world.RunToEnd(minutes(5))) << reply;
    EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 200u);
    EXPECT_EQ(world.queue.Count(EventKind::kUnknown), 0u);
    EXPECT_TRUE(
        std::ranges::all_of(world.queue.events(), [](const queue::Event& event) { return event.attempt <= 1; }));
    EXPECT_EQ(world.CheckConservation(), "");
  }
}

TEST(Reaction, WhoAnswersTheFirstContentWithACapIsNotReconnectedToWithoutEnd) {
  World world(SettingsWith(
      {Rule("too many messages", Category::kThrottled, Scope::kConnection, {.kind = ActionKind::kReconnect})}));
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  receiver.script.on_content = [](const ReceivedMessage&) { return std::string("421 too many messages"); };
  world.Submit({.recipients = Recipients(2000, {"one.test"})});
  world.RunFor(hours(1));
  EXPECT_LT(receiver.connects, 80u);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Reaction, ARefusedSenderStopsTheCampaignAtThatProviderAlone) {
  World world(SettingsWith(
      {Rule("5.7.26", Category::kAuthFailure, Scope::kSender, {.kind = ActionKind::kPauseSender, .duration = {}})}));
  Receiver& strict = world.AddReceiver("mx.strict.test", {"strict.test"});
  strict.script.on_content = [](const ReceivedMessage& message) {
    return message.from == "bad@sender.test" ? std::string("550 5.7.26 unauthenticated") : std::string();
  };
  world.AddReceiver("mx.easy.test", {"easy.test"});
  CampaignPlan bad{.recipients = Recipients(400, {"strict.test", "easy.test"})};
  bad.spec.envelope_from = "bad@sender.test";
  bad.spec.name = "bad";
  world.Submit(bad);
  CampaignPlan good{.recipients = Recipients(400, {"strict.test", "easy.test"})};
  good.spec.envelope_from = "good@sender.test";
  good.spec.name = "good";
  world.Submit(good);
  world.RunFor(minutes(3));
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 600u) << "all but the bad one's at the strict one";
  EXPECT_EQ(world.queue.Count(EventKind::kBounced), 0u);
  EXPECT_EQ(world.queue.queued(), 200u);
  const CoreSnapshot snapshot = world.Snapshot();
  ASSERT_EQ(snapshot.guards.size(), 1u);
  EXPECT_EQ(snapshot.guards[0].campaign, "bad");
  EXPECT_EQ(snapshot.guards[0].state, GuardState::kTripped);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Reaction, AHardBounceEntersTheSuppressionListByItsRule) {
  ReplyRule rule = Rule("no such user", Category::kBadMailbox, Scope::kRecipient, {});
  rule.suppress = ReplyRule::Suppress::kAtOnce;
  ReplyRule weak = Rule("mailbox unavailable", Category::kBadMailbox, Scope::kRecipient, {});
  World world(SettingsWith({rule, weak}));
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  receiver.script.on_rcpt = [](const ReceivedMessage& message) {
    if (message.to == "ana1@one.test") return std::string("550 5.1.1 no such user");
    if (message.to == "ana2@one.test") return std::string("550 5.5.0 mailbox unavailable");
    return std::string();
  };
  world.Submit({.recipients = Recipients(5, {"one.test"})});
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(world.queue.Count(EventKind::kBounced), 2u);
  EXPECT_EQ(world.queue.suppressions(), (std::vector<std::string>{"ana1@one.test"}));
}

TEST(Guards, ACampaignThatMeetsDeadAddressesIsPausedAtTheirProvider) {
  World world(SettingsWith({Rule("no such user", Category::kBadMailbox, Scope::kRecipient, {})}));
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  receiver.script.on_rcpt = [](const ReceivedMessage& message) {
    return message.to.contains("7") ? std::string("550 5.1.1 no such user") : std::string();
  };
  world.Submit({.recipients = Recipients(5000, {"one.test"})});
  world.RunFor(minutes(5));
  EXPECT_GT(world.queue.queued(), 3000u);
  EXPECT_EQ(HeldCampaigns(world).size(), 1u);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Reaction, WhoNeverTakesAMessageIsNotReconnectedToWithoutEnd) {
  World world(SettingsWith(
      {Rule("too many messages", Category::kThrottled, Scope::kConnection, {.kind = ActionKind::kReconnect})}));
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  receiver.script.on_mail = [](const ReceivedMessage&) { return std::string("452 too many messages on it"); };
  world.Submit({.recipients = Recipients(200, {"one.test"}), .expires_after = hours(12)});
  world.RunFor(hours(1));
  EXPECT_LT(receiver.connects, 80u) << "ten at once, six times in the first hour";
  ASSERT_TRUE(world.RunToEnd(hours(14)));
  EXPECT_LT(receiver.connects, 350u);
  EXPECT_EQ(world.queue.Count(EventKind::kExpired), 200u);
  for (const queue::Event& event : world.queue.events()) {
    if (event.kind == EventKind::kExpired) {
      EXPECT_TRUE(event.reply.ends_with("too many messages on it")) << event.reply;
      EXPECT_EQ(event.code, 452);
    }
  }
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Reaction, ACapIsLearnedFromHowManyWereTakenAndNobodyIsCharged) {
  World world(SettingsWith(
      {Rule("too many messages", Category::kThrottled, Scope::kConnection, {.kind = ActionKind::kReconnect})}));
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  receiver.script.on_mail = [](const ReceivedMessage& message) {
    return message.number > 5 ? std::string("452 too many messages on it") : std::string();
  };
  world.Submit({.recipients = Recipients(1000, {"one.test"})});
  ASSERT_TRUE(world.RunToEnd(minutes(5)));
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 1000u);
  EXPECT_EQ(world.queue.events().size(), 1000u + world.queue.PathEvents().size()) << "nobody is deferred";
  EXPECT_LE(receiver.sessions, 230u);
}

TEST(Reaction, WhereLookingUpTheMxAgainDoesNotHelpTheMailBacksOffAndExpiresWithTheReply) {
  for (const std::uint32_t cores : {1u, 2u}) {
    WorldSettings settings = SettingsWith(
        {Rule("wrong region", Category::kRoutingErrors, Scope::kConnection, {.kind = ActionKind::kResolveAgain})});
    settings.cores = cores;
    World world(settings);
    Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
    receiver.script.on_rcpt = [](const ReceivedMessage&) { return std::string("451 4.4.62 wrong region"); };
    world.Submit({.recipients = Recipients(20, {"one.test"}), .expires_after = hours(12)});
    world.RunFor(hours(1));
    EXPECT_LT(receiver.connects, 60u);
    EXPECT_LT(world.names.mx_queries, 20u);
    ASSERT_TRUE(world.RunToEnd(hours(14)));
    EXPECT_LT(receiver.connects, 400u);
    EXPECT_EQ(world.queue.Count(EventKind::kExpired), 20u);
    for (const queue::Event& event : world.queue.events()) {
      if (event.kind == EventKind::kExpired) {
        EXPECT_TRUE(event.reply.ends_with("wrong region")) << event.reply;
        EXPECT_GT(event.attempt, 2) << "the attempts count in the end";
      }
    }
    EXPECT_EQ(world.CheckConservation(), "");
  }
}

TEST(Guards, WhatTheyPausedAtAProviderGoesOnWhenTheOperatorSaysSoAndIsCountedAnew) {
  World world(SettingsWith({Rule("no such user", Category::kBadMailbox, Scope::kRecipient, {})}));
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  const auto script = [](const ReceivedMessage& message) {
    return message.to.contains("7") ? std::string("550 5.1.1 no such user") : std::string();
  };
  receiver.script.on_rcpt = script;
  CampaignPlan plan{.recipients = Recipients(5000, {"one.test"})};
  plan.spec.name = "offer";
  world.Submit(plan);
  world.RunFor(minutes(5));
  const std::uint64_t queued = world.queue.queued();
  ASSERT_GT(queued, 3000u);
  const CoreSnapshot snapshot = world.Snapshot();
  ASSERT_EQ(HeldCampaigns(world).size(), 1u);
  EXPECT_TRUE(HeldCampaigns(world)[0].ends_with("`postrider resume offer --at mx.one.test`"));
  ASSERT_EQ(snapshot.sites.size(), 1u);
  EXPECT_EQ(snapshot.sites[0].binding_limit, "campaign-at-provider");

  const auto resume = [&world](const char* at) {
    world.Tell(CoreCommand::Kind::kResume, CoreCommand::Target::kCampaignAt, "offer", at);
  };
  resume("elsewhere");
  world.RunFor(minutes(1));
  EXPECT_EQ(world.queue.queued(), queued) << "that is another place";
  resume("mx.one.test");
  world.RunFor(minutes(5));
  EXPECT_GE(world.Snapshot().counts.attempts, snapshot.counts.attempts + 500)
      << "it pauses again only after as many tries as at first";
  EXPECT_LE(world.Snapshot().counts.attempts, snapshot.counts.attempts + 1000);
  EXPECT_EQ(HeldCampaigns(world).size(), 1u);
  receiver.script.on_rcpt = nullptr;
  resume("mx.one.test");
  EXPECT_TRUE(world.RunToEnd(hours(10)));
  EXPECT_TRUE(HeldCampaigns(world).empty());
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Guards, ASlowedTransactionalCampaignIsShownAndGoesOnAtFullSpeedWhenResumed) {
  World world(SettingsWith(
      {Rule("dmarc", Category::kAuthFailure, Scope::kSender, {.kind = ActionKind::kPauseSender, .duration = {}})}));
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  receiver.script.on_content = [](const ReceivedMessage&) { return std::string("450 4.7.26 dmarc"); };
  CampaignPlan plan{.recipients = Recipients(50, {"one.test"})};
  plan.spec.name = "receipts";
  plan.spec.mail_class = MailClass::kTransactional;
  world.Submit(plan);
  world.RunFor(minutes(1));
  receiver.script.on_content = nullptr;
  const CoreSnapshot snapshot = world.Snapshot();
  ASSERT_EQ(snapshot.guards.size(), 1u);
  EXPECT_TRUE(snapshot.guards[0].reason.starts_with("receipts sends one message a minute at mx.one.test"))
      << snapshot.guards[0].reason;
  ASSERT_GT(world.queue.queued(), 30u);
  world.Tell(CoreCommand::Kind::kResume, CoreCommand::Target::kCampaignAt, "receipts", "mx.one.test");
  EXPECT_TRUE(world.RunToEnd(minutes(15)));
  EXPECT_TRUE(world.Snapshot().guards.empty());
}

TEST(Guards, ASenderPausedForATimeGoesOnByItselfAndGathersPace) {
  const ReplyRule rule = Rule("reputation", Category::kSpamBlock, Scope::kSender,
                              {.kind = ActionKind::kPauseSender, .duration = hours(1)});
  WorldSettings settings = SettingsWith({rule});
  RuleOptions limit;
  limit.message_rate = 10;
  settings.options.rules.push_back(limit);
  const auto submit = [](World& world, std::size_t count) {
    CampaignPlan plan{.recipients = Recipients(count, {"one.test"})};
    plan.spec.name = "news";
    world.Submit(plan);
  };
  std::vector<std::pair<std::string, std::string>> state;
  {
    World world(settings);
    Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
    submit(world, 20'000);
    world.RunFor(minutes(5));
    const std::size_t before = receiver.taken.size();
    EXPECT_NEAR(static_cast<double>(before), 3000, 100);
    receiver.script.on_content = [](const ReceivedMessage&) { return std::string("451 4.7.0 low reputation"); };
    world.RunFor(seconds(5));
    receiver.script.on_content = nullptr;
    ASSERT_EQ(HeldCampaigns(world).size(), 1u);
    EXPECT_TRUE(world.Snapshot().guards[0].reason.contains("by itself it goes on 1h after"))
        << world.Snapshot().guards[0].reason;
    for (const auto& [key, value] : world.queue.state()) state.emplace_back(key, value);
    world.RunFor(minutes(50));
    EXPECT_EQ(receiver.taken.size(), before);
    world.RunFor(minutes(20));
    EXPECT_TRUE(HeldCampaigns(world).empty());
    // Five a second at first, and 5 % more each minute.
    const double after = static_cast<double>(receiver.taken.size() - before);
    EXPECT_GT(after, 9 * 60 * 5);
    EXPECT_LT(after, 10 * 60 * 8);
    world.RunFor(minutes(15));
    EXPECT_TRUE(world.RunToEnd(minutes(30)));
    EXPECT_EQ(world.CheckConservation(), "");
  }
  // After a restart as well: not before its time, and not at full speed then.
  settings.state = state;
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  submit(world, 20'000);
  world.RunFor(minutes(50));
  EXPECT_EQ(receiver.taken.size(), 0u);
  world.RunFor(minutes(20));
  EXPECT_GT(receiver.taken.size(), 3 * 60 * 5u);
  EXPECT_LT(receiver.taken.size(), 20 * 60 * 8u);
}

TEST(Guards, AStormIsOverWhenTheOperatorBelievesTheSite) {
  WorldSettings settings = SettingsWith({Rule("NoSuchUser", Category::kBadMailbox, Scope::kRecipient, {})});
  settings.options.guard.campaign_pause_bounces = 2;  // never
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  receiver.script.on_rcpt = [](const ReceivedMessage&) { return std::string("550 5.1.1 NoSuchUser"); };
  world.Submit({.recipients = Recipients(2000, {"one.test"})});
  world.RunFor(seconds(5));
  const auto storms = [&world] {
    std::vector<GuardSnapshot> guards = world.Snapshot().guards;
    std::erase_if(guards, [](const GuardSnapshot& guard) { return guard.kind != GuardKind::kBounceStorm; });
    return guards;
  };
  ASSERT_EQ(storms().size(), 1u);
  EXPECT_TRUE(storms()[0].reason.contains("`postrider resume --site mx.one.test`"));
  world.Tell(CoreCommand::Kind::kResume, CoreCommand::Target::kSite, "mx.one.test");
  EXPECT_TRUE(storms().empty());
  EXPECT_TRUE(world.RunToEnd(hours(1)));
  EXPECT_GT(world.queue.Count(EventKind::kBounced), 1500u);
}

TEST(Guards, ABounceStormGivesNobodyUp) {
  ReplyRule rule = Rule("NoSuchUser", Category::kBadMailbox, Scope::kRecipient, {});
  rule.suppress = ReplyRule::Suppress::kAtOnce;
  WorldSettings settings = SettingsWith({rule});
  settings.options.guard.campaign_pause_bounces = 2;  // never
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  world.Submit({.recipients = Recipients(2000, {"one.test"})});
  ASSERT_TRUE(world.RunToEnd());
  receiver.script.on_rcpt = [](const ReceivedMessage&) { return std::string("550 5.1.1 NoSuchUser"); };
  world.Submit({.recipients = Recipients(2000, {"one.test"}), .message = "From: b@s.test\r\nSubject: b\r\n\r\nb\r\n"});
  world.RunFor(minutes(2));
  EXPECT_LT(world.queue.Count(EventKind::kBounced), 500u);
  EXPECT_EQ(world.queue.suppressions().size(), world.queue.Count(EventKind::kBounced));
  EXPECT_GT(world.Snapshot().counts.suppressions_held, 0u);
  receiver.script.on_rcpt = nullptr;
  EXPECT_TRUE(world.RunToEnd(hours(10)));
  EXPECT_GT(world.queue.Count(EventKind::kDelivered), 3500u);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Guards, AnOwnNetworkThatIsDownIsNobodysFault) {
  World world(SettingsWith({}));
  std::vector<std::string> domains;
  std::vector<Receiver*> receivers;
  for (int i = 0; i < 200; ++i) {
    domains.push_back("d" + std::to_string(i) + ".test");
    receivers.push_back(&world.AddReceiver("mx." + domains.back(), {domains.back()}));
    receivers.back()->script.silent = true;
  }
  world.Submit({.recipients = Recipients(2000, domains)});
  world.RunFor(minutes(10));
  std::uint64_t connects = 0;
  for (const Receiver* receiver : receivers) connects += receiver->connects;
  EXPECT_LT(connects, 600u) << "a probe now and then, not all sites again and again";
  EXPECT_EQ(world.queue.queued(), 2000u);
  EXPECT_EQ(PathEventsWith(world, "connects"), 1u);
  for (Receiver* receiver : receivers) receiver->script.silent = false;
  EXPECT_TRUE(world.RunToEnd(hours(2)));
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Reaction, ACapIsFoundAnewAfterADayAlsoWhereMailNeverStops) {
  WorldSettings settings = SettingsWith(
      {Rule("too many messages", Category::kThrottled, Scope::kConnection, {.kind = ActionKind::kReconnect})});
  RuleOptions& rule = settings.options.rules.front();
  rule.connections = 1;
  rule.message_rate = 0.05;
  rule.idle = minutes(5);
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  bool refuses = true;
  std::uint32_t longest = 0;
  receiver.script.on_mail = [&](const ReceivedMessage& message) {
    longest = std::max(longest, message.number);
    return refuses && message.number > 1 ? std::string("452 too many messages") : std::string();
  };
  world.Submit({.recipients = Recipients(6000, {"one.test"})});
  world.RunFor(minutes(5));
  ASSERT_EQ(longest, 2u);
  refuses = false;
  longest = 0;
  world.RunFor(hours(22));
  EXPECT_EQ(longest, 1u);
  world.RunFor(hours(3));
  EXPECT_GT(longest, 10u);
}

TEST(BadMailboxForNow, BouncesAtTheThirdReplyThatSaysSoAnHourAfterTheOneBefore) {
  World world(SettingsWith({Rule("NoSuchUser", Category::kBadMailbox, Scope::kRecipient, {})}));
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  receiver.script.on_rcpt = [](const ReceivedMessage& message) {
    return message.to.starts_with("ana") ? std::string("450 4.1.1 NoSuchUser") : std::string("450 4.2.0 greylisted");
  };
  world.Submit({.recipients = {"ana@one.test", "bo@one.test"}});
  const Wall begun = world.now().wall;
  ASSERT_TRUE(world.RunUntil([&] { return world.queue.Count(EventKind::kBounced) == 1; }, hours(12)));
  const std::vector<queue::Event>& events = world.queue.events();
  const auto bounce = std::ranges::find(events, EventKind::kBounced, &queue::Event::kind);
  EXPECT_EQ(bounce->recipient, "ana@one.test");
  EXPECT_EQ(bounce->code, 450);
  EXPECT_TRUE(bounce->final);
  EXPECT_GE(bounce->time, begun + hours(2));
  EXPECT_TRUE(world.queue.suppressions().empty()) << "its rule does not ask for it";
  world.RunFor(hours(12));
  EXPECT_EQ(world.queue.queued(), 1u) << "other words never do";
}

TEST(BadMailboxForNow, IsHeldBackByAStormAsOthersAre) {
  WorldSettings settings = SettingsWith({Rule("NoSuchUser", Category::kBadMailbox, Scope::kRecipient, {})});
  settings.options.guard.campaign_pause_bounces = 2;  // never
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  receiver.script.on_rcpt = [](const ReceivedMessage&) { return std::string("450 4.1.1 NoSuchUser"); };
  world.Submit({.recipients = Recipients(2000, {"one.test"})});
  world.RunFor(hours(6));
  EXPECT_GT(world.queue.Count(EventKind::kBounced), 50u);
  EXPECT_LT(world.queue.Count(EventKind::kBounced), 500u);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Reaction, ADomainThatIsGivenUpTellsWhichReplyDecided) {
  World world(SettingsWith(
      {Rule("no such domain", Category::kPolicyRelated, Scope::kDomain, {.kind = ActionKind::kBounceDomain})}));
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  receiver.script.on_rcpt = [](const ReceivedMessage&) { return std::string("550 5.1.2 no such domain here"); };
  world.Submit({.recipients = Recipients(500, {"one.test"})});
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(world.queue.Count(EventKind::kBounced), 500u);
  std::size_t unattempted = 0;
  for (const queue::Event& event : world.queue.events()) {
    if (event.kind != EventKind::kBounced) continue;
    unattempted += event.attempt == 0 ? 1 : 0;
    EXPECT_EQ(event.stage, Stage::kRcpt);
    EXPECT_EQ(event.code, 550);
    EXPECT_EQ(event.category, Category::kPolicyRelated);
    EXPECT_EQ(event.reply, "5.1.2 no such domain here");
  }
  EXPECT_GT(unattempted, 100u);
}

}  // namespace
}  // namespace postrider::delivery
