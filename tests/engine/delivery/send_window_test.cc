// Campaigns that are sent at certain times alone, in virtual time: the window closes under them, opens again, and the
// clock on the wall is changed meanwhile.

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/engine/delivery/world.h"

namespace postrider::delivery {
namespace {

using queue::EventKind;
using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;
using namespace std::chrono_literals;

// How long a transaction that is open when the window closes may take.
constexpr milliseconds kLastReplies{500};

WorldSettings SlowSettings(double per_second) {
  WorldSettings settings;
  settings.options = TestOptions();
  settings.options.rules[0].message_rate = per_second;
  return settings;
}

CampaignPlan Plan(std::size_t recipients, std::initializer_list<const char*> windows, const char* zone = "UTC") {
  CampaignPlan plan;
  plan.recipients = Recipients(recipients, {"some.test"});
  for (const char* window : windows) plan.spec.windows.push_back(SendWindow::Parse(window).value());
  plan.spec.time_zone = zone;
  return plan;
}

// Delivered in [from, to), and nothing a while after it.
std::ptrdiff_t DeliveredWithin(const World& world, Wall from, Wall to) {
  return std::ranges::count_if(world.queue.events(), [&](const queue::Event& event) {
    return event.kind == EventKind::kDelivered && event.time >= from && event.time < to;
  });
}

TEST(SendWindow, NothingGoesOutsideItAndTheRestGoesWhenItOpensAgain) {
  World world(SlowSettings(10));
  world.AddReceiver("mx.some.test", {"some.test"});
  const Wall midnight = world.now().wall;
  world.Submit(Plan(1200, {"00:00-00:01", "03:00-04:00"}));
  world.RunFor(minutes(1) + kLastReplies);
  const auto first = static_cast<std::uint64_t>(DeliveredWithin(world, midnight, midnight + minutes(1) + kLastReplies));
  EXPECT_GT(first, 400u);
  EXPECT_LT(first, 800u);
  world.RunFor(seconds(5));
  EXPECT_EQ(world.Snapshot().window_jobs, 0u) << "jobs lie in memory while it is closed";
  EXPECT_EQ(world.Snapshot().lateness_seconds, 0);
  world.RunFor(hours(3) - minutes(1) - seconds(10));
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), first);
  world.RunFor(seconds(15));
  EXPECT_GT(world.queue.Count(EventKind::kDelivered), first) << "it did not wake at the opening";
  EXPECT_LT(world.Snapshot().lateness_seconds, 20);
  ASSERT_TRUE(world.RunToEnd(minutes(10)));
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 1200u);
  EXPECT_EQ(DeliveredWithin(world, midnight + minutes(1) + kLastReplies, midnight + hours(3)), 0);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(SendWindow, AClosedCampaignDoesNotHoldUpAnotherInItsDomain) {
  World world(SlowSettings(20));
  world.AddReceiver("mx.some.test", {"some.test"});
  world.Submit(Plan(6000, {"00:00-00:01"}));
  world.RunFor(seconds(58));
  std::vector<std::string> others;
  for (int i = 0; i < 300; ++i) others.push_back("bob" + std::to_string(i) + "@some.test");
  world.Submit({.recipients = others});
  world.RunFor(seconds(30));
  EXPECT_TRUE(std::ranges::all_of(others, [&](const std::string& one) { return world.queue.Find(one).done; }));
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(SendWindow, TheExpiryRunsOnWhileItIsClosed) {
  World world(SlowSettings(10));
  world.AddReceiver("mx.some.test", {"some.test"});
  CampaignPlan plan = Plan(1200, {"00:00-00:01", "08:00-09:00"});
  plan.expires_after = hours(1);
  world.Submit(plan);
  ASSERT_TRUE(world.RunToEnd(hours(1) + minutes(1)));
  EXPECT_GT(world.queue.Count(EventKind::kDelivered), 400u);
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered) + world.queue.Count(EventKind::kExpired), 1200u);
  EXPECT_EQ(world.CheckConservation(), "");
}

TEST(SendWindow, RetriesWaitForItToo) {
  World world(SlowSettings(10));
  Receiver& receiver = world.AddReceiver("mx.some.test", {"some.test"});
  receiver.script.on_rcpt = [](const ReceivedMessage&) { return std::string("451 4.2.2 the mailbox is full"); };
  const Wall midnight = world.now().wall;
  world.Submit(Plan(5, {"00:00-00:01", "05:00-06:00"}));
  world.RunFor(hours(5) - seconds(1));
  for (const queue::Event& event : world.queue.events()) {
    if (event.kind != EventKind::kDeferred) continue;
    EXPECT_LT(event.time, midnight + minutes(1) + kLastReplies);
  }
  receiver.script.on_rcpt = {};
  ASSERT_TRUE(world.RunToEnd(hours(1)));
  EXPECT_EQ(DeliveredWithin(world, midnight + hours(5), midnight + hours(6)), 5);
}

TEST(SendWindow, FollowsTheClockOfItsZoneThroughTheNightThatSkipsAnHour) {
  World world(SlowSettings(1));
  world.AddReceiver("mx.some.test", {"some.test"});
  // In Paris 02:00 becomes 03:00 at 01:00 UTC on Sunday, 28 March 2027; so this window is open from then to 02:00 UTC.
  const Wall skip = std::chrono::sys_days(2027y / 3 / 28) + 1h;
  world.ShiftWall((skip - hours(2)) - world.now().wall);
  world.Submit(Plan(5000, {"Sun 02:30-04:00"}, "Europe/Paris"));
  world.RunFor(hours(2));
  EXPECT_EQ(world.now().wall, skip);
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 0u);
  world.RunFor(minutes(2));
  EXPECT_GT(world.queue.Count(EventKind::kDelivered), 100u);
  world.RunFor(hours(3));
  const auto all = static_cast<std::ptrdiff_t>(world.queue.Count(EventKind::kDelivered));
  EXPECT_EQ(DeliveredWithin(world, skip, skip + hours(1) + kLastReplies), all);
  EXPECT_GT(all, 3500);
  EXPECT_LT(all, 3700);
}

TEST(SendWindow, AClockThatIsSetOpensAndClosesIt) {
  World world(SlowSettings(10));
  world.AddReceiver("mx.some.test", {"some.test"});
  world.Submit(Plan(1200, {"03:00-04:00"}));
  world.RunFor(minutes(10));
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 0u);
  world.ShiftWall(hours(3));
  world.RunFor(seconds(20));
  const std::uint64_t some = world.queue.Count(EventKind::kDelivered);
  EXPECT_GT(some, 50u);
  world.ShiftWall(-hours(2));
  // Noticed within a second.
  world.RunFor(seconds(3));
  const std::uint64_t then = world.queue.Count(EventKind::kDelivered);
  EXPECT_LT(then, some + 40);
  world.RunFor(minutes(10));
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), then);
  world.ShiftWall(hours(2));
  ASSERT_TRUE(world.RunToEnd(minutes(5)));
  EXPECT_EQ(world.queue.Count(EventKind::kDelivered), 1200u);
  EXPECT_EQ(world.CheckConservation(), "");
}

}  // namespace
}  // namespace postrider::delivery
