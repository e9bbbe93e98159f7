#include "engine/observe/json_text.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

namespace postrider::observe {
namespace {

std::string Quoted(std::string_view text) {
  std::string out;
  AppendJsonString(out, text);
  return out;
}

TEST(JsonText, WritesPlainTextAsItIs) {
  EXPECT_EQ(Quoted(""), R"("")");
  EXPECT_EQ(Quoted("ana@example.org"), R"("ana@example.org")");
  EXPECT_EQ(Quoted("Grüße, 日本, 🎈"), "\"Grüße, 日本, 🎈\"");
}

TEST(JsonText, EscapesWhatWouldEndTheStringOrTheLine) {
  EXPECT_EQ(Quoted("a\"b\\c"), R"("a\"b\\c")");
  EXPECT_EQ(Quoted("a\nb\rc\td"), R"("a\nb\rc\td")");
  EXPECT_EQ(Quoted(std::string_view("\0\x1b[31m\x7f", 7)), R"("\u0000\u001b[31m\u007f")");
}

TEST(JsonText, ReplacesBytesThatAreNoUtf8) {
  struct Case {
    std::string_view bytes;
    std::size_t replaced;  // how many U+FFFD come out
  };
  const Case cases[] = {
      {"\x80", 1},              // a continuation alone
      {"\xc3", 1},              // cut short
      {"\xc0\xaf", 2},          // overlong
      {"\xe0\x80\x80", 3},      // overlong
      {"\xed\xa0\x80", 3},      // a surrogate
      {"\xf0\x8f\xbf\xbf", 4},  // overlong
      {"\xf4\x90\x80\x80", 4},  // beyond U+10FFFF
      {"\xf5\x80\x80\x80", 4},  //
      {"\xff\xfe", 2},          //
      {"\xe2\x82", 2},          // cut short
  };
  for (const Case& c : cases) {
    std::string expected = "\"a";
    for (std::size_t i = 0; i < c.replaced; ++i) expected += "\xEF\xBF\xBD";
    expected += "b\"";
    EXPECT_EQ(Quoted("a" + std::string(c.bytes) + "b"), expected) << testing::PrintToString(c.bytes);
  }
}

TEST(JsonText, IsReadBackTheSameByAnyParser) {
  // Every one- and two-byte text that is UTF-8; the others must at least parse.
  for (int first = 0; first < 256; ++first) {
    for (int second = 0; second < 256; ++second) {
      const std::string text = {static_cast<char>(first), static_cast<char>(second)};
      const auto parsed = nlohmann::json::parse(Quoted(text), nullptr, false);
      ASSERT_TRUE(parsed.is_string()) << first << " " << second;
      if (first < 0x80 && second < 0x80) {
        EXPECT_EQ(parsed.get<std::string>(), text);
      }
    }
  }
}

}  // namespace
}  // namespace postrider::observe
