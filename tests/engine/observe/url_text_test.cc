#include "engine/observe/url_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postrider::observe {
namespace {

using testing::ElementsAre;
using testing::Pair;

TEST(UrlText, EncodesAllButUnreservedCharacters) {
  EXPECT_EQ(PercentEncode("2026-11-24_offer.v~1"), "2026-11-24_offer.v~1");
  EXPECT_EQ(PercentEncode("a b/c?d=e&f%\xc3\xbc"), "a%20b%2Fc%3Fd%3De%26f%25%C3%BC");
}

TEST(UrlText, DecodesWhatItEncodes) {
  std::string all;
  for (int byte = 1; byte < 256; ++byte) all += static_cast<char>(byte);
  EXPECT_EQ(PercentDecode(PercentEncode(all)), all);
}

TEST(UrlText, RefusesBrokenEscapes) {
  for (const std::string_view text : {"%", "%2", "a%zz", "%0", "%00", "x%2", "%g0", "%0g", "%%%"}) {
    EXPECT_EQ(PercentDecode(text), std::nullopt) << text;
  }
}

TEST(UrlText, SplitsPathsBeforeDecoding) {
  EXPECT_THAT(*ParsePath("/"), ElementsAre(""));
  EXPECT_THAT(*ParsePath("/api/v1/a%2Fb"), ElementsAre("api", "v1", "a/b"));
  EXPECT_THAT(*ParsePath("/metrics/"), ElementsAre("metrics", ""));
  EXPECT_THAT(*ParsePath("//x"), ElementsAre("", "x"));
  EXPECT_EQ(ParsePath(""), std::nullopt);
  EXPECT_EQ(ParsePath("metrics"), std::nullopt);
  EXPECT_EQ(ParsePath("http://x/"), std::nullopt);
  EXPECT_EQ(ParsePath("/a/%zz"), std::nullopt);
}

TEST(UrlText, ReadsQueries) {
  EXPECT_THAT(*ParseQuery(""), ElementsAre());
  EXPECT_THAT(*ParseQuery("a=1&b=x%20y+z&c&=d&e=f=g"),
              ElementsAre(Pair("a", "1"), Pair("b", "x y z"), Pair("c", ""), Pair("", "d"), Pair("e", "f=g")));
  EXPECT_EQ(ParseQuery("a=%"), std::nullopt);
  EXPECT_THAT(*ParseQuery("&&a"), ElementsAre(Pair("", ""), Pair("", ""), Pair("a", "")));
}

}  // namespace
}  // namespace postrider::observe
