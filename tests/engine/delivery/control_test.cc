// What operators and submitters may ask while mail is under way: pause, resume, cancel, expiry, reload, drain.

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/engine/delivery/world.h"

namespace postrider::delivery {
namespace {

using queue::CampaignState;
using queue::EventKind;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

WorldSettings SlowSettings(double per_second = 20) {
  WorldSettings settings;
  settings.options = TestOptions();
  settings.options.rules[0].message_rate = per_second;
  return settings;
}

CoreCommand PauseCommand(CoreCommand::Kind kind, CoreCommand::Target target, const std::string& name) {
  CoreCommand command;
  command.kind = kind;
  command.target = target;
  command.name = name;
  return command;
}

TEST(Campaign, StopsWhenPausedAndGoesOnWhenResumed) {
  World world(SlowSettings());
  Receiver& receiver = world.AddReceiver("mx.some.test", {"some.test"});
  const queue::CampaignPtr campaign = world.Submit({.recipients = Recipients(1500, {"some.test"})});
  world.RunFor(seconds(10));
  world.SetState(campaign->id, CampaignState::kPaused);
  world.RunFor(milliseconds(100));
  const std::size_t taken = receiver.taken.size();
  EXPECT_GT(taken, 150u);
  world.RunFor(minutes(10));
  EXPECT_EQ(receiver.taken.size(), taken);
  world.SetState(campaign->id, CampaignState::kRunning);
  world.RunFor(seconds(5));
  EXPECT_GT(receiver.taken.size(), taken + 80);
  ASSERT_TRUE(world.RunToEnd(minutes(5)));
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 1500u);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Campaign, PausedBesideAnotherDoesNotHoldItUp) {
  World world(SlowSettings());
  world.AddReceiver("mx.some.test", {"some.test"});
  const queue::CampaignPtr first = world.Submit({.recipients = Recipients(600, {"some.test"})});
  std::vector<std::string> others;
  for (int i = 0; i < 100; ++i) others.push_back("bob" + std::to_string(i) + "@some.test");
  world.Submit({.recipients = others});
  world.RunFor(seconds(3));
  world.SetState(first->id, CampaignState::kPaused);
  EXPECT_TRUE(world.RunUntil(
      [&] { return std::ranges::all_of(others, [&](const std::string& one) { return world.queue.Find(one).done; }); },
      seconds(15)));
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Campaign, ResumedGoesOnAtOnceInADomainThatAnotherKeepsBusy) {
  World world(SlowSettings());
  world.AddReceiver("mx.some.test", {"some.test"});
  const queue::CampaignPtr first = world.Submit({.recipients = Recipients(600, {"some.test"})});
  std::vector<std::string> others;
  for (int i = 0; i < 3000; ++i) others.push_back("bob" + std::to_string(i) + "@some.test");
  world.Submit({.recipients = others});
  world.RunFor(seconds(5));
  world.SetState(first->id, CampaignState::kPaused);
  world.RunFor(seconds(15));
  world.SetState(first->id, CampaignState::kRunning);
  world.RunFor(seconds(100));
  // What was in its window when it was paused, too: the other one needs minutes more.
  const std::vector<std::string> resumed = Recipients(600, {"some.test"});
  EXPECT_TRUE(std::ranges::all_of(resumed, [&](const std::string& one) { return world.queue.Find(one).done; }));
  EXPECT_GT(world.queue.queued(), 500u);
  ASSERT_TRUE(world.RunToEnd(minutes(5)));
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Campaign, CancelledEndsEachJobAtOnceEvenOfADeadSite) {
  World world;
  world.AddReceiver("mx.dead.test", {"dead.test"}).script.listening = false;
  Receiver& grey = world.AddReceiver("mx.grey.test", {"grey.test"});
  grey.script.on_rcpt = [](const ReceivedMessage&) { return "450 4.2.0 later"; };
  const queue::CampaignPtr campaign =
      world.Submit({.recipients = Recipients(3000, {"dead.test", "grey.test", "gone.test"})});
  world.RunFor(minutes(3));
  EXPECT_EQ(world.queue.queued(), 3000u);
  world.SetState(campaign->id, CampaignState::kCancelled);
  ASSERT_TRUE(world.RunToEnd(seconds(20)));
  EXPECT_EQ(world.queue.Count(EventKind::kCancelled), 3000u);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Campaign, ExpiresOnTimeAlsoWhereNothingCanBeSent) {
  World world;
  world.AddReceiver("mx.dead.test", {"dead.test"}).script.listening = false;
  const Wall begun = world.now().wall;
  world.Submit({.recipients = Recipients(2000, {"dead.test"}), .expires_after = minutes(30)});
  world.RunFor(minutes(29));
  EXPECT_EQ(world.queue.queued(), 2000u);
  ASSERT_TRUE(world.RunToEnd(minutes(2)));
  EXPECT_EQ(world.queue.Count(EventKind::kExpired), 2000u);
  for (const queue::Event& event : world.queue.events()) {
    if (event.kind == EventKind::kExpired) {
      EXPECT_GE(event.time, begun + minutes(30));
    }
  }
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Campaign, CancelledEndsAlsoBehindTheFullWindowOfAnotherThatCannotGo) {
  World world;
  world.AddReceiver("mx.dead.test", {"dead.test"}).script.listening = false;
  world.Submit({.recipients = Recipients(3000, {"dead.test"})});
  std::vector<std::string> others;
  for (int i = 0; i < 2000; ++i) others.push_back("bob" + std::to_string(i) + "@dead.test");
  const queue::CampaignPtr cancelled = world.Submit({.recipients = others});
  for (int i = 0; i < 2000; ++i) others[static_cast<std::size_t>(i)].insert(0, "expires");
  world.Submit({.recipients = others, .expires_after = minutes(10)});
  world.RunFor(minutes(2));
  world.SetState(cancelled->id, CampaignState::kCancelled);
  EXPECT_TRUE(world.RunUntil([&] { return world.queue.Count(EventKind::kCancelled) == 2000; }, seconds(5)));
  EXPECT_EQ(world.queue.Count(EventKind::kExpired), 0u);
  world.RunFor(minutes(8));
  EXPECT_TRUE(world.RunUntil([&] { return world.queue.Count(EventKind::kExpired) == 2000; }, seconds(5)));
  EXPECT_EQ(world.queue.queued(), 3000u);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Pause, OfEverythingASiteOrASourceHoldsItsMail) {
  struct Case {
    CoreCommand::Target target;
    std::string name;
  };
  for (const Case& one : {Case{CoreCommand::Target::kAll, ""}, Case{CoreCommand::Target::kSite, "mx.some.test"},
                          Case{CoreCommand::Target::kSource, "first"}}) {
    World world(SlowSettings());
    Receiver& receiver = world.AddReceiver("mx.some.test", {"some.test"});
    world.Submit({.recipients = Recipients(400, {"some.test"})});
    world.RunFor(seconds(5));
    world.Command(PauseCommand(CoreCommand::Kind::kPause, one.target, one.name));
    world.RunFor(milliseconds(100));
    const std::size_t taken = receiver.taken.size();
    world.RunFor(minutes(5));
    EXPECT_EQ(receiver.taken.size(), taken);
    const CoreSnapshot snapshot = world.Snapshot();
    ASSERT_EQ(snapshot.sites.size(), 1u);
    EXPECT_EQ(snapshot.sites[0].binding_limit, "paused");
    world.Command(PauseCommand(CoreCommand::Kind::kResume, one.target, one.name));
    ASSERT_TRUE(world.RunToEnd(minutes(1)));
    EXPECT_EQ(world.CheckConservation(), "");
  }
}

TEST(Pause, SurvivesARestart) {
  WorldSettings settings = SlowSettings();
  settings.state = {{"pause/site/mx.some.test", ""}};
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.some.test", {"some.test"});
  world.Submit({.recipients = Recipients(10, {"some.test"})});
  world.RunFor(minutes(1));
  EXPECT_EQ(receiver.taken.size(), 0u);
  world.Command(PauseCommand(CoreCommand::Kind::kResume, CoreCommand::Target::kSite, "mx.some.test"));
  EXPECT_TRUE(world.RunToEnd());
}

TEST(StopSending, HoldsAllUntilGoOn) {
  World world(SlowSettings());
  Receiver& receiver = world.AddReceiver("mx.some.test", {"some.test"});
  world.Submit({.recipients = Recipients(200, {"some.test"})});
  world.RunFor(seconds(2));
  world.Command(PauseCommand(CoreCommand::Kind::kStopSending, {}, {}));
  world.RunFor(milliseconds(100));
  const std::size_t taken = receiver.taken.size();
  world.RunFor(minutes(5));
  EXPECT_EQ(receiver.taken.size(), taken);
  world.Command(PauseCommand(CoreCommand::Kind::kGoOn, {}, {}));
  EXPECT_TRUE(world.RunToEnd());
}

TEST(Reload, AppliesANewRateWithoutDroppingConnections) {
  World world(SlowSettings(10));
  Receiver& receiver = world.AddReceiver("mx.some.test", {"some.test"});
  world.Submit({.recipients = Recipients(1000, {"some.test"})});
  world.RunFor(seconds(10));
  const std::uint64_t sessions = receiver.sessions;
  Options faster = SlowSettings(1000).options;
  world.Reload(faster);
  ASSERT_TRUE(world.RunToEnd(seconds(10)));
  EXPECT_EQ(receiver.sessions, sessions);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Reload, ToRequiredTlsEndsPlaintextConnections) {
  WorldSettings settings = SlowSettings(10);
  settings.options.rules[0].tls = TlsDemand::kNone;
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.some.test", {"some.test"});
  world.Submit({.recipients = Recipients(200, {"some.test"})});
  world.RunFor(seconds(5));
  settings.options.rules[0].tls = TlsDemand::kRequired;
  world.Reload(settings.options);
  world.RunFor(milliseconds(100));
  const std::size_t plain = receiver.taken.size();
  ASSERT_TRUE(world.RunToEnd(minutes(1)));
  EXPECT_TRUE(std::all_of(receiver.taken.begin() + static_cast<std::ptrdiff_t>(plain), receiver.taken.end(),
                          [](const ReceivedMessage& message) { return message.tls; }));
}

TEST(Reload, SendsADomainsMailByItsNewRoute) {
  WorldSettings settings = SlowSettings(10);
  World world(settings);
  Receiver& first = world.AddReceiver("mx.first.test", {"some.test"});
  Receiver& second = world.AddReceiver("relay.test", {});
  world.Submit({.recipients = Recipients(200, {"some.test"})});
  world.RunFor(seconds(5));
  RouteOptions route;
  route.match = *DomainPattern::Parse("some.test");
  route.hosts = {{.name = "relay.test", .port = std::nullopt}};
  settings.options.routes.push_back(route);
  world.Reload(settings.options);
  world.RunFor(seconds(2));
  const std::size_t by_first = first.taken.size();
  ASSERT_TRUE(world.RunToEnd(minutes(1)));
  EXPECT_EQ(first.taken.size(), by_first);
  EXPECT_EQ(second.taken.size(), 200 - by_first);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Drain, LetsMessagesEndAndLosesNone) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.some.test", {"some.test"});
  receiver.script.round_trip = milliseconds(50);
  world.Submit({.recipients = Recipients(5000, {"some.test"})});
  world.RunFor(seconds(1));
  ASSERT_TRUE(world.Drain(seconds(30), seconds(5)));
  world.RunFor(milliseconds(100));  // the last closes reach the server
  EXPECT_EQ(receiver.open, 0u);
  EXPECT_GT(world.queue.queued(), 0u);
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), receiver.taken.size());
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Drain, AtItsDeadlineWhatAwaitsTheFinalReplyIsUnknown) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.stuck.test", {"stuck.test"});
  receiver.script.on_content = [](const ReceivedMessage&) { return std::string(kStall); };
  world.AddReceiver("mx.silent.test", {"silent.test"}).script.silent = true;
  world.Submit({.recipients = Recipients(20, {"stuck.test", "silent.test"})});
  world.RunFor(seconds(5));
  EXPECT_FALSE(world.Drain(seconds(30), seconds(29)));
  ASSERT_TRUE(world.RunUntil([&] { return world.Drain(seconds(30), seconds(2)); }, seconds(5)));
  const auto unknown = std::ranges::count(world.queue.events(), EventKind::kUnknown, &queue::Event::kind);
  EXPECT_EQ(unknown, static_cast<std::ptrdiff_t>(receiver.sessions));
  EXPECT_EQ(world.queue.queued(), 20u);
  EXPECT_EQ(world.CheckConservation(), "");
}

}  // namespace
}  // namespace postrider::delivery
