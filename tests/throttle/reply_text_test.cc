#include "throttle/reply_text.h"

#include <gtest/gtest.h>

namespace postrider {
namespace {

std::string Joined(std::string_view text) {
  std::string joined = "left over";
  JoinReplyText(text, joined);
  return joined;
}

TEST(ReplyText, JoinsLinesAndDropsTheCodeThatTheyRepeat) {
  EXPECT_EQ(Joined("5.1.1 The account does\n5.1.1 not exist.\n5.1.1\n"), "5.1.1 The account does not exist.");
  EXPECT_EQ(Joined("no\nsuch\nuser"), "no such user");
  // Another code is not repeated, it is said.
  EXPECT_EQ(Joined("5.1.1 no\n5.7.1 no"), "5.1.1 no 5.7.1 no");
  EXPECT_EQ(Joined(""), "");
  EXPECT_EQ(Joined("\n\n \n"), "");
}

TEST(ReplyText, SqueezesBlanksAndControlCharacters) {
  EXPECT_EQ(Joined("  a \t b\r\n\x01 c\x7f"), "a b c");
  EXPECT_EQ(Joined(std::string_view("a\0b", 3)), "a b");
}

TEST(ReplyText, IsUtf8WhateverCame) {
  EXPECT_EQ(Joined("refus\xe9 par é 中 😀"), "refus? par é 中 😀");
  // Overlong, surrogate, beyond Unicode, cut off.
  EXPECT_EQ(Joined("\xc0\xaf \xed\xa0\x80 \xf4\x90\x80\x80 \xe4\xb8"), "?? ??? ???? ??");
  EXPECT_LE(Joined(std::string(1 << 20, 'x')).size(), 4096u);
}

}  // namespace
}  // namespace postrider
