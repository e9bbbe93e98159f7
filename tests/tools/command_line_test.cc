#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "config/load.h"
#include "config/provider.h"
#include "config/reply_rules.h"
#include "engine/observe/admin_server.h"
#include "engine/observe/build_info.h"
#include "tests/engine/observe/fake_control.h"
#include "tests/engine/observe/temporary_directory.h"
#include "tests/tools/run_program.h"
#include "tools/command.h"

namespace postrider::tools {
namespace {

namespace fs = std::filesystem;
using testing::EndsWith;
using testing::HasSubstr;
using testing::StartsWith;

void WriteFile(const fs::path& path, std::string_view text) {
  fs::create_directories(path.parent_path());
  std::ofstream(path, std::ios::binary) << text;
}

TEST(CommandLine, ExplainsEachCommandWithExamples) {
  for (const std::string command : {"run",  "submit",   "check",    "render", "status",   "queue",  "trace",
                                    "find", "pause",    "resume",   "cancel", "export",   "config", "reload",
                                    "sink", "classify", "throttle", "source", "suppress", "plan",   "retry"}) {
    const Outcome help = RunProgram({command, "--help"});
    EXPECT_EQ(help.exit_code, 0) << command;
    const std::size_t examples = std::min(help.out.find("\nExamples:\n"), help.out.size());
    EXPECT_THAT(help.out.substr(examples), HasSubstr("\n  postrider " + command)) << command;
    EXPECT_EQ(help.err, "") << command;
    EXPECT_THAT(RunProgram({"--help"}).out, HasSubstr("\n  " + command)) << command;
  }
}

TEST(CommandLine, SaysWhereTheSiteOfATraceStands) {
  const Outcome outcome = RunProgram({"trace", "--last", "mx.example.org"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("expected 1 to 100, found \"mx.example.org\"; a SITE stands before --last"));
}

TEST(CommandLine, SaysItsVersion) {
  const Outcome version = RunProgram({"--version"});
  EXPECT_EQ(version.exit_code, 0);
  EXPECT_EQ(version.out, fmt::format("postrider {}\n", observe::kVersion));
}

TEST(CommandLine, RefusesWhatMakesNoSenseWithExitCodeTwo) {
  const std::vector<std::vector<std::string>> wrong = {
      {},
      {"explode"},
      {"status", "--colour"},
      {"status", "a", "b"},
      {"status", "--interval", "0"},
      {"status", "--interval", "soon"},
      {"queue", "--domains", "0"},
      {"queue", "--domains", "many"},
      {"queue", "--age", "--json"},
      {"find"},
      {"find", "a@example.org", "--events", "-1"},
      {"trace"},
      {"trace", "mx.example.org", "--seconds", "0"},
      {"trace", "mx.example.org", "--last", "0"},
      {"trace", "mx.example.org", "--last", "many"},
      {"trace", "mx.example.org", "--last", "5", "--seconds", "3"},
      {"pause"},
      {"pause", "offer", "--all"},
      {"resume", "--site", "a", "--source", "b"},
      {"resume", "--at", "google"},
      {"pause", "a", "--at", "google"},
      {"cancel"},
      {"cancel", "--all"},
      {"export"},
      {"export", "offer"},
      {"submit"},
      {"render"},
      {"render", "offer", "--row", "0"},
      {"config"},
      {"run", "--config"},
      {"status", "--admin", "nowhere"},
      {"status", "--config", "/nonexistent/postrider.toml"},
  };
  for (const auto& arguments : wrong) {
    const Outcome outcome = RunProgram(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << testing::PrintToString(arguments);
    EXPECT_NE(outcome.err, "") << testing::PrintToString(arguments);
    EXPECT_EQ(outcome.out, "") << testing::PrintToString(arguments);
  }
}

TEST(CommandLine, TakesAnEmptyValueForAMistake) {
  for (const std::vector<std::string>& line :
       {std::vector<std::string>{"suppress", "add", "ana@example.org", "--list", ""},
        {"source", "resume", "a", "--at", ""},
        {"throttle", "set", "*", "connections=1", "--for", ""},
        {"suppress", "check", ""},
        {"pause", "--site", ""},
        {"pause", ""}}) {
    const Outcome outcome = RunProgram(line);
    EXPECT_EQ(outcome.exit_code, 2) << line[1];
    EXPECT_THAT(outcome.err, HasSubstr("expected a value, found nothing")) << line[1];
  }
}

TEST(CommandLine, NamesTheCommandThatDoesNotExist) {
  const Outcome outcome = RunProgram({"explode", "--now"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_EQ(outcome.err, "postrider: there is no command \"explode\"; `postrider --help` lists them\n");
}

TEST(CommandLine, SaysWhatARowIsNamedBy) {
  for (const std::string row : {"0", "x", "-1", "1.5", "99999999999999999999"}) {
    const Outcome outcome = RunProgram({"render", "offer", "--row", row});
    EXPECT_EQ(outcome.exit_code, 2) << row;
    EXPECT_THAT(outcome.err, StartsWith("--row: expected the number of a line, from 1, found \"" + row + "\"\n"));
  }
}

TEST(CommandLine, SaysThatTheDaemonDoesNotAnswerWithExitCodeThree) {
  // Port 1 of loopback: nothing that is not root could listen there, and nothing does.
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"status"},
                                                    {"queue"},
                                                    {"find", "a@example.org"},
                                                    {"trace", "mx.example.org"},
                                                    {"pause", "--all"},
                                                    {"reload"},
                                                    {"export", "--remaining", "offer"}}) {
    std::vector<std::string> line = arguments;
    line.insert(line.end(), {"--admin", "127.0.0.1:1"});
    const Outcome outcome = RunProgram(line);
    EXPECT_EQ(outcome.exit_code, 3) << arguments[0];
    EXPECT_THAT(outcome.err, StartsWith("postrider " + arguments[0] + ": no daemon answers at 127.0.0.1:1"));
    EXPECT_EQ(outcome.out, "");
  }
}

TEST(CommandLine, SaysHowToNameAConfigurationWhereThereIsNone) {
  if (fs::exists(kDefaultConfig)) GTEST_FAIL() << "this host has a configuration at " << kDefaultConfig;
  for (const std::vector<std::string>& arguments :
       {std::vector<std::string>{"run"}, {"check"}, {"submit", "offer"}, {"run", "--config", kDefaultConfig}}) {
    const Outcome outcome = RunProgram(arguments);
    EXPECT_EQ(outcome.exit_code, 2) << arguments[0];
    EXPECT_THAT(outcome.err, StartsWith("postrider " + arguments[0] +
                                        ": there is no configuration at /etc/postrider/"
                                        "postrider.toml; say --config FILE"));
  }
}

TEST(CommandLine, ExplainsTheConfiguration) {
  const Outcome explained = RunProgram({"config", "--explain"});
  EXPECT_EQ(explained.exit_code, 0);
  EXPECT_EQ(explained.out, ExplainOptions());
}

TEST(CommandLine, PrintsWhatIsShipped) {
  EXPECT_EQ(RunProgram({"config", "--providers"}).out, ShippedProviders());
  EXPECT_EQ(RunProgram({"config", "--reply-rules"}).out, ShippedReplyRules());
  EXPECT_EQ(RunProgram({"config", "--providers", "--explain"}).exit_code, 2);
}

class DaemonCommandTest : public testing::Test {
 protected:
  DaemonCommandTest() {
    Options options;
    options.admin.listen.port = 0;
    options.log.directory = directory_.path();
    Result<std::unique_ptr<observe::AdminServer>> server = observe::MakeAdminServer(options, control_.All(), tally_);
    EXPECT_TRUE(server) << server.error().message;
    server_ = *std::move(server);
    queue::CampaignTotals totals;
    totals.rows = totals.accepted = 10;
    totals.delivered = 10;
    control_.AddCampaign("my offer", queue::CampaignState::kDone, totals);
  }
  Outcome Ask(std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), {"--admin", fmt::format("127.0.0.1:{}", server_->port())});
    return RunProgram(std::move(arguments));
  }

