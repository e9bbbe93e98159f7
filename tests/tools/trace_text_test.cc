#include "tools/trace_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include <nlohmann/json.hpp>

namespace postrider::tools {
namespace {

using nlohmann::json;
using testing::HasSubstr;
using testing::StartsWith;

json Line(std::string direction, std::string text) {
  return {{"time", "2026-11-24T14:03:22.123Z"},
          {"connection", 17},
          {"source", "a"},
          {"direction", std::move(direction)},
          {"text", std::move(text)}};
}

std::string Live(json lines, std::uint64_t lost = 0) {
  return json{{"site_known", true}, {"next", "4.5"}, {"lost", lost}, {"more", true}, {"lines", std::move(lines)}}
      .dump();
}

TEST(RenderTrace, HasALineForEachLineOfAReply) {
  const auto page = RenderTrace(Live({Line(">", "EHLO me"), Line("<", "250-mx\n250 SIZE")}), false, {});
  ASSERT_TRUE(page.has_value()) << page.error().message;
  EXPECT_EQ(page->text,
            "14:03:22.123  a #17 > EHLO me\n"
            "14:03:22.123  a #17 < 250-mx\n"
            "14:03:22.123  a #17 < 250 SIZE\n");
  EXPECT_EQ(page->next, "4.5");
  EXPECT_TRUE(page->site_known);
  EXPECT_TRUE(page->more);
}

TEST(RenderTrace, IsHarmlessToATerminal) {
  json line = Line("<",
                   "250 \x1b[2J\x07\xc2\x9b"
                   "31m ok\r");
  line["source"] = "a\x1b";
  const auto page = RenderTrace(Live({line}), false, {});
  ASSERT_TRUE(page.has_value());
  EXPECT_EQ(page->text,
            "14:03:22.123  a? #17 < 250 ?[2J???"
            "31m ok?\n");
}

TEST(RenderTrace, SaysHowMuchIsLeftOut) {
  EXPECT_THAT(RenderTrace(Live(json::array(), 1234), false, {})->text, StartsWith("... 1,234 lines are left out"));
  EXPECT_EQ(RenderTrace(Live(json::array(), 1234), true, {})->text, "{\"lost\":1234}\n");
  EXPECT_EQ(RenderTrace(Live(json::array()), false, {})->text, "");
}

TEST(RenderTrace, AsJsonHasOneObjectALine) {
  const auto page = RenderTrace(Live({Line(">", "QUIT"), Line("<", "221 \x1b bye")}), true, {});
  ASSERT_TRUE(page.has_value());
  const std::size_t end = page->text.find('\n');
  EXPECT_EQ(json::parse(page->text.substr(0, end)), Line(">", "QUIT"));
  EXPECT_EQ(json::parse(page->text.substr(end)), Line("<", "221 \x1b bye"));
  EXPECT_THAT(page->text, testing::Not(HasSubstr("\x1b")));
}

TEST(RenderFailures, HasTheNewestAtTheEnd) {
  const auto failure = [](std::string time, std::string problem) {
    return json{{"time", std::move(time)},
                {"site", "mx.one.test"},
                {"source", "a"},
                {"connection", 17},
                {"mx_host", "mx.one.test"},
                {"mx_address", "192.0.2.1"},
                {"problem", std::move(problem)},
                {"lines", {Line("*", "connected"), Line("<", "554 no")}}};
  };
  const std::string answer =
      json{{"failures", {failure("2026-11-24T14:03:23.000Z", "later"), failure("2026-11-24T14:03:22.000Z", "earlier")}}}
          .dump();
  const auto text = RenderFailures(answer, false, {});
  ASSERT_TRUE(text.has_value()) << text.error().message;
  EXPECT_EQ(*text,
            "2026-11-24T14:03:22.000Z  site mx.one.test, source a, connection 17, host mx.one.test (192.0.2.1)\n"
            "earlier\n"
            "14:03:22.123  #17 * connected\n"
            "14:03:22.123  #17 < 554 no\n"
            "\n"
            "2026-11-24T14:03:23.000Z  site mx.one.test, source a, connection 17, host mx.one.test (192.0.2.1)\n"
            "later\n"
            "14:03:22.123  #17 * connected\n"
            "14:03:22.123  #17 < 554 no\n");
  const auto lines = RenderFailures(answer, true, {});
  EXPECT_EQ(json::parse(lines->substr(0, lines->find('\n')))["problem"], "earlier");
  EXPECT_EQ(*RenderFailures(R"({"failures":[]})", false, {}), "");
}

TEST(RenderTrace, RefusesWhatItCannotRead) {
  for (const char* answer :
       {"", "[]", "{}", "nonsense", R"({"site_known":true,"next":1,"lost":0,"more":false,"lines":[]})",
        R"({"site_known":true,"next":"1","lost":0,"more":false,"lines":[7]})",
        R"({"site_known":true,"next":"1","lost":0,"more":false,"lines":[{"text":{}}]})"}) {
    EXPECT_FALSE(RenderTrace(answer, false, {}).has_value()) << answer;
  }
  for (const char* answer :
       {"", "[]", "{}", R"({"failures":[{}]})", R"({"failures":[7]})", R"({"failures":{"a":1}})"}) {
    EXPECT_FALSE(RenderFailures(answer, false, {}).has_value()) << answer;
  }
}

}  // namespace
}  // namespace postrider::tools
