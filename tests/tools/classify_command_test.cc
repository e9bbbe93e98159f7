#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <filesystem>
#include <fstream>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tests/engine/observe/temporary_directory.h"
#include "tests/tools/run_program.h"
#include "tools/command.h"

namespace postrider::tools {
namespace {

namespace fs = std::filesystem;
using nlohmann::json;
using testing::AllOf;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr std::string_view kRules = R"(format = 1

[[rule]]
name = "no-cake"
pattern = 'no cake'
category = "quota-issues"
scope = "recipient"
suppress = "on-second"
samples = ["550 no cake"]

[[rule]]
name = "no-tea"
provider = "google"
pattern = 'no tea'
category = "throttled"
scope = "path"
action = "stop-path"
threshold = "3/10min"
duration = "2h"
samples = ["450 no tea"]
)";

class ClassifyTest : public testing::Test {
 protected:
  ClassifyTest() { rules_ = Write("own.toml", kRules); }

  std::string Write(const std::string& name, std::string_view text) const {
    const fs::path file = directory_.path() / name;
    std::ofstream(file, std::ios::binary) << text;
    return file.string();
  }

  // With the rules of the test alone.
  Outcome Classify(std::string_view replies, std::vector<std::string> options = {}) const {
    std::vector<std::string> line = {"classify", Write("replies", replies), "--rules", rules_, "--no-shipped"};
    line.insert(line.end(), options.begin(), options.end());
    return RunProgram(line);
  }

  Outcome Score(std::string_view rows, std::vector<std::string> options = {}) const {
    std::vector<std::string> line = {"classify", "--score", Write("rows", rows), "--rules", rules_, "--no-shipped"};
    line.insert(line.end(), options.begin(), options.end());
    return RunProgram(line);
  }

  observe::TemporaryDirectory directory_;
  std::string rules_;
};

TEST_F(ClassifyTest, SaysWhatEachReplyMeans) {
  const Outcome outcome = Classify("552 sorry, No Cake\n550-5.1.1 gone\n550 5.1.1 away\n");
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_EQ(outcome.err, "");
  EXPECT_EQ(outcome.out,
            "category             fate       scope       action             reply\n"
            "quota-issues         bounced    recipient   none               552 sorry, No Cake\n"
            "bad-mailbox          bounced    recipient   none               550-5.1.1 gone | 550 5.1.1 away\n");
}

TEST_F(ClassifyTest, ExplainsWhichRuleDecided) {
  const Outcome outcome = Classify("450 no tea\n550 5.1.1 gone\n550 no cake\n", {"--explain", "--provider", "gmail"});
  EXPECT_EQ(outcome.exit_code, 0);
  EXPECT_THAT(outcome.out, HasSubstr("throttled            deferred   path        stop-path          450 no tea\n"
                                     "    rule no-tea (" +
                                     rules_ + ":11): stop-path for 2h at 3/10min; suppress: no\n"));
  EXPECT_THAT(outcome.out, HasSubstr("    no rule knows it; its codes alone decided\n"));
  EXPECT_THAT(outcome.out, HasSubstr("    rule no-cake (" + rules_ +
                                     ":3): none; suppress: on-second\n"
                                     "    the codes alone: other, bounced, recipient\n"));
}

TEST_F(ClassifyTest, SaysThatAPositiveReplyIsNoRefusal) {
  const Outcome outcome = Classify("250 2.0.0 queued\n", {"--explain"});
  EXPECT_THAT(outcome.out, HasSubstr("250 2.0.0 queued\n    no refusal: "));
  EXPECT_THAT(outcome.out, Not(HasSubstr("no rule knows")));
}

TEST_F(ClassifyTest, SpeaksJson) {
  const Outcome outcome = Classify(R"({"reply": "450 4.7.1 no tea", "provider": "gmail", "stage": "content"})"
                                   "\n550 what\n",
                                   {"--json", "--explain"});
  EXPECT_EQ(outcome.exit_code, 0);
  const std::size_t end = outcome.out.find('\n');
  const json first = json::parse(outcome.out.substr(0, end));
  EXPECT_EQ(first.at("category"), "throttled");
  EXPECT_EQ(first.at("fate"), "deferred");
  EXPECT_EQ(first.at("scope"), "path");
  EXPECT_EQ(first.at("action"), "stop-path");
  EXPECT_EQ(first.at("rule"), "no-tea");
  EXPECT_EQ(first.at("file"), rules_);
  EXPECT_EQ(first.at("rule_line"), 11);
  EXPECT_EQ(first.at("enhanced"), "4.7.1");
  EXPECT_EQ(first.at("provider"), "google");
  EXPECT_EQ(first.at("duration_seconds"), 7200);
  EXPECT_EQ(first.at("codes_alone").at("scope"), "recipient");
  const json second = json::parse(outcome.out.substr(end + 1));
  EXPECT_EQ(second.at("rule"), nullptr);
  EXPECT_EQ(second.at("line"), 2);
}

TEST_F(ClassifyTest, AsksTheShippedRulesBehindTheOperators) {
  const std::string replies = Write("replies", "550 no cake\n550 5.1.1 no such user\n");
  const Outcome outcome = RunProgram({"classify", replies, "--rules", rules_, "--explain"});
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out, AllOf(HasSubstr("rule no-cake (" + rules_), HasSubstr("reply_rules.toml (built in):")));
}

