#include "tools/sink/refusals.h"

#include <fmt/format.h>
#include <gtest/gtest.h>

#include <string>

namespace postrider::sink {
namespace {

constexpr int kRecipients = 20'000;

std::string Address(int i) { return fmt::format("user{}@example.org", i); }

TEST(Refusals, AcceptAllUnlessAsked) { EXPECT_EQ(Rule({}, 1, "ana@example.org", 1, 0).kind, Ruling::Kind::kAccept); }

TEST(Refusals, HitTheShareThatWasAsked) {
  Behaviour behaviour;
  behaviour.permanent_share = 0.1;
  behaviour.temporary_share = 0.2;
  int permanent = 0, temporary = 0;
  for (int i = 0; i < kRecipients; ++i) {
    const Ruling ruling = Rule(behaviour, 1, Address(i), 1, 0);
    permanent += ruling.kind == Ruling::Kind::kPermanent;
    temporary += ruling.kind == Ruling::Kind::kTemporary;
  }
  // Four standard deviations of a binomial count.
  EXPECT_NEAR(permanent, 0.1 * kRecipients, 170);
  EXPECT_NEAR(temporary, 0.9 * 0.2 * kRecipients, 220);
}

TEST(Refusals, StayForEverWherePermanentAndPassInTheEndWhereTemporary) {
  Behaviour behaviour;
  behaviour.permanent_share = 0.1;
  behaviour.temporary_share = 0.5;
  int passed_later = 0;
  for (int i = 0; i < 1000; ++i) {
    const Ruling first = Rule(behaviour, 1, Address(i), 1, 0);
    bool passed = false;
    for (std::uint32_t attempt = 1; attempt <= 30; ++attempt) {
      const Ruling again = Rule(behaviour, 1, Address(i), attempt, 0);
      EXPECT_EQ(again.kind == Ruling::Kind::kPermanent, first.kind == Ruling::Kind::kPermanent);
      if (first.kind == Ruling::Kind::kPermanent) {
        EXPECT_EQ(again.variant, first.variant);
      }
      passed |= again.kind == Ruling::Kind::kAccept;
    }
    EXPECT_EQ(passed, first.kind != Ruling::Kind::kPermanent);
    passed_later += first.kind == Ruling::Kind::kTemporary && passed;
  }
  EXPECT_GT(passed_later, 300);
}

TEST(Refusals, ChooseOthersWithAnotherSeed) {
  Behaviour behaviour;
  behaviour.permanent_share = 0.5;
  int differ = 0;
  for (int i = 0; i < 1000; ++i) {
    differ += Rule(behaviour, 1, Address(i), 1, 0).kind != Rule(behaviour, 2, Address(i), 1, 0).kind;
  }
  EXPECT_NEAR(differ, 500, 64);
}

TEST(Refusals, GreylistUntilTheTimeHasPassed) {
  Behaviour behaviour;
  behaviour.greylist = std::chrono::seconds(10);
  EXPECT_EQ(Rule(behaviour, 1, "ana@example.org", 1, 0).kind, Ruling::Kind::kGreylist);
  EXPECT_EQ(Rule(behaviour, 1, "ana@example.org", 5, 9'999).kind, Ruling::Kind::kGreylist);
  EXPECT_EQ(Rule(behaviour, 1, "ana@example.org", 2, 10'000).kind, Ruling::Kind::kAccept);
}

TEST(Refusals, AreSpokenAtTheStageThatWasAsked) {
  Behaviour behaviour;
  behaviour.permanent_share = 1;
  int at_content = 0;
  for (int i = 0; i < 1000; ++i) {
    behaviour.refuse_at = RefuseAt::kRcpt;
    EXPECT_FALSE(Rule(behaviour, 1, Address(i), 1, 0).at_content);
    behaviour.refuse_at = RefuseAt::kContent;
    EXPECT_TRUE(Rule(behaviour, 1, Address(i), 1, 0).at_content);
    behaviour.refuse_at = RefuseAt::kMixed;
    at_content += Rule(behaviour, 1, Address(i), 1, 0).at_content;
  }
  EXPECT_NEAR(at_content, 500, 64);
}

}  // namespace
}  // namespace postrider::sink
