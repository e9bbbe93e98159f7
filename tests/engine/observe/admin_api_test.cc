#include "engine/observe/admin_api.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/observe/build_info.h"
#include "engine/observe/delivery_log.h"
#include "tests/engine/observe/fake_control.h"
#include "tests/engine/observe/temporary_directory.h"

namespace postrider::observe {
namespace {

using nlohmann::json;
using queue::CampaignState;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::Pair;
using testing::SizeIs;

class AdminApiTest : public testing::Test {
 protected:
  AdminApiTest() : options_(InDirectory(directory_.path())), api_(options_, control_.All(), tally_) {}

  static Options InDirectory(const std::filesystem::path& directory) {
    Options options;
    options.log.directory = directory / "log";
    return options;
  }

  ApiAnswer Ask(std::string_view method, std::string_view path, std::string_view query = "",
                std::string_view body = "") {
    return api_.Handle({.method = method, .path = path, .query = query, .body = body});
  }
  json Get(std::string_view path, std::string_view query = "") {
    const ApiAnswer answer = Ask("GET", path, query);
    EXPECT_EQ(answer.status, 200) << answer.body;
    return json::parse(answer.body, nullptr, false);
  }
  static std::string ErrorOf(const ApiAnswer& answer) {
    const json parsed = json::parse(answer.body, nullptr, false);
    return parsed.is_object() && parsed.size() == 1 && parsed.contains("error") ? parsed["error"] : "no JSON error";
  }

