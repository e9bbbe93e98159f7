// Campaigns of a class share a site by weight, whatever the number of their domains; transactional mail goes first.

#include <fmt/format.h>

#include <gtest/gtest.h>

#include <algorithm>

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

}  // namespace
}  // namespace postrider::delivery
