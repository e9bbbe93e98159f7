#include "config/rules.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postrider {
namespace {

const std::vector<std::string> kGoogleMx = {"aspmx.l.google.com", "alt1.aspmx.l.google.com"};

RuleOptions Rule(std::string_view match) {
  RuleOptions rule;
  rule.match = DomainPattern::Parse(match).value();
  return rule;
}

Options WithRules(std::vector<RuleOptions> rules) {
  Options options;
  options.rules.insert(options.rules.end(), rules.begin(), rules.end());
  return options;
}

TEST(Rules, TheDefaultsHoldWhereNothingElseMatches) {
  const EffectiveRule rule = ResolveRule(Options(), "example.org", kGoogleMx);
  EXPECT_EQ(
      rule,
      (EffectiveRule{
          .connections = 10, .messages_per_connection = 100, .idle = seconds(5), .tls = TlsDemand::kOpportunistic}));
}

TEST(Rules, TheMostSpecificWinsFieldByField) {
  RuleOptions suffix = Rule("mx:.google.com");
  suffix.connections = 5;
  suffix.messages_per_connection = 50;
  suffix.tls = TlsDemand::kRequired;
  RuleOptions host = Rule("mx:aspmx.l.google.com");
  host.messages_per_connection = 60;
  RuleOptions domain = Rule("example.org");
  domain.idle = seconds(20);
  domain.messages_per_second = 2.5;
  const EffectiveRule expected{.connections = 5,
                               .messages_per_connection = 60,
                               .message_rate = RateLimit{2.5},
                               .idle = seconds(20),
                               .tls = TlsDemand::kRequired};
  // The order in the file does not matter.
  EXPECT_EQ(ResolveRule(WithRules({suffix, host, domain}), "example.org", kGoogleMx), expected);
  EXPECT_EQ(ResolveRule(WithRules({domain, host, suffix}), "example.org", kGoogleMx), expected);
  // A rule that does not match gives nothing.
  EXPECT_EQ(ResolveRule(WithRules({suffix, host, domain}), "example.net", {}),
            ResolveRule(Options(), "example.net", {}));
}

TEST(Rules, OfTwoEquallySpecificTheEarlierWins) {
  RuleOptions first = Rule("mx:.google.com");
  first.connections = 3;
  RuleOptions second = Rule("mx:.oogle9.com");
  second.connections = 4;
  const std::vector<std::string> both = {"a.google.com", "a.oogle9.com"};
  EXPECT_EQ(ResolveRule(WithRules({first, second}), "x.org", both).connections, 3);
  EXPECT_EQ(ResolveRule(WithRules({second, first}), "x.org", both).connections, 4);
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
