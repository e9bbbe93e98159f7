// Limits hold exactly: connections, messages per connection, rates, what is not durable yet; and classes go in order.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/engine/delivery/world.h"

namespace postrider::delivery {
namespace {

using queue::EventKind;
using std::chrono::minutes;
using std::chrono::seconds;

WorldSettings SettingsWith(const std::function<void(Options&)>& change) {
  WorldSettings settings;
  settings.options = TestOptions();
  change(settings.options);
  return settings;
}

TEST(Connections, CarryNoMoreMessagesThanTheRuleSays) {
  World world(SettingsWith([](Options& options) { options.rules[0].messages_per_connection = 5; }));
  Receiver& receiver = world.AddReceiver("mx.five.test", {"five.test"});
  world.Submit({.recipients = Recipients(103, {"five.test"})});
  ASSERT_TRUE(world.RunToEnd());
  std::map<std::uint64_t, int> per_session;
  for (const ReceivedMessage& message : receiver.taken) ++per_session[message.session];
  int most = 0;
  for (const auto& [session, count] : per_session) most = std::max(most, count);
  EXPECT_EQ(most, 5);
  EXPECT_LE(receiver.sessions, 30u);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Connections, NeverExceedThePathsLimitAndAreReused) {
  World world(SettingsWith([](Options& options) {
    options.rules[0].connections = 3;
    options.rules[0].messages_per_connection = 100'000;
  }));
  Receiver& receiver = world.AddReceiver("mx.three.test", {"three.test", "other.test"});
  world.Submit({.recipients = Recipients(2000, {"three.test", "other.test"})});
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(receiver.most_open, 3u);
  EXPECT_EQ(receiver.sessions, 3u);
  EXPECT_EQ(receiver.handshakes, 3u);
  const CoreSnapshot snapshot = world.Snapshot();
  EXPECT_EQ(snapshot.counts.messages_reusing, 1997u);
  EXPECT_EQ(snapshot.counts.attempts, 2000u);
}

// The next connection stands when the next message may go: opening one takes longer than the burst can make up for, and
// idle ones are closed between the messages of the slower rate.
TEST(Connections, ThatTakeFewMessagesLoseNothingOfALowRate) {
  for (const double rate : {1.0, 0.1}) {
    World world(SettingsWith([rate](Options& options) {
      options.rules[0].connections = 4;
      options.rules[0].messages_per_connection = 5;
      options.rules[0].message_rate = rate;
      options.rules[0].burst = 1;
    }));
    Receiver& receiver = world.AddReceiver("mx.few.test", {"few.test"});
    receiver.script.round_trip = std::chrono::milliseconds(300);
    world.Submit({.recipients = Recipients(4000, {"few.test"})});
    world.RunFor(minutes(1));
    const std::size_t before = receiver.taken.size();
    world.RunFor(minutes(60));
    const auto taken = static_cast<double>(receiver.taken.size() - before);
    EXPECT_GE(taken, 0.97 * rate * 3600) << rate;
    EXPECT_LE(taken, rate * 3600 + 1) << rate;
    // And no more connections than these messages need.
    EXPECT_LE(static_cast<double>(receiver.sessions), rate < 0.2 ? taken + 10 : taken / 5 * 1.1) << rate;
    EXPECT_LE(receiver.most_open, 2u) << rate;
    EXPECT_EQ(world.CheckConservation(), "");
  }
}

TEST(Connections, AreNotOpenedTenfoldForOneMessage) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  world.Submit({.recipients = {"ana@one.test"}});
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(receiver.sessions, 1u);
}

TEST(Connections, CloseWhenIdle) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  world.Submit({.recipients = {"ana@one.test"}});
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(receiver.open, 1u);
  world.RunFor(seconds(7));
  EXPECT_EQ(receiver.open, 0u);
}

TEST(Connections, OfTheWholeCoreAreSharedAmongMoreSitesThanThereAre) {
  World world(SettingsWith([](Options& options) { options.engine.connections = 4; }));
  std::vector<std::string> domains;
  std::vector<Receiver*> receivers;
  for (int i = 0; i < 40; ++i) {
    domains.push_back("d" + std::to_string(i) + ".test");
    receivers.push_back(&world.AddReceiver("mx." + domains.back(), {domains.back()}));
  }
  world.Submit({.recipients = Recipients(400, domains)});
  std::uint64_t most = 0;
  ASSERT_TRUE(world.RunUntil(
      [&] {
        std::uint64_t open = 0;
        for (const Receiver* receiver : receivers) open += receiver->open;
        most = std::max(most, open);
        return world.queue.queued() == 0;
      },
      minutes(5)));
  EXPECT_LE(most, 4u);
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 400u);
}

