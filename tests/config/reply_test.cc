#include "config/reply.h"

#include <gtest/gtest.h>

#include <set>
#include <string>

namespace postrider {
namespace {

TEST(EnhancedCode, IsReadAtTheVeryStart) {
  EXPECT_EQ(ParseEnhancedCode("5.1.1 no such user"), (EnhancedCode{5, 1, 1}));
  EXPECT_EQ(ParseEnhancedCode("2.0.0"), (EnhancedCode{2, 0, 0}));
  EXPECT_EQ(ParseEnhancedCode("4.7.650\nbusy"), (EnhancedCode{4, 7, 650}));
  EXPECT_EQ(ParseEnhancedCode("5.999.999\tx"), (EnhancedCode{5, 999, 999}));
  EXPECT_EQ(ParseEnhancedCode("5.7.0, Mail Sending denied"), (EnhancedCode{5, 7, 0}));
  EXPECT_EQ(ToString(EnhancedCode{4, 7, 650}), "4.7.650");
}

TEST(EnhancedCode, NothingElseCounts) {
  for (std::string text : {"",         "5",       "5.1",
                           "5.1.",     "5..1",    " 5.1.1",
                           "(#5.1.1)", "x 5.1.1", "3.1.1 x",
                           "1.1.1 x",  "55.1.1",  "5.1.1.7 is an address",
                           "5.1.1x",   "5.1.1-x", "5.1000.1",
                           "5.1.1000", "5.01.1",  "5.1.01",
                           "5.-1.1",   "5.1,1",   "5.7.99999999999999999999"}) {
    EXPECT_EQ(ParseEnhancedCode(text), std::nullopt) << text;
  }
}

TEST(Reply, FirstDigitTellsItsKind) {
  EXPECT_TRUE((Reply{250, {}, ""}.Positive()));
  EXPECT_TRUE((Reply{354, {}, ""}.Positive()));
  EXPECT_TRUE((Reply{400, {}, ""}.Transient()));
  EXPECT_TRUE((Reply{599, {}, ""}.Permanent()));
  const Reply none;
  EXPECT_FALSE(none.Positive() || none.Transient() || none.Permanent());
}

TEST(Stage, EachHasItsOwnName) {
  std::set<std::string_view> names;
  for (int stage = 0; stage <= static_cast<int>(Stage::kQuit); ++stage)
    names.insert(ToString(static_cast<Stage>(stage)));
  EXPECT_EQ(names.size(), static_cast<std::size_t>(Stage::kQuit) + 1);
  EXPECT_EQ(ToString(Stage::kContent), "content");
}

}  // namespace
}  // namespace postrider
