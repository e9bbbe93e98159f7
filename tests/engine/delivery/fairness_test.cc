// Campaigns of a class share a site by weight, whatever the number of their domains; transactional mail goes first.

#include <fmt/format.h>

#include <gtest/gtest.h>

#include <algorithm>
#include <functional>

#include "tests/engine/delivery/world.h"

namespace postrider::delivery {
namespace {

using std::chrono::minutes;
using std::chrono::seconds;

// One site with a rate, so that it is the limit that campaigns share.
WorldSettings OneSlowSite() {
  WorldSettings settings;
  settings.options = TestOptions();
  settings.options.rules[0].connections = 2;
  settings.options.rules[0].message_rate = 20;
  return settings;
}

std::size_t TakenFrom(const Receiver& receiver, std::string_view sender) {
  return static_cast<std::size_t>(std::ranges::count(receiver.taken, sender, &ReceivedMessage::from));
}

CampaignPlan PlanOf(std::vector<std::string> recipients, std::string name) {
  CampaignPlan plan{.recipients = std::move(recipients)};
  plan.spec.envelope_from = name + "@sender.test";
  plan.spec.name = std::move(name);
  return plan;
}

TEST(Fairness, ACampaignGainsNothingByHavingManyDomainsAtASite) {
  World world(OneSlowSite());
  std::vector<std::string> tenants;
  for (int i = 0; i < 20; ++i) tenants.push_back(fmt::format("tenant{}.test", i));
  std::vector<std::string> all = tenants;
  all.push_back("single.test");
  Receiver& receiver = world.AddReceiver("mx.hosting.test", all);
  world.Submit(PlanOf(Recipients(4000, tenants), "many"));
  world.Submit(PlanOf(Recipients(4000, {"single.test"}), "one"));
  world.RunFor(minutes(1));
  const auto many = static_cast<double>(TakenFrom(receiver, "many@sender.test"));
  const auto one = static_cast<double>(TakenFrom(receiver, "one@sender.test"));
  ASSERT_GT(many + one, 1000);
  EXPECT_NEAR(one / (many + one), 0.5, 0.05);
}

TEST(Fairness, ACampaignThatComesLateMakesUpForNothing) {
  World world(OneSlowSite());
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  world.Submit(PlanOf(Recipients(6000, {"one.test"}), "early"));
  world.RunFor(minutes(2));
  const std::size_t before = TakenFrom(receiver, "early@sender.test");
  world.Submit(PlanOf(Recipients(6000, {"one.test"}), "late"));
  world.RunFor(minutes(1));
  const auto early = static_cast<double>(TakenFrom(receiver, "early@sender.test") - before);
  const auto late = static_cast<double>(TakenFrom(receiver, "late@sender.test"));
  EXPECT_NEAR(late / (early + late), 0.5, 0.1);
}

// Seconds until a receiver has taken all of a sender's mail.
double SecondsUntil(World& world, const std::function<bool()>& done) {
  const Monotonic begin = world.now().monotonic;
  EXPECT_TRUE(world.RunUntil(done, minutes(30)));
  return std::chrono::duration<double>(world.now().monotonic - begin).count();
}

TEST(Fairness, ATransactionalCampaignPassesABulkOneFiftyTimesItsSize) {
  WorldSettings settings;
  settings.options = TestOptions();
  settings.options.rules[0].connections = 8;
  settings.options.rules[0].message_rate = 200;
  World world(settings);
  Receiver& receiver = world.AddReceiver("mx.one.test", {"one.test"});
  receiver.keep_content = false;
  receiver.script.round_trip = std::chrono::milliseconds(20);
  world.Submit(PlanOf(Recipients(50'000, {"one.test"}), "bulk"));
  world.RunFor(seconds(20));
  CampaignPlan receipts = PlanOf({}, "receipts");
  for (int i = 0; i < 1000; ++i) receipts.recipients.push_back(fmt::format("eva{}@one.test", i));
  receipts.spec.mail_class = MailClass::kTransactional;
  world.Submit(receipts);
  const double took = SecondsUntil(world, [&] { return TakenFrom(receiver, "receipts@sender.test") == 1000; });
  RecordProperty("seconds", fmt::format("{:.1f}", took));
  // At 200 a second it needs five for itself.
  EXPECT_GE(took, 4.9);
  EXPECT_LE(took, 6.5);
}

TEST(Fairness, SmallTenantsDoNotWaitForAHugeOneOfTheirProvider) {
  WorldSettings settings;
  settings.options = TestOptions();
  RuleOptions rule;
  rule.match = DomainPattern::Parse("mx:.mail.protection.outlook.com").value();
  rule.message_rate = 50;
  settings.options.rules.push_back(rule);
  World world(settings);
  std::vector<std::string> small;
  std::uint64_t done = 0;
  const auto count = [&done](const ReceivedMessage&) {
    ++done;
    return std::string();
  };
  for (int i = 0; i < 100; ++i) {
    small.push_back(fmt::format("small{}.test", i));
    world.AddReceiver(fmt::format("small{}-test.mail.protection.outlook.com", i), {small.back()}).script.on_content =
        count;
  }
  world.AddReceiver("huge-test.mail.protection.outlook.com", {"huge.test"});
  world.Submit(PlanOf(Recipients(30'000, {"huge.test"}), "huge"));
  world.RunFor(seconds(30));
  world.Submit(PlanOf(Recipients(500, small), "small"));
  const double took = SecondsUntil(world, [&] { return done == 500; });
  RecordProperty("seconds", fmt::format("{:.1f}", took));
  // 500 of them in turns with the huge one's, at 50 a second.
  EXPECT_GE(took, 10.0);
  EXPECT_LE(took, 14.0);
}

TEST(Fairness, SmallDomainsElsewhereDoNotNoticeAHugeOne) {
  WorldSettings settings;
  settings.options = TestOptions();
  settings.options.engine.window_jobs = 8192;
  World world(settings);
  std::vector<std::string> small;
  std::uint64_t done = 0;
  for (int i = 0; i < 300; ++i) {
    small.push_back(fmt::format("small{}.test", i));
    world.AddReceiver("mx." + small.back(), {small.back()}).script.on_content = [&done](const ReceivedMessage&) {
      ++done;
      return std::string();
    };
  }
  Receiver& huge = world.AddReceiver("mx.huge.test", {"huge.test"});
  huge.script.round_trip = std::chrono::milliseconds(500);
  // One campaign whose list has the huge domain's 50,000 first.
  std::vector<std::string> list = Recipients(50'000, {"huge.test"});
  for (const std::string& one : Recipients(1500, small)) list.push_back(one);
  world.Submit(PlanOf(list, "all"));
  const double took = SecondsUntil(world, [&] { return done == 1500; });
  RecordProperty("seconds", fmt::format("{:.1f}", took));
  EXPECT_LE(took, 3.0);
  EXPECT_LT(huge.taken.size(), 20'000u);
}

}  // namespace
}  // namespace postrider::delivery
