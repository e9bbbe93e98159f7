// What the window of a domain lets in: mail that stands there holds up no other mail of the domain, and what may not
// wait is read past a full one.

#include <fmt/format.h>

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/engine/delivery/world.h"

namespace postrider::delivery {
namespace {

using queue::CampaignState;
using queue::EventKind;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

CampaignPlan Plan(const std::string& name, std::vector<std::string> recipients) {
  CampaignPlan plan{.recipients = std::move(recipients)};
  plan.spec.name = name;
  plan.spec.envelope_from = name + "@sender.test";
  return plan;
}

CampaignPlan Receipts(const std::string& domain) {
  CampaignPlan plan = Plan("receipts", Recipients(3, {domain}));
  plan.spec.mail_class = MailClass::kTransactional;
  return plan;
}

std::size_t TakenFrom(const Receiver& receiver, const std::string& campaign) {
  return static_cast<std::size_t>(
      std::ranges::count(receiver.taken, campaign + "@sender.test", &ReceivedMessage::from));
}

// A pool for bulk mail and one for the rest, a source each.
WorldSettings TwoPools() {
  WorldSettings settings;
  settings.options = TestOptions();
  SourceOptions second = settings.options.sources[0];
  second.name = "second";
  second.ipv4 = IpAddress{IpAddress::Family::kIpv4, {11, 0, 0, 2}};
  settings.options.sources.push_back(second);
  settings.options.pools = {{.name = "bulk", .sources = {"first"}}, {.name = "other", .sources = {"second"}}};
  return settings;
}

CampaignPlan From(const std::string& pool, CampaignPlan plan) {
  plan.spec.pool = pool;
  return plan;
}

// A guard stops the campaign "stopped" at the first content that it brings.
WorldSettings GuardedSettings() {
  ReplyRule rule;
  rule.name = "dmarc";
  rule.patterns = {"dmarc"};
  rule.category = Category::kAuthFailure;
  rule.scope = Scope::kSender;
  rule.action = {.kind = ActionKind::kPauseSender};
  rule.samples = {{.reply = "550 5.7.26 dmarc", .stage = Stage::kContent, .provider = {}}};
  rule.file = "test";
  WorldSettings settings;
  settings.options = TestOptions();
  settings.classifier = ReplyClassifier::Make({rule}).value();
  return settings;
}

Receiver& AddGuardedReceiver(World& world, const std::string& domain) {
  Receiver& receiver = world.AddReceiver("mx." + domain, {domain});
  receiver.script.on_content = [](const ReceivedMessage& message) {
    return std::string(message.from == "stopped@sender.test" ? "550 5.7.26 dmarc" : "");
  };
  return receiver;
}

TEST(Window, FullOfMailWhoseSourceIsStoppedStillLetsMailOfOtherSourcesIn) {
  World world(TwoPools());
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  world.Tell(CoreCommand::Kind::kPause, CoreCommand::Target::kSource, "first");
  world.Submit(From("bulk", Plan("stopped", Recipients(5000, {"one.test"}))));
  world.RunFor(minutes(1));
  ASSERT_EQ(receiver.taken.size(), 0u);
  world.Submit(From("other", Receipts("one.test")));
  world.RunFor(seconds(5));
  EXPECT_EQ(TakenFrom(receiver, "receipts"), 3u);
  world.Submit(From("other", Plan("offer", Recipients(2000, {"one.test"}))));
  world.RunFor(minutes(1));
  EXPECT_EQ(TakenFrom(receiver, "offer"), 2000u);
  EXPECT_LT(world.Snapshot().window_jobs, 1024u) << "of what stands no more is read";
  world.Tell(CoreCommand::Kind::kResume, CoreCommand::Target::kSource, "first");
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Window, OfADomainWhereACampaignIsPausedIsReadForThoseThatComeLater) {
  World world(GuardedSettings());
  Receiver& receiver = AddGuardedReceiver(world, "one.test");
  world.Submit(Plan("stopped", Recipients(200, {"one.test"})));
  world.RunFor(minutes(10));
  ASSERT_GT(world.queue.queued(), 100u);
  world.Submit(Plan("offer", Recipients(100, {"one.test"})));
  world.RunFor(seconds(5));
  EXPECT_EQ(TakenFrom(receiver, "offer"), 100u);
}

TEST(Window, IsNotFilledByACampaignThatIsPausedThere) {
  World world(GuardedSettings());
  Receiver& receiver = AddGuardedReceiver(world, "one.test");
  world.Submit(Plan("stopped", Recipients(5000, {"one.test"})));
  world.Submit(Plan("offer", Recipients(5000, {"one.test"})));
  world.RunFor(minutes(2));
  EXPECT_EQ(TakenFrom(receiver, "offer"), 5000u);
  EXPECT_LT(world.Snapshot().window_jobs, 1024u) << "of the paused one no more is read";
}

TEST(Window, IsNotFilledByACampaignThatHasASmallRate) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  CampaignPlan slow = Plan("slow", Recipients(5000, {"one.test"}));
  slow.spec.messages_per_second = 1;
  world.Submit(slow);
  world.Submit(Plan("offer", Recipients(5000, {"one.test"})));
  world.RunFor(minutes(1));
  EXPECT_EQ(TakenFrom(receiver, "offer"), 5000u);
  EXPECT_NEAR(static_cast<double>(TakenFrom(receiver, "slow")), 60, 3);
}

TEST(Window, ACampaignWithARateIsReadOnWhileItWaitsForIt) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  CampaignPlan plan = Plan("offer", Recipients(20'000, {"one.test"}));
  plan.spec.messages_per_second = 200;
  world.Submit(plan);
  world.RunFor(seconds(60));
  EXPECT_NEAR(static_cast<double>(receiver.taken.size()), 200 * 60, 250);
}

TEST(Window, DomainsThatWaitForARateMakeRoomButNeverSoManyThatItGoesUnused) {
  WorldSettings settings;
  settings.options = TestOptions();
  settings.options.engine.active_domains = 400;
  World world(settings);
  std::vector<std::string> domains;
  for (int i = 0; i < 3000; ++i) domains.push_back(fmt::format("d{}.test", i));
  Receiver& receiver = world.AddReceiver("mx.hosting.test", domains);
  CampaignPlan plan = Plan("slow", Recipients(9000, domains));
  plan.spec.messages_per_second = 10;
  world.Submit(plan);
  world.RunFor(minutes(10));
  EXPECT_GE(receiver.taken.size(), 5820u) << "97 % of its rate";
  EXPECT_LE(receiver.taken.size(), 6020u);
}

TEST(Window, PausingACampaignHoldsUpNoOtherOfItsDomains) {
  WorldSettings settings;
  settings.options = TestOptions();
  settings.options.rules[0].message_rate = 100;
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  // One message of it waits for its final reply for long.
  receiver.script.on_content = [](const ReceivedMessage& message) {
    return std::string(message.to == "slow@one.test" ? kStall : "");
  };
  std::vector<std::string> recipients = Recipients(3000, {"one.test"});
  recipients.insert(recipients.begin(), "slow@one.test");
  const auto paused = world.Submit(Plan("paused", recipients))->id;
  world.Submit(Plan("offer", Recipients(3000, {"one.test"})));
  world.RunFor(seconds(1));
  world.SetState(paused, CampaignState::kPaused);
  world.Submit(Receipts("one.test"));
  world.RunFor(seconds(5));
  EXPECT_EQ(TakenFrom(receiver, "receipts"), 3u);
  world.RunFor(seconds(60));
  const std::size_t taken = TakenFrom(receiver, "paused");
  EXPECT_LT(taken, 3000u);
  EXPECT_EQ(TakenFrom(receiver, "offer"), 3000u);
  world.SetState(paused, CampaignState::kRunning);
  receiver.script.on_content = {};
  ASSERT_TRUE(world.RunToEnd(hours(5)));
  EXPECT_GE(TakenFrom(receiver, "paused"), 3001u);
  EXPECT_EQ(world.CheckQueue(), "");
}

TEST(Window, WhatIsCancelledEndsBehindAFullOneThoughTheReadFailedAtFirst) {
  WorldSettings settings;
  settings.options = TestOptions();
  settings.options.rules[0].message_rate = 2;
  World world(settings);
  world.AddReceiver("mx.one.test", {"one.test"});
  world.Submit(Plan("offer", Recipients(5000, {"one.test"})));
  const auto cancelled = world.Submit(Plan("cancelled", Recipients(2000, {"one.test"})))->id;
  world.RunFor(seconds(10));
  world.reads_fail = true;
  world.SetState(cancelled, CampaignState::kCancelled);
  world.RunFor(seconds(3));
  world.reads_fail = false;
  world.RunFor(seconds(5));
  EXPECT_GT(world.queue.Count(EventKind::kCancelled), 1900u);
}

TEST(TwoCores, WhatIsSaidOfADomainThatWasLetGoBringsItNotBack) {
  WorldSettings settings;
  settings.cores = 2;
  settings.options = TestOptions();
  settings.options.rules[0].message_rate = 10;
  World world(settings);
  world.AddReceiver("mx.one.test", {"one.test"});
  world.AddReceiver("mx.two.test", {"two.test"});
  world.Submit(Plan("offer", Recipients(300, {"one.test"})));
  world.RunFor(seconds(2));
  const std::uint32_t owner = world.Snapshot(0).window_jobs > 0 ? 0 : 1;
  ASSERT_GT(world.Snapshot(owner).window_jobs, 0u);
  PeerMessage late;
  late.kind = PeerMessage::Kind::kMxChanged;
  late.domain = "one.test";
  late.mx = std::make_shared<const dns::MxAnswer>(world.names.mx["two.test"]);
  late.from_core = owner;
  world.SayToPeer(1 - owner, late);
  world.RunFor(seconds(2));
  EXPECT_EQ(world.Snapshot(1 - owner).window_jobs, 0u);
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(world.CheckConservation(), "");
}

}  // namespace
}  // namespace postrider::delivery
