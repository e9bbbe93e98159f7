#include "engine/observe/trace_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <string>

#include <nlohmann/json.hpp>

#include "tests/engine/observe/fake_traces.h"

namespace postrider::observe {
namespace {

using delivery::TraceDirection;
using nlohmann::json;
using testing::ElementsAre;
using testing::HasSubstr;

constexpr Wall kTime(std::chrono::milliseconds(1'795'528'800'123));

ApiAnswer Ask(FakeTraces& traces, std::string_view query) {
  return AnswerTrace({.method = "GET", .path = "/api/v1/trace", .query = query, .body = {}}, traces);
}

delivery::TraceLine Line(TraceDirection direction, std::string text) {
  return {.time = kTime, .connection = 17, .direction = direction, .source = "a", .text = std::move(text)};
}

TEST(TraceApi, TellsWhatPassedAndWhereToGoOn) {
  FakeTraces traces;
  traces.view.site_known = true;
  traces.view.next = {12, 0, 5};
  traces.view.lost = 3;
  traces.view.lines = {Line(TraceDirection::kSent, "EHLO me"), Line(TraceDirection::kReceived, "250 \xff\"x\"")};
  const ApiAnswer answer = Ask(traces, "site=MX.One.Test&source=a");
  ASSERT_EQ(answer.status, 200) << answer.body;
  const json told = json::parse(answer.body);
  EXPECT_EQ(told["site_known"], true);
  EXPECT_EQ(told["next"], "12.0.5");
  EXPECT_EQ(told["lost"], 3);
  EXPECT_EQ(told["more"], false);
  ASSERT_EQ(told["lines"].size(), 2u);
  EXPECT_EQ(told["lines"][0], json({{"time", "2026-11-24T14:00:00.123Z"},
                                    {"connection", 17},
                                    {"source", "a"},
                                    {"direction", ">"},
                                    {"text", "EHLO me"}}));
  EXPECT_EQ(told["lines"][1]["direction"], "<");
  ASSERT_EQ(traces.asked.size(), 1u);
  EXPECT_EQ(traces.asked[0].site, "mx.one.test");
  EXPECT_EQ(traces.asked[0].source, "a");
  EXPECT_TRUE(traces.asked[0].after.empty());
  EXPECT_EQ(traces.asked[0].failures, 0u);

  ASSERT_EQ(Ask(traces, "site=mx.one.test&after=12.0.5").status, 200);
  EXPECT_THAT(traces.asked[1].after, ElementsAre(12, 0, 5));
}

TEST(TraceApi, TellsTheLastFailures) {
  FakeTraces traces;
  traces.view.failures = {
      {.time = kTime,
       .site = "mx.one.test",
       .source = "a",
       .connection = 17,
       .host = "mx.one.test",
       .address = "192.0.2.1",
       .problem = "banner: 554 no",
       .lines = {Line(TraceDirection::kNote, "connected"), Line(TraceDirection::kReceived, "554 no")}}};
  for (const std::string_view query : {"site=mx.one.test&last=5", "last=5"}) {
    const ApiAnswer answer = Ask(traces, query);
    ASSERT_EQ(answer.status, 200) << answer.body;
    const json failure = json::parse(answer.body)["failures"].at(0);
    EXPECT_EQ(failure["time"], "2026-11-24T14:00:00.123Z");
    EXPECT_EQ(failure["site"], "mx.one.test");
    EXPECT_EQ(failure["mx_host"], "mx.one.test");
    EXPECT_EQ(failure["mx_address"], "192.0.2.1");
    EXPECT_EQ(failure["problem"], "banner: 554 no");
    EXPECT_EQ(failure["lines"].size(), 2u);
    EXPECT_EQ(traces.asked.back().failures, 5u);
  }
}

TEST(TraceApi, RefusesWhatCannotBeMeant) {
  for (const std::string_view query :
       {"", "source=a", "site=", "site=mx&last=0", "site=mx&last=101", "site=mx&last=-1", "site=mx&last=many",
        "site=mx&after=", "site=mx&after=1.", "site=mx&after=.1", "site=mx&after=x", "site=mx&after=1..2",
        "site=mx&after=99999999999999999999", "site=mx&after=9007199254740993", "site=mx&colour=red", "site=%zz"}) {
    FakeTraces traces;
    const ApiAnswer answer = Ask(traces, query);
    EXPECT_EQ(answer.status, 400) << query;
    EXPECT_THAT(answer.body, HasSubstr("error")) << query;
    EXPECT_TRUE(traces.asked.empty()) << query;
  }
  std::string long_place = "site=mx&after=1";
  for (int i = 0; i < 2000; ++i) long_place += ".1";
  FakeTraces traces;
  EXPECT_EQ(Ask(traces, long_place).status, 400);
}

TEST(TraceApi, SaysThatACoreDoesNotAnswer) {
  FakeTraces traces;
  traces.failure = Error{ErrorCode::kUnavailable, "core 1 does not answer"};
  const ApiAnswer answer = Ask(traces, "site=mx.one.test");
  EXPECT_EQ(answer.status, 503);
  EXPECT_THAT(answer.body, HasSubstr("core 1 does not answer"));
}

}  // namespace
}  // namespace postrider::observe