TEST(Rate, OfAPathHoldsInEverySpan) {
  World world(SettingsWith([](Options& options) { options.rules[0].message_rate = 20; }));
  Receiver& receiver = world.AddReceiver("mx.slow.test", {"slow.test"});
  world.Submit({.recipients = Recipients(1000, {"slow.test"})});
  ASSERT_TRUE(world.RunToEnd(minutes(2)));
  // 20 at once, then 20 a second: 980 more take 49 s.
  const auto took = receiver.taken.back().time - receiver.taken.front().time;
  EXPECT_GE(took, std::chrono::milliseconds(48'900));
  EXPECT_LE(took, std::chrono::milliseconds(51'000));
  for (std::size_t i = 45; i < receiver.taken.size(); ++i) {
    EXPECT_GE(receiver.taken[i].time - receiver.taken[i - 45].time, std::chrono::milliseconds(1100)) << i;
  }
  EXPECT_GT(world.Snapshot().counts.limited_seconds[static_cast<std::size_t>(Limit::kMessageRate)], 40);
}

TEST(Rate, BelowOneASecondIsKeptWithOneConnection) {
  World world(SettingsWith([](Options& options) { options.rules[0].message_rate = 0.1; }));
  Receiver& receiver = world.AddReceiver("mx.slow.test", {"slow.test"});
  world.Submit({.recipients = Recipients(10, {"slow.test"})});
  world.RunFor(seconds(65));
  EXPECT_EQ(receiver.taken.size(), 7u);
  EXPECT_EQ(receiver.most_open, 1u);
}

TEST(Rate, OfACampaignHoldsOverAllItsDomains) {
  World world;
  std::vector<std::string> domains;
  for (int i = 0; i < 20; ++i) {
    domains.push_back("d" + std::to_string(i) + ".test");
    world.AddReceiver("mx." + domains.back(), {domains.back()});
  }
  queue::CampaignSpec spec;
  spec.messages_per_second = 10;
  world.Submit({.recipients = Recipients(300, domains), .spec = spec});
  world.RunFor(seconds(20));
  EXPECT_GE(world.taken(), 195u);
  EXPECT_LE(world.taken(), 212u);
  ASSERT_TRUE(world.RunToEnd(minutes(1)));
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Unsynced, OutcomesStopAdmissionAtTheLimit) {
  World world(SettingsWith([](Options& options) { options.queue.unsynced_outcomes_max = 50; }));
  Receiver& receiver = world.AddReceiver("mx.fast.test", {"fast.test"});
  world.store_stands_still = true;
  world.Submit({.recipients = Recipients(1000, {"fast.test"})});
  world.RunFor(seconds(30));
  // What a crash now would repeat; one request is the memory that TLS works there.
  EXPECT_EQ(receiver.taken.size(), 49u);
  EXPECT_GT(world.Snapshot().counts.limited_seconds[static_cast<std::size_t>(Limit::kUnsynced)], 25);
  world.store_stands_still = false;
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_LE(world.most_unsynced, 50u);
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 1000u);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Unsynced, AlsoBoundsWhatEndsWithoutAnAttempt) {
  World world(SettingsWith([](Options& options) { options.queue.unsynced_outcomes_max = 50; }));
  world.names.mx["null.test"].status = dns::MxStatus::kNullMx;
  world.Submit({.recipients = Recipients(2000, {"null.test"})});
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_LE(world.most_unsynced, 50u);
}

TEST(Window, IsBoundedForTheWholeCore) {
  World world(SettingsWith([](Options& options) {
    options.engine.window_jobs = 1024;
    options.rules[0].message_rate = 50;
  }));
  std::vector<std::string> domains;
  for (int i = 0; i < 30; ++i) {
    domains.push_back("d" + std::to_string(i) + ".test");
    world.AddReceiver("mx." + domains.back(), {domains.back()});
  }
  world.Submit({.recipients = Recipients(9000, domains)});
  std::uint64_t most = 0;
  for (int i = 0; i < 20; ++i) {
    world.RunFor(std::chrono::milliseconds(300));
    most = std::max(most, world.Snapshot().window_jobs);
  }
  EXPECT_GT(most, 256u);
  EXPECT_LE(most, 1024u);
  ASSERT_TRUE(world.RunToEnd(minutes(5)));
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(ActiveDomains, AreBoundedAndAllGetTheirTurn) {
  World world(SettingsWith([](Options& options) { options.engine.active_domains = 16; }));
  std::vector<std::string> domains;
  for (int i = 0; i < 400; ++i) domains.push_back("d" + std::to_string(i) + ".test");
  world.AddReceiver("mx.all.test", domains);
  world.Submit({.recipients = Recipients(1200, domains)});
  std::uint64_t most = 0;
  ASSERT_TRUE(world.RunUntil([&] { return world.queue.queued() == 0; }, minutes(2)));
  most = world.Snapshot().active_domains;
  EXPECT_LE(most, 16u);
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 1200u);
}

TEST(Classes, TransactionalGoesBeforeBulk) {
  World world(SettingsWith([](Options& options) { options.rules[0].message_rate = 10; }));
  Receiver& receiver = world.AddReceiver("mx.both.test", {"bulk.test", "direct.test"});
  world.Submit({.recipients = Recipients(300, {"bulk.test"})});
  world.RunFor(seconds(10));
  queue::CampaignSpec spec;
  spec.mail_class = MailClass::kTransactional;
  world.Submit({.recipients = Recipients(20, {"direct.test"}), .spec = spec});
  const std::size_t before = receiver.taken.size();
  world.RunFor(seconds(3));
  const auto direct = std::count_if(receiver.taken.begin() + static_cast<std::ptrdiff_t>(before), receiver.taken.end(),
                                    [](const ReceivedMessage& one) { return one.to.ends_with("direct.test"); });
  EXPECT_EQ(direct, 20);
}

TEST(Classes, TransactionalMailToABusyDomainDoesNotWaitForItsWindow) {
  World world(SettingsWith([](Options& options) { options.rules[0].message_rate = 5; }));
  Receiver& receiver = world.AddReceiver("mx.busy.test", {"busy.test"});
  world.Submit({.recipients = Recipients(3000, {"busy.test"})});
  world.RunFor(seconds(20));
  queue::CampaignSpec spec;
  spec.mail_class = MailClass::kTransactional;
  world.Submit({.recipients = {"urgent@busy.test"}, .spec = spec});
  EXPECT_TRUE(world.RunUntil([&] { return !receiver.taken.empty() && receiver.taken.back().to == "urgent@busy.test"; },
                             seconds(5)));
}

TEST(Fairness, DomainsOfOneSiteTakeTurns) {
  World world(SettingsWith([](Options& options) {
    options.rules[0].connections = 1;
    options.rules[0].messages_per_connection = 1000;
  }));
  Receiver& receiver = world.AddReceiver("mx.shared.test", {"large.test", "small.test"});
  std::vector<std::string> recipients = Recipients(1000, {"large.test"});
  for (const std::string& one : Recipients(50, {"small.test"})) recipients.push_back(one);
  world.Submit({.recipients = recipients});
  ASSERT_TRUE(world.RunToEnd());
  std::size_t last_small = 0;
  for (std::size_t i = 0; i < receiver.taken.size(); ++i) {
    if (receiver.taken[i].to.ends_with("small.test")) last_small = i;
  }
  EXPECT_LE(last_small, 120u);
}

TEST(Sources, OfAPoolShareTheWorkAndARetryPrefersItsOwn) {
  World world(SettingsWith([](Options& options) {
    SourceOptions second = options.sources[0];
    second.name = "second";
    second.ipv4->bytes[3] = 2;
    options.sources.push_back(second);
    options.rules[0].connections = 4;
  }));
  Receiver& receiver = world.AddReceiver("mx.two.test", {"two.test"});
  std::map<std::string, std::vector<std::string>> clients;
  receiver.script.on_rcpt = [&clients](const ReceivedMessage& message) {
    clients[message.to].push_back(message.client);
    return clients[message.to].size() == 1 ? std::string("450 4.2.0 greylisted") : std::string();
  };
  world.Submit({.recipients = Recipients(400, {"two.test"})});
  ASSERT_TRUE(world.RunToEnd(minutes(30)));
  std::map<std::string, int> uses;
  for (const auto& [address, used] : clients) {
    ASSERT_EQ(used.size(), 2u) << address;
    EXPECT_EQ(used[0], used[1]) << address;
    ++uses[used[0]];
  }
  EXPECT_EQ(uses.size(), 2u);
  for (const auto& [client, count] : uses) EXPECT_GE(count, 100) << client;
}

}  // namespace
}  // namespace postrider::delivery
