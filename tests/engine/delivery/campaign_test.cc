// Campaigns end to end through real cores in the virtual world.

#include <gtest/gtest.h>

#include <algorithm>
#include <map>
#include <set>

#include "tests/engine/delivery/world.h"

namespace postrider::delivery {
namespace {

using queue::EventKind;
using std::chrono::minutes;

TEST(Delivery, SendsACampaignOverFiveDomainsOnceToEach) {
  World world;
  std::vector<std::string> domains;
  std::vector<Receiver*> receivers;
  for (const std::string name : {"one", "two", "three", "four", "five"}) {
    domains.push_back(name + ".test");
    receivers.push_back(&world.AddReceiver("mx." + name + ".test", {domains.back()}));
  }
  world.Submit({.recipients = Recipients(1000, domains)});
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 1000u);
  EXPECT_EQ(world.taken(), 1000u);
  EXPECT_EQ(world.CheckConservation(), "");
  for (Receiver* receiver : receivers) {
    EXPECT_EQ(receiver->taken.size(), 200u);
    EXPECT_LE(receiver->most_open, 10u);
    EXPECT_TRUE(std::ranges::all_of(receiver->taken, &ReceivedMessage::tls));
  }
  const ReceivedMessage& message = receivers[0]->taken.front();
  EXPECT_EQ(message.from, "bounce@sender.test");
  EXPECT_NE(message.content.find("Dear " + message.to), std::string::npos);
}

}  // namespace
}  // namespace postrider::delivery
