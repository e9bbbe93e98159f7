// A simulated hour at receivers that enforce what our rules say of them, and hours at receivers that bear less.

#include "tests/simulation/hour.h"

#include <gtest/gtest.h>

namespace postrider::simulation {
namespace {

using std::chrono::minutes;

// Connections are earned one by one. The stranger starts with two slow ones, and greylists what they carry first.
constexpr minutes kRampUp{10};
constexpr minutes kRampUpOfTheStranger{30};

void ExpectUsedToThreePercent(const Hour::Usage& usage) {
  EXPECT_GE(usage.share(), 0.97) << usage.player;
  EXPECT_LE(usage.share(), 1.005) << usage.player;
}

class FullHour : public testing::TestWithParam<std::uint32_t> {};

TEST_P(FullHour, BreaksNoLimitAtAnyInstantAndUsesEachToThreePercent) {
  Hour hour({.cores = GetParam(), .seed = 7});
  hour.RunFor(kRampUp);
  (void)hour.Look();
  hour.RunFor(kRampUpOfTheStranger - kRampUp);
  for (const Hour::Usage& usage : hour.Look()) {
    if (usage.player != "stranger") ExpectUsedToThreePercent(usage);
  }
  hour.RunFor(minutes(60) - kRampUpOfTheStranger);
  const std::vector<Hour::Usage> usages = hour.Look();
  SCOPED_TRACE(ToText(usages));
  ASSERT_EQ(usages.size(), 6u);
  for (const Hour::Usage& usage : usages) {
    EXPECT_EQ(usage.breaches, 0u) << usage.player;
    EXPECT_EQ(usage.counts.protocol_errors, 0u) << usage.player;
    ExpectUsedToThreePercent(usage);
    EXPECT_GT(usage.counts.refused_permanent, 0u) << usage.player;
  }
  hour.Drain();
  EXPECT_EQ(hour.Check(), "");
}

INSTANTIATE_TEST_SUITE_P(Cores, FullHour, testing::Values(1u, 2u));

TEST(Hour, IsTheSameForTheSameSeedAndAnotherForAnother) {
  const auto digest_of = [](std::uint64_t seed) {
    Hour hour({.cores = 2, .seed = seed, .players = {"orange", "qq", "stranger"}, .supply = minutes(10)});
    hour.RunFor(minutes(10));
    return hour.Digest();
  };
  EXPECT_EQ(digest_of(3), digest_of(3));
  EXPECT_NE(digest_of(3), digest_of(4));
}

// The measure can fail: a receiver a little stricter than our rules say sees it at once.
TEST(Hour, SeesASenderThatIsTooFast) {
  Hour hour({.real_share = 0.95, .players = {"gmail", "yahoo", "microsoft365"}, .supply = minutes(30)});
  hour.RunFor(minutes(20));
  for (const Hour::Usage& usage : hour.Look()) EXPECT_GT(usage.breaches, 0u) << usage.player;
}

// Receivers that bear half of what our rules say: their replies are about us, and no address pays for it.
TEST(Hour, LosesNobodyWhereReceiversBearLessThanWeThought) {
  Hour hour({.seed = 5, .real_share = 0.5, .players = {"gmail", "yahoo", "microsoft365", "qq"}, .supply = minutes(60)});
  hour.RunFor(minutes(120));
  const std::vector<Hour::Usage> usages = hour.Look();
  SCOPED_TRACE(ToText(usages));
  for (const Hour::Usage& usage : usages) EXPECT_GT(usage.breaches, 0u) << usage.player;
  hour.Drain();
  EXPECT_EQ(hour.Check(), "");
}

// Microsoft says "server busy" and means the rate. Found within an hour, it is met from below from then on: halved at
// each refusal, and 5 % more each five clean minutes, the mean is 1 / (2 ln 2) = 72 % of it.
TEST(Hour, SettlesNearTheRateOfAReceiverThatBearsAQuarterOfOurs) {
  Hour hour({.seed = 2, .real_share = 0.25, .players = {"microsoft365"}, .supply = minutes(120)});
  hour.RunFor(minutes(60));
  (void)hour.Look();
  hour.RunFor(minutes(180));
  const Hour::Usage usage = hour.Look().front();
  SCOPED_TRACE(ToText({usage}));
  EXPECT_GE(usage.share(), 0.62 * 0.25);
  EXPECT_LE(usage.share(), 0.25);
  EXPECT_LE(usage.breaches, 30u);
  hour.Drain();
  EXPECT_EQ(hour.Check(), "");
}

}  // namespace
}  // namespace postrider::simulation
