#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <nlohmann/json.hpp>

#include "engine/observe/admin_api.h"
#include "tests/engine/observe/fake_control.h"

namespace postrider::observe {
namespace {

using nlohmann::json;
using std::chrono::seconds;
using testing::HasSubstr;
using testing::SizeIs;

class ThrottleApiTest : public testing::Test {
 protected:
  ApiAnswer Ask(std::string_view method, std::string_view path, std::string_view query = "",
                std::string_view body = "") {
    return api_.Handle({.method = method, .path = path, .query = query, .body = body});
  }
  json Get(std::string_view path, std::string_view query = "") {
    const ApiAnswer answer = Ask("GET", path, query);
    EXPECT_EQ(answer.status, 200) << answer.body;
    return json::parse(answer.body, nullptr, false);
  }
  json Post(std::string_view path, std::string_view body) {
    const ApiAnswer answer = Ask("POST", path, "", body);
    EXPECT_EQ(answer.status, 200) << answer.body;
    return json::parse(answer.body, nullptr, false);
  }

  FakeControl control_;
  EventTally tally_{10};
  AdminApi api_{Options(), control_.All(), tally_};
};

TEST_F(ThrottleApiTest, SetsListsAndUnsets) {
  const json set = Post("/api/v1/throttle/set",
                        R"({"match":"example.org","set":["message_rate=5/s","connections=3"],"for":"2h","by":"ana"})");
  EXPECT_EQ(set["match"], "example.org");
  EXPECT_EQ(set["until"], "2027-01-15T10:00:00.000Z");
  ASSERT_THAT(set["fields"], SizeIs(3)) << "a burst goes with its rate";
  EXPECT_EQ(set["fields"][0]["field"], "connections");
  EXPECT_EQ(set["fields"][0]["before"]["value"], "8");
  EXPECT_EQ(set["fields"][0]["before"]["from"], "built in");
  EXPECT_EQ(set["fields"][0]["now"]["value"], "3");
  EXPECT_EQ(set["fields"][0]["now"]["pattern"], "example.org");

  EXPECT_EQ(Get("/api/v1/throttle"), json::parse(R"({"overrides":[{"match":"example.org",
      "set":{"connections":"3","message_rate":"5/s"},"set_by":"ana","set_at":"2027-01-15T08:00:00.000Z",
      "until":"2027-01-15T10:00:00.000Z"}]})"));

  const json unset = Post("/api/v1/throttle/unset", R"({"match":"example.org","keys":["connections"],"by":"bob"})");
  EXPECT_EQ(unset["fields"][0]["now"]["value"], "8");
  EXPECT_FALSE(unset.contains("until"));
  EXPECT_EQ(control_.throttle.unset_by, "bob");
  EXPECT_EQ(Get("/api/v1/throttle")["overrides"][0]["set"], json::parse(R"({"message_rate":"5/s"})"));
  EXPECT_EQ(Ask("POST", "/api/v1/throttle/unset", "", R"({"match":"example.org","keys":["idle"]})").status, 404);
  Post("/api/v1/throttle/unset", R"({"match":"Example.ORG"})");
  EXPECT_TRUE(control_.throttle.overrides.empty());
}

