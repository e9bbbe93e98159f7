// Sources whose address this host has no more.

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/engine/delivery/world.h"

namespace postrider::delivery {
namespace {

using queue::EventKind;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

Options TwoSources() {
  Options options = TestOptions();
  SourceOptions second = options.sources[0];
  second.name = "second";
  second.ipv4->bytes[3] = 2;
  options.sources.push_back(second);
  return options;
}

std::vector<std::string> SourceEvents(const World& world) {
  std::vector<std::string> sentences;
  for (const queue::Event& event : world.queue.PathEvents()) {
    if (event.reply.starts_with("source ")) sentences.push_back(event.reply);
  }
  return sentences;
}

TEST(SourceGone, ItsMailGoesByTheOtherSourcesAndNobodyIsCharged) {
  WorldSettings settings;
  settings.options = TwoSources();
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  world.missing.insert(*settings.options.sources[0].ipv4);
  world.Submit({.recipients = Recipients(500, {"one.test"})});
  ASSERT_TRUE(world.RunToEnd(seconds(30)));
  EXPECT_EQ(receiver.taken.size(), 500u);
  EXPECT_TRUE(
      std::ranges::all_of(receiver.taken, [](const ReceivedMessage& message) { return message.client == "11.0.0.2"; }));
  EXPECT_EQ(world.CheckConservation(), "");
  const CoreSnapshot snapshot = world.Snapshot();
  EXPECT_EQ(snapshot.counts.connect_failures, 0u);
  EXPECT_EQ(snapshot.counts.path_backoffs, 0u);
  ASSERT_EQ(snapshot.guards.size(), 1u);
  EXPECT_EQ(snapshot.guards[0].kind, GuardKind::kSourceGone);
  EXPECT_EQ(snapshot.guards[0].state, GuardState::kTripped);
  EXPECT_EQ(snapshot.guards[0].source, "first");
  EXPECT_TRUE(snapshot.guards[0].reason.starts_with("11.0.0.1 is not an address of this host"));
  EXPECT_EQ(
      SourceEvents(world),
      (std::vector<std::string>{"source first is disabled on core 0: 11.0.0.1 is not an address of this host; mail "
                                "goes by the other sources of its pools, or waits; it is looked at again every 30 "
                                "s"}));
}

TEST(SourceGone, WithoutAnotherItsMailWaitsUnchargedAndTheLimitSaysSo) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  world.missing.insert(*TestOptions().sources[0].ipv4);
  world.Submit({.recipients = Recipients(500, {"one.test"})});
  world.RunFor(hours(2));
  EXPECT_EQ(receiver.connects, 0u);
  EXPECT_EQ(world.queue.queued(), 500u);
  EXPECT_TRUE(std::ranges::all_of(world.queue.events(),
                                  [](const queue::Event& event) { return event.kind == EventKind::kPath; }));
  EXPECT_EQ(SourceEvents(world).size(), 1u);
  const CoreSnapshot snapshot = world.Snapshot();
  ASSERT_EQ(snapshot.sites.size(), 1u);
  EXPECT_EQ(snapshot.sites[0].binding_limit, "source-gone");
  EXPECT_EQ(snapshot.sites[0].mode, SiteMode::kStopped);
  EXPECT_EQ(snapshot.sites[0].last_reply, "11.0.0.1 is not an address of this host");
  EXPECT_LE(*snapshot.sites[0].blocked_until - world.now().wall, seconds(30));
  EXPECT_EQ(snapshot.lateness_seconds, 0);
  EXPECT_EQ(snapshot.counts.connect_failures, 0u);
  EXPECT_LT(snapshot.counts.connects, 5u);

  world.missing.clear();
  ASSERT_TRUE(world.RunToEnd(seconds(32)));
  EXPECT_EQ(receiver.taken.size(), 500u);
  ASSERT_EQ(SourceEvents(world).size(), 2u);
  EXPECT_EQ(SourceEvents(world)[1], "source first is used again on core 0: this host has its addresses");
  EXPECT_TRUE(world.Snapshot().guards.empty());
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(SourceGone, InTheMiddleOfMailChargesNobody) {
  WorldSettings settings;
  settings.options = TestOptions();
  settings.options.rules[0].message_rate = 20;
  settings.options.rules[0].messages_per_connection = 5;
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  world.Submit({.recipients = Recipients(1000, {"one.test"})});
  world.RunFor(seconds(10));
  world.missing.insert(*settings.options.sources[0].ipv4);
  world.RunFor(minutes(1));
  const std::size_t taken = receiver.taken.size();
  EXPECT_LT(taken, 1000u);
  EXPECT_EQ(world.Snapshot().counts.path_backoffs, 0u);
  world.missing.clear();
  ASSERT_TRUE(world.RunToEnd(minutes(3)));
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 1000u);
  EXPECT_TRUE(std::ranges::none_of(world.queue.events(),
                                   [](const queue::Event& event) { return event.kind == EventKind::kDeferred; }));
}

TEST(SourceGone, OfTwoAddressesTheOtherIsUsed) {
  WorldSettings settings;
  settings.options = TestOptions();
  settings.options.sources[0].ipv6 = IpAddress::Parse("2600::1").value();
  RouteOptions route;
  route.match = DomainPattern::Parse("*").value();
  route.use_ipv6 = true;
  settings.options.routes.push_back(route);
  World world(settings);
  Receiver& old = world.AddReceiver("mx.old.test", {"old.test"});
  Receiver& both = world.AddReceiver("mx.both.test", {"both.test"});
  const IpAddress ipv6 = IpAddress::Parse("2600::99").value();
  world.Listen({ipv6, 25}, both);
  world.names.addresses["mx.both.test"].push_back(ipv6);
  world.missing.insert(*settings.options.sources[0].ipv4);
  world.Submit({.recipients = Recipients(20, {"old.test", "both.test"})});
  world.RunFor(minutes(10));
  EXPECT_EQ(both.taken.size(), 10u);
  EXPECT_EQ(old.taken.size(), 0u) << "it has no address of the family that is left";
  EXPECT_EQ(world.Snapshot().counts.path_backoffs, 0u);
  ASSERT_EQ(world.Snapshot().guards.size(), 1u);
  EXPECT_EQ(world.Snapshot().guards[0].state, GuardState::kWarning);
  world.missing.clear();
  EXPECT_TRUE(world.RunToEnd(minutes(1)));
  EXPECT_EQ(world.CheckConservation(), "");
}

}  // namespace
}  // namespace postrider::delivery
