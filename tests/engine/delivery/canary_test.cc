// Campaigns of which a share goes first, in virtual time: the wait, the release of the rest, and guards that stop it.

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/engine/delivery/world.h"

namespace postrider::delivery {
namespace {

using queue::CampaignState;
using queue::CanaryPhase;
using queue::EventKind;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

CampaignPlan Plan(std::size_t recipients, const std::vector<std::string>& domains, double share) {
  CampaignPlan plan;
  plan.recipients = Recipients(recipients, domains);
  plan.spec.canary_share = share;
  plan.spec.canary_wait = minutes(30);
  return plan;
}

TEST(Canary, GoesFirstToAllReceiversAndTheRestAfterItsWait) {
  World world;
  Receiver& one = world.AddReceiver("mx.one.test", {"one.test"});
  Receiver& two = world.AddReceiver("mx.two.test", {"two.test"});
  Receiver& three = world.AddReceiver("mx.three.test", {"three.test"});
  const auto id = world.Submit(Plan(6000, {"one.test", "two.test", "three.test"}, 0.02))->id;
  world.RunFor(minutes(29));
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 120u);
  for (const Receiver* receiver : {&one, &two, &three}) EXPECT_GT(receiver->taken.size(), 20u);
  EXPECT_EQ(world.queue.Campaign(id)->canary.phase, CanaryPhase::kWaiting);
  const CoreSnapshot waiting = world.Snapshot();
  EXPECT_EQ(waiting.active_domains, 0u) << "the rest keeps domains busy";
  EXPECT_EQ(waiting.lateness_seconds, 0);
  world.RunFor(minutes(2));
  EXPECT_EQ(world.queue.Campaign(id)->canary.phase, CanaryPhase::kReleased);
  EXPECT_LT(world.Snapshot().lateness_seconds, 100);
  ASSERT_TRUE(world.RunToEnd(minutes(10)));
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 6000u);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Canary, ThatIsDeferredIsTriedAgainWhileTheRestWaits) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  const Wall midnight = world.now().wall;
  receiver.script.on_rcpt = [&](const ReceivedMessage&) {
    return world.now().wall < midnight + minutes(3) ? std::string("451 4.2.2 the mailbox is full") : std::string();
  };
  world.Submit(Plan(1000, {"one.test"}, 0.01));
  world.RunFor(minutes(29));
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 10u);
  ASSERT_TRUE(world.RunToEnd(minutes(10)));
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Canary, IsNotHeldUpByTheFewWhoseReceiverLetsNobodyIn) {
  World world;
  world.AddReceiver("mx.one.test", {"one.test"});
  world.AddReceiver("mx.down.test", {"down.test"}).script.listening = false;
  CampaignPlan plan = Plan(0, {}, 0.1);
  for (int i = 0; i < 2000; ++i) {
    plan.recipients.push_back("r" + std::to_string(i) + (i % 20 == 0 ? "@down.test" : "@one.test"));
  }
  const auto id = world.Submit(plan)->id;
  world.RunFor(minutes(32));
  EXPECT_EQ(world.queue.Campaign(id)->canary.phase, CanaryPhase::kReleased);
  EXPECT_GT(world.queue.Campaign(id)->canary.untried, 0u);
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 1900u);
}

TEST(Canary, OfAFewIsNotHeldUpByOneWhoseReceiverLetsNobodyIn) {
  World world;
  world.AddReceiver("mx.one.test", {"one.test"});
  world.AddReceiver("mx.down.test", {"down.test"}).script.listening = false;
  CampaignPlan plan = Plan(60, {"one.test"}, 0.1);
  plan.recipients.insert(plan.recipients.begin(), "first@down.test");  // the first row is in any canary
  const auto id = world.Submit(plan)->id;
  ASSERT_LT(world.queue.Campaign(id)->canary.recipients, 10u);
  world.RunFor(minutes(32));
  EXPECT_EQ(world.queue.Campaign(id)->canary.untried, 1u);
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 60u);
}

TEST(Canary, ThatMeetsDeadAddressesAtOneReceiverStopsItEverywhere) {
  World world;
  Receiver& good = world.AddReceiver("mx.good.test", {"good.test"});
  Receiver& bad = world.AddReceiver("mx.bad.test", {"bad.test"});
  bad.script.on_rcpt = [n = 0](const ReceivedMessage&) mutable {
    return ++n % 8 == 0 ? std::string("550 5.1.1 no such user") : std::string();
  };
  const auto id = world.Submit(Plan(8000, {"good.test", "bad.test"}, 0.05))->id;
  world.RunFor(minutes(10));
  const queue::CampaignPtr stopped = world.queue.Campaign(id);
  EXPECT_EQ(stopped->state, CampaignState::kPaused);
  EXPECT_EQ(stopped->canary.phase, CanaryPhase::kStopped);
  for (const char* said : {"at mx.bad.test", "refused for good", "postrider resume campaign-1"}) {
    EXPECT_NE(stopped->note.find(said), std::string::npos) << stopped->note;
  }
  const std::size_t taken = good.taken.size() + bad.taken.size();
  EXPECT_LE(taken, 400u);
  world.RunFor(hours(5));
  EXPECT_EQ(good.taken.size() + bad.taken.size(), taken);
  bad.script.on_rcpt = {};
  world.SetState(id, CampaignState::kRunning);
  EXPECT_TRUE(world.RunUntil([&] { return good.taken.size() == 4000; }, minutes(10)));
  EXPECT_TRUE(world.Drain(seconds(10), minutes(1)));
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(Canary, AGuardAfterTheReleaseStopsItThereAlone) {
  World world;
  Receiver& good = world.AddReceiver("mx.good.test", {"good.test"});
  Receiver& bad = world.AddReceiver("mx.bad.test", {"bad.test"});
  const auto id = world.Submit(Plan(8000, {"good.test", "bad.test"}, 0.05))->id;
  world.RunFor(minutes(29));
  bad.script.on_rcpt = [n = 0](const ReceivedMessage&) mutable {
    return ++n % 8 == 0 ? std::string("550 5.1.1 no such user") : std::string();
  };
  EXPECT_TRUE(world.RunUntil([&] { return good.taken.size() == 4000; }, minutes(20)));
  EXPECT_EQ(world.queue.Campaign(id)->state, CampaignState::kRunning);
  EXPECT_LT(bad.taken.size(), 4000u);
}

TEST(Canary, PausedByTheOperatorGoesOnAsACanary) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  const auto id = world.Submit(Plan(1000, {"one.test"}, 0.01))->id;
  world.RunFor(minutes(10));
  world.SetState(id, CampaignState::kPaused);
  world.RunFor(hours(2));
  world.SetState(id, CampaignState::kRunning);
  world.RunFor(minutes(19));
  EXPECT_EQ(receiver.taken.size(), 10u) << "its wait did not stand still";
  ASSERT_TRUE(world.RunToEnd(minutes(5)));
}

}  // namespace
}  // namespace postrider::delivery