  observe::TemporaryDirectory directory_;
  observe::FakeControl control_;
  observe::EventTally tally_{10};
  std::unique_ptr<observe::AdminServer> server_;
};

TEST_F(DaemonCommandTest, TracesTheLastFailures) {
  control_.traces.view.failures.push_back({.time = {},
                                           .site = "mx.example.org",
                                           .source = "a",
                                           .connection = 7,
                                           .host = "mx.example.org",
                                           .address = "192.0.2.1",
                                           .problem = "banner: 554 no",
                                           .lines = {}});
  const Outcome shown = Ask({"trace", "mx.example.org", "--source", "a", "--last"});
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_THAT(shown.out, HasSubstr("banner: 554 no"));
  EXPECT_EQ(control_.traces.asked.back().failures, 3u);
  EXPECT_EQ(control_.traces.asked.back().site, "mx.example.org");
  EXPECT_EQ(control_.traces.asked.back().source, "a");
  EXPECT_EQ(Ask({"trace", "--last", "20"}).exit_code, 0);
  EXPECT_EQ(control_.traces.asked.back().failures, 20u);
  EXPECT_EQ(control_.traces.asked.back().site, "");
  control_.traces.view.failures.clear();
  const Outcome none = Ask({"trace", "mx.example.org", "--last"});
  EXPECT_EQ(none.exit_code, 0);
  EXPECT_EQ(none.out, "");
  EXPECT_THAT(none.err, HasSubstr("no failed conversation with mx.example.org is remembered"));
}

TEST_F(DaemonCommandTest, TracesWhatPassesUntilTheTimeIsOver) {
  control_.traces.view.next = {5, 6};
  control_.traces.view.lines.push_back(
      {.time = {}, .connection = 7, .direction = delivery::TraceDirection::kSent, .source = "a", .text = "QUIT"});
  const Outcome shown = Ask({"trace", "mx.example.org", "--seconds", "1"});
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_THAT(shown.out, StartsWith("00:00:00.000  a #7 > QUIT\n"));
  EXPECT_THAT(shown.err, HasSubstr("no site mx.example.org has mail or connections now"));
  ASSERT_GE(control_.traces.asked.size(), 2u);
  EXPECT_TRUE(control_.traces.asked[0].after.empty());
  EXPECT_EQ(control_.traces.asked[1].after, (std::vector<std::uint64_t>{5, 6}));
}

TEST_F(DaemonCommandTest, ShowsStatusQueueAndAddresses) {
  const Outcome status = Ask({"status"});
  EXPECT_EQ(status.exit_code, 0) << status.err;
  EXPECT_THAT(status.out, HasSubstr("healthy\n"));
  EXPECT_THAT(status.out, HasSubstr("[####################]"));
  EXPECT_EQ(status.out.find('\x1b'), std::string::npos) << "no colours into a file";
  EXPECT_THAT(Ask({"status", "my offer"}).out, StartsWith("my offer  done  bulk\n"));
  EXPECT_EQ(Ask({"queue"}).out, "the queue is empty\n");
  EXPECT_EQ(Ask({"queue", "--age"}).out, "the queue is empty\n");
  EXPECT_EQ(Ask({"find", "ana@EXAMPLE.org"}).out, "nothing is known of ana@example.org\n");
}

TEST_F(DaemonCommandTest, BringsDeferredMailForwardAndSaysWhatStillHoldsIt) {
  control_.retry.answer = {
      .kind = observe::RetryAnswer::Kind::kSite,
      .name = "mx.example.org",
      .deferred = 2'000,
      .moved = 1'234,
      .due_by = Wall(std::chrono::milliseconds(1'800'000'000'000)),
      .holds = {{.what = "provider",
                 .name = "google",
                 .source = "a",
                 .limit = "stopped",
                 .reason = "no \x1b[31mcake",
                 .until = Wall(std::chrono::milliseconds(1'800'000'000'000))},
                {.what = "all", .name = "", .source = "", .limit = "paused", .reason = "", .until = {}}}};
  const Outcome done = Ask({"retry", "mx.example.org", "--over", "30min"});
  EXPECT_EQ(done.exit_code, 0) << done.err;
  EXPECT_EQ(control_.retry.asked, "mx.example.org");
  EXPECT_EQ(control_.retry.asked_over, std::chrono::minutes(30));
  EXPECT_THAT(done.out,
              StartsWith("site mx.example.org: 1,234 of 2,000 deferred recipients are brought forward, all of "
                         "them due by 2027-01-15T08:00:00.000Z; the others are due sooner, or being tried\n"
                         "but provider google from a is stopped until 2027-01-15T08:00:00.000Z ("));
  EXPECT_THAT(done.out, HasSubstr("but all sending is paused\n"));
  EXPECT_EQ(done.out.find('\x1b'), std::string::npos);
  EXPECT_THAT(Ask({"retry", "x", "--json"}).out,
              StartsWith(R"({"kind":"site","name":"mx.example.org","deferred":2000,)"));
  EXPECT_EQ(control_.retry.asked_over, std::chrono::minutes(5));
  control_.retry.answer.deferred = control_.retry.answer.moved = 0;
  EXPECT_THAT(Ask({"retry", "x"}).out, HasSubstr("no recipient waits for a retry\n"));
  control_.retry.failure = Error{ErrorCode::kNotFound, "nobody is called so"};
  const Outcome unknown = Ask({"retry", "x"});
  EXPECT_EQ(unknown.exit_code, 1);
  EXPECT_THAT(unknown.err, HasSubstr("nobody is called so"));
  EXPECT_EQ(Ask({"retry", "x", "--over", "soon"}).exit_code, 2);
  EXPECT_EQ(Ask({"retry", "x", "--over", "25h"}).exit_code, 2);
  EXPECT_EQ(Ask({"retry"}).exit_code, 2);
}

TEST_F(DaemonCommandTest, ShowsWhatNoReplyRuleKnows) {
  EXPECT_EQ(Ask({"classify", "--unmatched"}).out, "No reply came that no rule knows.\n");
  const Wall now{std::chrono::milliseconds(1'800'000'000'000)};
  for (int i = 0; i < 3; ++i) {
    control_.unmatched.Add({.code = 550, .enhanced = {}, .text = "no \x1b[31mcake"}, Stage::kRcpt, "google", now);
  }
  const Outcome shown = Ask({"classify", "--unmatched"});
  EXPECT_EQ(shown.exit_code, 0) << shown.err;
  EXPECT_THAT(shown.out, HasSubstr("3  google    rcpt"));
  EXPECT_THAT(shown.out, HasSubstr("cake\n"));
  EXPECT_EQ(shown.out.find('\x1b'), std::string::npos);
  EXPECT_THAT(Ask({"classify", "--unmatched", "--json"}).out, StartsWith("{\"total\":3,"));
}

TEST_F(DaemonCommandTest, WarnsOfADamagedLogFileAndGoesOn) {
  WriteFile(directory_.path() / "delivery-20261124T054405.007Z-1.jsonl.zst", "this is no zstd at all");
  WriteFile(directory_.path() / "delivery-20261124T054406.007Z-1.jsonl",
            "{\"v\":1,\"event\":\"delivered\",\"final\":true,\"recipient\":\"ana@example.org\"}\n");
  const Outcome found = Ask({"find", "ana@example.org"});
  EXPECT_EQ(found.exit_code, 0);
  EXPECT_THAT(found.out, HasSubstr("delivered"));
  EXPECT_THAT(found.err, StartsWith("postrider find: "));
  EXPECT_THAT(found.err, HasSubstr("delivery-20261124T054405.007Z-1.jsonl.zst"));
}

TEST_F(DaemonCommandTest, PassesJsonThrough) {
  for (const std::vector<std::string>& arguments : {std::vector<std::string>{"status", "--json"},
                                                    {"status", "my offer", "--json"},
                                                    {"queue", "--json"},
                                                    {"find", "ana@example.org", "--json"}}) {
    const Outcome outcome = Ask(arguments);
    EXPECT_EQ(outcome.exit_code, 0);
    EXPECT_TRUE(nlohmann::json::parse(outcome.out, nullptr, false).is_object()) << outcome.out;
  }
}

TEST_F(DaemonCommandTest, WatchesACampaignUntilItIsOver) {
  const Outcome watched = Ask({"status", "my offer", "--watch"});
  EXPECT_EQ(watched.exit_code, 0);
  EXPECT_THAT(watched.out, EndsWith(" my offer done 100 % 10 of 10\n"));
}

TEST_F(DaemonCommandTest, ChangesWhatItIsTold) {
  EXPECT_EQ(Ask({"pause", "my offer"}).out, "paused my offer\n");
  EXPECT_EQ(Ask({"resume", "my offer"}).out, "resumed my offer\n");
  EXPECT_EQ(Ask({"cancel", "my offer"}).out, "cancelled my offer\n");
  EXPECT_EQ(control_.states.size(), 3u);
  EXPECT_EQ(Ask({"pause", "--all"}).out, "paused all sending\n");
  EXPECT_EQ(Ask({"pause", "--site", "mx\"1"}).out, "paused site mx\"1\n");
  EXPECT_EQ(Ask({"resume", "--source", "a"}).out, "resumed source a\n");
  EXPECT_EQ(Ask({"resume", "my offer", "--at", "google"}).out, "resumed my offer at google\n");
  control_.pause_note = "no site of that name\x1b[2J is known";
  EXPECT_EQ(Ask({"pause", "--site", "typo"}).out, "paused site typo\nno site of that name?[2J is known\n");
  EXPECT_THAT(control_.asked, testing::ElementsAre("pause all", "pause site mx\"1", "resume source a",
                                                   "resume campaign my offer at google", "pause site typo"));
  EXPECT_EQ(Ask({"reload"}).out, "configuration reloaded\n");
  control_.reload_note = "only the next start takes [dns]";
  EXPECT_EQ(Ask({"reload"}).out, "configuration reloaded\nonly the next start takes [dns]\n");
  EXPECT_EQ(control_.reloads, 2);
}

TEST_F(DaemonCommandTest, ShowsAndChangesLimits) {
  const Outcome set = Ask({"throttle", "set", "example.org", "message_rate=5/s", "connections=3", "--for", "2h"});
  EXPECT_EQ(set.exit_code, 0) << set.err;
  EXPECT_THAT(set.out, testing::AllOf(StartsWith("example.org, for "), HasSubstr("none"), HasSubstr("5/s")));
  ASSERT_EQ(control_.throttle.overrides.size(), 1u);
  EXPECT_FALSE(control_.throttle.overrides[0].origin.set_by.empty());
  EXPECT_THAT(Ask({"throttle", "show", "example.org"}).out, HasSubstr("throttle set by "));
  EXPECT_THAT(Ask({"throttle", "list"}).out, HasSubstr("message_rate"));
  EXPECT_THAT(Ask({"throttle", "list", "--json"}).out, StartsWith("{\"overrides\":["));
  EXPECT_EQ(Ask({"throttle", "unset", "example.org", "connections"}).exit_code, 0);
  EXPECT_EQ(Ask({"throttle", "unset", "example.org"}).exit_code, 0);
  EXPECT_EQ(Ask({"throttle", "unset", "example.org"}).exit_code, 1) << "nothing is set any more";
  const Outcome wrong = Ask({"throttle", "set", "example.org", "conections=3"});
  EXPECT_EQ(wrong.exit_code, 2);
  EXPECT_THAT(wrong.err, HasSubstr("did you mean connections?"));
  EXPECT_EQ(Ask({"throttle", "set", "example.org"}).exit_code, 2);
  EXPECT_EQ(Ask({"throttle", "set", "example.org", "connections=3", "--for", "2"}).exit_code, 2);
  EXPECT_EQ(Ask({"throttle", "show", "ana@example.org"}).exit_code, 2);
}

TEST_F(DaemonCommandTest, ListsAndPausesSources) {
  EXPECT_THAT(Ask({"source", "list"}).out, HasSubstr("the system's choice"));
  EXPECT_EQ(Ask({"source", "pause", "a", "--at", "google"}).out, "paused source a at google\n");
  EXPECT_EQ(Ask({"source", "resume", "a"}).out, "resumed source a\n");
  EXPECT_THAT(control_.asked, testing::ElementsAre("pause source a at google", "resume source a"));
}

TEST_F(DaemonCommandTest, SaysWhatTheDaemonRefused) {
  const Outcome missing = Ask({"pause", "nothing"});
  EXPECT_EQ(missing.exit_code, 1);
  EXPECT_THAT(missing.err, StartsWith("postrider pause: there is no"));
  control_.failure = Error{ErrorCode::kInvalid, "postrider.toml:3:1: unknown key"};
  const Outcome reload = Ask({"reload"});
  EXPECT_EQ(reload.exit_code, 2);
  EXPECT_EQ(reload.err, "postrider reload: postrider.toml:3:1: unknown key\n");
}

TEST_F(DaemonCommandTest, ExportsWhatRemains) {
  control_.remaining = {R"({"to":"a@example.org"})", R"({"to":"b@example.org"})"};
  const Outcome exported = Ask({"export", "--remaining", "my offer"});
  EXPECT_EQ(exported.exit_code, 0);
  EXPECT_EQ(exported.out, "{\"to\":\"a@example.org\"}\n{\"to\":\"b@example.org\"}\n");
  for (int i = 0; i < 20'000; ++i) control_.remaining.push_back(R"({"to":"c@example.org"})");
  control_.failure = Error{ErrorCode::kIo, "the queue cannot be read"};
  const Outcome broken = Ask({"export", "--remaining", "my offer"});
  EXPECT_EQ(broken.exit_code, 1);
  EXPECT_THAT(broken.err, HasSubstr("broke off"));
}

class CampaignCommandTest : public testing::Test {
 protected:
  CampaignCommandTest() {
    WriteFile(config_,
              fmt::format("host_name = \"mail.sender.example\"\n"
                          "[[source]]\nname = \"a\"\nipv4 = \"127.0.0.1\"\nehlo_name = \"mail.sender.example\"\n"
                          "[spool]\ndirectory = \"{0}/spool\"\n[queue]\ndirectory = \"{0}/queue\"\n"
                          "[log]\ndirectory = \"{0}/log\"\n",
                          directory_.path().string()));
    WriteFile(campaign_ / "campaign.toml",
              "format = 1\nclass = \"bulk\"\nenvelope_from = \"bounces@sender.example\"\n");
    WriteFile(
        campaign_ / "message.eml",
        "From: news@sender.example\r\nTo: {{to}}\r\nSubject: Hello {{name|reader}}\r\n\r\nDear {{name|reader}}\r\n");
    WriteFile(campaign_ / "recipients.jsonl",
              "{\"to\":\"ana@example.org\",\"id\":\"1\",\"name\":\"Ana\"}\n{\"to\":\"nobody\"}\n"
              "{\"to\":\"bo@example.org\",\"id\":\"3\"}\n");
  }
  Outcome With(std::vector<std::string> arguments) const {
    arguments.insert(arguments.end(), {"--config", config_.string()});
    return RunProgram(std::move(arguments));
  }

  observe::TemporaryDirectory directory_;
  const fs::path config_ = directory_.path() / "postrider.toml";
  const fs::path campaign_ = directory_.path() / "offer";
};

TEST_F(CampaignCommandTest, ChecksTheConfiguration) {
  const Outcome good = With({"check"});
  EXPECT_EQ(good.exit_code, 0) << good.err;
  EXPECT_EQ(good.out, config_.string() + ": no problems\n");
  WriteFile(config_, "host = 3\n[queue]\nshards = \"x\"\n");
  const Outcome bad = With({"check"});
  EXPECT_EQ(bad.exit_code, 2);
  EXPECT_THAT(bad.err, HasSubstr("postrider.toml:1:1: "));
  EXPECT_THAT(bad.err, HasSubstr("postrider.toml:3:"));
  const Outcome json = With({"check", "--json"});
  EXPECT_EQ(json.exit_code, 2);
  const auto problems = nlohmann::json::parse(json.out, nullptr, false)["problems"];
  EXPECT_TRUE(std::ranges::any_of(problems, [](const auto& problem) { return problem["line"] == 1; })) << json.out;
}

TEST_F(CampaignCommandTest, RefusesWhatKeepsTheDaemonFromStartingHere) {
  WriteFile(directory_.path() / "file", "");
  const std::string there = fmt::format(
      "[queue]\ndirectory = \"{0}/queue\"\n[log]\ndirectory = \"{0}/log\"\n"
      "[spool]\ndirectory = \"{0}/file/spool\"\nsuppression_file = \"suppressed\"\n",
      directory_.path().string());
  WriteFile(config_,
            "[[source]]\nname = \"a\"\nehlo_name = \"a.example\"\nipv4 = \"203.0.113.9\"\n"
            "[tls]\nca_file = \"no-such.pem\"\n" +
                there);
  const Outcome missing = With({"check"});
  EXPECT_EQ(missing.exit_code, 1) << "the file is right, but not for this host";
  const std::vector<std::string> sentences = {"[[source]] \"a\": 203.0.113.9 is not an address of this host",
                                              "file is not a directory", "no-such.pem", "spool.suppression_file: "};
  for (const std::string& sentence : sentences) EXPECT_THAT(missing.err, HasSubstr(sentence));
  EXPECT_THAT(missing.out, EndsWith("the daemon would not start on this host\n"));
  const auto json = nlohmann::json::parse(With({"check", "--json"}).out, nullptr, false);
  EXPECT_EQ(json["on_this_host"].size(), sentences.size()) << json;
  EXPECT_TRUE(json["problems"].empty()) << json;
  const Outcome run = With({"run"});
  EXPECT_EQ(run.exit_code, 1);
  for (const auto& sentence : json["on_this_host"]) EXPECT_THAT(run.err, HasSubstr(sentence.get<std::string>()));
}

TEST_F(CampaignCommandTest, RefusesASuppressionFileThatIsWrongOnAnyHost) {
  WriteFile(directory_.path() / "suppressed", "ana@example.org\nno address\n");
  WriteFile(config_, fmt::format("[[source]]\nname = \"a\"\nipv4 = \"127.0.0.1\"\nehlo_name = \"a.example\"\n"
                                 "[queue]\ndirectory = \"{0}/queue\"\n[log]\ndirectory = \"{0}/log\"\n"
                                 "[spool]\ndirectory = \"{0}/spool\"\nsuppression_file = \"suppressed\"\n",
                                 directory_.path().string()));
  const Outcome bad = With({"check"});
  EXPECT_EQ(bad.exit_code, 2);
  EXPECT_THAT(bad.err, HasSubstr("suppressed:2: expected an address or a domain"));
}

TEST_F(CampaignCommandTest, WarnsOfASecretThatCannotBeRead) {
  std::ofstream(config_, std::ios::app) << "[[route]]\nmatch = \"*\"\nhosts = [\"192.0.2.1:587\"]\n"
                                           "auth_user = \"relay\"\nauth_secret_file = \"/nonexistent/secret\"\n";
  const Outcome warned = With({"check"});
  EXPECT_EQ(warned.exit_code, 0) << warned.err;
  EXPECT_THAT(warned.err, HasSubstr("warning: auth_secret_file of relay: "));
  const auto json = nlohmann::json::parse(With({"check", "--json"}).out, nullptr, false);
  EXPECT_EQ(json["warnings"].size(), 1u) << json;
}

TEST_F(CampaignCommandTest, ChecksACampaignRowByRow) {
  const Outcome checked = With({"check", campaign_.string()});
  EXPECT_EQ(checked.exit_code, 0) << checked.err << checked.out;
  EXPECT_THAT(checked.out, HasSubstr("line 2: nobody: "));
  EXPECT_THAT(checked.out,
              HasSubstr("3 rows: 2 accepted, 1 rejected, 0 duplicate; the daemon's suppression list was not "
                        "asked; messages of at most about "));
  EXPECT_THAT(checked.out, EndsWith("would be accepted\n"));
  const auto json = nlohmann::json::parse(With({"check", "--json", campaign_.string()}).out, nullptr, false);
  EXPECT_EQ(json["campaigns"][0]["accepted"], 2);
  EXPECT_EQ(json["campaigns"][0]["first_rejects"][0]["line"], 2);
}

TEST_F(CampaignCommandTest, CountsWhomTheSuppressionFileHolds) {
  WriteFile(directory_.path() / "suppressed", "ana@example.org\n");
  WriteFile(config_, fmt::format("[[source]]\nname = \"a\"\nipv4 = \"127.0.0.1\"\nehlo_name = \"a.example\"\n"
                                 "[spool]\ndirectory = \"{0}/spool\"\nsuppression_file = \"{0}/suppressed\"\n",
                                 directory_.path().string()));
  const Outcome checked = With({"check", campaign_.string()});
  EXPECT_THAT(checked.out,
              HasSubstr("1 accepted, 1 rejected, 0 duplicate, 1 in spool.suppression_file; the daemon's "));
}

TEST_F(CampaignCommandTest, SaysWhyACampaignWouldBeRefused) {
  WriteFile(campaign_ / "campaign.toml", "format = 1\nclass = \"bulky\"\n");
  const Outcome checked = With({"check", campaign_.string()});
  EXPECT_EQ(checked.exit_code, 1);
  EXPECT_THAT(checked.out, HasSubstr("campaign.toml:2:"));
  EXPECT_THAT(checked.out, EndsWith("would be refused\n"));
  const Outcome missing = With({"check", (directory_.path() / "missing").string()});
  EXPECT_EQ(missing.exit_code, 1);
}

TEST_F(CampaignCommandTest, RendersTheMessageOfOneLine) {
  const Outcome rendered = With({"render", campaign_.string(), "--row", "3"});
  EXPECT_EQ(rendered.exit_code, 0) << rendered.err;
  EXPECT_THAT(rendered.out, HasSubstr("To: bo@example.org\r\n"));
  EXPECT_THAT(rendered.out, HasSubstr("\r\n\r\nDear reader\r\n"));
  for (const char* row : {"2", "4"}) {
    const Outcome refused = With({"render", campaign_.string(), "--row", row});
    EXPECT_EQ(refused.exit_code, 1) << row;
    EXPECT_THAT(refused.err, StartsWith("postrider render: ")) << row;
    EXPECT_EQ(refused.out, "") << row;
  }
  EXPECT_EQ(With({"render", campaign_.string(), "--row", "3"}).out, rendered.out) << "the same at each call";
  EXPECT_EQ(rendered.err, "");
  const Outcome bare = RunProgram({"render", campaign_.string(), "--row", "3"});
  EXPECT_EQ(bare.err.find("@localhost") != std::string::npos, !fs::exists(kDefaultConfig)) << bare.err;
}

TEST_F(CampaignCommandTest, SubmitsOnceWhateverItIsTold) {
  const Outcome submitted = With({"submit", campaign_.string()});
  EXPECT_EQ(submitted.exit_code, 0) << submitted.err;
  EXPECT_EQ(submitted.out, "offer submitted\n");
  EXPECT_TRUE(fs::exists(directory_.path() / "spool/new/offer/recipients.jsonl"));
  EXPECT_EQ(With({"submit", campaign_.string()}).out, "offer already accepted\n");
  WriteFile(campaign_ / "message.eml", "From: news@sender.example\r\nSubject: other\r\n\r\nother\r\n");
  const Outcome other = With({"submit", campaign_.string()});
  EXPECT_EQ(other.exit_code, 1);
  EXPECT_THAT(other.err, StartsWith("postrider submit: "));
}

TEST_F(CampaignCommandTest, ReadsTheListBeforeItSubmitsIt) {
  const std::string good = "format = 1\nclass = \"bulk\"\nenvelope_from = \"bounces@sender.example\"\n";
  WriteFile(campaign_ / "campaign.toml", good + "sha256 = \"" + std::string(64, 'a') + "\"\n");
  const Outcome cut = With({"submit", campaign_.string()});
  EXPECT_EQ(cut.exit_code, 1);
  EXPECT_THAT(cut.err, HasSubstr("sha256: expected aaaa"));
  EXPECT_EQ(cut.out, "");
  EXPECT_FALSE(fs::exists(directory_.path() / "spool/new/offer"));

  WriteFile(campaign_ / "campaign.toml", good);
  fs::rename(campaign_ / "recipients.jsonl", directory_.path() / "kept.jsonl");
  WriteFile(campaign_ / "recipients.csv", "email,name\nana@example.org,Ana\n");
  const Outcome header = With({"submit", campaign_.string()});
  EXPECT_EQ(header.exit_code, 1);
  EXPECT_THAT(header.err, HasSubstr("recipients.csv:1: the header row has no column \"to\""));
  const Outcome unchecked = With({"submit", "--no-check", campaign_.string()});
  EXPECT_EQ(unchecked.exit_code, 0) << unchecked.err;
  EXPECT_EQ(unchecked.out, "offer submitted\n");
}

TEST_F(CampaignCommandTest, SaysHowManyRowsWillBeRejectedAndSubmitsAllTheSame) {
  const Outcome submitted = With({"submit", campaign_.string()});
  EXPECT_EQ(submitted.exit_code, 0);
  EXPECT_EQ(submitted.out, "offer submitted\n");
  EXPECT_THAT(submitted.err, HasSubstr("1 of 3 rows will be rejected; line 2: "));
}

TEST_F(CampaignCommandTest, SaysWhyNoneOfTheRowsCanBeUsed) {
  WriteFile(campaign_ / "recipients.jsonl", "{\"to\":\"nobody\"}\n{\"to\":\"no one\"}\n");
  for (const char* command : {"submit", "plan"}) {
    const Outcome refused = With({command, campaign_.string()});
    EXPECT_EQ(refused.exit_code, 1);
    EXPECT_THAT(refused.err, HasSubstr("recipients.jsonl: none of its rows can be used\n")) << command;
    EXPECT_THAT(refused.err, HasSubstr("2 of 2 rows will be rejected; line 1: ")) << command;
    EXPECT_THAT(refused.err, HasSubstr("(`postrider check` shows more)")) << command;
  }
}

TEST_F(CampaignCommandTest, SubmitsTheGoodOnesOfSeveral) {
  const Outcome submitted = With({"submit", (directory_.path() / "missing").string(), campaign_.string()});
  EXPECT_EQ(submitted.exit_code, 1);
  EXPECT_EQ(submitted.out, "offer submitted\n");
  EXPECT_NE(submitted.err, "");
}

}  // namespace
}  // namespace postrider::tools
