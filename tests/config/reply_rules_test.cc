#include "config/reply_rules.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>

namespace postrider {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::Not;

std::expected<std::vector<ReplyRule>, Diagnostics> Read(std::string_view toml) {
  return ParseReplyRules(toml, "rules.toml", *ProviderTable::Shipped());
}

std::string Text(const Diagnostics& diagnostics) {
  std::string all;
  for (const Diagnostic& diagnostic : diagnostics) all += ToString(diagnostic) + "\n";
  return all;
}

std::string Errors(std::string_view toml) {
  const auto read = Read(toml);
  return read ? "" : Text(read.error());
}

// A rule that is right, with more lines behind it.
std::string Rule(std::string_view lines) {
  return "format = 1\n[[rule]]\nname = \"r\"\ncategory = \"throttled\"\nscope = \"path\"\nsamples = [\"421 x\"]\n" +
         std::string(lines) + "\n";
}

TEST(ReplyRules, ReadEveryKey) {
  const std::vector<ReplyRule> rules = Read(R"(
format = 1

[[rule]]
name = "everything"
provider = ["google", "yahoo"]
stage = ["mail", "content"]
code = ["421", "45x", "5xx"]
enhanced = ["5.7.1", "x.1.x", "4.x.650"]
pattern = ['a+b', 'c\[d']
category = "spam-block"
scope = "path"
fate = "deferred"
action = "lower-rate"
threshold = "3/10min"
rate = "1/min"
samples = ["421 4.1.1 aab", { reply = "550 5.7.1 c[d", stage = "content", provider = "yahoo" }]

[[rule]]
name = "short"
code = "550"
category = "bad-mailbox"
scope = "recipient"
suppress = "on-second"
samples = ["550 no"]
)")
                                           .value();
  ASSERT_EQ(rules.size(), 2u);
  const ReplyRule& rule = rules[0];
  EXPECT_EQ(rule.name, "everything");
  EXPECT_EQ(rule.file, "rules.toml");
  EXPECT_EQ(rule.line, 4);
  EXPECT_THAT(rule.providers, ElementsAre("google", "yahoo"));
  EXPECT_THAT(rule.stages, ElementsAre(Stage::kMail, Stage::kContent));
  ASSERT_EQ(rule.codes.size(), 3u);
  EXPECT_TRUE(rule.codes[0].Matches(421) && !rule.codes[0].Matches(422));
  EXPECT_TRUE(rule.codes[1].Matches(450) && rule.codes[1].Matches(459) && !rule.codes[1].Matches(460));
  EXPECT_TRUE(rule.codes[2].Matches(500) && rule.codes[2].Matches(599) && !rule.codes[2].Matches(499));
  ASSERT_EQ(rule.enhanced.size(), 3u);
  EXPECT_TRUE(rule.enhanced[0].Matches({5, 7, 1}) && !rule.enhanced[0].Matches({5, 7, 2}));
  EXPECT_TRUE(rule.enhanced[1].Matches({4, 1, 9}) && !rule.enhanced[1].Matches({4, 2, 9}));
  EXPECT_TRUE(rule.enhanced[2].Matches({4, 0, 650}) && !rule.enhanced[2].Matches({5, 0, 650}));
  EXPECT_THAT(rule.patterns, ElementsAre("a+b", "c\\[d"));
  EXPECT_EQ(rule.category, Category::kSpamBlock);
  EXPECT_EQ(rule.scope, Scope::kPath);
  EXPECT_EQ(rule.fate, Fate::kDeferred);
  EXPECT_EQ(rule.action.kind, ActionKind::kLowerRate);
  EXPECT_EQ(rule.action.threshold, 3);
  EXPECT_EQ(rule.action.period, std::chrono::minutes(10));
  EXPECT_DOUBLE_EQ(rule.action.messages_per_second.value(), 1.0 / 60);
  EXPECT_EQ(rule.suppress, ReplyRule::Suppress::kNo);
  ASSERT_EQ(rule.samples.size(), 2u);
  // A sample takes the first stage and provider of its rule, unless it says its own.
  EXPECT_EQ(rule.samples[0].stage, Stage::kMail);
  EXPECT_EQ(rule.samples[0].provider, "google");
  EXPECT_EQ(rule.samples[1].reply, "550 5.7.1 c[d");
  EXPECT_EQ(rule.samples[1].stage, Stage::kContent);
  EXPECT_EQ(rule.samples[1].provider, "yahoo");
  EXPECT_EQ(rule.samples[1].line, 17);
  EXPECT_EQ(rules[1].suppress, ReplyRule::Suppress::kOnSecond);
  EXPECT_EQ(rules[1].samples[0].stage, Stage::kRcpt);
  EXPECT_FALSE(rules[1].fate);
  EXPECT_EQ(rules[1].action.kind, ActionKind::kNone);
}

TEST(ReplyRules, ReadThresholdsAndDurations) {
  const auto action = [](std::string_view lines) {
    return Read(Rule("code = \"421\"\n" + std::string(lines))).value()[0].action;
  };
  const ReplyAction stop = action("action = \"stop-path\"\nthreshold = \"1\"\nduration = \"2h\"");
  EXPECT_EQ(stop.kind, ActionKind::kStopPath);
  EXPECT_EQ(stop.threshold, 1);
  EXPECT_EQ(stop.duration, std::chrono::hours(2));
  EXPECT_EQ(action("action = \"skip-host\"\nthreshold = \"10/90s\"").period, std::chrono::seconds(90));
  EXPECT_EQ(action("action = \"skip-host\"\nthreshold = \"1000/90s\"").threshold, 1000);
  // Each action there is.
  for (int i = 0; i <= static_cast<int>(ActionKind::kLowerConnections); ++i) {
    const auto kind = static_cast<ActionKind>(i);
    EXPECT_EQ(action("action = \"" + std::string(ToString(kind)) + "\"").kind, kind);
  }
}

TEST(ReplyRules, NeedAFormatAndNothingElse) {
  EXPECT_EQ(Read("format = 1").value().size(), 0u);
  EXPECT_THAT(Errors(""), HasSubstr("rules.toml:1:1: format is missing; write format = 1"));
  EXPECT_THAT(Errors("format = 2"), HasSubstr("this program reads format = 1"));
  EXPECT_THAT(Errors("format = 1\nrules = 3"),
              HasSubstr("rules.toml:2:1: unknown key \"rules\" at the top level; did you mean \"rule\"?"));
  EXPECT_THAT(Errors("format = 1\n[rule]\nname = \"x\""), HasSubstr("expected [[rule]] with two brackets"));
  EXPECT_THAT(Errors("format = 1\n[[rule]\n"), HasSubstr("rules.toml:2"));
}

TEST(ReplyRules, SayWhereAValueIsWrongAndWhatIsExpected) {
  struct Case {
    const char* lines;
    const char* error;
  };
  for (const Case& test : {
           Case{"code = \"421\"\nname = \"two words\"", ""},  // a key twice is a syntax error of TOML
           Case{"patern = 'x'", "rules.toml:7:1: unknown key \"patern\" in [[rule]]; did you mean \"pattern\"?"},
           Case{"provider = \"gogle\"",
                "rules.toml:7:12: provider: the provider table knows no \"gogle\"; did you mean \"google\"?"},
           Case{"provider = \"Gmail\"", "provider: the provider table knows no \"Gmail\"; did you mean \"google\"?"},
           Case{"provider = 5", "rules.toml:7:12: provider: expected a text in quotes, or a list of such"},
           Case{"provider = []", "provider: expected 1 to 200 texts, found 0"},
           Case{"stage = \"rcptt\"", "stage: expected one of dns, connect, banner"},
           Case{"stage = [\"rcpt\", \"rcptt\"]", "rules.toml:7:18: stage: expected one of"},
           Case{"stage = \"rcptt\"", "did you mean \"rcpt\"?"},
           Case{"stage = \"none\"", "stage: expected one of"},
           Case{"code = \"250\"", "code: expected a code as \"421\", \"4xx\" or \"5xx\", found \"250\""},
           Case{"code = \"4x1\"", "code: expected a code"},
           Case{"code = \"42\"", "code: expected a code"},
           Case{"code = 421", "code: expected a text in quotes"},
           Case{"enhanced = \"5.7\"", "enhanced: expected an enhanced code"},
           Case{"enhanced = \"5.7.1.1\"", "enhanced: expected an enhanced code"},
           Case{"enhanced = \"2.1.1\"", "enhanced: expected an enhanced code"},
           Case{"enhanced = \"5.7.-1\"", "enhanced: expected an enhanced code"},
           Case{"enhanced = \"5.7.1000\"", "enhanced: expected an enhanced code"},
           Case{"enhanced = \"\"", "enhanced: expected an enhanced code"},
           Case{"pattern = ''", "pattern: an empty pattern matches everything"},
           Case{"pattern = 'x'\nfate = \"delivered\"", "fate: expected one of deferred, bounced"},
           Case{"pattern = 'x'\nfate = \"bounced\"", "fate: what is about the path must not bounce a recipient"},
           Case{"pattern = 'x'\nsuppress = \"at-once\"", "suppress: what is about the path says nothing"},
           Case{"pattern = 'x'\nsuppress = \"maybe\"", "suppress: expected one of no, at-once, on-second"},
           Case{"pattern = 'x'\naction = \"stop\"", "action: expected one of none, reconnect, resolve-again"},
           Case{"pattern = 'x'\naction = \"stop-pat\"", "did you mean \"stop-path\"?"},
           Case{"pattern = 'x'\naction = \"bounce-domain\"", "bounce-domain needs scope = \"domain\""},
           Case{"pattern = 'x'\nthreshold = \"1\"", "threshold: belongs to an action"},
           Case{"pattern = 'x'\naction = \"stop-path\"\nthreshold = \"3\"",
                "threshold: expected so many (at most 1000)"},
           Case{"pattern = 'x'\naction = \"stop-path\"\nthreshold = \"0/1min\"", "threshold: expected"},
           Case{"pattern = 'x'\naction = \"stop-path\"\nthreshold = \"3/10\"", "threshold: expected"},
           Case{"pattern = 'x'\naction = \"stop-path\"\nthreshold = \"3/0s\"", "threshold: expected"},
           Case{"pattern = 'x'\naction = \"stop-path\"\nthreshold = \"1001/1h\"", "threshold: expected"},
           Case{"pattern = 'x'\naction = \"stop-path\"\nthreshold = 3", "threshold: expected"},
           Case{"pattern = 'x'\naction = \"stop-path\"\nduration = \"2\"", "duration: expected"},
           Case{"pattern = 'x'\naction = \"stop-path\"\nduration = \"8d\"", "duration: expected"},
           Case{"pattern = 'x'\naction = \"reconnect\"\nduration = \"2h\"", "duration: belongs to action"},
           Case{"pattern = 'x'\naction = \"stop-path\"\nrate = \"1/min\"", "rate: belongs to action"},
           Case{"pattern = 'x'\naction = \"lower-rate\"\nrate = \"fast\"", "rate: expected"},
           Case{"", "a [[rule]] needs a condition"},
       }) {
    EXPECT_THAT(Errors(Rule(test.lines)), HasSubstr(test.error)) << test.lines;
    EXPECT_NE(Errors(Rule(test.lines)), "") << test.lines;
  }
}

TEST(ReplyRules, NeedANameCategoryScopeAndSamples) {
  const std::string errors = Errors("format = 1\n[[rule]]\npattern = 'x'\n");
  for (const char* key : {"name", "category", "scope", "samples"}) {
    EXPECT_THAT(errors, HasSubstr("rules.toml:2:1: [[rule]] needs " + std::string(key)));
  }
}

TEST(ReplyRules, NeedSamplesThatAreRefusals) {
  const auto sample = [](std::string_view text) {
    return Errors(
        "format = 1\n[[rule]]\nname = \"r\"\ncategory = \"other\"\nscope = \"path\"\ncode = \"4xx\"\nsamples = " +
        std::string(text));
  };
  EXPECT_EQ(sample("[\"450 x\"]"), "");
  EXPECT_THAT(sample("[\"no code\"]"), HasSubstr("rules.toml:7:12: samples: expected a refusal with its code"));
  EXPECT_THAT(sample("[\"250 ok\"]"), HasSubstr("samples: expected a refusal"));
  EXPECT_THAT(sample("[]"), HasSubstr("samples: expected a list of 1 to"));
  EXPECT_THAT(sample("\"450 x\""), HasSubstr("samples: expected a list"));
  EXPECT_THAT(sample("[4]"), HasSubstr("samples: expected a text, or {"));
  EXPECT_THAT(sample("[{ reply = \"450 x\", stag = \"rcpt\" }]"),
              HasSubstr("samples: unknown key \"stag\"; did you mean \"stage\"?"));
  EXPECT_THAT(sample("[{ reply = \"450 x\", stage = \"soon\" }]"), HasSubstr("samples: stage: expected one of"));
  EXPECT_THAT(sample("[{ reply = \"450 x\", provider = \"x\" }]"), HasSubstr("samples: provider: the provider table"));
  EXPECT_THAT(sample("[{ reply = 4 }]"), HasSubstr("samples: reply: expected a text in quotes"));
  EXPECT_THAT(sample("[{ stage = \"rcpt\" }]"), HasSubstr("samples: expected a refusal"));
  EXPECT_THAT(sample("[\"450 " + std::string(5000, 'x') + "\"]"), HasSubstr("a sample has at most 4096 bytes"));
}

TEST(ReplyRules, ReportEverythingAtOnceInTheFilesOrder) {
  const std::string errors = Errors(R"(format = 1
[[rule]]
name = "a"
category = "bad-mailbx"
scope = "recipients"
pattern = 'x'
samples = ["550 x"]
[[rule]]
name = "a"
code = "600"
category = "other"
scope = "path"
samples = ["550 x"]
)");
  EXPECT_EQ(errors,
            "rules.toml:4:12: category: expected one of bad-mailbox, bad-domain, inactive-mailbox, quota-issues, "
            "spam-related, spam-block, virus-related, policy-related, content-related, message-expired, "
            "no-answer-from-host, bad-connection, bad-configuration, invalid-sender, relaying-issues, routing-errors, "
            "protocol-errors, dns-failure, throttled, auth-failure, tls-failure, other, found \"bad-mailbx\"; did you "
            "mean \"bad-mailbox\"?\n"
            "rules.toml:5:9: scope: expected one of recipient, message, connection, host, path, domain, sender, found "
            "\"recipients\"; did you mean \"recipient\"?\n"
            "rules.toml:9:8: name: \"a\" is taken by the [[rule]] of line 2; give each its own\n"
            "rules.toml:10:8: code: expected a code as \"421\", \"4xx\" or \"5xx\", found \"600\"\n");
}

TEST(ReplyRules, TakeAnyFileWithoutHarm) {
  EXPECT_THAT(Errors(std::string(5 << 20, '#')), HasSubstr("larger than"));
  EXPECT_NE(Errors(std::string("format = 1\0[[rule]]", 19)), "");
  EXPECT_NE(Errors("format = 1\nrule = " + std::string(2000, '[')), "");
  EXPECT_NE(Errors("format = 1\nrule = [1, 2]"), "");
  EXPECT_NE(Errors("format = 1\n\xff\xfe"), "");
  std::string many = "format = 1\n";
  for (int i = 0; i < 5001; ++i) many += "[[rule]]\n";
  EXPECT_THAT(Errors(many), HasSubstr("at most 5000 [[rule]] are allowed, found 5001"));
  EXPECT_THAT(Errors(Rule("pattern = '" + std::string(5000, 'x') + "'")), HasSubstr("a pattern has at most 4096"));
}

class LoadedReplyRules : public testing::Test {
 protected:
  LoadedReplyRules() {
    std::string name = (std::filesystem::temp_directory_path() / "postrider-rules-XXXXXX").string();
    EXPECT_NE(mkdtemp(name.data()), nullptr);
    directory_ = name;
  }
  ~LoadedReplyRules() override { std::filesystem::remove_all(directory_); }

