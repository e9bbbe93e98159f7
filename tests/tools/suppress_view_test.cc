#include "tools/suppress_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>

namespace postrider::tools {
namespace {

using testing::HasSubstr;

TEST(SuppressView, RefusesWhatIsNoAnswerOfOurs) {
  for (const char* answer : {"", "null", "[]", "{}", "{\"entries\":5}", "{\"entries\":[{}]}", "{\"address\":1}",
                             "{\"added\":\"x\"}", "{\"added\":-1.5}", "{\"lists\":[{\"list\":\"a\"}]}",
                             "{\"found\":1,\"removed\":1}", "{\"added\":1,\"problems\":[{\"line\":1}]}"}) {
    EXPECT_FALSE(ParseSuppressionCheck(answer)) << answer;
    EXPECT_FALSE(ParseSuppressionPage(answer)) << answer;
    EXPECT_FALSE(ParseSuppressionLists(answer)) << answer;
    EXPECT_FALSE(ParseSuppressionUndo(answer)) << answer;
  }
  EXPECT_FALSE(ParseSuppressionTally("{\"added\":1,\"problems\":[{\"line\":1}]}"));
  EXPECT_FALSE(ParseSuppressionTally("{}"));
  EXPECT_EQ(ParseSuppressionTally("[").error().code, ErrorCode::kUnsupported);
}

TEST(SuppressView, SurvivesAnyBytes) {
  std::mt19937_64 random(5);
  const std::string good =
      R"({"address":"a@b.c","list":"global","suppressed":true,"entries":[{"address":"a@b.c","row":5,"when":"x"}],)"
      R"("history":[{"address":"a@b.c","ended":"removed"}],"added":1,"found":1,"removed":0,"examples":[]})";
  for (int i = 0; i < 5000; ++i) {
    std::string text = good;
    for (int changes = 0; changes < 3; ++changes) text[random() % text.size()] = static_cast<char>(random());
    if (const auto check = ParseSuppressionCheck(text)) {
      EXPECT_NE(RenderSuppressionCheck(*check, Terminal{}), "");
    }
    (void)ParseSuppressionUndo(text);
    (void)ParseSuppressionTally(text);
  }
}

TEST(SuppressView, ShowsNothingThatATerminalWouldObey) {
  SuppressionCheckView check{
      .address = "a\x1b[2J@b.c", .list = "n\x1b", .suppressed = true, .entries = {}, .history = {}};
  SuppressionView& entry = check.entries.emplace_back();
  entry.address = "\x1b";
  entry.why = "\x1b]0;x\x07";
  entry.campaign = "c\nd";
  entry.reply = "550\r\nx";
  const std::string text = RenderSuppressionCheck(check, Terminal{});
  EXPECT_EQ(text.find('\x1b'), std::string::npos);
  EXPECT_EQ(text.find('\r'), std::string::npos);
  EXPECT_EQ(RenderSuppressions(check.entries, Terminal{}).find('\x1b'), std::string::npos);
}

TEST(SuppressView, SaysOfWhichListsAnAddressGetsNoMail) {
  SuppressionCheckView check{
      .address = "ana@example.org", .list = "global", .suppressed = false, .entries = {}, .history = {}};
  EXPECT_EQ(RenderSuppressionCheck(check, Terminal{}), "ana@example.org: not suppressed\n");
  for (const char* list : {"news", "offers", "news"}) check.entries.emplace_back().list = list;
  EXPECT_THAT(RenderSuppressionCheck(check, Terminal{}),
              testing::StartsWith("ana@example.org: not suppressed; gets none of lists news, offers:\n  in list news"));
}

TEST(SuppressView, SaysWhatAnImportCameTo) {
  EXPECT_EQ(RenderSuppressionTally(
                {.lines = 9, .added = 1234567, .replaced = 1, .unchanged = 2, .rejected = 3, .problems = {}}),
            "1,234,567 added, 1 replaced, 2 there already, 3 rejected");
  EXPECT_EQ(RenderSuppressionLists({}, Terminal{}), "nobody is suppressed\n");
  EXPECT_THAT(
      RenderSuppressionLists({{.list = "news", .addresses = 1'000'000, .domains = 2, .expiring = 0}}, Terminal{}),
      HasSubstr("news  1,000,000        2"));
}

}  // namespace
}  // namespace postrider::tools
