// What fails before any mail: hosts, DNS, TLS. The mail stays in its place, uncharged.

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/engine/delivery/world.h"

namespace postrider::delivery {
namespace {

using queue::EventKind;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

bool AnyAttempted(const World& world, const std::vector<std::string>& recipients) {
  return std::ranges::any_of(recipients,
                             [&world](const std::string& address) { return world.queue.Find(address).attempts != 0; });
}

std::size_t CountPathEvents(const World& world, std::string_view words) {
  const std::vector<queue::Event> events = world.queue.PathEvents();
  return static_cast<std::size_t>(std::ranges::count_if(
      events, [words](const queue::Event& event) { return event.reply.find(words) != std::string::npos; }));
}

TEST(DeadSite, KeepsItsMailUnchargedAndInOrderUntilItReturns) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.dead.test", {"dead.test"});
  receiver.script.listening = false;
  const std::vector<std::string> recipients = Recipients(20'000, {"dead.test"});
  world.Submit({.recipients = recipients});
  world.RunFor(minutes(10));
  EXPECT_EQ(world.queue.queued(), 20'000u);
  EXPECT_FALSE(AnyAttempted(world, {recipients.front(), recipients.back()}));
  EXPECT_TRUE(std::ranges::all_of(world.queue.events(),
                                  [](const queue::Event& event) { return event.kind == EventKind::kPath; }));
  EXPECT_EQ(CountPathEvents(world, "refused"), 1u) << "one event for one change of state";
  EXPECT_GE(receiver.connects, 3u);
  EXPECT_LE(receiver.connects, 12u) << "back-off, not hammering";
  const CoreSnapshot snapshot = world.Snapshot();
  ASSERT_EQ(snapshot.sites.size(), 1u);
  EXPECT_EQ(snapshot.sites[0].mode, SiteMode::kBackingOff);
  EXPECT_EQ(snapshot.sites[0].binding_limit, "backoff");
  EXPECT_TRUE(snapshot.sites[0].blocked_until.has_value());
  EXPECT_EQ(snapshot.lateness_seconds, 0) << "what is limited is not late";
  EXPECT_GT(snapshot.counts.limited_seconds[static_cast<std::size_t>(Limit::kBackoff)], 500);

  receiver.script.listening = true;
  ASSERT_TRUE(world.RunToEnd(hours(1)));
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 20'000u);
  EXPECT_EQ(world.CheckConservation(), "");
  EXPECT_EQ(CountPathEvents(world, "answers again"), 1u);
  // In the order of the list, but for what ten connections overtake.
  std::size_t place = 0;
  for (const ReceivedMessage& message : receiver.taken) {
    const auto number = static_cast<std::size_t>(std::stoi(message.to.substr(3)));
    EXPECT_LE(number > place ? number - place : place - number, 64u);
    ++place;
  }
  EXPECT_TRUE(std::ranges::all_of(world.queue.events(), [](const queue::Event& event) {
    return event.kind != EventKind::kDelivered || event.attempt == 1;
  }));
}

TEST(DeadSite, DoesNotHoldUpTheOthers) {
  World world;
  world.AddReceiver("mx.dead.test", {"dead.test"}).script.silent = true;
  world.AddReceiver("mx.good.test", {"good.test"});
  world.Submit({.recipients = Recipients(2000, {"dead.test", "good.test"})});
  EXPECT_TRUE(world.RunUntil([&] { return world.queue.Count(EventKind::kDelivered) == 1000; }, seconds(20)));
  EXPECT_EQ(world.queue.queued(), 1000u);
}

TEST(NextMx, IsTriedWhenTheFirstFails) {
  World world;
  world.AddReceiver("mx1.two.test", {"two.test"}, 10).script.listening = false;
  Receiver& second = world.AddReceiver("mx2.two.test", {"two.test"}, 20);
  world.Submit({.recipients = Recipients(100, {"two.test"})});
  ASSERT_TRUE(world.RunToEnd(seconds(30)));
  EXPECT_EQ(second.taken.size(), 100u);
  EXPECT_EQ(world.CheckConservation(), "");
  EXPECT_EQ(world.queue.events().back().mx_host, "mx2.two.test");
}

TEST(NextMx, IsTriedWhenTheFirstDoesNotAnswerAtAll) {
  World world;
  world.AddReceiver("mx1.two.test", {"two.test"}, 10).script.silent = true;
  Receiver& second = world.AddReceiver("mx2.two.test", {"two.test"}, 20);
  world.Submit({.recipients = Recipients(10, {"two.test"})});
  ASSERT_TRUE(world.RunToEnd(seconds(40))) << "30 s for the connect, then the next host";
  EXPECT_EQ(second.taken.size(), 10u);
}

TEST(NextMx, IsTriedWhenTheFirstGreetsWithARefusal) {
  for (const std::string banner : {"421 4.3.2 too busy", "554 5.7.1 go away"}) {
    World world;
    world.AddReceiver("mx1.two.test", {"two.test"}, 10).script.banner = banner;
    Receiver& second = world.AddReceiver("mx2.two.test", {"two.test"}, 20);
    world.Submit({.recipients = Recipients(10, {"two.test"})});
    ASSERT_TRUE(world.RunToEnd(seconds(30))) << banner;
    EXPECT_EQ(second.taken.size(), 10u);
    EXPECT_EQ(CountPathEvents(world, banner.substr(10)), 1u);
  }
}

TEST(Dns, NullMxBouncesEveryRecipientOnce) {
  World world;
  world.names.mx["null.test"].status = dns::MxStatus::kNullMx;
  world.Submit({.recipients = Recipients(3000, {"null.test"})});
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(world.queue.Count(EventKind::kBounced), 3000u);
  EXPECT_EQ(world.CheckConservation(), "");
  const queue::Event& event = world.queue.events().back();
  EXPECT_EQ(event.category, Category::kBadDomain);
  EXPECT_EQ(event.attempt, 0);
  EXPECT_NE(event.reply.find("RFC 7505"), std::string::npos);
}

TEST(Dns, ADomainThatDoesNotExistBouncesOnlyWhenSeenTwiceAnHourApart) {
  World world;
  world.Submit({.recipients = Recipients(10, {"gone.test"})});
  world.RunFor(minutes(55));
  EXPECT_EQ(world.queue.queued(), 10u);
  EXPECT_GE(world.names.mx_queries, 2u);
  ASSERT_TRUE(world.RunToEnd(hours(2)));
  EXPECT_EQ(world.queue.Count(EventKind::kBounced), 10u);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Dns, ATemporaryFailureOnlyDelays) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.late.test", {"late.test"});
  const dns::MxAnswer good = world.names.mx["late.test"];
  world.names.mx["late.test"] = {};
  world.Submit({.recipients = Recipients(10, {"late.test"})});
  world.RunFor(minutes(2));
  EXPECT_EQ(world.queue.queued(), 10u);
  EXPECT_EQ(world.queue.PathEvents().size(), 1u);
  world.names.mx["late.test"] = good;
  ASSERT_TRUE(world.RunToEnd(minutes(10)));
  EXPECT_EQ(receiver.taken.size(), 10u);
}

TEST(Dns, AnswersThatPointToOurselvesOrPrivateNetworksAreRefused) {
  for (const std::string address : {"127.0.0.1", "10.1.2.3", "11.0.0.1", "12.34.56.78"}) {
    World world;
    world.own.insert(*IpAddress::Parse("12.34.56.78"));
    world.AddReceiver("mx.odd.test", {"odd.test"});
    world.names.addresses["mx.odd.test"] = {*IpAddress::Parse(address)};
    world.Submit({.recipients = Recipients(5, {"odd.test"})});
    world.RunFor(minutes(1));
    EXPECT_EQ(world.queue.queued(), 5u);
    EXPECT_EQ(CountPathEvents(world, "refused; set allow_private"), 1u) << address;
  }
}

// ---- TLS

TEST(BrokenTls, GivesWayToPlaintextAfterTwoFreshFailures) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.old.test", {"old.test"});
  receiver.script.tls_broken = true;
  world.Submit({.recipients = Recipients(50, {"old.test"})});
  ASSERT_TRUE(world.RunToEnd(minutes(1)));
  EXPECT_EQ(receiver.taken.size(), 50u);
  EXPECT_TRUE(std::ranges::none_of(receiver.taken, &ReceivedMessage::tls));
  EXPECT_EQ(world.CheckConservation(), "");
  EXPECT_TRUE(world.queue.state().contains("tls/mx.old.test"));
  EXPECT_TRUE(world.queue.events().back().tls_version.empty());
}

TEST(BrokenTls, DefersWhereTlsWorkedLately) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.new.test", {"new.test"});
  world.Submit({.recipients = Recipients(10, {"new.test"})});
  ASSERT_TRUE(world.RunToEnd());
  world.RunFor(minutes(1));
  receiver.script.tls_broken = true;
  world.Submit({.recipients = Recipients(10, {"new.test"})});
  world.RunFor(hours(2));
  EXPECT_EQ(receiver.taken.size(), 10u) << "a stripped handshake must not bring plaintext";
  EXPECT_EQ(world.queue.queued(), 10u);
}

