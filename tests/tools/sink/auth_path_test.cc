#include <gtest/gtest.h>

#include <optional>
#include <string>
#include <string_view>

#include "tools/sink/auth.h"
#include "tools/sink/path.h"

namespace postrider::sink {
namespace {

using namespace std::string_view_literals;

TEST(Base64, IsReadStrictly) {
  EXPECT_EQ(DecodeBase64(""), "");
  EXPECT_EQ(DecodeBase64("Zg=="), "f");
  EXPECT_EQ(DecodeBase64("Zm8="), "fo");
  EXPECT_EQ(DecodeBase64("Zm9v"), "foo");
  EXPECT_EQ(DecodeBase64("+/+/"), "\xFB\xFF\xBF");
  for (const std::string_view bad :
       {"Z", "Zg", "Zg=", "Z===", "====", "Zm9v=", "Zg==Zg==", "Zm 9v", "Zm9\xC3", "Zm9v\r"}) {
    EXPECT_EQ(DecodeBase64(bad), std::nullopt) << bad;
  }
}

TEST(PlainResponse, HoldsUserAndPassword) {
  EXPECT_EQ(ReadPlainResponse("AHVzZXIAc2VjcmV0"), (Credentials{"user", "secret"}));
  EXPECT_EQ(ReadPlainResponse("YWRtaW4AdXNlcgBzZWNyZXQ="), (Credentials{"user", "secret"}));
  EXPECT_EQ(ReadPlainResponse("dXNlcg=="), std::nullopt);
  EXPECT_EQ(ReadPlainResponse("AAAA"), std::nullopt);
  EXPECT_EQ(ReadPlainResponse("x"), std::nullopt);
}

TEST(PathArgument, TakesBracketsParametersAndRoutesApart) {
  const auto simple = ParsePathArgument("from:<a@b>", "FROM:");
  ASSERT_TRUE(simple);
  EXPECT_EQ(simple->path, "a@b");
  EXPECT_EQ(simple->parameters, "");
  const auto full = ParsePathArgument("TO: <\"a>\\\"b\"@c>  NOTIFY=NEVER  ORCPT=x ", "TO:");
  ASSERT_TRUE(full);
  EXPECT_EQ(full->path, "\"a>\\\"b\"@c");
  EXPECT_EQ(full->parameters, "NOTIFY=NEVER  ORCPT=x");
  std::string_view parameters = full->parameters;
  EXPECT_EQ(TakeParameter(parameters), std::pair("NOTIFY"sv, "NEVER"sv));
  EXPECT_EQ(TakeParameter(parameters), std::pair("ORCPT"sv, "x"sv));
  EXPECT_EQ(parameters, "");
  for (const std::string_view bad : {"", "FROM", "FROM:", "FROM:<", "FROM:a@b", "FROM:<a@b", "FROM:<\"a@b>",
                                     "FROM:<@a>", "TO:<a@b>", "FROM:<a@b>x", "FROM:<\"\\"}) {
    EXPECT_FALSE(ParsePathArgument(bad, "FROM:")) << bad;
  }
}

TEST(Mailbox, NeedsTwoSidesWithinTheirLengths) {
  for (const std::string& good : {std::string("a@b"), std::string("\"a b@c\"@d"), std::string("postMASTER"),
                                  std::string(64, 'l') + "@example.org"}) {
    EXPECT_TRUE(IsMailbox(good, false)) << good;
  }
  for (const std::string& bad :
       {std::string(), std::string("a"), std::string("@b"), std::string("a@"), std::string("a b@c"),
        std::string("a@b@c"), std::string("a@b c"), std::string("a<@b"), std::string("a\t@b"), std::string("a\0@b", 4),
        std::string("a\x7f@b"), std::string(65, 'l') + "@example.org", "a@" + std::string(254, 'd'),
        std::string("\xC3\xBC@b")}) {
    EXPECT_FALSE(IsMailbox(bad, false)) << bad;
  }
  EXPECT_TRUE(IsMailbox("\xC3\xBC@b", true));
  EXPECT_FALSE(IsMailbox("\xC3@b", true));
}

TEST(Utf8, IsCheckedToTheLetter) {
  for (const std::string_view good : {"", "a", "\xC3\xBC", "\xE2\x82\xAC", "\xF0\x9F\x93\xAE", "\xF4\x8F\xBF\xBF"}) {
    EXPECT_TRUE(IsUtf8(good));
  }
  for (const std::string_view bad : {"\x80", "\xC3", "\xC0\x80", "\xC1\xBF", "\xE0\x80\x80", "\xE2\x82", "\xED\xA0\x80",
                                     "\xF0\x80\x80\x80", "\xF4\x90\x80\x80", "\xF5\x80\x80\x80", "\xC3\xC3", "\xFF"}) {
    EXPECT_FALSE(IsUtf8(bad));
  }
}

}  // namespace
}  // namespace postrider::sink
