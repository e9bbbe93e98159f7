#include "tools/unmatched_view.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

namespace postrider::tools {
namespace {

using testing::HasSubstr;

TEST(UnmatchedView, ShowsTheMostFrequentReplies) {
  const UnmatchedView view = ParseUnmatched(R"({"total": 1240, "clusters": [
    {"count": 1200, "provider": "google", "stage": "rcpt", "text": "550 no cake for <address>",
     "example": "550 no cake for ana@example.org", "first": "2026-11-24T09:00:00Z", "last": "2026-11-24T10:00:00Z"},
    {"count": 30, "text": "421 \u001b[2J"}]})")
                                 .value();
  const std::string text = RenderUnmatched(view, Terminal());
  EXPECT_THAT(text, HasSubstr("1,200  google    rcpt   2026-11-24T10:00:00Z  550 no cake for <address>\n"));
  EXPECT_THAT(text, HasSubstr("   30  -                                      421 ?[2J\n"));
  EXPECT_THAT(text, HasSubstr("... and 10 more\n"));
}

TEST(UnmatchedView, SaysThatThereAreNone) {
  EXPECT_EQ(RenderUnmatched(ParseUnmatched(R"({"total": 0, "clusters": []})").value(), Terminal()),
            "No reply came that no rule knows.\n");
}

TEST(UnmatchedView, RefusesWhatIsNoSuchAnswer) {
  for (const char* answer : {"", "[]", "{}", R"({"total": 1})", R"({"total": "x", "clusters": []})",
                             R"({"total": 1, "clusters": [{}]})", R"({"total": 1, "clusters": [{"count": -1}]})"}) {
    const auto view = ParseUnmatched(answer);
    ASSERT_FALSE(view) << answer;
    EXPECT_THAT(view.error().message, HasSubstr("the daemon's answer"));
  }
}

}  // namespace
}  // namespace postrider::tools
