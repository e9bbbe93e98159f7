// All sites of a provider are one allowance: its limits hold over all of them, and each gets its turn.

#include <fmt/format.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <map>

#include "tests/engine/delivery/world.h"

namespace postrider::delivery {
namespace {

using queue::EventKind;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

struct Tenants {
  std::vector<std::string> domains;
  std::vector<Receiver*> receivers;
};

// Tenants of one provider, each with an MX host of its own.
Tenants AddTenants(World& world, int count) {
  Tenants tenants;
  for (int i = 0; i < count; ++i) {
    tenants.domains.push_back(fmt::format("tenant{}.test", i));
    tenants.receivers.push_back(
        &world.AddReceiver(fmt::format("tenant{}-test.mail.protection.outlook.com", i), {tenants.domains.back()}));
  }
  return tenants;
}

WorldSettings SettingsWith(const std::function<void(RuleOptions&)>& change, std::uint32_t cores = 1) {
  WorldSettings settings;
  settings.options = TestOptions();
  settings.cores = cores;
  RuleOptions rule;
  rule.match = DomainPattern::Parse("mx:.mail.protection.outlook.com").value();
  change(rule);
  settings.options.rules.push_back(rule);
  return settings;
}

TEST(Provider, ItsRateHoldsOverAllItsSitesAndIsUsedUp) {
  for (const std::uint32_t cores : {1u, 2u}) {
    World world(SettingsWith([](RuleOptions& rule) { rule.message_rate = 10; }, cores));
    const Tenants tenants = AddTenants(world, 50);
    world.Submit({.recipients = Recipients(5000, tenants.domains)});
    world.RunFor(minutes(5));
    EXPECT_LE(world.taken(), 10u * 300 + 10);
    EXPECT_GE(static_cast<double>(world.taken()), 0.97 * 10 * 300);
    // Each has its turn.
    for (const Receiver* receiver : tenants.receivers) EXPECT_NEAR(static_cast<double>(receiver->taken.size()), 60, 6);
    EXPECT_EQ(world.CheckConservation(), "");
  }
}

TEST(Provider, ItsConnectionsHoldOverAllItsSitesAndEachHasItsTurn) {
  World world(SettingsWith([](RuleOptions& rule) {
    rule.connections = 4;
    rule.site_connections = 2;
    rule.messages_per_connection = 10;
  }));
  const Tenants tenants = AddTenants(world, 30);
  world.Submit({.recipients = Recipients(3000, tenants.domains)});
  std::uint64_t most = 0;
  ASSERT_TRUE(world.RunUntil(
      [&] {
        std::uint64_t open = 0;
        for (const Receiver* receiver : tenants.receivers) {
          open += receiver->open;
          EXPECT_LE(receiver->open, 2u);
        }
        most = std::max(most, open);
        return world.queue.queued() == 0;
      },
      minutes(30)));
  EXPECT_LE(most, 4u);
  EXPECT_GE(most, 3u);
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 3000u);
  EXPECT_EQ(world.CheckConservation(), "");
}

// Providers of the operator's own.
WorldSettings SettingsOf(std::vector<ProviderOptions> providers, std::vector<std::pair<std::string, double>> rates) {
  WorldSettings settings;
  settings.options = TestOptions();
  settings.options.provider_table = std::make_shared<const ProviderTable>(
      ProviderTable::Shipped().get(), std::move(providers), std::vector<RuleOptions>());
  for (auto& [match, rate] : rates) {
    RuleOptions rule;
    rule.match = DomainPattern::Parse(match).value();
    rule.message_rate = rate;
    rule.connections = 20;
    settings.options.rules.push_back(rule);
  }
  return settings;
}

TEST(Provider, OfASingleHostIsBoundByItsRule) {
  ProviderOptions small;
  small.name = "small";
  small.mx = {"mx.small.test"};
  World world(SettingsOf({small}, {{"provider:small", 1}}));
  world.AddReceiver("mx.small.test", {"a.test", "b.test"});
  world.Submit({.recipients = Recipients(600, {"a.test", "b.test"})});
  world.RunFor(seconds(60));
  EXPECT_NEAR(static_cast<double>(world.taken()), 60, 3);
}

TEST(Provider, ARuleForPartOfItsHostsBindsThatPartAloneWhoeverComesFirst) {
  ProviderOptions big;
  big.name = "big";
  big.mx = {".big.test"};
  for (const bool part_first : {false, true}) {
    World world(SettingsOf({big}, {{"mx:.part.big.test", 1}, {"provider:big", 50}}));
    Receiver& part = world.AddReceiver("mx.part.big.test", {"part.test"});
    Receiver& rest = world.AddReceiver("mx.rest.big.test", {"rest.test"});
    world.Submit({.recipients = Recipients(5000, {part_first ? "part.test" : "rest.test"})});
    world.RunFor(seconds(5));
    world.Submit({.recipients = Recipients(5000, {part_first ? "rest.test" : "part.test"})});
    world.RunFor(seconds(60));
    EXPECT_NEAR(static_cast<double>(part.taken.size()), part_first ? 65 : 60, 6);
    EXPECT_GE(rest.taken.size(), 0.95 * 49 * 60);
    EXPECT_LE(part.taken.size() + rest.taken.size(), 50u * 65 + 50);
  }
}

TEST(Provider, OneDomainsRuleBindsNoOtherDomainOfItsMx) {
  WorldSettings settings;
  settings.options = TestOptions();
  RuleOptions rule;
  rule.match = DomainPattern::Parse("slow.test").value();
  rule.message_rate = 1;
  settings.options.rules.push_back(rule);
  World world(settings);
  world.AddReceiver("mx.shared.test", {"slow.test", "fast.test"});
  world.Submit({.recipients = Recipients(2000, {"slow.test", "fast.test"})});
  world.RunFor(seconds(30));
  std::map<std::string, int> delivered;
  for (const queue::Event& event : world.queue.events()) {
    if (event.kind == EventKind::kDelivered) ++delivered[event.domain];
  }
  EXPECT_EQ(delivered["fast.test"], 1000);
  EXPECT_NEAR(delivered["slow.test"], 30, 3);
}

TEST(Provider, AStopOutlivesARestart) {
  WorldSettings settings;
  settings.options = TestOptions();
  std::vector<std::pair<std::string, std::string>> state;
  {
    World world(settings);
    Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
    receiver.script.on_mail = [](const ReceivedMessage&) { return std::string("550 5.7.1 listed"); };
    world.Submit({.recipients = Recipients(100, {"one.test"})});
    world.RunFor(hours(3));
    for (const auto& [key, value] : world.queue.state()) state.emplace_back(key, value);
    EXPECT_TRUE(std::ranges::any_of(state, [](const auto& one) { return one.first.starts_with("allowance/first/"); }));
  }
  settings.state = state;
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  world.Submit({.recipients = Recipients(100, {"one.test"})});
  // The world begins at the same moment anew, so what was saved ends up to three hours later.
  world.RunFor(minutes(30));
  EXPECT_EQ(receiver.sessions, 0u);
  EXPECT_TRUE(world.RunToEnd(hours(8)));
}

TEST(Provider, AStopEndsWhenTheOperatorResumesTheSourceThere) {
  WorldSettings settings;
  settings.options = TestOptions();
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  receiver.script.on_mail = [](const ReceivedMessage&) { return std::string("550 5.7.1 listed"); };
  world.Submit({.recipients = Recipients(100, {"one.test"})});
  world.RunFor(minutes(10));
  ASSERT_EQ(receiver.taken.size(), 0u);
  receiver.script.on_mail = nullptr;
  const CoreSnapshot before = world.Snapshot();
  ASSERT_EQ(before.allowances.size(), 1u);
  EXPECT_NE(before.allowances[0].mode, SiteMode::kNormal);

  world.Tell(CoreCommand::Kind::kResume, CoreCommand::Target::kSourceAt, "other", "mx.one.test");
  world.RunFor(seconds(1));
  EXPECT_EQ(receiver.taken.size(), 0u);
  world.Tell(CoreCommand::Kind::kResume, CoreCommand::Target::kSourceAt, "first", "mx.one.test");
  world.RunFor(seconds(30));
  EXPECT_GT(receiver.taken.size(), 0u);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Provider, ABreakerIsAGuardThatSaysWhyAndHowToGoOn) {
  WorldSettings settings;
  settings.options = TestOptions();
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  receiver.script.on_mail = [](const ReceivedMessage&) { return std::string("451 4.7.1 not you, not now"); };
  world.Submit({.recipients = Recipients(500, {"one.test"})});
  const auto tripped = [&]() -> std::string {
    for (const GuardSnapshot& guard : world.Snapshot().guards) {
      if (guard.kind == GuardKind::kPathBreaker && guard.receiver == "mx.one.test") return guard.reason;
    }
    return {};
  };
  ASSERT_TRUE(world.RunUntil([&] { return !tripped().empty(); }, hours(12)));
  EXPECT_NE(tripped().find("not you"), tripped().npos) << tripped();
  EXPECT_NE(tripped().find("postrider source resume first --at mx.one.test"), tripped().npos) << tripped();
}

}  // namespace
}  // namespace postrider::delivery
