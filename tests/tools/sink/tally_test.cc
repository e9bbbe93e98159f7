#include "tools/sink/tally.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <array>
#include <string>

namespace postrider::sink {
namespace {

std::string Address(int i) { return fmt::format("user{}@domain{}.example", i, i % 20); }

TEST(Tally, CountsAttemptsAndTheTimeSinceTheFirst) {
  Tally tally(1, 100);
  const Tally::Key key = tally.KeyOf("ana@example.org");
  EXPECT_EQ(tally.CountAttempt(key, 1000).number, 1u);
  const Tally::Attempt second = tally.CountAttempt(key, 4500);
  EXPECT_EQ(second.number, 2u);
  EXPECT_EQ(second.ms_since_first, 3500u);
  EXPECT_EQ(tally.CountAttempt(tally.KeyOf("ben@example.org"), 5000).number, 1u);
}

TEST(Tally, TellsUniqueFromRepeatsThroughAllItsGrowth) {
  constexpr int kRecipients = 100'000;
  Tally tally(1, 1'000'000);
  for (int round = 1; round <= 2; ++round) {
    for (int i = 0; i < kRecipients; ++i) {
      const Tally::Key key = tally.KeyOf(Address(i));
      EXPECT_EQ(tally.CountAttempt(key, 0).number, static_cast<std::uint32_t>(round));
      // The second time somebody else takes every other one.
      if (round == 1 || i % 2 == 0) {
        EXPECT_EQ(tally.CountAccepted(key, static_cast<std::uint16_t>(round - 1)), static_cast<std::uint32_t>(round));
      }
    }
  }
  EXPECT_EQ(tally.recipients(), static_cast<std::size_t>(kRecipients));
  const std::array<const Tally*, 1> one{&tally};
  const Tally::Merged merged = Tally::Merge(one, 2);
  EXPECT_EQ(merged.recipients, static_cast<std::uint64_t>(kRecipients));
  EXPECT_EQ(merged.taken[0].unique, static_cast<std::uint64_t>(kRecipients));
  EXPECT_EQ(merged.taken[0].repeats, 0u);
  EXPECT_EQ(merged.taken[1].unique, 0u);
  EXPECT_EQ(merged.taken[1].repeats, static_cast<std::uint64_t>(kRecipients / 2));
}

TEST(Tally, NeedsFewBytesForARecipient) {
  Tally tally(1, 1'000'000);
  for (int i = 0; i < 200'000; ++i) tally.CountAttempt(tally.KeyOf(Address(i)), 0);
  EXPECT_LE(tally.bytes() / tally.recipients(), 70u);
}

TEST(Tally, SeesThatTwoCoresTookTheSameRecipient) {
  Tally first(9, 100), second(9, 100), third(9, 100);
  const auto take = [](Tally& tally, const char* address, std::uint16_t receiver) {
    const Tally::Key key = tally.KeyOf(address);
    tally.CountAttempt(key, 0);
    tally.CountAccepted(key, receiver);
  };
  take(first, "ana@example.org", 0);
  take(second, "ana@example.org", 1);
  take(third, "ana@example.org", 1);
  take(third, "ana@example.org", 1);
  take(second, "ben@example.org", 1);
  first.CountAttempt(first.KeyOf("cleo@example.org"), 0);  // attempted here, accepted there
  take(third, "cleo@example.org", 0);
  const std::array<const Tally*, 3> cores{&first, &second, &third};
  const Tally::Merged merged = Tally::Merge(cores, 2);
  EXPECT_EQ(merged.recipients, 3u);
  EXPECT_EQ(merged.taken[0].unique, 2u);
  EXPECT_EQ(merged.taken[0].repeats, 0u);
  EXPECT_EQ(merged.taken[1].unique, 1u);
  EXPECT_EQ(merged.taken[1].repeats, 3u);
}

TEST(Tally, TakesRecipientsBeyondItsLimitForNewAndSaysSo) {
  Tally tally(1, 2);
  for (int i = 0; i < 4; ++i) {
    const Tally::Key key = tally.KeyOf(Address(i));
    tally.CountAttempt(key, 0);
    tally.CountAccepted(key, 0);
  }
  EXPECT_EQ(tally.CountAttempt(tally.KeyOf(Address(3)), 50).number, 1u);
  EXPECT_EQ(tally.CountAccepted(tally.KeyOf(Address(3)), 0), 1u);
  EXPECT_EQ(tally.recipients(), 2u);
  EXPECT_EQ(tally.untracked(), 3u);
}

}  // namespace
}  // namespace postrider::sink
