#include "config/verdict.h"

#include <gtest/gtest.h>

namespace postrider {
namespace {

TEST(Category, NamesAreReadBackAsWritten) {
  for (int i = 1; i <= static_cast<int>(Category::kOther); ++i) {
    const auto category = static_cast<Category>(i);
    EXPECT_FALSE(ToString(category).empty());
    EXPECT_EQ(ParseCategory(ToString(category)), category);
  }
  EXPECT_EQ(ToString(Category::kBadMailbox), "bad-mailbox");
  EXPECT_EQ(ToString(Category::kThrottled), "throttled");
  EXPECT_EQ(ToString(Category::kOther), "other");
}

TEST(Category, NoneHasNoNameAndUnknownNamesAreNone) {
  EXPECT_EQ(ToString(Category::kNone), "");
  EXPECT_EQ(ParseCategory(""), std::nullopt);
  EXPECT_EQ(ParseCategory("bad_mailbox"), std::nullopt);
}

TEST(Verdict, FateAndScopeHaveTheLogsNames) {
  EXPECT_EQ(ToString(Fate::kDelivered), "delivered");
  EXPECT_EQ(ToString(Fate::kDeferred), "deferred");
  EXPECT_EQ(ToString(Fate::kBounced), "bounced");
  EXPECT_EQ(ToString(Scope::kRecipient), "recipient");
  EXPECT_EQ(ToString(Scope::kSender), "sender");
}

}  // namespace
}  // namespace postrider