TEST_F(ClassifyTest, GoesOnBehindWhatIsNoReply) {
  const Outcome outcome = Classify("hello\n550 no cake\n");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, AllOf(StartsWith("postrider classify: "), HasSubstr("replies:1: expected a reply")));
  EXPECT_THAT(outcome.out, HasSubstr("\nquota-issues"));
}

TEST_F(ClassifyTest, RefusesWhatCannotBeAnswered) {
  EXPECT_EQ(RunProgram({"classify", (directory_.path() / "missing").string()}).exit_code, 1);
  EXPECT_THAT(RunProgram({"classify", directory_.path().string()}).err, HasSubstr("cannot read it"));
  const std::vector<std::pair<std::vector<std::string>, const char*>> cases = {
      {{"--stage", "soon"}, "--stage: expected banner"},
      {{"--provider", "gmial"}, "--provider: nobody is called \"gmial\"; did you mean"},
      {{"--cross-validate", "5"}, "--cross-validate requires --score"},
      {{"--top", "5"}, "--top requires --unmatched"},
  };
  for (const auto& [options, error] : cases) {
    const Outcome outcome = Classify("550 x", options);
    EXPECT_EQ(outcome.exit_code, 2) << options[0];
    EXPECT_THAT(outcome.err, HasSubstr(error));
    EXPECT_EQ(outcome.out, "");
  }
  EXPECT_EQ(RunProgram({"classify", "--no-shipped"}).exit_code, 2);
}

TEST_F(ClassifyTest, ReportsEverythingThatIsWrongWithRules) {
  const std::string bad = Write("bad.toml", "format = 1\n[[rule]]\nname = \"a\"\nscop = \"path\"\n");
  const Outcome outcome = RunProgram({"classify", "--rules", bad, "--no-shipped"});
  EXPECT_EQ(outcome.exit_code, 2);
  EXPECT_THAT(outcome.err, HasSubstr("postrider classify: " + bad + ":4:1: unknown key \"scop\" in [[rule]]; did you"));
  EXPECT_THAT(outcome.err, HasSubstr(bad + ":2:1: [[rule]] needs category"));
}

constexpr std::string_view kRows = R"({"reply": "550 no cake", "expected": "quota-issues", "accept": []}
{"reply": "450 no tea", "provider": "gmail", "expected": "throttled", "accept": []}
{"reply": "550 5.1.1 x", "provider": "unknown", "expected": "inactive-mailbox", "accept": ["bad-mailbox"]}
{"reply": "552 no cake either", "expected": "quota-issues", "accept": []}
)";