TEST(RequiredTls, IsNeverGivenUp) {
  for (const TlsDemand demand : {TlsDemand::kRequired, TlsDemand::kVerified}) {
    for (const bool offered : {false, true}) {
      WorldSettings settings;
      settings.options = TestOptions();
      settings.options.rules[0].tls = demand;
      World world(settings);
      Receiver& receiver = world.AddReceiver("mx.strict.test", {"strict.test"});
      receiver.script.offers_tls = offered;
      receiver.script.tls_broken = true;
      world.Submit({.recipients = Recipients(10, {"strict.test"})});
      world.RunFor(hours(3));
      EXPECT_EQ(receiver.taken.size(), 0u);
      EXPECT_EQ(world.queue.queued(), 10u);
      EXPECT_EQ(world.CheckConservation(), "");
    }
  }
}

TEST(NoTls, IsUsedWhereTheRuleSaysSo) {
  WorldSettings settings;
  settings.options = TestOptions();
  settings.options.rules[0].tls = TlsDemand::kNone;
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.plain.test", {"plain.test"});
  world.Submit({.recipients = Recipients(10, {"plain.test"})});
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(receiver.handshakes, 0u);
}

// ---- flights

WorldSettings OneConnection() {
  WorldSettings settings;
  settings.options = TestOptions();
  settings.options.rules.front().connections = 1;
  return settings;
}

