#include "engine/smtp/reply_parser.h"

#include <gtest/gtest.h>

#include <random>
#include <string>
#include <vector>

namespace postrider::smtp {
namespace {

using Progress = ReplyParser::Progress;

TEST(ReplyParser, JoinsLinesAndReadsTheEnhancedCode) {
  ReplyParser parser;
  std::string_view input = "550-5.1.1 No such user\r\n550 5.1.1 here\r\n250 next";
  ASSERT_EQ(parser.Feed(input), Progress::kReply);
  EXPECT_EQ(parser.reply().code, 550);
  EXPECT_EQ(parser.reply().enhanced, (EnhancedCode{5, 1, 1}));
  EXPECT_EQ(parser.reply().text, "5.1.1 No such user\n5.1.1 here");
  EXPECT_EQ(input, "250 next");
  EXPECT_FALSE(parser.InReply());
  EXPECT_EQ(parser.Feed(input), Progress::kMore);
  EXPECT_TRUE(parser.InReply());
}

TEST(ReplyParser, ForgetsOneReplyBeforeTheNext) {
  ReplyParser parser;
  std::string_view input = "550 5.1.1 no\r\n250 ok\r\n";
  ASSERT_EQ(parser.Feed(input), Progress::kReply);
  ASSERT_EQ(parser.Feed(input), Progress::kReply);
  EXPECT_EQ(parser.reply().code, 250);
  EXPECT_FALSE(parser.reply().enhanced.has_value());
  EXPECT_EQ(parser.reply().text, "ok");
}

TEST(ReplyParser, TakesWhatIsSloppyButClear) {
  for (const char* text : {"250 ok\r\n", "250 ok\n", "250 ok\r\r\n"}) {
    ReplyParser parser;
    std::string_view input = text;
    ASSERT_EQ(parser.Feed(input), Progress::kReply) << text;
    EXPECT_EQ(parser.reply().text.substr(0, 2), "ok");
  }
  for (const char* text : {"250\r\n", "250 \r\n", "250-\r\n250\r\n"}) {
    ReplyParser parser;
    std::string_view input = text;
    ASSERT_EQ(parser.Feed(input), Progress::kReply) << text;
    EXPECT_EQ(parser.reply().code, 250);
  }
}

TEST(ReplyParser, SplitsDoNotMatter) {
  const std::string all = "220-mx.example\r\n220 ready\n421 4.3.2 bye\r\n250-a\r\n250-b\r\n250 c\r\n";
  std::mt19937 random(5);
  for (int round = 0; round < 500; ++round) {
    ReplyParser parser;
    std::vector<std::string> replies;
    for (std::size_t at = 0; at < all.size();) {
      const std::size_t size = std::min<std::size_t>(random() % 9 + 1, all.size() - at);
      std::string_view piece = std::string_view(all).substr(at, size);
      at += size;
      while (!piece.empty()) {
        const Progress progress = parser.Feed(piece);
        ASSERT_NE(progress, Progress::kBroken);
        if (progress == Progress::kReply) {
          replies.push_back(std::to_string(parser.reply().code) + parser.reply().text);
        }
      }
    }
    EXPECT_EQ(replies, (std::vector<std::string>{"220mx.example\nready", "4214.3.2 bye", "250a\nb\nc"}));
  }
}

TEST(ReplyParser, StaysBoundedWhateverComes) {
  std::mt19937 random(9);
  for (int round = 0; round < 2000; ++round) {
    ReplyParser parser;
    bool broken = false;
    for (int pieces = 0; pieces < 50 && !broken; ++pieces) {
      std::string piece(random() % 2000, '\0');
      for (char& c : piece) c = random() % 3 == 0 ? "250- \r\n\0x"[random() % 9] : static_cast<char>(random());
      if (random() % 2 == 0) piece.insert(0, "250-");
      std::string_view input = piece;
      while (!input.empty() && !broken) {
        const Progress progress = parser.Feed(input);
        broken = progress == Progress::kBroken;
        EXPECT_EQ(broken, *parser.problem() != '\0');
        EXPECT_LE(parser.reply().text.size(), ReplyParser::kTextBytes);
        for (const char c : parser.reply().text) EXPECT_TRUE(c == '\n' || static_cast<unsigned char>(c) >= 0x20);
      }
    }
  }
}

}  // namespace
}  // namespace postrider::smtp