  std::filesystem::path Write(std::string_view text) const {
    const std::filesystem::path file = directory_ / "own.toml";
    std::ofstream(file, std::ios::binary) << text;
    return file;
  }

  static std::expected<std::vector<ReplyRule>, Diagnostics> Load(const std::filesystem::path& file) {
    return LoadReplyRules(file, *ProviderTable::Shipped());
  }

  std::filesystem::path directory_;
};

TEST_F(LoadedReplyRules, AreTheShippedOnesWithoutAFile) {
  const std::vector<ReplyRule> rules = Load("").value();
  EXPECT_GT(rules.size(), 0u);
  for (const ReplyRule& rule : rules) {
    EXPECT_EQ(rule.file, kShippedReplyRulesName);
    EXPECT_FALSE(rule.samples.empty()) << rule.name;
  }
}

TEST_F(LoadedReplyRules, AreTheOperatorsAndThenTheShippedOnes) {
  const std::filesystem::path file = Write(Rule("code = \"421\""));
  const std::vector<ReplyRule> rules = Load(file).value();
  EXPECT_EQ(rules[0].name, "r");
  EXPECT_EQ(rules[0].file, file.string());
  EXPECT_EQ(rules[1].file, kShippedReplyRulesName);
}

TEST_F(LoadedReplyRules, HaveNamesOfTheirOwn) {
  const std::string shipped = Load("").value()[0].name;
  const std::filesystem::path file =
      Write("format = 1\n[[rule]]\nname = \"" + shipped +
            "\"\ncode = \"421\"\ncategory = \"throttled\"\nscope = \"path\"\nsamples = [\"421 x\"]\n");
  const auto loaded = Load(file);
  ASSERT_FALSE(loaded);
  EXPECT_THAT(Text(loaded.error()),
              HasSubstr(file.string() + ":2: name: \"" + shipped + "\" is the name of a shipped"));
}

TEST_F(LoadedReplyRules, SayWhatIsWrongWithTheOperatorsFile) {
  const auto missing = Load(directory_ / "missing.toml");
  ASSERT_FALSE(missing);
  EXPECT_THAT(Text(missing.error()), HasSubstr("missing.toml: cannot read it: No such file"));
  EXPECT_THAT(Text(missing.error()), Not(HasSubstr("built in")));
  EXPECT_THAT(Text(Load(directory_).error()), HasSubstr("expected a file, found a directory"));
  EXPECT_THAT(Text(Load(Write("format = 3")).error()), HasSubstr("own.toml:1:10: format: this program reads"));
}

}  // namespace
}  // namespace postrider