TEST(Flights, GoOnWhereABreakIsRare) {
  World world(OneConnection());
  Receiver& receiver = world.AddReceiver("mx.good.test", {"good.test"});
  int asked = 0;
  receiver.script.on_rcpt = [&asked](const ReceivedMessage& message) {
    return ++asked % 1500 == 0 && message.number > 1 ? std::string(kReset) : std::string();
  };
  world.Submit({.recipients = Recipients(9000, {"good.test"})});
  ASSERT_TRUE(world.RunToEnd(hours(1)));
  EXPECT_GE(receiver.flights, 9000u);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Flights, AreTriedAgainAfterATimeOfLockStepThatIsLongerAfterTheNextBreak) {
  WorldSettings settings = OneConnection();
  RuleOptions& rule = settings.options.rules.front();
  rule.message_rate = 0.05;
  rule.messages_per_connection = 5;
  rule.idle = minutes(5);
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.odd.test", {"odd.test"});
  bool breaks = true;
  receiver.script.on_rcpt = [&breaks](const ReceivedMessage& message) {
    return breaks && message.number == 3 ? std::string(kReset) : std::string();
  };
  world.Submit({.recipients = Recipients(2000, {"odd.test"})});
  const auto flights_within = [&](minutes span) {
    const std::uint64_t before = receiver.flights;
    world.RunFor(span);
    return receiver.flights - before;
  };
  EXPECT_GE(flights_within(minutes(6)), 6u);
  breaks = false;
  EXPECT_EQ(flights_within(minutes(20)), 0u);
  world.RunFor(minutes(25));
  breaks = true;
  EXPECT_GT(flights_within(minutes(5)), 0u) << "a probe";
  breaks = false;
  EXPECT_EQ(flights_within(minutes(50)), 0u) << "one break was enough, and it holds for twice as long";
  world.RunFor(minutes(30));
  EXPECT_GE(flights_within(minutes(5)), 14u);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Flights, GoOnWhereTheServerSaysWhyItClosesAnIdleConnection) {
  World world(OneConnection());
  Receiver& receiver = world.AddReceiver("mx.good.test", {"good.test"});
  receiver.script.on_content = [](const ReceivedMessage&) {
    return std::string("250 taken\r\n451 4.4.2 Timeout - closing connection");
  };
  world.Submit({.recipients = {"ana@good.test"}});
  ASSERT_TRUE(world.RunToEnd());
  world.RunFor(seconds(1));
  receiver.script.on_content = nullptr;
  world.Submit({.recipients = Recipients(10, {"good.test"})});
  ASSERT_TRUE(world.RunToEnd(seconds(5))) << "nor is the host left alone for it";
  EXPECT_EQ(receiver.flights, 11u);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(RequiredTls, ThatFailsBringsNoOtherDomainOfTheHostPlaintext) {
  WorldSettings settings;
  settings.options = TestOptions();
  RuleOptions strict;
  strict.match = *DomainPattern::Parse("strict.test");
  strict.tls = TlsDemand::kVerified;
  settings.options.rules.push_back(strict);
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.both.test", {"strict.test", "easy.test"});
  receiver.script.tls_broken = true;
  world.Submit({.recipients = Recipients(10, {"strict.test"})});
  world.RunFor(hours(2));
  receiver.script.tls_broken = false;
  world.Submit({.recipients = Recipients(10, {"easy.test"})});
  ASSERT_TRUE(world.RunToEnd(hours(1)));
  EXPECT_EQ(receiver.taken.size(), 20u);
  EXPECT_TRUE(std::ranges::all_of(receiver.taken, &ReceivedMessage::tls));
}

}  // namespace
}  // namespace postrider::delivery
