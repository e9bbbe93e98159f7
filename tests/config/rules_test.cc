#include "config/rules.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <chrono>
#include <string>
#include <vector>

#include "config/schema.h"

namespace postrider {
namespace {

const std::vector<std::string> kGoogleMx = {"aspmx.l.google.com", "alt1.aspmx.l.google.com"};

RuleOptions Rule(std::string_view match) {
  RuleOptions rule;
  rule.origin.layer = RuleLayer::kFile;
  rule.match = DomainPattern::Parse(match).value();
  return rule;
}

Options WithRules(std::vector<RuleOptions> rules) {
  Options options;
  options.rules.insert(options.rules.end(), rules.begin(), rules.end());
  return options;
}

// What holds where no rule says anything.
EffectiveRule Defaults() {
  EffectiveRule rule;
  rule.connections = 8;
  rule.start_connections = 2;
  rule.connect_rate = RateLimit{20.0 / 60};
  rule.messages_per_connection = 50;
  rule.idle = seconds(5);
  return rule;
}

TEST(Rules, TheDefaultsHoldWhereNothingElseMatches) {
  EXPECT_EQ(ResolveRule(Options(), "example.org", {}), Defaults());
  EXPECT_EQ(ResolveRule(Options(), "example.org", {{"mx.example.org"}}), Defaults());
}

TEST(Rules, AProviderIsBoundByWhatNamesItAsAWhole) {
  RuleOptions by_name = Rule("provider:google");
  by_name.connections = 6;
  RuleOptions by_suffix = Rule("mx:*.google.com");
  by_suffix.idle = seconds(9);
  RuleOptions part = Rule("mx:.l.google.com");
  part.connections = 1;
  RuleOptions domain = Rule("gmail.com");
  domain.connections = 2;
  const Options options = WithRules({by_name, by_suffix, part, domain});
  EXPECT_EQ(ResolveProviderRule(options, "google").connections, 6);
  EXPECT_EQ(ResolveProviderRule(options, "google").idle, seconds(9));
  EXPECT_EQ(ResolveProviderRule(options, "nobody").connections, Defaults().connections);
  const auto narrower = [&](std::string_view pattern) {
    return NarrowerThanProvider(options, DomainPattern::Parse(pattern).value(), "gmail.com", kGoogleMx);
  };
  for (const char* pattern : {"*", "provider:google", "mx:.google.com", "mx:*.google.com", "mx:.com"}) {
    EXPECT_FALSE(narrower(pattern)) << pattern;
  }
  for (const char* pattern : {"mx:.l.google.com", "mx:*.l.google.com", "mx:aspmx.l.google.com", "gmail.com"}) {
    EXPECT_TRUE(narrower(pattern)) << pattern;
  }
  EXPECT_FALSE(narrower("mx:.yahoodns.net"));
}

TEST(Rules, TheMostSpecificWinsFieldByField) {
  RuleOptions everything = Rule("*");
  everything.idle = seconds(7);
  everything.adaptive = false;
  RuleOptions provider = Rule("provider:google");
  provider.connections = 6;
  provider.site_connections = 4;
  provider.total_connections = 30;
  RuleOptions suffix = Rule("mx:.google.com");
  suffix.connections = 5;
  suffix.messages_per_connection = 60;
  suffix.tls = TlsDemand::kRequired;
  RuleOptions host = Rule("mx:aspmx.l.google.com");
  host.messages_per_connection = 70;
  host.daily_quota = 1000;
  RuleOptions below = Rule("*.example.org");
  below.time_zone = "Europe/Paris";
  below.message_rate = 9;
  RuleOptions domain = Rule("a.example.org");
  domain.idle = seconds(20);
  domain.message_rate = 2.5;
  EffectiveRule expected = Defaults();
  expected.connections = 5;
  expected.connect_rate = RateLimit{100.0 / 60};  // of the shipped rule
  expected.site_connections = 4;
  expected.total_connections = 30;
  expected.messages_per_connection = 70;
  expected.daily_quota = 1000;
  expected.time_zone = "Europe/Paris";
  expected.message_rate = RateLimit{2.5};
  expected.adaptive = false;
  expected.idle = seconds(20);
  expected.tls = TlsDemand::kRequired;
  // The order in the file does not matter.
  std::vector<RuleOptions> rules{domain, below, host, suffix, provider, everything};
  EXPECT_EQ(ResolveRule(WithRules(rules), "a.example.org", kGoogleMx), expected);
  std::ranges::reverse(rules);
  EXPECT_EQ(ResolveRule(WithRules(rules), "a.example.org", kGoogleMx), expected);
  // A rule that does not match gives nothing.
  rules.erase(rules.begin());
  EXPECT_EQ(ResolveRule(WithRules(rules), "example.net", {}), Defaults());
}

TEST(Rules, OfTwoEquallySpecificTheEarlierWins) {
  RuleOptions first = Rule("mx:.google.com");
  first.connections = 3;
  RuleOptions second = Rule("mx:.oogle9.com");
  second.connections = 4;
  const std::vector<std::string> both = {"a.google.com", "a.oogle9.com"};
  EXPECT_EQ(ResolveRule(WithRules({first, second}), "x.org", both).connections, 3);
  EXPECT_EQ(ResolveRule(WithRules({second, first}), "x.org", both).connections, 4);
  // Of exact hosts the length of the name says nothing.
  first.match = DomainPattern::Parse("mx:a.google.com").value();
  second.match = DomainPattern::Parse("mx:a.oogle9.com").value();
  RuleOptions longer = Rule("mx:longer.google.com");
  longer.connections = 5;
  const std::vector<std::string> three = {"a.google.com", "a.oogle9.com", "longer.google.com"};
  EXPECT_EQ(ResolveRule(WithRules({first, longer, second}), "x.org", three).connections, 3);
}

TEST(Rules, OfTwoEquallySpecificTheHigherLayerWinsWhateverTheOrder) {
  RuleOptions file = Rule("provider:google");
  file.connections = 3;
  file.idle = seconds(3);
  RuleOptions override = Rule("provider:google");
  override.origin.layer = RuleLayer::kOverride;
  override.connections = 4;
  for (const auto& rules : {std::vector{file, override}, std::vector{override, file}}) {
    const EffectiveRule rule = ResolveRule(WithRules(rules), "x.org", kGoogleMx);
    EXPECT_EQ(rule.connections, 4);
    EXPECT_EQ(rule.idle, seconds(3));
  }
  // But a more specific rule of a lower layer is still more specific.
  RuleOptions domain = Rule("x.org");
  domain.connections = 9;
  EXPECT_EQ(ResolveRule(WithRules({file, override, domain}), "x.org", kGoogleMx).connections, 9);
}

TEST(Rules, NoneOverridesALessSpecificLimit) {
  RuleOptions everything = Rule("*");
  everything.message_rate = 5;
  everything.daily_quota = 100;
  everything.site_connections = 2;
  RuleOptions domain = Rule("example.org");
  domain.message_rate = 0;
  domain.connect_rate = 0;
  domain.daily_quota = 0;
  domain.site_connections = 0;
  domain.start_connections = 0;
  const EffectiveRule rule = ResolveRule(WithRules({everything, domain}), "example.org", {});
  EXPECT_EQ(rule.message_rate, std::nullopt);
  EXPECT_EQ(rule.connect_rate, std::nullopt);
  EXPECT_EQ(rule.daily_quota, std::nullopt);
  EXPECT_EQ(rule.site_connections, std::nullopt);
  EXPECT_EQ(rule.start_connections, 0);
  EXPECT_EQ(ResolveRule(WithRules({everything, domain}), "example.net", {}).message_rate, RateLimit{5});
}

TEST(Rules, ABurstIsNotInheritedByARateThatIsMoreSpecific) {
  RuleOptions everything = Rule("*");
  everything.message_rate = 100;
  everything.burst = 500;
  RuleOptions provider = Rule("provider:google");
  provider.message_rate = 1;
  RuleOptions domain = Rule("example.org");
  domain.burst = 7;
  const Options options = WithRules({everything, provider, domain});
  EXPECT_EQ(ResolveRule(options, "x.org", {}).message_rate, (RateLimit{100, 500}));
  EXPECT_EQ(ResolveRule(options, "x.org", kGoogleMx).message_rate, RateLimit{1});
  EXPECT_EQ(ResolveRule(options, "example.org", kGoogleMx).message_rate, (RateLimit{1, 7}));
  EXPECT_EQ(ResolveRule(options, "example.org", {}).message_rate, (RateLimit{100, 7}));
}

TEST(Rules, TheProviderIsThatOfThePreferredHost) {
  RuleOptions provider = Rule("provider:google");
  provider.connections = 3;
  const Options options = WithRules({provider});
  EXPECT_EQ(ResolveRule(options, "x.org", {{"aspmx.l.google.com", "mx.x.org"}}).connections, 3);
  EXPECT_EQ(ResolveRule(options, "x.org", {{"mx.x.org", "aspmx.l.google.com"}}).connections, 8);
}

const ExplainedField& Field(const ExplainedRule& explained, std::string_view name) {
  static const ExplainedField none;
  const auto found = std::ranges::find(explained.fields, name, &ExplainedField::name);
  EXPECT_NE(found, explained.fields.end()) << name;
  return found == explained.fields.end() ? none : *found;
}

TEST(Rules, EachValueKnowsWhereItComesFrom) {
  using namespace std::chrono_literals;
  RuleOptions everything = Rule("*");
  everything.origin = {.layer = RuleLayer::kFile, .file = "/etc/p.toml", .line = 12, .set_by = {}};
  everything.idle = seconds(90);
  everything.message_rate = 10;
  everything.burst = 500;
  RuleOptions override = Rule("provider:google");
  override.origin = {.layer = RuleLayer::kOverride,
                     .file = "throttle.toml",
                     .line = 3,
                     .set_by = "ana",
                     .set_at = std::chrono::sys_days(2026y / 11 / 23) + 9h,
                     .until = std::chrono::sys_days(2026y / 11 / 23) + 11h};
  override.message_rate = 2.5;
  const Options options = WithRules({everything, override});
  const ExplainedRule explained = ExplainRule(options, "example.org", kGoogleMx);
  EXPECT_EQ(explained.rule, ResolveRule(options, "example.org", kGoogleMx));
  EXPECT_EQ(explained.provider, "google");

  EXPECT_EQ(Field(explained, "messages_per_connection").value, "50");
  EXPECT_EQ(Field(explained, "messages_per_connection").pattern, "provider:google");
  EXPECT_TRUE(ToString(Field(explained, "messages_per_connection").origin).starts_with("providers.toml (built in):"));
  EXPECT_EQ(Field(explained, "rate_floor").value, "1/min");
  EXPECT_EQ(Field(explained, "rate_floor").pattern, "*");
  EXPECT_EQ(ToString(Field(explained, "rate_floor").origin), "built in");
  EXPECT_EQ(Field(explained, "message_rate").value, "150/min");
  EXPECT_EQ(ToString(Field(explained, "message_rate").origin),
            "throttle set by ana at 2026-11-23 09:00 UTC, until 2026-11-23 11:00 UTC");
  // The burst was for another rate: one second's worth holds.
  EXPECT_EQ(Field(explained, "burst").value, "3");
  EXPECT_EQ(ToString(Field(explained, "burst").origin), "built in");
  EXPECT_EQ(Field(explained, "daily_quota").value, "none");
  EXPECT_EQ(Field(explained, "tls").value, "required");

  const ExplainedRule other = ExplainRule(options, "example.org", {});
  EXPECT_EQ(other.provider, "");
  EXPECT_EQ(Field(other, "idle").value, "90s");
  EXPECT_EQ(ToString(Field(other, "idle").origin), "/etc/p.toml:12");
  EXPECT_EQ(Field(other, "burst").value, "500");
  EXPECT_EQ(Field(other, "burst").pattern, "*");
}

TEST(Rules, EveryFieldIsExplained) {
  const ExplainedRule explained = ExplainRule(Options(), "example.org", {});
  const TableSchema& schema = *FindTable("rule");
  ASSERT_EQ(explained.fields.size() + 1, schema.options.size());
  for (std::size_t i = 0; i < explained.fields.size(); ++i) {
    EXPECT_EQ(explained.fields[i].name, schema.options[i + 1].key);
    EXPECT_NE(explained.fields[i].value, "");
  }
}

TEST(Routes, TheMostSpecificIsFoundAndNoneIsNull) {
  Options options;
  EXPECT_EQ(FindRoute(options, "a.example.org"), nullptr);
  for (const char* match : {"*.example.org", "*", "a.example.org", "*.b.example.org"}) {
    options.routes.emplace_back().match = DomainPattern::Parse(match).value();
  }
  EXPECT_EQ(FindRoute(options, "a.example.org")->match.text(), "a.example.org");
  EXPECT_EQ(FindRoute(options, "c.example.org")->match.text(), "*.example.org");
  EXPECT_EQ(FindRoute(options, "c.b.example.org")->match.text(), "*.b.example.org");
  EXPECT_EQ(FindRoute(options, "example.org")->match.text(), "*");
}

}  // namespace
}  // namespace postrider
