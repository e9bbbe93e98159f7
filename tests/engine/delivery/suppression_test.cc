// Jobs that the reader found on the suppression list: they end without an attempt, wherever their mail stands.

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/engine/delivery/world.h"

namespace postrider::delivery {
namespace {

using queue::EventKind;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

bool WasTaken(const Receiver& receiver, const std::string& address) {
  return std::ranges::any_of(receiver.taken, [&](const ReceivedMessage& message) { return message.to == address; });
}

TEST(Suppressed, EndWithoutAnAttemptAmongOthersThatGo) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.some.test", {"some.test"});
  const std::vector<std::string> all = Recipients(600, {"some.test"});
  for (std::size_t i = 0; i < all.size(); i += 3) world.queue.suppressed.insert(all[i]);
  world.Submit({.recipients = all});
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(world.queue.Count(EventKind::kSuppressed), 200u);
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 400u);
  EXPECT_EQ(receiver.taken.size(), 400u);
  EXPECT_FALSE(WasTaken(receiver, all[0]));
  EXPECT_EQ(world.CheckConservation(), "");
  const queue::Event& event = world.queue.Find(all[0]).last;
  EXPECT_TRUE(event.final);
  EXPECT_EQ(event.kind, EventKind::kSuppressed);
  EXPECT_EQ(event.attempt, 0);
  EXPECT_NE(event.reply.find("suppression list"), std::string::npos);
}

TEST(Suppressed, EndBeforeTheirRetry) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.grey.test", {"grey.test"});
  receiver.script.on_rcpt = [](const ReceivedMessage&) { return "450 4.2.0 greylisted"; };
  world.Submit({.recipients = {"ana@grey.test"}});
  world.RunFor(seconds(30));
  EXPECT_EQ(world.queue.Find("ana@grey.test").attempts, 1);
  world.queue.suppressed.insert("ana@grey.test");
  receiver.script.on_rcpt = nullptr;
  ASSERT_TRUE(world.RunToEnd(minutes(20)));
  EXPECT_EQ(world.queue.Count(EventKind::kSuppressed), 1u);
  EXPECT_TRUE(receiver.taken.empty());
  EXPECT_EQ(world.queue.Find("ana@grey.test").attempts, 1);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Suppressed, EndWhereNothingCanBeSent) {
  World world;
  world.Submit({.recipients = {"ana@paused.test", "bob@paused.test"}});
  world.AddReceiver("mx.paused.test", {"paused.test"});
  CoreCommand pause;
  pause.kind = CoreCommand::Kind::kPause;
  pause.target = CoreCommand::Target::kAll;
  world.Command(pause);
  // Its MX cannot be found for now.
  world.names.mx["broken.test"] = dns::MxAnswer{};  // status kFailed
  world.Submit({.recipients = {"eve@broken.test", "kim@broken.test"}});
  world.queue.suppressed = {"ana@paused.test", "eve@broken.test"};
  world.RunFor(minutes(10));
  EXPECT_EQ(world.queue.Count(EventKind::kSuppressed), 2u);
  EXPECT_EQ(world.queue.queued(), 2u);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Suppressed, WaitWithTheirCampaignWhileItIsPaused) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.some.test", {"some.test"});
  const queue::CampaignPtr campaign = world.Submit({.recipients = Recipients(20, {"some.test"})});
  world.SetState(campaign->id, queue::CampaignState::kPaused);
  for (const std::string& address : Recipients(10, {"some.test"})) world.queue.suppressed.insert(address);
  world.RunFor(minutes(5));
  EXPECT_EQ(world.queue.queued(), 20u);
  world.SetState(campaign->id, queue::CampaignState::kRunning);
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(world.queue.Count(EventKind::kSuppressed), 10u);
  EXPECT_EQ(receiver.taken.size(), 10u);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Suppressed, EndAsCancelledWithTheirCampaign) {
  World world;
  world.AddReceiver("mx.some.test", {"some.test"});
  const queue::CampaignPtr campaign = world.Submit({.recipients = Recipients(20, {"some.test"})});
  world.queue.suppressed.insert(Recipients(1, {"some.test"})[0]);
  world.SetState(campaign->id, queue::CampaignState::kCancelled);
  ASSERT_TRUE(world.RunToEnd());
  EXPECT_EQ(world.queue.Count(EventKind::kCancelled) + world.queue.Count(EventKind::kSuppressed), 20u);
  EXPECT_EQ(world.CheckConservation(), "");
}

}  // namespace
}  // namespace postrider::delivery
