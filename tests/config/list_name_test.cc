#include "config/list_name.h"

#include <gtest/gtest.h>

namespace postrider {
namespace {

TEST(ListName, KeepsPlainNamesAsWritten) {
  for (const std::string_view name : {"newsletter", "Offers-2026", "a", "x.y_z-9"}) {
    EXPECT_EQ(ParseListName(name).value(), name);
  }
  EXPECT_EQ(ParseListName(std::string(64, 'a')).value(), std::string(64, 'a'));
}

TEST(ListName, CallsTheListOfAllMailGlobal) {
  EXPECT_EQ(ParseListName("").value(), "");
  EXPECT_EQ(ParseListName("global").value(), "");
  EXPECT_EQ(ParseListName("Global").value(), "Global");
  EXPECT_EQ(ShownListName(""), "global");
  EXPECT_EQ(ShownListName("offers"), "offers");
}

TEST(ListName, RefusesWhatCouldNotStandInAKeyOrALog) {
  using std::string_view_literals::operator""sv;
  for (const std::string_view name :
       {" "sv, "a b"sv, "a\0b"sv, "a\nb"sv, "a/b"sv, "a@b"sv, "gr\xc3\xbc\xc3\x9f"sv, "\xff"sv}) {
    const auto parsed = ParseListName(name);
    ASSERT_FALSE(parsed);
    EXPECT_EQ(parsed.error().code, ErrorCode::kInvalid);
    EXPECT_NE(parsed.error().message.find("1 to 64 letters"), std::string::npos);
  }
  EXPECT_FALSE(ParseListName(std::string(65, 'a')));
}

}  // namespace
}  // namespace postrider
