#include "engine/smtp/dot_stuff.h"

#include <gtest/gtest.h>

#include <random>
#include <string>

namespace postrider::smtp {
namespace {

std::string Stuffed(std::string content) {
  DotStuff(content);
  return content;
}

// The rule as RFC 5321 writes it, one octet at a time.
std::string Slowly(const std::string& content) {
  std::string out;
  bool line_start = true;
  for (const char c : content) {
    if (line_start && c == '.') out += '.';
    out += c;
    line_start = c == '\n';
  }
  return out;
}

TEST(DotStuff, DoublesADotThatBeginsALineAndNoOther) {
  EXPECT_EQ(Stuffed(""), "");
  EXPECT_EQ(Stuffed("."), "..");
  EXPECT_EQ(Stuffed(".\r\n"), "..\r\n");
  EXPECT_EQ(Stuffed("a.b\r\nc."), "a.b\r\nc.");
  EXPECT_EQ(Stuffed("a\r\n.\r\nb"), "a\r\n..\r\nb");
  EXPECT_EQ(Stuffed("..\r\n..a\r\n."), "...\r\n...a\r\n..");
}

TEST(DotStuff, LeavesNoEndOfContentBehindABareLf) {
  EXPECT_EQ(Stuffed("a\n.\nMAIL"), "a\n..\nMAIL");
  EXPECT_EQ(Stuffed("a\n.\r\nMAIL"), "a\n..\r\nMAIL");
}

TEST(DotStuff, AgreesWithTheRuleOnRandomText) {
  std::mt19937 random(3);
  for (int round = 0; round < 3000; ++round) {
    std::string content(random() % 400, 'x');
    for (char& c : content) {
      const auto dice = random() % 8;
      if (dice < 3) c = "\r\n."[dice];
    }
    EXPECT_EQ(Stuffed(content), Slowly(content));
  }
}

TEST(DotStuff, FindsADotAtEveryPlaceOfABlock) {
  for (std::size_t place = 0; place < 300; ++place) {
    std::string content(300, 'x');
    content[place] = '.';
    if (place > 0) content[place - 1] = '\n';
    EXPECT_EQ(Stuffed(content), Slowly(content)) << place;
  }
}

}  // namespace
}  // namespace postrider::smtp