TEST_F(ThrottleApiTest, RefusesWhatItDoesNotUnderstandAndChangesNothing) {
  for (const std::string_view body :
       {"", "[]", "null", "{}", R"({"match":"a.org"})", R"({"match":"a.org","set":[]})",
        R"({"match":"a.org","set":"connections=3"})", R"({"match":"a.org","set":[3]})",
        R"({"match":"a.org","set":["conections=3"]})", R"({"match":"a.org","set":["connections=0"]})",
        R"({"match":"a b","set":["connections=3"]})", R"({"match":5,"set":["connections=3"]})",
        R"({"match":"a.org","set":["connections=3"],"for":"2"})",
        R"({"match":"a.org","set":["connections=3"],"for":"0s"})",
        R"({"match":"a.org","set":["connections=3"],"for":"900d"})",
        R"({"match":"a.org","set":["connections=3"],"until":"tomorrow"})",
        R"({"match":"provider:nobody","set":["connections=3"]})", "{\"match\":\"a.org\",\"set\":[\"\xff\"]}"}) {
    const ApiAnswer answer = Ask("POST", "/api/v1/throttle/set", "", body);
    EXPECT_EQ(answer.status, 400) << body << answer.body;
    EXPECT_TRUE(json::parse(answer.body).contains("error")) << body;
  }
  EXPECT_EQ(Ask("POST", "/api/v1/throttle/set", "", std::string(60'000, '[')).status, 400);
  EXPECT_EQ(Ask("POST", "/api/v1/throttle/unset", "", R"({"match":"a.org","set":["x"]})").status, 400);
  EXPECT_EQ(Ask("POST", "/api/v1/throttle/unset", "", R"({"match":"a.org","keys":["nonsense"]})").status, 400);
  EXPECT_TRUE(control_.throttle.overrides.empty());
  EXPECT_EQ(Ask("GET", "/api/v1/throttle/set").status, 405);
  EXPECT_EQ(Ask("POST", "/api/v1/throttle").status, 405);
  EXPECT_EQ(Ask("POST", "/api/v1/throttle/raise").status, 404);
  EXPECT_EQ(Ask("GET", "/api/v1/throttle", "domain=ana@example.org").status, 400);
  EXPECT_EQ(Ask("GET", "/api/v1/throttle", "domain=%zz").status, 400);
  EXPECT_EQ(Ask("GET", "/api/v1/throttle", "domains=a.org").status, 400);
  control_.throttle.failure = Error{ErrorCode::kNoSpace, "the disk is full"};
  EXPECT_EQ(Ask("POST", "/api/v1/throttle/set", "", R"({"match":"a.org","set":["connections=3"]})").status, 507);
}

TEST_F(ThrottleApiTest, ShowsWhatHoldsForADomainAndWhatBindsNow) {
  DomainLimits& shown = control_.throttle.shown;
  shown.hosts = {"mx1.google.com", "mx2.google.com"};
  delivery::PlaceSnapshot& place = shown.place.emplace();
  place.site = "mx1.google.com";
  place.learned_messages_per_connection = 20;
  delivery::SiteSnapshot& path = place.paths.emplace_back();
  path.source = "a";
  path.mode = delivery::SiteMode::kStopped;
  path.binding_limit = "stopped";
  path.blocked_until = Wall(seconds(60));
  path.last_reply = "421 slow \xff down";
  delivery::AllowanceSnapshot& allowance = place.allowances.emplace_back();
  allowance.source = "a";
  allowance.receiver = "google";
  allowance.is_provider = true;
  allowance.rate_limit = 5;
  allowance.adaptive_rate = 2.5;
  allowance.reason = "gmail-rate";
  allowance.since = Wall(seconds(30));
  allowance.quota = 100;
  allowance.quota_used = 40;
  allowance.warm_up_day = 3;
  allowance.warm_up_quota = 200;
  allowance.last_replies = {"421 slow"};
  const json told = Get("/api/v1/throttle", "domain=example.org");
  EXPECT_EQ(told["domain"], "example.org");
  EXPECT_EQ(told["hosts"], json::parse(R"(["mx1.google.com","mx2.google.com"])"));
  EXPECT_EQ(told["provider"], "google");
  EXPECT_EQ(told["learned_messages_per_connection"], 20);
  EXPECT_EQ(told["rule"][0]["field"], "connections");
  EXPECT_EQ(told["rule"][0]["value"], "5");
  EXPECT_EQ(told["rule"][0]["pattern"], "provider:google");
  EXPECT_THAT(told["rule"][0]["from"].get<std::string>(), testing::StartsWith("providers.toml (built in):"));
  EXPECT_EQ(told["paths"][0]["binding_limit"], "stopped");
  EXPECT_EQ(told["paths"][0]["blocked_until"], "1970-01-01T00:01:00.000Z");
  EXPECT_EQ(told["paths"][0]["last_reply"], "421 slow \xEF\xBF\xBD down");
  EXPECT_EQ(told["allowances"][0]["at"], "google");
  EXPECT_EQ(told["allowances"][0]["counts"], "provider");
  EXPECT_EQ(told["allowances"][0]["adaptive_rate"], 2.5);
  EXPECT_EQ(told["allowances"][0]["quota_used"], 40);
  EXPECT_EQ(told["allowances"][0]["warm_up"]["day"], 3);
  EXPECT_EQ(told["allowances"][0]["last_replies"][0], "421 slow");
  shown = {};
  shown.problem = "the domain does not exist";
  const json unknown = Get("/api/v1/throttle", "domain=nowhere.test");
  EXPECT_EQ(unknown["problem"], "the domain does not exist");
  EXPECT_EQ(unknown["paths"], json::array());
}

TEST_F(ThrottleApiTest, ListsSourcesWithWhereTheyStandStill) {
  using Target = delivery::CoreCommand::Target;
  SourceOptions& a = control_.throttle.options.sources.emplace_back();
  a.name = "a";
  a.ipv4 = IpAddress::Parse("192.0.2.1").value();
  a.ehlo_name = "a.example";
  a.message_rate = 50;
  a.warm_up = std::chrono::sys_days(std::chrono::days(20'000));
  control_.throttle.options.sources.emplace_back().name = "b";
  control_.snapshot.cores.resize(2);
  for (delivery::CoreSnapshot& core : control_.snapshot.cores) {
    core.sources["a"] = {.connections = 3, .messages_per_second = 1.5};
    for (int i = 0; i < 30; ++i) {
      delivery::AllowanceSnapshot& one = core.allowances.emplace_back();
      one.source = "a";
      one.receiver = "site" + std::to_string(i);
      one.mode = delivery::SiteMode::kStopped;
      one.reason = "listed";
      one.warm_up_day = static_cast<std::uint32_t>(i + 2);
    }
    core.allowances.emplace_back().source = "a";  // at rest
  }
  control_.pauses = {{Target::kSourceAt, "a", "google"}, {Target::kSource, "b"}, {Target::kSite, "a"}};
  const json sources = Get("/api/v1/sources")["sources"];
  ASSERT_THAT(sources, SizeIs(2));
  EXPECT_EQ(sources[0]["ipv4"], "192.0.2.1");
  EXPECT_EQ(sources[0]["connections"], 6);
  EXPECT_EQ(sources[0]["messages_per_second"], 3);
  EXPECT_EQ(sources[0]["message_rate"], 50);
  EXPECT_EQ(sources[0]["warm_up"], json::parse(R"({"since":"2024-10-04","least_day":2})"));
  EXPECT_EQ(sources[0]["paused"], json::parse(R"(["google"])"));
  EXPECT_THAT(sources[0]["stopped"], SizeIs(50));
  EXPECT_EQ(sources[0]["stopped"][0]["at"], "site0");
  EXPECT_EQ(sources[0]["stopped"][0]["reason"], "listed");
  EXPECT_EQ(sources[0]["stopped_count"], 60);
  EXPECT_EQ(sources[1]["paused"], json::parse(R"(["everywhere"])"));
  EXPECT_EQ(sources[1]["stopped"], json::array());
  control_.throttle.options.sources.clear();
  EXPECT_EQ(Get("/api/v1/sources")["sources"][0]["name"], "default");
  EXPECT_EQ(Ask("POST", "/api/v1/sources").status, 405);
}

TEST_F(ThrottleApiTest, PausesASourceAtOnePlace) {
  using Target = delivery::CoreCommand::Target;
  EXPECT_EQ(Post("/api/v1/pause", R"({"source":"a","at":"google"})"), json::parse(R"({"paused":"a at google"})"));
  EXPECT_EQ(Post("/api/v1/resume", R"({"at":"google","source":"a"})"), json::parse(R"({"resumed":"a at google"})"));
  for (const std::string_view body :
       {R"({"source":"a","at":""})", R"({"site":"a","at":"b"})", R"({"source":"a","at":1})",
        R"({"source":"","at":"b"})", R"({"source":"a","at":"b","all":true})"}) {
    EXPECT_EQ(Ask("POST", "/api/v1/pause", "", body).status, 400) << body;
  }
  EXPECT_THAT(control_.asked, testing::ElementsAre("pause source a at google", "resume source a at google"));
  control_.pauses = {{Target::kSourceAt, "a", "google"}};
  EXPECT_EQ(Get("/api/v1/status")["pauses"], json::parse(R"([{"source":"a","at":"google"}])"));
  EXPECT_THAT(Post("/api/v1/resume", R"({"all":true})")["note"].get<std::string>(), HasSubstr("source a at google"));
}

}  // namespace
}  // namespace postrider::observe
