#include "tools/reply_score.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace postrider::tools {
namespace {

using testing::HasSubstr;
using testing::Not;

ReplyScore Sample() {
  ReplyScore score;
  score.Add(Category::kBadMailbox, {}, Category::kBadMailbox, true);
  score.Add(Category::kBadMailbox, {Category::kInactiveMailbox}, Category::kInactiveMailbox, true);
  score.Add(Category::kBadDomain, {}, Category::kThrottled, false);
  score.Add(Category::kThrottled, {Category::kBadMailbox}, Category::kBadMailbox, true);
  score.Add(Category::kThrottled, {}, Category::kBadMailbox, true);
  return score;
}

TEST(ReplyScore, CountsStrictAndLenient) {
  const ReplyScore score = Sample();
  EXPECT_EQ(score.rows(), 5u);
  EXPECT_DOUBLE_EQ(score.Strict(), 0.2);
  EXPECT_DOUBLE_EQ(score.Lenient(), 0.6);
}

TEST(ReplyScore, JudgesHardBouncesByWhatIsExpected) {
  const ReplyScore score = Sample();
  // Two of the four that were called so are, and two of the three that are were called so.
  EXPECT_DOUBLE_EQ(score.HardPrecision(), 0.5);
  EXPECT_DOUBLE_EQ(score.HardRecall(), 2.0 / 3);
  EXPECT_DOUBLE_EQ(ReplyScore().HardPrecision(), 1);
}

TEST(ReplyScore, ShowsCategoriesAndConfusions) {
  const std::string text = Sample().ToText(Terminal());
  EXPECT_THAT(text, HasSubstr("5 replies: strict 20.0 %, lenient 60.0 %; 1 decided by their codes alone"));
  EXPECT_THAT(text, HasSubstr("precision 50.0 % (2 wrong, 1 of them defensible), recall 66.7 % (1 missed)"));
  EXPECT_THAT(text, HasSubstr("\nbad-mailbox        2  50.0 %  100.0 %\n"));
  EXPECT_THAT(text, HasSubstr("\nthrottled    bad-mailbox             2           1\n"));
  ReplyScore right;
  right.Add(Category::kOther, {}, Category::kOther, true);
  EXPECT_THAT(right.ToText(Terminal()), Not(HasSubstr("classified as")));
}

TEST(ReplyScore, IsAnObjectForPrograms) {
  const auto json = nlohmann::json::parse(Sample().ToJson());
  EXPECT_EQ(json.at("replies"), 5);
  EXPECT_EQ(json.at("codes_alone"), 1);
  EXPECT_EQ(json.at("hard_bounces").at("missed"), 1);
  EXPECT_EQ(json.at("hard_bounces").at("wrong_but_accepted"), 1);
  EXPECT_EQ(json.at("categories").size(), 3u);
  EXPECT_EQ(json.at("confusions").at(0).at("got"), "bad-mailbox");
  EXPECT_EQ(json.at("confusions").at(0).at("accepted"), 1);
}

}  // namespace
}  // namespace postrider::tools
