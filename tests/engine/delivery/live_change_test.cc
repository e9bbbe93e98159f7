// What an operator changes while mail is under way: rules of `throttle set`, pauses of one source at one place; and
// what a core tells of the place where a domain's mail goes.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>

#include "tests/engine/delivery/world.h"

namespace postrider::delivery {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

RuleOptions RuleFor(std::string_view pattern, std::optional<double> per_second) {
  RuleOptions rule;
  rule.match = DomainPattern::Parse(pattern).value();
  rule.message_rate = per_second;
  return rule;
}

WorldSettings Settings(double per_second) {
  WorldSettings settings;
  settings.options = TestOptions();
  settings.options.rules[0].message_rate = per_second;
  settings.options.rules[0].messages_per_connection = 100'000;
  return settings;
}

SourceOptions Source(std::string name, std::uint8_t last) {
  SourceOptions source;
  source.name = std::move(name);
  source.ipv4 = IpAddress{IpAddress::Family::kIpv4, {11, 0, 0, last}};
  source.ehlo_name = source.name + ".sender.test";
  return source;
}

std::size_t TakenWithin(World& world, const Receiver& receiver, std::chrono::nanoseconds span) {
  const std::size_t before = receiver.taken.size();
  world.RunFor(span);
  return receiver.taken.size() - before;
}

std::size_t TakenFrom(const Receiver& receiver, std::string_view address) {
  return static_cast<std::size_t>(std::ranges::count(receiver.taken, address, &ReceivedMessage::client));
}

// A message may be under way when the rule changes.
constexpr milliseconds kUnderWay{20};

TEST(LiveRule, OfADomainAloneAtItsSiteBindsAtOnceOverTheSameConnections) {
  WorldSettings settings = Settings(10);
  settings.options.rules[0].idle = minutes(1);
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.some.test", {"some.test"});
  Receiver& other = world.AddReceiver("mx.other.test", {"other.test"});
  world.Submit({.recipients = Recipients(20'000, {"some.test", "other.test"})});
  world.RunFor(seconds(10));
  const std::uint64_t sessions = receiver.sessions;
  std::size_t others_before = other.taken.size();
  for (const double rate : {100.0, 2.0, 50.0}) {
    Options changed = settings.options;
    changed.rules.push_back(RuleFor("some.test", rate));
    world.Reload(changed);
    world.RunFor(kUnderWay);
    const auto most = static_cast<std::size_t>(rate);
    EXPECT_LE(TakenWithin(world, receiver, seconds(1)), 2 * most) << rate;  // at most its burst more
    const std::size_t taken = TakenWithin(world, receiver, seconds(10));
    EXPECT_LE(taken, 10 * most + 1) << rate;
    EXPECT_GE(taken, 10 * most - 1) << rate;
  }
  // Taken back, the rule before holds again.
  world.Reload(settings.options);
  world.RunFor(seconds(1));
  EXPECT_THAT(TakenWithin(world, receiver, seconds(10)), testing::AllOf(testing::Ge(99u), testing::Le(101u)));
  EXPECT_EQ(receiver.sessions, sessions) << "no connection is new";
  EXPECT_EQ(receiver.open, receiver.most_open) << "none was closed";
  others_before = other.taken.size() - others_before;
  EXPECT_THAT(others_before, testing::AllOf(testing::Ge(438u), testing::Le(443u))) << "and nobody else was touched";
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(LiveRule, KeepsWhatWasSentUnderTheOneBefore) {
  WorldSettings settings = Settings(0);
  settings.options.rules[0].message_rate.reset();
  settings.options.rules.push_back(RuleFor("some.test", 10.0 / 60));
  settings.options.rules.back().burst = 10;
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.some.test", {"some.test"});
  world.Submit({.recipients = Recipients(1000, {"some.test"})});
  world.RunFor(seconds(5));
  ASSERT_EQ(receiver.taken.size(), 10u) << "the burst";
  // The same again by a more specific pattern: the bucket is as full as it was.
  settings.options.rules.push_back(RuleFor("mx:mx.some.test", 10.0 / 60));
  settings.options.rules.back().burst = 10;
  world.Reload(settings.options);
  world.RunFor(seconds(5));
  EXPECT_LE(receiver.taken.size(), 12u);
  // What was saved under its former key is gone, and it is saved under the new one.
  world.RunFor(seconds(3));
  std::size_t saved = 0;
  for (const auto& [key, value] : world.queue.state()) saved += key.starts_with("allowance/");
  EXPECT_LE(saved, 1u);
}

TEST(LiveRule, OfOneDomainLeavesTheOthersOfItsSiteAlone) {
  WorldSettings settings = Settings(20);
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.shared.test", {"one.test", "two.test"});
  world.Submit({.recipients = Recipients(4000, {"one.test", "two.test"})});
  world.RunFor(seconds(10));
  settings.options.rules.push_back(RuleFor("one.test", 1));
  world.Reload(settings.options);
  world.RunFor(seconds(2));
  const auto count = [&](std::string_view domain) {
    return std::ranges::count_if(receiver.taken, [&](const auto& message) { return message.to.ends_with(domain); });
  };
  const auto one = count("@one.test");
  const auto two = count("@two.test");
  world.RunFor(seconds(20));
  EXPECT_NEAR(static_cast<double>(count("@one.test") - one), 20, 2);
  EXPECT_NEAR(static_cast<double>(count("@two.test") - two), 400, 8);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Pause, OfASourceAtOnePlaceHoldsItThereAlone) {
  for (const std::string& at : {std::string("mx.first.google.com"), std::string("google")}) {
    WorldSettings settings = Settings(20);
    settings.options.sources = {Source("a", 1), Source("b", 2)};
    World world(settings);
    Receiver& google = world.AddReceiver("mx.first.google.com", {"one.test"});
    Receiver& tenant = world.AddReceiver("mx.second.google.com", {"two.test"});
    Receiver& other = world.AddReceiver("mx.other.test", {"other.test"});
    world.Submit({.recipients = Recipients(12'000, {"one.test", "two.test", "other.test"})});
    world.RunFor(seconds(10));
    CoreCommand command;
    command.kind = CoreCommand::Kind::kPause;
    command.target = CoreCommand::Target::kSourceAt;
    command.name = "a";
    command.at = at;
    world.Command(command);
    world.RunFor(kUnderWay);
    const auto from_a = [&] {
      return std::vector<std::size_t>{TakenFrom(google, "11.0.0.1"), TakenFrom(tenant, "11.0.0.1"),
                                      TakenFrom(other, "11.0.0.1")};
    };
    const std::vector<std::size_t> before = from_a();
    const std::size_t by_b = TakenFrom(google, "11.0.0.2");
    EXPECT_GT(before[0], 0u);
    world.RunFor(seconds(20));
    const std::vector<std::size_t> after = from_a();
    EXPECT_EQ(after[0], before[0]) << at;
    if (at == "google") {
      EXPECT_EQ(after[1], before[1]);
    } else {
      EXPECT_GT(after[1], before[1]);
    }
    EXPECT_GT(after[2], before[2]) << at;
    EXPECT_GT(TakenFrom(google, "11.0.0.2"), by_b) << "the other source goes on";
    command.kind = CoreCommand::Kind::kResume;
    world.Command(command);
    world.RunFor(seconds(5));
    EXPECT_GT(from_a()[0], after[0]);
    EXPECT_EQ(world.CheckConservation(), "");
  }
}

TEST(Pause, OfASourceAtOnePlaceSurvivesARestart) {
  WorldSettings settings = Settings(20);
  settings.state = {{"pause/source-at/first/mx.some.test", "1"}, {"pause/source-at/broken", "1"}};
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.some.test", {"some.test"});
  Receiver& other = world.AddReceiver("mx.other.test", {"other.test"});
  world.Submit({.recipients = Recipients(20, {"some.test", "other.test"})});
  world.RunFor(minutes(1));
  EXPECT_EQ(receiver.taken.size(), 0u);
  EXPECT_EQ(other.taken.size(), 10u);
}

TEST(Place, IsToldWithItsPathsAndAllowances) {
  WorldSettings settings = Settings(20);
  settings.options.rules.push_back(RuleFor("one.test", 5));
  World world(settings);
  world.AddReceiver("mx.first.google.com", {"one.test"});
  world.Submit({.recipients = Recipients(400, {"one.test"})});
  world.RunFor(seconds(10));
  const std::optional<PlaceSnapshot> place = world.Snapshot(0, "one.test").place;
  ASSERT_TRUE(place.has_value());
  EXPECT_EQ(place->domain, "one.test");
  EXPECT_EQ(place->site, "mx.first.google.com");
  EXPECT_EQ(place->provider, "google");
  ASSERT_EQ(place->paths.size(), 1u);
  EXPECT_EQ(place->paths[0].source, "first");
  EXPECT_EQ(place->paths[0].binding_limit, "message-rate");
  ASSERT_EQ(place->allowances.size(), 2u) << "its own, and its provider's";
  EXPECT_FALSE(place->allowances[0].is_provider);
  EXPECT_EQ(place->allowances[0].rate_limit, 5);
  EXPECT_TRUE(place->allowances[1].is_provider);
  EXPECT_EQ(place->allowances[1].receiver, "google");
  EXPECT_GT(place->allowances[1].connections, 0u);
  EXPECT_GE(place->allowances[1].connection_limit, place->allowances[1].connections);
  const CoreSnapshot snapshot = world.Snapshot();
  EXPECT_FALSE(snapshot.place.has_value()) << "not asked for";
  ASSERT_TRUE(snapshot.sources.contains("first"));
  EXPECT_EQ(snapshot.sources.at("first").connections, place->paths[0].connections);
  EXPECT_FALSE(world.Snapshot(0, "nowhere.test").place.has_value()) << "its MX is not known";
}

TEST(Place, IsToldByItsOwnerAloneAndFromWhatWasSavedWhileItHasNoMail) {
  WorldSettings settings = Settings(20);
  settings.cores = 2;
  std::vector<std::pair<std::string, std::string>> kept;
  {
    World world(settings);
    Receiver& receiver = world.AddReceiver("mx.some.test", {"some.test"});
    receiver.script.on_mail = [](const ReceivedMessage&) { return "421 4.7.0 we do not like 11.0.0.1"; };
    world.Submit({.recipients = Recipients(4, {"some.test"})});
    world.RunFor(seconds(30));
    for (const auto& [key, value] : world.queue.state()) kept.emplace_back(key, value);
    ASSERT_TRUE(std::ranges::any_of(kept, [](const auto& one) { return one.first.starts_with("allowance/first/"); }));
  }
  settings.state = kept;
  World world(settings);
  world.AddReceiver("mx.some.test", {"some.test"});
  const std::optional<PlaceSnapshot> first = world.Snapshot(0, "some.test").place;
  const std::optional<PlaceSnapshot> second = world.Snapshot(1, "some.test").place;
  ASSERT_NE(first.has_value(), second.has_value());
  const PlaceSnapshot& place = first ? *first : *second;
  EXPECT_TRUE(place.paths.empty());
  ASSERT_EQ(place.allowances.size(), 1u);
  EXPECT_EQ(place.allowances[0].mode, SiteMode::kBackingOff);
  EXPECT_THAT(place.allowances[0].last_replies, testing::Contains(testing::HasSubstr("we do not like 11.0.0.1")));
}

}  // namespace
}  // namespace postrider::delivery
