#include "config/overrides.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <random>
#include <string>
#include <vector>

#include "config/rules.h"
#include "config/schema.h"

namespace postrider {
namespace {

using namespace std::chrono_literals;
using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::StartsWith;

const Wall kNow = std::chrono::sys_days(2026y / 11 / 23) + 9h;
const std::vector<std::string> kGoogleMx = {"aspmx.l.google.com"};

RuleOptions Rule(std::string_view match, const std::vector<std::string>& assignments,
                 std::optional<Wall> until = std::nullopt) {
  RuleOptions rule;
  rule.match = DomainPattern::Parse(match).value();
  rule.origin = {.layer = RuleLayer::kOverride, .file = {}, .line = 0, .set_by = "ana", .set_at = kNow, .until = until};
  for (const std::string& assignment : assignments) {
    const Result<void> set = SetRuleField(rule, assignment);
    EXPECT_TRUE(set.has_value()) << assignment << ": " << set.error().message;
  }
  return rule;
}

Overrides Set(const std::vector<RuleOptions>& rules) {
  Overrides overrides;
  for (const RuleOptions& rule : rules) {
    const Result<void> set = SetOverride(overrides, rule, Options());
    EXPECT_TRUE(set.has_value()) << set.error().message;
  }
  return overrides;
}

std::vector<std::string> Problems(std::string_view toml) {
  std::vector<std::string> problems;
  const auto overrides = ParseOverrides(toml, "throttle.toml");
  if (overrides) return problems;
  for (const Diagnostic& diagnostic : overrides.error()) problems.push_back(ToString(diagnostic));
  return problems;
}

TEST(RuleField, IsReadFromACommandLineAsFromTheFile) {
  const RuleOptions rule =
      Rule("*", {"connections=5", "start_connections=none", "connect_rate=20/min", "message_rate=0.5", "burst=7",
                 "daily_quota=50000", "time_zone=Europe/Paris", "adaptive=false", "idle=90s", "tls=required"});
  EXPECT_EQ(rule.connections, 5);
  EXPECT_EQ(rule.start_connections, 0);
  EXPECT_EQ(rule.connect_rate, 20.0 / 60);
  EXPECT_EQ(rule.message_rate, 0.5);
  EXPECT_EQ(rule.burst, 7);
  EXPECT_EQ(rule.daily_quota, 50'000);
  EXPECT_EQ(rule.time_zone, "Europe/Paris");
  EXPECT_EQ(rule.adaptive, false);
  EXPECT_EQ(rule.idle, seconds(90));
  EXPECT_EQ(rule.tls, TlsDemand::kRequired);
}

TEST(RuleField, WhatIsWrongWithOneIsSaidAsForTheFile) {
  for (const auto& [assignment, said] : {std::pair("connections", "expected key=value"),
                                         {"", "expected key=value"},
                                         {"=5", "unknown key \"\""},
                                         {"conections=5", "did you mean connections?"},
                                         {"messages_per_second=5", "it is called message_rate now"},
                                         {"match=a.org", "unknown key \"match\""},
                                         {"cores=3", "it belongs in [engine]"},
                                         {"connections=0", "connections: expected a whole number from 1 to 10000"},
                                         {"connections=5x", "connections: expected a whole number"},
                                         {"connections=99999999999999999999", "connections: expected a whole number"},
                                         {"connections=", "connections: expected a whole number"},
                                         {"message_rate=fast", "rate from \"1/d\""},
                                         {"message_rate=nan", "rate from \"1/d\""},
                                         {"message_rate=inf", "rate from \"1/d\""},
                                         {"message_rate=5/s=3", "rate from \"1/d\""},
                                         {"idle=90", "in quotes with its unit"},
                                         {"adaptive=yes", "true or false"},
                                         {"time_zone=Mars", "no time zone is called \"Mars\""}}) {
    RuleOptions rule;
    const Result<void> set = SetRuleField(rule, assignment);
    ASSERT_FALSE(set.has_value()) << assignment;
    EXPECT_THAT(set.error().message, HasSubstr(said)) << assignment;
    EXPECT_TRUE(IsEmpty(rule)) << assignment;
  }
  RuleOptions rule;
  EXPECT_FALSE(SetRuleField(rule, std::string(100'000, 'a')).has_value());
  EXPECT_FALSE(SetRuleField(rule, std::string(100'000, 'a') + "=1").has_value());
}

TEST(Overrides, AreWrittenAndReadAlike) {
  Overrides overrides = Set(
      {Rule("provider:google", {"message_rate=5/s", "burst=3"}, kNow + 2h),
       Rule("*.bücher.example", {"message_rate=1.5/d", "tls=none", "connect_rate=none"}),
       Rule("mx:.google.com", {"time_zone=UTC", "campaign_message_rate=0.37", "rate_floor=2/h", "total_connections=7",
                               "total_message_rate=9/s", "site_connections=2", "messages_per_connection=9"})});
  overrides[1].origin.set_by = "J\"ürgen\\";
  overrides[1].origin.set_at = kNow + 123ms;
  const std::string text = WriteOverrides(overrides);
  const auto read = ParseOverrides(text, "throttle.toml");
  ASSERT_TRUE(read.has_value()) << ToString(read.error().front());
  ASSERT_THAT(*read, SizeIs(3));
  for (std::size_t i = 0; i < read->size(); ++i) {
    const RuleOptions& is = (*read)[i];
    const RuleOptions& was = overrides[i];
    EXPECT_EQ(is.match.text(), was.match.text());
    for (const OptionSchema& option : FindTable("rule")->options) EXPECT_EQ(option.show(&is), option.show(&was));
    EXPECT_EQ(is.origin.layer, RuleLayer::kOverride);
    EXPECT_EQ(is.origin.file, "throttle.toml");
    EXPECT_GT(is.origin.line, 1);
    EXPECT_EQ(is.origin.set_by, was.origin.set_by);
    EXPECT_EQ(is.origin.set_at, was.origin.set_at);
    EXPECT_EQ(is.origin.until, was.origin.until);
  }
  EXPECT_DOUBLE_EQ((*read)[1].message_rate.value(), 1.5 / 86'400);
  EXPECT_EQ(WriteOverrides(*read), text);
  EXPECT_THAT(ParseOverrides(WriteOverrides({}), "x").value(), IsEmpty());
}

TEST(Overrides, ANewValueTakesThePlaceOfTheOldOneOfItsField) {
  const Overrides overrides =
      Set({Rule("provider:google", {"message_rate=5/s", "connections=3"}, kNow + 2h),
           Rule("example.org", {"message_rate=9/s"}), Rule("provider:google", {"message_rate=7/s"}),
           Rule("Example.ORG", {"message_rate=8/s"})});
  ASSERT_THAT(overrides, SizeIs(3));
  EXPECT_EQ(overrides[0].connections, 3);
  EXPECT_EQ(overrides[0].message_rate, std::nullopt);
  EXPECT_EQ(overrides[1].message_rate, 7);
  EXPECT_EQ(overrides[1].origin.until, std::nullopt);
  EXPECT_EQ(overrides[2].message_rate, 8);
}

TEST(Overrides, WhatEndsGivesBackWhatWasSetWithoutEnd) {
  const auto rate_at = [](const Overrides& overrides, Wall now) {
    return ResolveRule(*LayOver(Options(), overrides, now).options, "x.org", kGoogleMx).message_rate->per_second;
  };
  const RuleOptions forever = Rule("provider:google", {"message_rate=5/s", "connections=3"});
  Overrides overrides = Set({forever, Rule("provider:google", {"message_rate=1/s"}, kNow + 2h),
                             Rule("provider:google", {"message_rate=2/s"}, kNow + 1h)});
  ASSERT_THAT(overrides, SizeIs(2));
  EXPECT_EQ(rate_at(overrides, kNow), 2);
  EXPECT_EQ(LayOver(Options(), overrides, kNow).next_expiry, kNow + 1h);
  EXPECT_EQ(rate_at(overrides, kNow + 1h), 5);
  const Overrides read = ParseOverrides(WriteOverrides(overrides), "throttle.toml").value();
  EXPECT_EQ(rate_at(read, kNow), 2);
  EXPECT_EQ(rate_at(read, kNow + 1h), 5);

  Overrides taken_back = overrides;
  EXPECT_EQ(UnsetOverride(taken_back, forever.match, std::vector<std::string>{"message_rate"}), 2u);
  ASSERT_THAT(taken_back, SizeIs(1));
  EXPECT_EQ(taken_back[0].connections, 3);

  ASSERT_TRUE(SetOverride(overrides, Rule("provider:google", {"message_rate=9/s"}), Options()).has_value());
  EXPECT_EQ(rate_at(overrides, kNow), 9);
  EXPECT_EQ(overrides[0].connections, 3);

  ASSERT_TRUE(SetOverride(overrides, Rule("provider:google", {"connections=1"}, kNow + 1h), Options()).has_value());
  EXPECT_EQ(DropExpired(overrides, kNow + 1h), 1u);
  EXPECT_EQ(overrides[0].connections, 3);
}

TEST(Overrides, AreTakenBackByFieldOrAltogether) {
  Overrides overrides = Set({Rule("provider:google", {"message_rate=5/s", "connections=3"}),
                             Rule("provider:google", {"idle=9s"}), Rule("example.org", {"connections=3"})});
  const DomainPattern google = DomainPattern::Parse("provider:google").value();
  EXPECT_EQ(UnsetOverride(overrides, google, std::vector<std::string>{"connections", "tls"}), 1u);
  EXPECT_THAT(overrides, SizeIs(3));
  EXPECT_EQ(UnsetOverride(overrides, google, {}), 2u);
  ASSERT_THAT(overrides, SizeIs(1));
  EXPECT_EQ(overrides[0].match.text(), "example.org");
  EXPECT_EQ(UnsetOverride(overrides, google, {}), 0u);
  const auto unknown = UnsetOverride(overrides, google, std::vector<std::string>{"conections"});
  ASSERT_FALSE(unknown.has_value());
  EXPECT_THAT(unknown.error().message, HasSubstr("did you mean connections?"));
}

TEST(Overrides, WhatCannotHoldIsNotSet) {
  Overrides overrides;
  const auto refused = [&](const RuleOptions& rule) {
    const Result<void> set = SetOverride(overrides, rule, Options());
    return set ? std::string() : set.error().message;
  };
  EXPECT_THAT(refused(Rule("provider:gogle", {"connections=3"})), HasSubstr("did you mean \"provider:google\"?"));
  EXPECT_THAT(refused(Rule("example.org", {})), HasSubstr("at least one key=value"));
  EXPECT_THAT(refused(Rule("example.org", {"connections=3", "site_connections=4"})),
              HasSubstr("more than connections"));
  for (const std::string set_by : {"a\nmatch = \"*\"", "\x01", "\xff\xfe", ""}) {
    RuleOptions rule = Rule("example.org", {"connections=3"});
    rule.origin.set_by = set_by;
    EXPECT_EQ(refused(rule).empty(), set_by.empty()) << set_by;
    if (!set_by.empty()) {
      EXPECT_THAT(overrides, IsEmpty());
    }
  }
  for (std::size_t i = overrides.size(); i < kOverridesMax; ++i) {
    EXPECT_EQ(refused(Rule("a" + std::to_string(i) + ".example.org", {"connections=3"})), "");
  }
  EXPECT_THAT(refused(Rule("one.example.org", {"connections=3"})), HasSubstr("at most 1000"));
  EXPECT_THAT(overrides, SizeIs(kOverridesMax));
  EXPECT_EQ(refused(Rule("a5.example.org", {"connections=4"})), "");
}

TEST(Overrides, LieOverTheFileUntilTheyExpire) {
  Options options;
  RuleOptions file;
  file.match = DomainPattern::Parse("provider:google").value();
  file.origin.layer = RuleLayer::kFile;
  file.connections = 4;
  options.rules.push_back(file);
  Overrides overrides =
      Set({Rule("provider:google", {"connections=2"}, kNow + 1h),
           Rule("provider:google", {"messages_per_connection=9"}, kNow + 30min), Rule("provider:google", {"idle=3s"})});
  const OptionsWithOverrides merged = LayOver(options, overrides, kNow);
  const EffectiveRule rule = ResolveRule(*merged.options, "x.org", kGoogleMx);
  EXPECT_EQ(rule.connections, 2);
  EXPECT_EQ(rule.messages_per_connection, 9);
  EXPECT_EQ(rule.idle, seconds(3));
  EXPECT_EQ(merged.next_expiry, kNow + 30min);

  const OptionsWithOverrides later = LayOver(options, overrides, kNow + 30min);
  EXPECT_EQ(ResolveRule(*later.options, "x.org", kGoogleMx).messages_per_connection, 50);
  EXPECT_EQ(ResolveRule(*later.options, "x.org", kGoogleMx).connections, 2);
  EXPECT_EQ(later.next_expiry, kNow + 1h);

  const OptionsWithOverrides last = LayOver(options, overrides, kNow + 2h);
  EXPECT_EQ(ResolveRule(*last.options, "x.org", kGoogleMx).connections, 4);
  EXPECT_EQ(ResolveRule(*last.options, "x.org", kGoogleMx).idle, seconds(3));
  EXPECT_EQ(last.next_expiry, std::nullopt);

  EXPECT_EQ(DropExpired(overrides, kNow + 1h), 2u);
  EXPECT_THAT(overrides, SizeIs(1));
}

TEST(Overrides, SayWhichFieldsTheySet) {
  std::string text;
  for (const SetField& field : FieldsOf(Rule("a.org", {"message_rate=20/min", "connect_rate=none", "tls=required"}))) {
    text += std::string(field.key) + "=" + field.value + " ";
  }
  EXPECT_EQ(text, "connect_rate=none tls=required message_rate=20/min ");
  EXPECT_TRUE(FieldsOf(RuleOptions()).empty());
}

TEST(Overrides, ExplainWhatHoldsForTheMailOfAPatternAlone) {
  const Options options =
      *LayOver(Options(),
               Set({Rule("*", {"connections=7"}), Rule("provider:google", {"idle=7s"}),
                    Rule("mx:.google.com", {"message_rate=7/s"}), Rule("mx:mx.a.org", {"message_rate=6/s"}),
                    Rule("*.a.org", {"connections=5"}), Rule("b.a.org", {"idle=4s"})}),
               kNow)
           .options;
  const auto value = [&](std::string_view pattern, std::string_view field, std::vector<std::string> hosts = {}) {
    const ExplainedRule rule = ExplainPattern(options, DomainPattern::Parse(pattern).value(), hosts);
    return std::ranges::find(rule.fields, field, &ExplainedField::name)->value;
  };
  EXPECT_EQ(value("*", "connections"), "7");
  EXPECT_EQ(value("*", "message_rate"), "none");
  EXPECT_EQ(value("provider:google", "idle"), "7s");
  EXPECT_EQ(value("provider:nobody", "idle"), "5s");
  EXPECT_EQ(value("mx:.google.com", "idle"), "7s");
  EXPECT_EQ(value("mx:.google.com", "message_rate"), "7/s");
  EXPECT_EQ(value("mx:mx.a.org", "message_rate"), "6/s");
  EXPECT_EQ(value("*.a.org", "connections"), "5");
  EXPECT_EQ(value("*.a.org", "idle"), "5s");
  EXPECT_EQ(value("b.a.org", "connections"), "5");
  EXPECT_EQ(value("b.a.org", "idle"), "4s");
  EXPECT_EQ(value("b.a.org", "message_rate"), "none");
  EXPECT_EQ(value("b.a.org", "message_rate", {"mx1.google.com"}), "7/s");
}

TEST(Overrides, WhatIsWrongInTheFileIsSaidWithItsPlace) {
  EXPECT_THAT(Problems(""), ElementsAre(HasSubstr("format is missing")));
  EXPECT_THAT(Problems("format = 2\n"), ElementsAre(StartsWith("throttle.toml:1:10: format")));
  EXPECT_THAT(Problems("format = 1\n[engine]\n"), ElementsAre(HasSubstr("expected [[rule]] tables alone")));
  EXPECT_THAT(Problems("format = 1\nrule = 1\n"), ElementsAre(HasSubstr("two brackets")));
  EXPECT_THAT(Problems("format = 1\n[[rule]]\nconnections = 3\n"), ElementsAre(HasSubstr("[[rule]] needs match")));
  EXPECT_THAT(Problems("format = 1\n[[rule]]\nmatch = \"a.org\"\nconections = 3\nuntil = 2026-11-23\nset_at = 1\n"
                       "set_by = 1\nidle = \"2d\"\n"),
              ElementsAre(HasSubstr("did you mean connections?"),
                          AllOf(StartsWith("throttle.toml:5:9: until"), HasSubstr("with its offset")),
                          AllOf(StartsWith("throttle.toml:6:10: set_at"), HasSubstr("with its offset")),
                          StartsWith("throttle.toml:7:10: set_by"), StartsWith("throttle.toml:8:8: idle")));
  EXPECT_THAT(Problems("format = 1\n[[rule]]\nmatch = \"a.org\"\nconnections = 3\nsite_connections = 4\n"),
              ElementsAre(StartsWith("throttle.toml:5:20: ")));
  EXPECT_THAT(Problems("format = 1\n[[rule]\n"), ElementsAre(StartsWith("throttle.toml:2:")));
  EXPECT_THAT(Problems(std::string(17 << 20, '#')), ElementsAre(HasSubstr("larger than")));
  std::string many = "format = 1\n";
  for (std::size_t i = 0; i <= kOverridesMax; ++i) many += "[[rule]]\nmatch = \"a.org\"\n";
  EXPECT_THAT(Problems(many), ElementsAre(HasSubstr("at most 1000")));
  // A provider that is no more is not the file's fault.
  EXPECT_THAT(Problems("format = 1\n[[rule]]\nmatch = \"provider:gone\"\nconnections = 3\n"), IsEmpty());
}

TEST(Overrides, MangledFilesNeverDoWorseThanADiagnostic) {
  const std::string text = WriteOverrides(Set({Rule("provider:google", {"message_rate=5/s", "burst=3"}, kNow + 2h),
                                               Rule("example.org", {"tls=none", "connect_rate=none"})}));
  std::mt19937 random(5);
  const std::string bytes = "[]\"'=#.,{}\n\\ 0azZ-\x01\xff";
  int refused = 0;
  for (int round = 0; round < 2000; ++round) {
    std::string mangled = text;
    for (int i = 0; i < 3; ++i) mangled[random() % mangled.size()] = bytes[random() % bytes.size()];
    if (random() % 3 == 0) mangled.resize(random() % mangled.size());
    const auto read = ParseOverrides(mangled, "x");
    if (read) {
      EXPECT_TRUE(ParseOverrides(WriteOverrides(*read), "x").has_value());
      continue;
    }
    ++refused;
    EXPECT_FALSE(read.error().empty());
  }
  EXPECT_GT(refused, 500);
}

}  // namespace
}  // namespace postrider
