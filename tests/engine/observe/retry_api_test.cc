#include "engine/observe/retry_api.h"

#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "tests/engine/observe/fake_retry.h"

namespace postrider::observe {
namespace {

using nlohmann::json;
using std::chrono::minutes;

ApiAnswer Ask(FakeRetry& control, std::string_view body) {
  return HandleRetry(control, {.method = "POST", .path = "/api/v1/retry", .query = "", .body = body});
}

TEST(RetryApi, SaysHowManyWereMovedAndWhatHoldsThem) {
  FakeRetry control;
  control.answer = {.kind = RetryAnswer::Kind::kCampaign,
                    .name = "offer",
                    .deferred = 7,
                    .untried = 3,
                    .moved = 5,
                    .due_by = Wall(std::chrono::seconds(100)),
                    .holds = {{.what = "site",
                               .name = "mx.example.org",
                               .source = "a",
                               .limit = "backing off",
                               .reason = "bad \xff text",
                               .until = Wall(std::chrono::seconds(200))}}};
  const ApiAnswer answer = Ask(control, R"({"target":"offer","over":"10min"})");
  EXPECT_EQ(answer.status, 200);
  EXPECT_EQ(control.asked, "offer");
  EXPECT_EQ(control.asked_over, minutes(10));
  EXPECT_EQ(json::parse(answer.body),
            json::parse(R"({"kind":"campaign","name":"offer","deferred":7,"moved":5,"untried":3,
                            "due_by":"1970-01-01T00:01:40.000Z",
                            "holds":[{"what":"site","name":"mx.example.org","source":"a","limit":"backing off",
                                      "until":"1970-01-01T00:03:20.000Z","reason":"bad \ufffd text"}]})"));
}

TEST(RetryApi, TakesFiveMinutesIfNothingElseIsSaid) {
  FakeRetry control;
  EXPECT_EQ(Ask(control, R"({"target":"x"})").status, 200);
  EXPECT_EQ(control.asked_over, minutes(5));
  EXPECT_EQ(Ask(control, R"({"target":"x","over":"0s"})").status, 200);
  EXPECT_EQ(control.asked_over, minutes(0));
}

TEST(RetryApi, RefusesWhatItDoesNotUnderstand) {
  FakeRetry control;
  const std::string long_name(300, 'x');
  for (const std::string& body :
       {std::string(), std::string("[]"), std::string("{"), std::string("{}"), std::string(R"({"target":""})"),
        std::string(R"({"target":7})"), std::string(R"({"target":"x","over":300})"),
        std::string(R"({"target":"x","over":"5"})"), std::string(R"({"target":"x","over":"-5min"})"),
        std::string(R"({"target":"x","over":"25h"})"), std::string(R"({"target":"x","ovre":"5min"})"),
        R"({"target":")" + long_name + R"("})"}) {
    const ApiAnswer answer = Ask(control, body);
    EXPECT_EQ(answer.status, 400) << body;
    EXPECT_TRUE(json::parse(answer.body).contains("error")) << body;
  }
  EXPECT_EQ(control.asked, "");
}

TEST(RetryApi, TellsNotKnownFromNotNow) {
  FakeRetry control;
  control.failure = Error{ErrorCode::kNotFound, "nobody is called so"};
  EXPECT_EQ(Ask(control, R"({"target":"x"})").status, 404);
  control.failure = Error{ErrorCode::kInvalid, "it is done"};
  EXPECT_EQ(Ask(control, R"({"target":"x"})").status, 409);
}

}  // namespace
}  // namespace postrider::observe
