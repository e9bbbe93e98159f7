// Mail whose time is over without an attempt says what stood in its way; and when a quota's day begins.

#include <gtest/gtest.h>

#include <algorithm>

#include "tests/engine/delivery/world.h"

namespace postrider::delivery {
namespace {

using queue::EventKind;
using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;

// Runs until all of it has expired; the event of one recipient.
queue::Event ExpireAll(World& world, const std::string& domain) {
  world.Submit({.recipients = Recipients(5, {domain}), .expires_after = minutes(30)});
  EXPECT_TRUE(world.RunToEnd(hours(3)));
  EXPECT_EQ(world.queue.Count(EventKind::kExpired), 5u);
  EXPECT_EQ(world.CheckConservation(), "");
  const auto expired = std::ranges::find(world.queue.events(), EventKind::kExpired,
                                         [](const queue::Event& event) { return event.kind; });
  if (expired == world.queue.events().end()) return {};
  EXPECT_TRUE(expired->final);
  EXPECT_EQ(expired->attempt, 0);
  EXPECT_EQ(expired->category, Category::kMessageExpired);
  return *expired;
}

TEST(NeverAttempted, SaysWhyItsHostCouldNotBeReached) {
  World world;
  world.AddReceiver("mx.dead.test", {"dead.test"}).script.listening = false;
  const queue::Event event = ExpireAll(world, "dead.test");
  EXPECT_EQ(
      event.reply,
      "the campaign's time is over; no attempt could be made; the last failure was: connect from first to 9.9.0.2 "
      "port 25: Connection refused");
  EXPECT_EQ(event.stage, Stage::kConnect);
  EXPECT_EQ(event.code, 0);
  EXPECT_EQ(event.mx_host, "mx.dead.test");
  EXPECT_EQ(event.source, "first");
}

TEST(Expiry, OfACampaignThatIsSentWhileItIsReadIsThatOfItsManifest) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  std::size_t asked = 0;
  receiver.script.on_rcpt = [&](const ReceivedMessage&) {
    ++asked;
    return std::string("451 4.2.2 the mailbox is full");
  };
  CampaignPlan plan{.recipients = Recipients(5, {"one.test"}), .loading = true};
  plan.spec.start = queue::StartMode::kStreaming;
  plan.spec.expires = world.now().wall + minutes(1);
  world.Submit(plan);
  world.RunFor(seconds(50));
  EXPECT_EQ(asked, 5u);
  EXPECT_TRUE(world.RunToEnd(minutes(2)));
  EXPECT_EQ(asked, 5u) << "nothing is tried when its time is over";
  EXPECT_EQ(world.queue.Count(EventKind::kExpired), 5u);
}

TEST(NeverAttempted, SaysHowItsPathWasRefused) {
  World world;
  world.AddReceiver("mx.stern.test", {"stern.test"}).script.banner = "554 5.7.1 no mail from you";
  const queue::Event event = ExpireAll(world, "stern.test");
  EXPECT_TRUE(event.reply.contains("the last failure was: 5.7.1 no mail from you")) << event.reply;
  EXPECT_EQ(event.stage, Stage::kBanner);
  EXPECT_EQ(event.code, 554);
  EXPECT_TRUE(event.enhanced.has_value());
}

TEST(NeverAttempted, SaysWhatDnsSaid) {
  World world;
  world.names.mx["lame.test"].problem = "the servers of lame.test do not answer";
  const queue::Event event = ExpireAll(world, "lame.test");
  EXPECT_EQ(event.reply,
            "the campaign's time is over; no attempt could be made: the servers of lame.test do not answer");
  EXPECT_EQ(event.stage, Stage::kDns);
}

TEST(NeverAttempted, NamesTheLimitThatHeldItWhereNothingFailed) {
  WorldSettings settings;
  settings.options = TestOptions();
  World world(settings);
  world.AddReceiver("mx.one.test", {"one.test"});
  world.Tell(CoreCommand::Kind::kPause, CoreCommand::Target::kSource, "first");
  const queue::Event event = ExpireAll(world, "one.test");
  EXPECT_EQ(event.reply,
            "the campaign's time is over; no attempt could be made; its mail was held by the limit paused");
}

TEST(NeverAttempted, BlamesNoFailureThatWasOverBefore) {
  World world;
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  receiver.script.listening = false;
  world.Submit({.recipients = Recipients(5, {"one.test"})});
  world.RunFor(seconds(30));
  receiver.script.listening = true;
  ASSERT_TRUE(world.RunToEnd(minutes(10)));
  world.Tell(CoreCommand::Kind::kPause, CoreCommand::Target::kSource, "first");
  EXPECT_FALSE(ExpireAll(world, "one.test").reply.contains("refused"));
}

// ---- days

// When the day's quota of 8 was used up, and the first message after that came.
TEST(DailyQuota, BeginsAtMidnightOfItsZone) {
  struct Case {
    const char* zone;
    hours midnight;  // after the world's beginning: 2026-11-24 00:00 UTC
  };
  for (const Case& test : {Case{"UTC", hours(24)}, Case{"Asia/Tokyo", hours(15)}, Case{"America/New_York", hours(5)},
                           Case{"Europe/Paris", hours(23)}}) {
    WorldSettings settings;
    settings.options = TestOptions();
    settings.options.rules[0].daily_quota = 2;
    settings.options.rules[0].time_zone = test.zone;
    World world(settings);
    Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
    const Monotonic begin = world.now().monotonic;
    world.Submit({.recipients = Recipients(10, {"one.test"})});
    // Two a day, paced to one an hour; then nothing until midnight.
    ASSERT_TRUE(world.RunUntil([&] { return receiver.taken.size() == 3; }, hours(26))) << test.zone;
    const auto third = receiver.taken[2].time - begin;
    EXPECT_GE(third, test.midnight) << test.zone;
    EXPECT_LE(third, test.midnight + minutes(1)) << test.zone;
  }
}

TEST(DailyQuota, ADayOnWhichClocksChangeIsAnHourLongerOrShorter) {
  WorldSettings settings;
  settings.options = TestOptions();
  settings.options.rules[0].daily_quota = 2;
  settings.options.rules[0].time_zone = "Europe/Paris";
  // Clocks go back on 2026-10-25, forth on 2027-03-28; both days begin in the evening before, in UTC.
  struct Case {
    std::chrono::sys_days day;
    hours begins_before;
    hours length;
  };
  using namespace std::chrono;
  for (const Case& test : {Case{sys_days{year{2026} / 10 / 25}, hours(2), hours(25)},
                           Case{sys_days{year{2027} / 3 / 28}, hours(1), hours(23)}}) {
    settings.begins = Wall(test.day) - test.begins_before + minutes(1);
    World world(settings);
    Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
    const Monotonic begin = world.now().monotonic;
    world.Submit({.recipients = Recipients(10, {"one.test"})});
    ASSERT_TRUE(world.RunUntil([&] { return receiver.taken.size() == 3; }, hours(27)));
    const auto third = receiver.taken[2].time - begin;
    EXPECT_GE(third, test.length - minutes(1));
    EXPECT_LE(third, test.length + minutes(1));
  }
}

}  // namespace
}  // namespace postrider::delivery
