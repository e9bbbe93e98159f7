// Several cores: domains find the core that owns their site, and the same world runs the same way twice.

#include <fmt/format.h>

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/engine/delivery/world.h"

namespace postrider::delivery {
namespace {

using queue::EventKind;
using std::chrono::minutes;
using std::chrono::seconds;

TEST(TwoCores, ShareTheDomainsAndKeepEachSiteOnOne) {
  WorldSettings settings;
  settings.cores = 2;
  World world(settings);
  std::vector<std::string> domains;
  std::vector<Receiver*> receivers;
  for (int site = 0; site < 12; ++site) {
    std::vector<std::string> tenants;
    for (int i = 0; i < 4; ++i) tenants.push_back(fmt::format("d{}-{}.test", site, i));
    receivers.push_back(&world.AddReceiver(fmt::format("mx{}.test", site), tenants));
    domains.insert(domains.end(), tenants.begin(), tenants.end());
  }
  world.Submit({.recipients = Recipients(9600, domains)});
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 9600u);
  EXPECT_EQ(world.CheckConservation(), "");
  const CoreSnapshot first = world.Snapshot(0);
  const CoreSnapshot second = world.Snapshot(1);
  EXPECT_GT(first.counts.attempts, 0u);
  EXPECT_GT(second.counts.attempts, 0u);
  EXPECT_EQ(first.counts.attempts + second.counts.attempts, 9600u);
  // One owner: a site's limit of connections holds though its domains have homes on both cores.
  for (const Receiver* receiver : receivers) EXPECT_LE(receiver->most_open, 10u);
  EXPECT_EQ(first.active_domains + second.active_domains, 0u) << "all domains were let go";
}

TEST(TwoCores, DrainBoth) {
  WorldSettings settings;
  settings.cores = 2;
  World world(settings);
  std::vector<std::string> domains;
  for (int i = 0; i < 8; ++i) {
    domains.push_back(fmt::format("d{}.test", i));
    world.AddReceiver(fmt::format("mx{}.test", i), {domains.back()});
  }
  world.Submit({.recipients = Recipients(20'000, domains)});
  world.RunFor(std::chrono::milliseconds(50));
  ASSERT_TRUE(world.Drain(seconds(30), seconds(5)));
  EXPECT_EQ(world.CheckConservation(), "");
}

std::string Digest(std::uint64_t seed) {
  WorldSettings settings;
  settings.cores = 2;
  settings.seed = seed;
  World world(settings);
  std::vector<std::string> domains;
  for (int i = 0; i < 9; ++i) {
    domains.push_back(fmt::format("d{}.test", i));
    Receiver& receiver = world.AddReceiver(fmt::format("mx{}.test", i), {domains.back()});
    receiver.script.listening = i % 4 != 3;
    receiver.script.messages_per_session = i % 3 == 1 ? 5 : 0;
    if (i % 3 == 2) {
      receiver.script.on_rcpt = [](const ReceivedMessage& message) {
        return message.to.ends_with("7@d2.test") ? "450 4.2.0 later" : "";
      };
    }
  }
  world.Submit({.recipients = Recipients(900, domains)});
  world.RunFor(minutes(20));
  std::string digest;
  for (const queue::Event& event : world.queue.events()) {
    digest += fmt::format("{} {} {} {} {}\n", event.time.time_since_epoch().count(), queue::ToString(event.kind),
                          event.recipient, event.connection, event.mx_host);
  }
  return digest;
}

TEST(World, RunsTheSameWayForTheSameSeed) {
  const std::string digest = Digest(7);
  EXPECT_EQ(digest, Digest(7));
  EXPECT_NE(digest, Digest(8));
}

}  // namespace
}  // namespace postrider::delivery
