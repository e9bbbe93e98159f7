#include "tools/throttle_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/observe/throttle_json.h"

namespace postrider::tools {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using std::chrono::seconds;
using testing::AllOf;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;
using testing::StartsWith;

constexpr Wall kNow{std::chrono::milliseconds(1'795'499'045'007)};

TEST(ThrottleText, FormatsRatesInTheUnitThatFits) {
  EXPECT_EQ(FormatLimit(0), "0");
  EXPECT_EQ(FormatLimit(5), "5.0/s");
  EXPECT_EQ(FormatLimit(1234), "1,234/s");
  EXPECT_EQ(FormatLimit(20.0 / 60), "20/min");
  EXPECT_EQ(FormatLimit(1.0 / 60), "1.0/min");
  EXPECT_EQ(FormatLimit(3.0 / 86'400), "3.0/d");
}

DomainLimitsView Limits() {
  DomainLimitsView limits;
  limits.domain = "example.org";
  limits.hosts = {"mx1.google.com", "mx2.google.com", "mx3.google.com", "mx4.google.com", "mx5.google.com"};
  limits.provider = "google";
  limits.rule = {{"connections", "5", "provider:google", "providers.toml (built in):12"},
                 {"message_rate", "5/s", "example.org", "throttle set by ana at 2026-11-24 09:00 UTC"}};
  LimitPathView& path = limits.paths.emplace_back();
  path.source = "a";
  path.mode = "stopped";
  path.binding_limit = "stopped";
  path.blocked_until = kNow + minutes(5);
  path.last_reply = "421 slow\x1b[2J down";
  AllowanceView& allowance = limits.allowances.emplace_back();
  allowance.source = "a";
  allowance.at = "google";
  allowance.mode = "stopped";
  allowance.message_rate = 5;
  allowance.adaptive_rate = 2.5;
  allowance.reason = "gmail-rate";
  allowance.since = kNow - minutes(2);
  allowance.quota = 1000;
  allowance.quota_used = 40;
  allowance.last_replies = {"421 4.7.28 unusual rate"};
  return limits;
}

TEST(ThrottleText, ShowsEachLimitWithItsOriginAndWhatBindsNow) {
  const std::string text = RenderDomainLimits(Limits(), kNow, Terminal());
  EXPECT_THAT(text, StartsWith("example.org: mail goes to mx1.google.com, mx2.google.com, mx3.google.com, "
                               "mx4.google.com and 1 more\nprovider google: it counts"));
  EXPECT_THAT(text, HasSubstr("connections   5      provider:google  providers.toml (built in):12"));
  EXPECT_THAT(text, HasSubstr("throttle set by ana"));
  EXPECT_THAT(text, HasSubstr("in 5 min"));
  EXPECT_THAT(text, HasSubstr("421 slow?[2J down"));
  EXPECT_THAT(text, AllOf(HasSubstr("2.5/s"), HasSubstr("40 of 1,000"), HasSubstr("gmail-rate, for 2 min"),
                          HasSubstr("421 4.7.28 unusual rate")));
  EXPECT_THAT(text, Not(HasSubstr("no mail is on its way")));
}

TEST(ThrottleText, SaysWhereNothingIsKnown) {
  DomainLimitsView limits = Limits();
  limits.hosts.clear();
  limits.provider.clear();
  limits.paths.clear();
  limits.allowances.clear();
  limits.problem = "the domain does not exist";
  EXPECT_THAT(RenderDomainLimits(limits, kNow, Terminal()),
              StartsWith("example.org: where its mail goes is not known: the domain does not exist\n"));
  limits.hosts = {"mx.example.org"};
  EXPECT_THAT(RenderDomainLimits(limits, kNow, Terminal()),
              AllOf(HasSubstr("its provider is not known"), EndsWith("no mail is on its way there now\n")));
}

TEST(ThrottleText, ListsWhatIsSetByWhomAndUntilWhen) {
  EXPECT_EQ(RenderOverrides({}, kNow, Terminal()), "nothing is set; the configuration alone holds\n");
  const std::string text =
      RenderOverrides({{.match = "provider:google",
                        .set = {{"message_rate", "5/s"}, {"connections", "3"}},
                        .set_by = "ana",
                        .set_at = kNow - hours(1),
                        .until = kNow + hours(1)},
                       {.match = "a.org", .set = {{"idle", "3s"}}, .set_by = "", .set_at = {}, .until = {}}},
                      kNow, Terminal());
  EXPECT_THAT(text, AllOf(HasSubstr("ana"), HasSubstr("  1 h 0 min ago  in 1 h 0 min\n"), HasSubstr("  until unset\n"),
                          HasSubstr("connections")));
}

TEST(ThrottleText, SaysWhatASetHasChangedAndWhatItHasNot) {
  LimitChangeView change;
  change.match = "provider:google";
  change.until = kNow + hours(2);
  change.fields = {
      {{"connections", "5", "provider:google", "providers.toml (built in):12"},
       {"connections", "3", "provider:google", "throttle set by ana"}},
      {{"idle", "9s", "mx:.google.com", "postrider.toml:4"}, {"idle", "9s", "mx:.google.com", "postrider.toml:4"}}};
  const std::string text = RenderLimitChange(change, kNow, Terminal());
  EXPECT_THAT(text, StartsWith("provider:google, for 2 h 0 min:\n"));
  EXPECT_THAT(text, HasSubstr("connections  5       3    throttle set by ana"));
  EXPECT_THAT(text, HasSubstr("idle stays: the rule for mx:.google.com decides it\n"));
  EXPECT_THAT(text, Not(HasSubstr("connections stays")));
}

TEST(ThrottleText, ListsSourcesWithWhyTheyStandStill) {
  SourceView source;
  source.name = "a";
  source.ipv4 = "192.0.2.1";
  source.ehlo_name = "a.example";
  source.connections = 3;
  source.connection_limit = 10;
  source.warm_up_since = "2026-11-01";
  source.warm_up_day = 4;
  source.paused = {"google"};
  AllowanceView stop;
  stop.at = "yahoo";
  stop.mode = "stopped";
  stop.reason = "yahoo-tss04";
  stop.blocked_until = kNow + hours(2);
  source.stopped = {stop};
  source.stopped_count = 3;
  SourceView other;
  other.name = "default";
  const std::string text = RenderSources({source, other}, kNow, Terminal());
  EXPECT_THAT(text, AllOf(HasSubstr("192.0.2.1"), HasSubstr("3 of 10"), HasSubstr("day 4"), HasSubstr("google"),
                          HasSubstr("stopped at yahoo, goes on in 2 h 0 min: yahoo-tss04"),
                          HasSubstr("and at 2 more places"), HasSubstr("the system's choice")));
}

TEST(ThrottleView, RefusesAnswersThatMakeNoSense) {
  for (const char* text : {"", "{}", "[]", "null", R"({"domain":1})", R"({"overrides":[{}]})", R"({"sources":[1]})",
                           R"({"match":"a","fields":[{"field":"x"}]})"}) {
    EXPECT_FALSE(ParseDomainLimits(text).has_value()) << text;
    EXPECT_FALSE(ParseOverrideList(text).has_value()) << text;
    EXPECT_FALSE(ParseLimitChange(text).has_value()) << text;
    EXPECT_FALSE(ParseSources(text).has_value()) << text;
  }
}

TEST(ThrottleView, UnderstandsWhatTheDaemonWrites) {
  observe::DomainLimits limits;
  limits.domain = "example.org";
  limits.hosts = {"mx1.google.com"};
  limits.rule = ExplainRule(Options(), "example.org", limits.hosts);
  delivery::PlaceSnapshot& place = limits.place.emplace();
  place.site = "mx1.google.com";
  place.paths.emplace_back().source = "a";
  delivery::AllowanceSnapshot& allowance = place.allowances.emplace_back();
  allowance.source = "a";
  allowance.receiver = "google";
  allowance.warm_up_day = 2;
  allowance.warm_up_quota = 100;
  const auto view = ParseDomainLimits(observe::DomainLimitsJson(limits));
  ASSERT_TRUE(view.has_value()) << view.error().message;
  EXPECT_EQ(view->rule.size(), limits.rule.fields.size());
  EXPECT_EQ(view->provider, "google");
  EXPECT_EQ(view->paths.at(0).source, "a");
  EXPECT_EQ(view->allowances.at(0).at, "google");
  EXPECT_EQ(view->allowances.at(0).warm_up_quota, 100u);
}

}  // namespace
}  // namespace postrider::tools
