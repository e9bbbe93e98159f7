#include "throttle/literal_finder.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace postrider {
namespace {

using testing::ElementsAre;
using testing::IsEmpty;

std::vector<int> Found(const std::vector<std::string>& literals, std::string_view text) {
  std::vector<int> found = {99};
  LiteralFinder(literals).Find(text, found);
  return found;
}

TEST(LiteralFinder, FindsLiteralsThatOverlapAndContainOneAnother) {
  EXPECT_THAT(Found({"he", "she", "his", "hers"}, "ushers"), ElementsAre(0, 1, 3));
  EXPECT_THAT(Found({"abcd", "bc", "c"}, "xabcx"), ElementsAre(1, 2));
  EXPECT_THAT(Found({"a", "a"}, "a"), ElementsAre(0, 1));
  EXPECT_THAT(Found({"aab"}, "aaab"), ElementsAre(0));
}

TEST(LiteralFinder, FindsNothingInNothing) {
  EXPECT_THAT(Found({}, "text"), IsEmpty());
  EXPECT_THAT(Found({""}, "text"), IsEmpty());
  EXPECT_THAT(Found({"text"}, ""), IsEmpty());
  EXPECT_THAT(Found({"text"}, std::string_view("te\0xt", 5)), IsEmpty());
}

TEST(LiteralFinder, AgreesWithASearchForEachLiteral) {
  std::mt19937 random(7);
  const auto word = [&](std::size_t length) {
    std::string text;
    for (std::size_t i = 0; i < length; ++i) text += static_cast<char>('a' + random() % 3);
    return text;
  };
  for (int round = 0; round < 200; ++round) {
    std::vector<std::string> literals;
    for (int i = 0; i < 12; ++i) literals.push_back(word(1 + random() % 5));
    const std::string text = word(random() % 40);
    std::vector<int> expected;
    for (std::size_t i = 0; i < literals.size(); ++i) {
      if (text.find(literals[i]) != std::string::npos) expected.push_back(static_cast<int>(i));
    }
    EXPECT_EQ(Found(literals, text), expected) << text;
  }
}

}  // namespace
}  // namespace postrider