  TemporaryDirectory directory_;
  const Options options_;
  FakeControl control_;
  EventTally tally_{10};
  AdminApi api_;
};

TEST_F(AdminApiTest, KnowsItsPathsAndTheirMethods) {
  control_.AddCampaign("offer", CampaignState::kRunning);
  struct Case {
    std::string_view method, path;
    int status;
  };
  const Case cases[] = {
      {"GET", "/metrics", 200},
      {"HEAD", "/metrics", 200},
      {"POST", "/metrics", 405},
      {"GET", "/healthz", 200},
      {"DELETE", "/healthz", 405},
      {"GET", "/api/v1/version", 200},
      {"GET", "/api/v1/status", 200},
      {"POST", "/api/v1/status", 405},
      {"GET", "/api/v1/unmatched", 200},
      {"POST", "/api/v1/unmatched", 405},
      {"GET", "/api/v1/queue", 200},
      {"GET", "/api/v1/reload", 405},
      {"POST", "/api/v1/reload", 200},
      {"GET", "/api/v1/pause", 405},
      {"POST", "/api/v1/pause", 400},
      {"GET", "/api/v1/retry", 405},
      {"POST", "/api/v1/retry", 400},
      {"GET", "/api/v1/campaigns/offer", 200},
      {"PUT", "/api/v1/campaigns/offer", 405},
      {"GET", "/api/v1/campaigns/offer/pause", 405},
      {"POST", "/api/v1/campaigns/offer/pause", 200},
      {"POST", "/api/v1/campaigns/offer/explode", 404},
      {"POST", "/api/v1/campaigns/offer/", 404},
      {"POST", "/api/v1/campaigns/other/pause", 404},
      {"GET", "/api/v1/campaigns/other", 404},
      {"GET", "/api/v1/campaigns/other/remaining", 404},
      {"HEAD", "/api/v1/campaigns/offer/remaining", 405},
      {"GET", "/api/v1/campaigns", 404},
      {"GET", "/api/v1/campaigns/", 404},
      {"GET", "/", 404},
      {"GET", "/api", 404},
      {"GET", "/api/v2/status", 404},
      {"GET", "/api/v1/status/x", 404},
      {"GET", "/metrics/", 404},
      {"GET", "/../etc/passwd", 404},
      {"GET", "*", 400},
      {"GET", "", 400},
      {"GET", "/api/v1/campaigns/%zz", 400},
      {"GET", "/api/v1/campaigns/a%00b", 400},
  };
  for (const Case& c : cases) {
    const ApiAnswer answer = Ask(c.method, c.path);
    EXPECT_EQ(answer.status, c.status) << c.method << " " << c.path << ": " << answer.body;
    if (c.status >= 400) {
      EXPECT_NE(ErrorOf(answer), "no JSON error") << c.path;
    }
    EXPECT_EQ(answer.allow.empty(), c.status != 405) << c.path;
  }
}

TEST_F(AdminApiTest, ShowsWhatNoReplyRuleKnows) {
  const Wall now{std::chrono::milliseconds(1'800'000'000'000)};
  for (int i = 0; i < 3; ++i) {
    const Reply reply{.code = 550, .enhanced = {}, .text = fmt::format("no ana{}@example.org here", i)};
    control_.unmatched.Add(reply, Stage::kRcpt, "google", now + std::chrono::seconds(i));
  }
  control_.unmatched.Add({.code = 421, .enhanced = {}, .text = "bye \xff"}, Stage::kBanner, "", now);
  const auto told = Get("/api/v1/unmatched");
  EXPECT_EQ(told.at("total"), 4);
  ASSERT_EQ(told.at("clusters").size(), 2u);
  const auto& first = told.at("clusters").at(0);
  EXPECT_EQ(first.at("count"), 3);
  EXPECT_EQ(first.at("provider"), "google");
  EXPECT_EQ(first.at("stage"), "rcpt");
  EXPECT_EQ(first.at("text"), "550 no <address> here");
  EXPECT_EQ(first.at("example"), "550 no ana0@example.org here");
  EXPECT_EQ(first.at("first"), "2027-01-15T08:00:00.000Z");
  EXPECT_EQ(first.at("last"), "2027-01-15T08:00:02.000Z");
  EXPECT_EQ(Get("/api/v1/unmatched", "top=1").at("clusters").size(), 1u);
  for (const char* wrong : {"top=0", "top=1001", "top=x"})
    EXPECT_EQ(Ask("GET", "/api/v1/unmatched", wrong).status, 400);
}

TEST_F(AdminApiTest, HealthIsTheTroubleOrOk) {
  EXPECT_EQ(Ask("GET", "/healthz").body, "ok\n");
  control_.trouble = "the delivery log cannot be written";
  const ApiAnswer sick = Ask("GET", "/healthz");
  EXPECT_EQ(sick.status, 503);
  EXPECT_EQ(sick.body, "the delivery log cannot be written\n");
}

TEST_F(AdminApiTest, MetricsAreInThePrometheusTextFormat) {
  const ApiAnswer answer = Ask("GET", "/metrics");
  EXPECT_EQ(answer.content_type, "text/plain; version=0.0.4; charset=utf-8");
  EXPECT_THAT(answer.body, HasSubstr("# TYPE postrider_build_info gauge\n"));
}

TEST_F(AdminApiTest, StatusHasTotalsCampaignsAndPauses) {
  control_.snapshot.totals.rows = 10;
  control_.snapshot.totals.accepted = 9;
  control_.snapshot.totals.rejected = 1;
  control_.snapshot.totals.delivered = 4;
  control_.snapshot.time.wall = Wall(std::chrono::seconds(100));
  control_.snapshot.started = Wall(std::chrono::seconds(40));
  delivery::CoreSnapshot core;
  core.connections_busy = 3;
  core.sites.resize(2);
  core.sites[0].messages_per_second = 2.5;
  core.sites[1].messages_per_second = 1;
  control_.snapshot.cores = {core, core};
  control_.AddCampaign("offer", CampaignState::kPaused, control_.snapshot.totals);
  control_.pauses = {{delivery::CoreCommand::Target::kAll, ""}, {delivery::CoreCommand::Target::kSite, "mx.a.example"}};
  control_.trouble = "bad \xff text";
  const json status = Get("/api/v1/status");
  EXPECT_EQ(status["version"], kVersion);
  EXPECT_EQ(status["uptime_seconds"], 60);
  EXPECT_EQ(status["healthy"], false);
  EXPECT_EQ(status["trouble"], "bad \xEF\xBF\xBD text");
  EXPECT_EQ(status["totals"]["queued"], 5);
  EXPECT_EQ(status["conservation"]["intake_difference"], 0);
  EXPECT_EQ(status["messages_per_second"], 7);
  EXPECT_EQ(status["connections"]["busy"], 6);
  EXPECT_EQ(status["campaigns"][0]["name"], "offer");
  EXPECT_EQ(status["campaigns"][0]["state"], "paused");
  EXPECT_EQ(status["campaigns"][0]["totals"]["delivered"], 4);
  EXPECT_EQ(status["pauses"], json::parse(R"([{"all":true},{"site":"mx.a.example"}])"));
}

TEST_F(AdminApiTest, StatusLeavesOutLongEndedCampaignsUnlessAsked) {
  control_.AddCampaign("running", CampaignState::kRunning);
  for (int i = 0; i < 30; ++i) control_.AddCampaign("done-" + std::to_string(i), CampaignState::kDone);
  const json shown = Get("/api/v1/status")["campaigns"];
  ASSERT_THAT(shown, SizeIs(21));
  EXPECT_EQ(shown[0]["name"], "running");
  EXPECT_EQ(shown[1]["name"], "done-10");
  EXPECT_EQ(shown[20]["name"], "done-29");
  EXPECT_THAT(Get("/api/v1/status", "all=1")["campaigns"], SizeIs(31));
}

TEST_F(AdminApiTest, ShowsTheLatestCampaignOfAName) {
  control_.AddCampaign("offer", CampaignState::kFailed);
  control_.AddCampaign("offer", CampaignState::kRunning);
  EXPECT_EQ(Get("/api/v1/campaigns/offer")["state"], "running");
}

TEST_F(AdminApiTest, SaysUntilWhenACampaignIsClosed) {
  auto campaign = std::make_shared<queue::Campaign>();
  campaign->spec.name = "offer";
  campaign->state = CampaignState::kRunning;
  campaign->spec.windows = {SendWindow::Parse("Mon-Fri 08:00-20:00").value(),
                            SendWindow::Parse("Sat 10:00-12:00").value()};
  campaign->spec.time_zone = "Europe/Paris";
  control_.campaigns.push_back(campaign);
  // Saturday, 6 June 2026, at noon in Paris; two hours before UTC.
  control_.snapshot.time.wall = std::chrono::sys_days(std::chrono::year{2026} / 6 / 6) + std::chrono::hours(10);
  for (const json& closed : {Get("/api/v1/campaigns/offer"), Get("/api/v1/status")["campaigns"][0]}) {
    EXPECT_EQ(closed["closed_until"], "2026-06-08T06:00:00.000Z");
    EXPECT_EQ(closed["windows"], json::parse(R"(["Mon-Fri 08:00-20:00", "Sat 10:00-12:00"])"));
    EXPECT_EQ(closed["time_zone"], "Europe/Paris");
  }
  control_.snapshot.time.wall -= std::chrono::minutes(1);
  EXPECT_FALSE(Get("/api/v1/campaigns/offer").contains("closed_until"));
}

TEST_F(AdminApiTest, SaysWhereACanaryStands) {
  auto campaign = std::make_shared<queue::Campaign>();
  campaign->spec.name = "offer";
  campaign->state = CampaignState::kRunning;
  control_.campaigns.push_back(campaign);
  EXPECT_FALSE(Get("/api/v1/campaigns/offer").contains("canary"));
  campaign->canary = {.phase = queue::CanaryPhase::kSending, .recipients = 1000, .untried = 100, .rest_at = {}};
  EXPECT_EQ(Get("/api/v1/campaigns/offer")["canary"],
            json::parse(R"({"phase":"sending","recipients":1000,"tried":900})"));
  campaign->canary.phase = queue::CanaryPhase::kWaiting;
  campaign->canary.rest_at = Wall(std::chrono::seconds(100));
  EXPECT_EQ(Get("/api/v1/status")["campaigns"][0]["canary"]["rest_at"], "1970-01-01T00:01:40.000Z");
}

TEST_F(AdminApiTest, SaysThatAndWhyAllMailRests) {
  control_.AddCampaign("offer", CampaignState::kRunning);
  control_.snapshot.totals.accepted = 12;
  const Wall next{std::chrono::seconds(1'795'499'045)};
  queue::DomainBacklog& backlog = control_.backlog.emplace_back();
  backlog.domain = "example.org";
  backlog.deferred = 2;
  backlog.next_due = next + std::chrono::minutes(7);
  const auto told = [&] {
    const json status = Get("/api/v1/status").value("standstill", json());
    EXPECT_EQ(Get("/api/v1/campaigns/offer").value("standstill", json()), status);
    return status;
  };
  EXPECT_EQ(told(), json({{"reason", "all that is left waits for retries"}, {"next", "2026-11-24T05:51:05.000Z"}}));

  backlog.waiting = 10;
  EXPECT_EQ(told(), json()) << "it is only being fetched";
  delivery::CoreSnapshot& core = control_.snapshot.cores.emplace_back();
  delivery::SiteSnapshot& path = core.sites.emplace_back();
  path.mode = delivery::SiteMode::kBackingOff;
  path.ready = 10;
  path.blocked_until = next;
  EXPECT_EQ(told(),
            json({{"reason", "`postrider queue` says what holds its mail"}, {"next", "2026-11-24T05:44:05.000Z"}}));
  path.mode = delivery::SiteMode::kNormal;
  EXPECT_EQ(told(), json());

  control_.pauses = {{}};
  EXPECT_EQ(told(), json({{"reason", "all sending is paused, until `postrider resume --all`"}}));
  core.in_flight = 1;
  EXPECT_EQ(told(), json()) << "what is being sent is finished";
  core.in_flight = 0;
  control_.snapshot.sending_stopped = true;
  control_.snapshot.stop_reason = "the disk is full";
  EXPECT_EQ(told(), json({{"reason", "sending is stopped: the disk is full"}}));
  control_.backlog.clear();
  EXPECT_EQ(told(), json());
}

TEST_F(AdminApiTest, ChangesCampaigns) {
  control_.AddCampaign("of/fer", CampaignState::kRunning);
  EXPECT_EQ(Ask("POST", "/api/v1/campaigns/of%2Ffer/pause").status, 200);
  EXPECT_EQ(Ask("POST", "/api/v1/campaigns/of%2Ffer/resume").status, 200);
  EXPECT_EQ(Ask("POST", "/api/v1/campaigns/of%2Ffer/cancel").status, 200);
  EXPECT_THAT(control_.states,
              ElementsAre(Pair("of/fer", CampaignState::kPaused), Pair("of/fer", CampaignState::kRunning),
                          Pair("of/fer", CampaignState::kCancelled)));
  control_.failure = Error{ErrorCode::kInvalid, "the campaign is done"};
  const ApiAnswer refused = Ask("POST", "/api/v1/campaigns/of%2Ffer/pause");
  EXPECT_EQ(refused.status, 409);
  EXPECT_EQ(ErrorOf(refused), "the campaign is done");
}

TEST_F(AdminApiTest, PausesOnlyWhatIsNamedWithoutDoubt) {
  EXPECT_EQ(Ask("POST", "/api/v1/pause", "", R"({"all":true})").status, 200);
  EXPECT_EQ(Ask("POST", "/api/v1/pause", "", R"({"site":"mx.example.org"})").status, 200);
  EXPECT_EQ(Ask("POST", "/api/v1/resume", "", R"({"source":"a"})").status, 200);
  EXPECT_THAT(control_.asked, ElementsAre("pause all", "pause site mx.example.org", "resume source a"));
  for (const std::string_view body :
       {"", "{}", "[]", "all", R"({"all":false})", R"({"all":"true"})", R"({"site":""})", R"({"site":1})",
        R"({"all":true,"site":"x"})", R"({"everything":true})", R"({"site":"x")", "\xff", "null"}) {
    EXPECT_EQ(Ask("POST", "/api/v1/pause", "", body).status, 400) << body;
  }
  EXPECT_EQ(Ask("POST", "/api/v1/pause", "", std::string(60'000, '[')).status, 400);
  EXPECT_THAT(control_.asked, SizeIs(3));
}

TEST_F(AdminApiTest, TellsWhatIsStrangeAboutAPause) {
  EXPECT_EQ(json::parse(Ask("POST", "/api/v1/pause", "", R"({"site":"mx"})").body), json::parse(R"({"paused":"mx"})"));
  control_.pause_note = "nobody knows it";
  EXPECT_EQ(json::parse(Ask("POST", "/api/v1/pause", "", R"({"site":"mx"})").body),
            json::parse(R"({"paused":"mx","note":"nobody knows it"})"));
}

TEST_F(AdminApiTest, TellsWhatAResumptionLeavesPaused) {
  using Target = delivery::CoreCommand::Target;
  const auto note = [&](std::string_view body) {
    return json::parse(Ask("POST", "/api/v1/resume", "", body).body).value("note", "");
  };
  control_.AddCampaign("running", CampaignState::kRunning);
  EXPECT_EQ(note(R"({"all":true})"), "");
  control_.AddCampaign("offer", CampaignState::kPaused);
  control_.pauses = {{Target::kSite, "mx.example.org"}, {Target::kSource, "a"}};
  EXPECT_THAT(note(R"({"all":true})"), testing::EndsWith(": --site mx.example.org, --source a, campaign offer"));
  EXPECT_EQ(note(R"({"site":"x"})"), "");
  control_.pauses.push_back({Target::kAll, ""});
  EXPECT_THAT(note(R"({"site":"x"})"), HasSubstr("all sending is paused still"));
}

TEST_F(AdminApiTest, ResumesWhatAGuardHoldsAtOneProvider) {
  const ApiAnswer answer = Ask("POST", "/api/v1/resume", "", R"({"campaign":"offer","at":"google"})");
  EXPECT_EQ(json::parse(answer.body), json::parse(R"({"resumed":"offer at google"})"));
  EXPECT_EQ(control_.asked, std::vector<std::string>{"resume campaign offer at google"});
  for (const char* body : {R"({"campaign":"offer"})", R"({"campaign":"offer","at":""})", R"({"campaign":"","at":"x"})",
                           R"({"campaign":"offer","at":7})", R"({"campaign":"offer","at":"x","all":true})",
                           R"({"site":"offer","at":"x"})"}) {
    EXPECT_EQ(Ask("POST", "/api/v1/resume", "", body).status, 400) << body;
  }
}

TEST_F(AdminApiTest, SaysWhatGuardsHoldOnceThoughSeveralCoresSayIt) {
  for (std::uint32_t number = 0; number < 2; ++number) {
    delivery::CoreSnapshot core;
    core.core = number;
    delivery::GuardSnapshot& guard = core.guards.emplace_back();
    guard.kind = delivery::GuardKind::kSourceGone;
    guard.state = delivery::GuardState::kTripped;
    guard.source = "a";
    guard.reason = "192.0.2.1 is not an address of this host";
    guard.since = Wall(std::chrono::seconds(60 + number));
    control_.snapshot.cores.push_back(core);
  }
  const json expected = json::parse(R"([{"guard":"source gone","state":"tripped","source":"a",
      "reason":"192.0.2.1 is not an address of this host","since":"1970-01-01T00:01:00.000Z"}])");
  EXPECT_EQ(json::parse(Ask("GET", "/api/v1/status").body)["guards"], expected);
  EXPECT_EQ(json::parse(Ask("GET", "/api/v1/queue").body)["guards"], expected);
}

TEST_F(AdminApiTest, TellsWhatAReloadLeavesForTheNextStart) {
  EXPECT_EQ(json::parse(Ask("POST", "/api/v1/reload").body), json::parse(R"({"reloaded":"yes"})"));
  control_.reload_note = "later: [dns]";
  EXPECT_EQ(json::parse(Ask("POST", "/api/v1/reload").body),
            json::parse(R"({"reloaded":"yes","note":"later: [dns]"})"));
}

TEST_F(AdminApiTest, QueueShowsSitesAndDomains) {
  delivery::CoreSnapshot core;
  core.core = 1;
  delivery::SiteSnapshot& site = core.sites.emplace_back();
  site.site = "mx.example.org";
  site.provider = "google";
  site.mode = delivery::SiteMode::kBackingOff;
  site.ready = 12;
  site.binding_limit = "back-off";
  site.blocked_until = Wall(std::chrono::seconds(60));
  site.last_reply = "421 4.7.0 try later";
  site.messages_per_second = 2;
  site.domain_names = {"example.org"};
  control_.snapshot.cores = {core};
  control_.backlog.resize(2);
  control_.backlog[0].domain = "example.org";
  control_.backlog[0].waiting = 7;
  control_.backlog[0].deferred = 3;
  control_.backlog[0].oldest = Wall(std::chrono::seconds(30));
  control_.backlog[0].by_age[9] = 10;
  control_.backlog[1].domain = "small.example";
  control_.backlog[1].waiting = 1;
  const json queue = Get("/api/v1/queue", "domains=1");
  ASSERT_THAT(queue["sites"], SizeIs(1));
  EXPECT_EQ(queue["sites"][0]["mode"], ToString(delivery::SiteMode::kBackingOff));
  EXPECT_EQ(queue["sites"][0]["blocked_until"], "1970-01-01T00:01:00.000Z");
  EXPECT_FALSE(queue["sites"][0].contains("oldest_due"));
  EXPECT_FALSE(queue["sites"][0].contains("domain_names"));
  EXPECT_EQ(queue["sites"][0]["last_reply"], "421 4.7.0 try later");
  EXPECT_EQ(queue["sites"][0]["waiting"], 7);
  EXPECT_EQ(queue["sites"][0]["deferred"], 3);
  EXPECT_EQ(queue["sites"][0]["oldest"], "1970-01-01T00:00:30.000Z");
  EXPECT_EQ(queue["sites"][0]["drain_seconds"], 5);
  ASSERT_THAT(queue["domains"], SizeIs(1));
  EXPECT_EQ(queue["domains"][0]["domain"], "example.org");
  EXPECT_EQ(queue["domains"][0]["site"], "mx.example.org");
  EXPECT_EQ(queue["domains"][0]["waiting"], 7);
  EXPECT_EQ(queue["domains"][0]["by_age"], json::parse("[0,0,0,0,0,0,0,0,0,10]"));
  EXPECT_EQ(queue["age_limits_minutes"], json::parse("[5,10,20,40,80,160,320,640,1280]"));
  EXPECT_EQ(queue["elsewhere"]["waiting"], 1);
  EXPECT_EQ(queue["total"]["domains"], 2);
  EXPECT_EQ(queue["total"]["waiting"], 8);
  for (const std::string_view query : {"domains=0", "domains=x", "domains=1001", "domains=-1", "domains="}) {
    EXPECT_EQ(Ask("GET", "/api/v1/queue", query).status, 400) << query;
  }
}

TEST_F(AdminApiTest, FindsJobsAndEventsOfAnAddressAsTheQueueSpellsIt) {
  Result<std::unique_ptr<DeliveryLog>> log = OpenDeliveryLog(options_.log, 1, Wall(std::chrono::seconds(0)));
  ASSERT_TRUE(log);
  queue::Event event;
  event.recipient = "Ana@example.org";
  event.code = 250;
  (*log)->Append(event);
  ASSERT_TRUE((*log)->Sync());
  control_.jobs = {
      {.campaign = "offer", .row = 3, .row_id = "x", .attempts = 1, .next_due = {}, .last_reply = "450 no"}};
  const json found = Get("/api/v1/find", "address=Ana%40EXAMPLE.org");
  EXPECT_EQ(control_.found_address, "Ana@example.org");
  EXPECT_EQ(found["address"], "Ana@example.org");
  EXPECT_EQ(found["jobs"][0]["last_reply"], "450 no");
  ASSERT_THAT(found["events"], SizeIs(1));
  EXPECT_EQ(found["events"][0]["code"], 250);
  for (const std::string_view query : {"", "address=", "address=nobody", "address=a%0d%0ab@example.org", "address=%zz",
                                       "address=ana@example.org&events=0"}) {
    EXPECT_EQ(Ask("GET", "/api/v1/find", query).status, 400) << query;
  }
}

TEST_F(AdminApiTest, StreamsTheRemainingRecipientsLineByLine) {
  control_.AddCampaign("offer", CampaignState::kRunning);
  control_.remaining = {R"({"to":"a@example.org"})", "{\"to\":\"b@example.org\"}\n"};
  const ApiAnswer answer = Ask("GET", "/api/v1/campaigns/offer/remaining");
  ASSERT_TRUE(answer.stream);
  std::string text;
  ASSERT_TRUE(answer.stream([&](std::string_view piece) {
    text += piece;
    return true;
  }));
  EXPECT_EQ(text, "{\"to\":\"a@example.org\"}\n{\"to\":\"b@example.org\"}\n");
}

TEST_F(AdminApiTest, SaysWhyAReloadWasRefused) {
  control_.failure = Error{ErrorCode::kInvalid, "postrider.toml:3:1: unknown key \"foo\""};
  const ApiAnswer refused = Ask("POST", "/api/v1/reload");
  EXPECT_EQ(refused.status, 422);
  EXPECT_EQ(ErrorOf(refused), "postrider.toml:3:1: unknown key \"foo\"");
}

TEST(ErrorAnswer, HasTheStatusThatFitsTheCode) {
  const std::pair<ErrorCode, int> cases[] = {
      {ErrorCode::kInvalid, 400},     {ErrorCode::kDenied, 403},      {ErrorCode::kNotFound, 404},
      {ErrorCode::kExists, 409},      {ErrorCode::kTooLarge, 413},    {ErrorCode::kIo, 500},
      {ErrorCode::kCorrupt, 500},     {ErrorCode::kUnsupported, 501}, {ErrorCode::kBusy, 503},
      {ErrorCode::kUnavailable, 503}, {ErrorCode::kNoSpace, 507},
  };
  for (const auto& [code, status] : cases) EXPECT_EQ(ErrorAnswer(Error{code, "x"}).status, status);
}

}  // namespace
}  // namespace postrider::observe
