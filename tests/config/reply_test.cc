#include "config/reply.h"

#include <gtest/gtest.h>

#include <set>
#include <string>
#include <tuple>

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

TEST(EnhancedCode, IsFoundWhereverItStands) {
  const std::tuple<int, const char*, EnhancedCode> cases[] = {
      {550, "sorry, no mailbox here by that name. (#5.1.1)", {5, 1, 1}},
      {550, "#5.1.0 Address rejected.", {5, 1, 0}},
      {550, "#550 5.1.1 unknown", {5, 1, 1}},
      {550, "550-5.1.1 unknown", {5, 1, 1}},
      {550, "host mx.example.org said: 550 5.7.1 no", {5, 7, 1}},
      {451, "no\n4.3.0 later", {4, 3, 0}},
      {550, "[5.2.1] off; see 5.1.1.", {5, 2, 1}},
      {554, "status=5.7.509, sorry", {5, 7, 509}},
      // Where RFC 2034 puts it, it counts whatever its class.
      {550, "4.2.1 contradicts itself (#5.1.1)", {4, 2, 1}},
  };
  for (const auto& [code, text, found] : cases) EXPECT_EQ(FindEnhancedCode(code, text), found) << text;
}

TEST(EnhancedCode, IsNoAddressVersionOrCodeOfAnotherServer) {
  for (const char* text : {
           "",
           "no code at all",
           "client 5.7.1.33 refused",
           "client 192.5.7.1 refused",
           "client [5.1.1.10] refused",
           "1.5.1.1.in-addr.arpa",
           "5.1.1-pool.example.org",
           "v5.1.1",
           "Version 5.1.2 of the filter",
           "Exim/5.1.2",
           "x5.1.1",
           "on 5.10.2026",
           "mailer 5.92.3",
           "a5.1.1@example.org 5.1.1@example.org 5.1.1/24",
           // Of a relayed reply the server's own code counts.
           "host mx.example.org said: 450 4.7.1 later",
           "5.",
           "5.1",
           "5.1.",
           "(#5.1.1000)",
       }) {
    EXPECT_EQ(FindEnhancedCode(550, text), std::nullopt) << text;
  }
  EXPECT_EQ(FindEnhancedCode(0, "(#5.1.1)"), std::nullopt);
}

TEST(ReplyText, IsReadAsPeopleAndLogsWriteIt) {
  struct Case {
    const char* said;
    int code;
    std::optional<EnhancedCode> enhanced;
    const char* text;
  };
  const EnhancedCode no_user{5, 1, 1};
  for (const Case& test : {
           Case{"550 5.1.1 no such user", 550, no_user, "5.1.1 no such user"},
           Case{"  550-5.1.1 no such\r\n550 5.1.1 user\r\n", 550, no_user, "5.1.1 no such\n5.1.1 user"},
           Case{"550-5.1.1 no such\\n550 5.1.1 user", 550, no_user, "5.1.1 no such\n5.1.1 user"},
           Case{"550-5.1.1 no such\\r\\n550-5.1.1 user\\r\\n550", 550, no_user, "5.1.1 no such\n5.1.1 user\n"},
           Case{"550-5.1.1 no such 550-5.1.1 user. 550 5.1.1 sorry", 550, no_user,
                "5.1.1 no such\n5.1.1 user.\n5.1.1 sorry"},
           Case{"554-mx.example.org 554 no service", 554, std::nullopt, "mx.example.org\nno service"},
           // Without a "-" a code in the middle is part of the sentence.
           Case{"550 host said: 550 no", 550, std::nullopt, "host said: 550 no"},
           Case{"550 #5.1.1 no", 550, no_user, "#5.1.1 no"},
           Case{"550#5.1.1 no", 550, no_user, "#5.1.1 no"},
           Case{"550: no", 550, std::nullopt, "no"},
           Case{"smtp;550 5.1.1 no", 550, no_user, "5.1.1 no"},
           Case{"smtp; 550 no", 550, std::nullopt, "no"},
           Case{"421", 421, std::nullopt, ""},
           Case{"250 ok", 250, std::nullopt, "ok"},
           Case{"550 a\tb\x01\x7f", 550, std::nullopt, "a b??"},
       }) {
    const std::optional<Reply> reply = ParseReplyText(test.said);
    ASSERT_TRUE(reply) << test.said;
    EXPECT_EQ(reply->code, test.code) << test.said;
    EXPECT_EQ(reply->enhanced, test.enhanced) << test.said;
    EXPECT_EQ(reply->text, test.text);
  }
}

TEST(ReplyText, BeginsWithACode) {
  for (const char* said : {"", " ", "5", "55", "no", "199 x", "600 x", "5500 x", "550x", "5.1.1 x",
                           "192.0.2.1 said 550", "550.1", "-50 x", "smtp;", "smtp;x"}) {
    EXPECT_EQ(ParseReplyText(said), std::nullopt) << said;
  }
}

TEST(ReplyText, TakesAnythingWithoutHarm) {
  const std::string with_nul("550 5.1.1 a\0b", 13);
  EXPECT_EQ(ParseReplyText(with_nul).value().text, "5.1.1 a?b");
  const std::string huge = "550-" + std::string(1 << 20, '\n') + "550 x";
  EXPECT_LE(ParseReplyText(huge).value().text.size(), std::size_t{64} << 10);
  std::string repeated;
  for (int i = 0; i < 20'000; ++i) repeated += "550-5.1.1 ";
  EXPECT_EQ(ParseReplyText(repeated).value().code, 550);
  EXPECT_EQ(ParseReplyText("550 \xff\xfe\xc3").value().text, "\xff\xfe\xc3");
  EXPECT_EQ(FindEnhancedCode(550, std::string(100'000, '5')), std::nullopt);
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
  for (const std::string_view name : names) EXPECT_EQ(ToString(ParseStage(name).value()), name);
  EXPECT_EQ(ParseStage("RCPT"), std::nullopt);
}

}  // namespace
}  // namespace postrider