TEST_F(ClassifyTest, ScoresRowsWhoseAnswersAreKnown) {
  const Outcome outcome = Score(kRows);
  EXPECT_EQ(outcome.exit_code, 0) << outcome.err;
  EXPECT_THAT(outcome.out,
              StartsWith("4 replies: strict 75.0 %, lenient 100.0 %; 1 decided by their codes alone\n"
                         "hard bounces: precision 100.0 % (0 wrong, 0 of them defensible), recall 100.0 %"));
  const json score = json::parse(Score(kRows, {"--json"}).out);
  EXPECT_EQ(score.at("strict"), 0.75);
  EXPECT_EQ(score.at("codes_alone"), 1);
}

TEST_F(ClassifyTest, CrossValidatesWithoutTheRulesThatOnlyOnePartNeeds) {
  // no-tea decides nothing outside its row's part; no-cake has a row in each of two parts.
  const json score = json::parse(Score(kRows, {"--json", "--cross-validate", "2"}).out);
  EXPECT_EQ(score.at("replies"), 4);
  EXPECT_EQ(score.at("codes_alone"), 2);
  const Outcome many = Score(kRows, {"--cross-validate", "5"});
  EXPECT_EQ(many.exit_code, 2);
  EXPECT_THAT(many.err, HasSubstr("4 replies cannot be parted into 5 folds"));
}

TEST_F(ClassifyTest, ScoresOnlyRowsThatSayWhatIsExpected) {
  const Outcome outcome = Score("550 no cake\n");
  EXPECT_EQ(outcome.exit_code, 1);
  EXPECT_THAT(outcome.err, HasSubstr("rows:1: expected \"expected\", the category"));
  EXPECT_THAT(Score("\n").err, HasSubstr("no replies in it"));
}

TEST_F(ClassifyTest, CheckRefusesADeadRuleWithItsPlace) {
  const std::string config_text =
      "host_name = \"mail.example.org\"\nreply_rules = \"{}\"\n[[source]]\nname = \"a\"\nipv4 = \"127.0.0.1\"\n"
      "ehlo_name = \"mail.example.org\"\n";
  const std::string config = Write("postrider.toml", fmt::format(fmt::runtime(config_text), "own.toml"));
  const Outcome good = RunProgram({"check", "--config", config});
  EXPECT_EQ(good.exit_code, 0) << good.err;
  EXPECT_THAT(good.out, HasSubstr("no problems"));

  const std::string dead = std::string(kRules) +
                           "\n[[rule]]\nname = \"dead\"\npattern = 'never'\ncategory = \"other\"\nscope = \"path\"\n"
                           "samples = [\"550 no cake\"]\n";
  const std::string dead_file = Write("dead.toml", dead);
  const std::string bad_config = Write("bad.toml", fmt::format(fmt::runtime(config_text), "dead.toml"));
  const Outcome bad = RunProgram({"check", "--config", bad_config});
  EXPECT_EQ(bad.exit_code, 2);
  EXPECT_EQ(bad.out, "");
  EXPECT_THAT(bad.err, HasSubstr("postrider check: " + dead_file + ":22: rule dead is dead: it decides none of its"));
  EXPECT_THAT(bad.err, HasSubstr(dead_file + ":27: rule dead: its sample \"550 no cake\" does not meet its condition "
                                             "pattern (rule no-cake of line 3 decides it)"));
  const json problems = json::parse(RunProgram({"check", "--config", bad_config, "--json"}).out).at("problems");
  ASSERT_EQ(problems.size(), 2u);
  EXPECT_EQ(problems.at(0).at("file"), dead_file);
  EXPECT_EQ(problems.at(0).at("line"), 22);

  fs::remove(dead_file);
  EXPECT_THAT(RunProgram({"check", "--config", bad_config}).err, HasSubstr("dead.toml: cannot read it"));
}

TEST_F(ClassifyTest, UnmatchedAsksTheDaemon) {
  const Outcome outcome = RunProgram({"classify", "--unmatched", "--admin", "127.0.0.1:1"});
  EXPECT_EQ(outcome.exit_code, 3);
  EXPECT_THAT(outcome.err, StartsWith("postrider classify: no daemon answers at 127.0.0.1:1"));
  EXPECT_THAT(outcome.out, Not(HasSubstr("replies")));
}

}  // namespace
}  // namespace postrider::tools
