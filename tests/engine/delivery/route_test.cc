// Where mail goes: fixed hosts, other ports and transports, AUTH, address families, pools, and MX records that change.

#include <fmt/format.h>

#include <gtest/gtest.h>
#include <unistd.h>

#include <algorithm>
#include <filesystem>
#include <fstream>

#include "engine/delivery/site.h"
#include "tests/engine/delivery/world.h"

namespace postrider::delivery {
namespace {

using queue::EventKind;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

class SecretFile {
 public:
  explicit SecretFile(const std::string& secret) { std::ofstream(path_) << secret << "\n"; }
  ~SecretFile() { std::filesystem::remove(path_); }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_ =
      std::filesystem::path(testing::TempDir()) / fmt::format("postrider-secret-{}", ::getpid());
};

RouteOptions RouteTo(const std::string& host, std::uint16_t port) {
  RouteOptions route;
  route.hosts = {{.name = host, .port = port}};
  return route;
}

TEST(Route, ToFixedHostsNeedsNoMx) {
  WorldSettings settings;
  settings.options = TestOptions();
  RouteOptions route = RouteTo("relay1.test", 2525);
  route.hosts.push_back({.name = "relay2.test", .port = std::nullopt});
  settings.options.routes.push_back(route);
  World world(settings);
  Receiver& first = world.AddReceiver("relay1.test", {}, 0, 2525);
  Receiver& second = world.AddReceiver("relay2.test", {});
  world.Submit({.recipients = Recipients(20, {"one.test", "two.test"})});
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(first.taken.size(), 20u);
  EXPECT_EQ(world.names.mx_queries, 0u);
  world.RunFor(seconds(10));
  first.script.listening = false;
  world.Submit({.recipients = Recipients(20, {"one.test", "two.test"})});
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(second.taken.size(), 20u) << "the hosts are tried in the operator's order";
}

TEST(Route, MayLeadToPrivateAddressesThatTheOperatorNamed) {
  WorldSettings settings;
  settings.options = TestOptions();
  settings.options.routes.push_back(RouteTo("9.9.0.2", 25));
  World world(settings);
  Receiver& receiver = world.AddReceiver("relay.test", {});
  world.Submit({.recipients = Recipients(5, {"one.test"})});
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(receiver.taken.size(), 5u);
  EXPECT_EQ(world.queue.events().back().mx_host, "9.9.0.2");
}

TEST(Route, WithImplicitTlsAndAuth) {
  const SecretFile secret("\xef\xbb\xbfsecret\r");  // as an editor of another system may leave it
  WorldSettings settings;
  settings.options = TestOptions();
  RouteOptions route = RouteTo("submit.test", 465);
  route.transport = RouteOptions::Transport::kImplicit;
  route.auth_user = "user";
  route.auth_secret_file = secret.path();
  settings.options.routes.push_back(route);
  World world(settings);
  Receiver& receiver = world.AddReceiver("submit.test", {}, 0, 465);
  receiver.script.implicit_tls = true;
  receiver.script.auth = "AHVzZXIAc2VjcmV0";  // \0user\0secret
  receiver.script.extensions.push_back("AUTH PLAIN");
  world.Submit({.recipients = Recipients(30, {"one.test"})});
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(receiver.taken.size(), 30u);
  EXPECT_EQ(receiver.authenticated, receiver.sessions);
  EXPECT_TRUE(std::ranges::all_of(receiver.taken, &ReceivedMessage::tls));
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Route, RefusedAuthHoldsTheMailAndSaysSo) {
  const SecretFile secret("guess");
  WorldSettings settings;
  settings.options = TestOptions();
  RouteOptions route = RouteTo("submit.test", 587);
  route.auth_user = "user";
  route.auth_secret_file = secret.path();
  settings.options.routes.push_back(route);
  World world(settings);
  Receiver& receiver = world.AddReceiver("submit.test", {}, 0, 587);
  receiver.script.auth = "AHVzZXIAc2VjcmV0";
  receiver.script.extensions.push_back("AUTH PLAIN");
  world.Submit({.recipients = Recipients(30, {"one.test"})});
  world.RunFor(minutes(30));
  EXPECT_EQ(world.queue.queued(), 30u);
  EXPECT_LE(receiver.sessions, 8u);
  ASSERT_EQ(world.queue.PathEvents().size(), 1u);
  EXPECT_EQ(world.queue.PathEvents()[0].category, Category::kAuthFailure);
  EXPECT_EQ(world.queue.Find("ana0@one.test").attempts, 0);

  const std::vector<FailedConversation> failures = world.Trace({.site = "submit.test", .failures = 10}).failures;
  ASSERT_FALSE(failures.empty());
  EXPECT_EQ(failures[0].problem, "the server refused at the stage auth: 535 5.7.8 wrong");
  const auto said = [&](std::string_view text) {
    return std::ranges::count(failures[0].lines, text, &TraceLine::text);
  };
  EXPECT_EQ(said("AUTH PLAIN ***"), 1);
  EXPECT_EQ(said("535 5.7.8 wrong"), 1);
  EXPECT_TRUE(std::ranges::none_of(failures[0].lines, [](const TraceLine& line) {
    return line.text.contains("guess") || line.text.contains("AHVzZXIAZ3Vlc3M");
  }));
}

TEST(Route, WithAnUnreadableSecretHoldsTheMailUntilAReload) {
  const SecretFile secret("secret");
  WorldSettings settings;
  settings.options = TestOptions();
  RouteOptions route = RouteTo("submit.test", 587);
  route.auth_user = "user";
  route.auth_secret_file = secret.path().string() + ".missing";
  settings.options.routes.push_back(route);
  World world(settings);
  Receiver& receiver = world.AddReceiver("submit.test", {}, 0, 587);
  receiver.script.auth = "AHVzZXIAc2VjcmV0";
  receiver.script.extensions.push_back("AUTH PLAIN");
  world.Submit({.recipients = Recipients(30, {"one.test"})});
  world.RunFor(minutes(5));
  EXPECT_EQ(receiver.connects, 0u);
  ASSERT_EQ(world.queue.PathEvents().size(), 1u);
  EXPECT_EQ(world.queue.PathEvents()[0].category, Category::kBadConfiguration);
  settings.options.routes[0].auth_secret_file = secret.path();
  world.Reload(settings.options);
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(receiver.taken.size(), 30u);
}

TEST(Families, Ipv6IsUsedOnlyWhereTheRouteSaysSoAndTheSourceHasIt) {
  for (const bool wanted : {false, true}) {
    WorldSettings settings;
    settings.options = TestOptions();
    settings.options.sources[0].ipv6 = IpAddress::Parse("2600::1").value();
    RouteOptions route;
    route.use_ipv6 = wanted;
    settings.options.routes.push_back(route);
    World world(settings);
    Receiver& receiver = world.AddReceiver("mx.six.test", {"six.test"});
    Receiver& six = world.AddReceiver("mx6.test", {});
    world.names.addresses["mx.six.test"].insert(world.names.addresses["mx.six.test"].begin(),
                                                IpAddress::Parse("2600::25").value());
    world.Listen({IpAddress::Parse("2600::25").value(), 25}, six);
    world.Submit({.recipients = Recipients(5, {"six.test"})});
    ASSERT_TRUE(world.RunToEnd());
    EXPECT_EQ(six.taken.size(), wanted ? 5u : 0u);
    EXPECT_EQ(receiver.taken.size(), wanted ? 0u : 5u);
  }
}

TEST(Families, ASourceWithoutTheFamilyLeavesTheMailToTheOthersOfItsPool) {
  WorldSettings settings;
  settings.options = TestOptions();
  SourceOptions six;
  six.name = "six";
  six.ipv6 = IpAddress::Parse("2600::1").value();
  settings.options.sources.push_back(six);
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.four.test", {"four.test"});
  world.Submit({.recipients = Recipients(200, {"four.test"})});
  ASSERT_TRUE(world.RunToEnd(minutes(1)));
  EXPECT_EQ(receiver.taken.size(), 200u);
  EXPECT_TRUE(std::ranges::all_of(receiver.taken, [](const auto& one) { return one.client == "11.0.0.1"; }));
}

TEST(Pool, ThatNobodyConfiguredHoldsItsMailUntilItIs) {
  WorldSettings settings;
  settings.options = TestOptions();
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  queue::CampaignSpec spec;
  spec.pool = "warm";
  world.Submit({.recipients = Recipients(5, {"one.test"}), .spec = spec});
  world.RunFor(minutes(2));
  EXPECT_EQ(receiver.connects, 0u);
  EXPECT_NE(world.queue.PathEvents().back().reply.find("pool warm is not configured"), std::string::npos);
  settings.options.pools.push_back({.name = "warm", .sources = {"first"}});
  world.Reload(settings.options);
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(receiver.taken.size(), 5u);
}

TEST(Mx, OfABusyDomainIsFollowedWhenItChanges) {
  for (const std::uint32_t cores : {1u, 3u}) {
    WorldSettings settings;
    settings.cores = cores;
    settings.options = TestOptions();
    settings.options.rules[0].message_rate = 5;
    World world(settings);
    Receiver& before = world.AddReceiver("mx.before.test", {"moves.test"});
    Receiver& after = world.AddReceiver("mx.after.test", {"other.test"});
    world.Submit({.recipients = Recipients(5000, {"moves.test"})});
    world.RunFor(minutes(2));
    EXPECT_GT(before.taken.size(), 500u);
    world.names.mx["moves.test"] = world.names.mx["other.test"];
    world.RunFor(minutes(6));
    const std::size_t taken = before.taken.size();
    ASSERT_TRUE(world.RunToEnd(hours(1)));
    EXPECT_EQ(before.taken.size(), taken) << "nothing more goes to the old hosts";
    EXPECT_EQ(after.taken.size(), 5000 - taken);
    EXPECT_EQ(world.CheckConservation(), "");
  }
}

TEST(Parking, DeadSitesMakeRoomForLivingOnes) {
  WorldSettings settings;
  settings.options = TestOptions();
  settings.options.engine.active_domains = 40;
  settings.options.engine.window_jobs = 2000;
  World world(settings);
  std::vector<std::string> dead;
  for (int i = 0; i < 200; ++i) {
    dead.push_back(fmt::format("a-dead{}.test", i));  // before the living in the order of the scan
    world.AddReceiver(fmt::format("mx.dead{}.test", i), {dead.back()}).script.listening = false;
  }
  std::vector<std::string> living;
  for (int i = 0; i < 50; ++i) {
    living.push_back(fmt::format("living{}.test", i));
    world.AddReceiver(fmt::format("mx.living{}.test", i), {living.back()});
  }
  std::vector<std::string> recipients = Recipients(4000, dead);
  for (const std::string& one : Recipients(1000, living)) recipients.push_back(one);
  world.Submit({.recipients = recipients, .expires_after = hours(2)});
  EXPECT_TRUE(world.RunUntil([&] { return world.queue.Count(EventKind::kDelivered) == 1000; }, minutes(5)));
  EXPECT_EQ(world.queue.Find(recipients.front()).attempts, 0);
  ASSERT_TRUE(world.RunToEnd(hours(2) + minutes(8))) << "and they expire in time";
  EXPECT_EQ(world.queue.Count(EventKind::kExpired), 4000u);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Preference, IsEachDomainsOwnThoughTheHostsAreTheSame) {
  World world;
  Receiver& first = world.AddReceiver("mx1.both.test", {"one.test"}, 10);
  Receiver& second = world.AddReceiver("mx2.both.test", {"one.test"}, 20);
  const std::vector<dns::MxHost> hosts = world.names.mx["one.test"].hosts;
  world.names.mx["two.test"] = world.names.mx["one.test"];
  world.names.mx["two.test"].hosts = {{hosts[1].name, 10}, {hosts[0].name, 20}};
  world.Submit({.recipients = Recipients(20, {"one.test", "two.test"})});
  ASSERT_TRUE(world.RunToEnd());
  const auto all_to = [](const Receiver& receiver, std::string_view domain) {
    return std::ranges::all_of(receiver.taken,
                               [domain](const ReceivedMessage& message) { return message.to.ends_with(domain); });
  };
  EXPECT_EQ(first.taken.size(), 10u);
  EXPECT_TRUE(all_to(first, "@one.test"));
  EXPECT_EQ(second.taken.size(), 10u);
  EXPECT_TRUE(all_to(second, "@two.test"));
}

TEST(Preference, CountsAsAnOrderNeitherByItsNumbersNorAmongEquals) {
  const auto key_of = [](std::vector<dns::MxHost> hosts) {
    dns::MxAnswer answer;
    answer.status = dns::MxStatus::kFound;
    answer.hosts = std::move(hosts);
    return TargetOf(TestOptions(), "one.test", &answer).base_key;
  };
  EXPECT_EQ(key_of({{"a.test", 10}, {"b.test", 20}}), key_of({{"a.test", 1}, {"b.test", 2}}));
  EXPECT_EQ(key_of({{"a.test", 10}, {"b.test", 10}}), key_of({{"b.test", 5}, {"a.test", 5}}));
  EXPECT_NE(key_of({{"a.test", 10}, {"b.test", 20}}), key_of({{"a.test", 20}, {"b.test", 10}}));
  EXPECT_NE(key_of({{"a.test", 10}, {"b.test", 20}}), key_of({{"a.test", 10}, {"b.test", 10}}));
}

}  // namespace
}  // namespace postrider::delivery
