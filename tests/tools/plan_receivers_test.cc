#include "tools/plan_receivers.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

#include "config/load.h"

namespace postrider::tools {
namespace {

using testing::ElementsAre;
using testing::Pair;
using testing::SizeIs;

OptionsPtr Parse(const std::string& toml) {
  const std::string whole =
      "host_name = \"sender.example.org\"\n[[source]]\nname = \"a\"\nipv4 = \"127.0.0.1\"\n"
      "ehlo_name = \"sender.example.org\"\n" +
      toml;
  auto options = ParseOptions(whole, "test.toml", ".");
  EXPECT_TRUE(options.has_value()) << (options ? std::string() : ToString(options.error().front()));
  return options ? *options : std::make_shared<const Options>();
}

dns::MxAnswer Mx(std::vector<std::string> hosts) {
  dns::MxAnswer answer;
  answer.status = dns::MxStatus::kFound;
  for (std::string& host : hosts) answer.hosts.push_back({.name = std::move(host), .preference = 10});
  return answer;
}

TEST(DomainCounts, SortsByCountAndKeepsNoMoreThanItMay) {
  DomainCounts counts(3);
  for (const char* domain : {"b.test", "a.test", "c.test", "c.test", "d.test", "d.test", "a.test", "a.test"}) {
    counts.Add(domain);
  }
  EXPECT_EQ(counts.beyond(), 2u);
  EXPECT_THAT(counts.Take(), ElementsAre(Pair("a.test", 3), Pair("c.test", 2), Pair("b.test", 1)));
  EXPECT_TRUE(counts.Take().empty());
}

TEST(ReceiverBuilder, PutsAProvidersTenantsTogether) {
  const OptionsPtr options = Parse("");
  ReceiverBuilder builder(*options);
  const dns::MxAnswer google = Mx({"aspmx.l.google.com", "alt1.aspmx.l.google.com"});
  const dns::MxAnswer own = Mx({"mx.own.test"});
  builder.Add("gmail.com", 100, &google);
  builder.Add("tenant.test", 50, &google);
  builder.Add("own.test", 10, &own);
  builder.Add("also-own.test", 5, &own);
  PlanInput input;
  builder.Finish(input);
  ASSERT_THAT(input.receivers, SizeIs(2));
  EXPECT_EQ(input.receivers[0].name, "google");
  EXPECT_TRUE(input.receivers[0].is_provider);
  EXPECT_EQ(input.receivers[0].recipients, 150u);
  EXPECT_EQ(input.receivers[0].domains, 2u);
  EXPECT_EQ(input.receivers[1].name, "mx.own.test");
  EXPECT_FALSE(input.receivers[1].is_provider);
  EXPECT_EQ(input.receivers[1].recipients, 15u);
  ASSERT_THAT(input.allowances, SizeIs(2));
  EXPECT_EQ(input.allowances[0].sites, 1u);
  EXPECT_EQ(input.allowances[0].rule, ResolveRule(*options, {}, std::vector<std::string>{"*.l.google.com"}));
}

TEST(ReceiverBuilder, CountsAProvidersSitesForTheLimitOfEach) {
  const OptionsPtr options = Parse("");
  ReceiverBuilder builder(*options);
  for (const char* tenant : {"a", "b", "c"}) {
    const dns::MxAnswer mx = Mx({std::string(tenant) + "-test.mail.protection.outlook.com"});
    builder.Add(std::string(tenant) + ".test", 1, &mx);
    builder.Add(std::string(tenant) + "2.test", 1, &mx);
  }
  PlanInput input;
  builder.Finish(input);
  ASSERT_THAT(input.allowances, SizeIs(1));
  EXPECT_EQ(input.allowances[0].sites, 3u);
  EXPECT_EQ(input.receivers[0].domains, 6u);
}

TEST(ReceiverBuilder, GivesADomainWithRulesItsOwnAllowanceBesideTheProviders) {
  const OptionsPtr options = Parse("[[rule]]\nmatch = \"vip.test\"\nmessage_rate = \"1/s\"\n");
  ReceiverBuilder builder(*options);
  const dns::MxAnswer google = Mx({"aspmx.l.google.com"});
  builder.Add("gmail.com", 100, &google);
  builder.Add("vip.test", 7, &google);
  PlanInput input;
  builder.Finish(input);
  ASSERT_THAT(input.receivers, SizeIs(2));
  EXPECT_EQ(input.receivers[1].name, "vip.test");
  ASSERT_THAT(input.receivers[1].allowances, SizeIs(2));
  EXPECT_EQ(input.allowances[input.receivers[1].allowances[0]].rule.message_rate->per_second, 1);
  EXPECT_EQ(input.receivers[1].allowances[1], input.receivers[0].allowances[0]);
}

TEST(ReceiverBuilder, LeavesOutDomainsThatTakeNoMail) {
  const OptionsPtr options = Parse("");
  ReceiverBuilder builder(*options);
  dns::MxAnswer none;
  none.status = dns::MxStatus::kNullMx;
  builder.Add("null.test", 3, &none);
  none.status = dns::MxStatus::kNoDomain;
  builder.Add("gone.test", 4, &none);
  none.status = dns::MxStatus::kFailed;
  builder.Add("lame.test", 5, &none);
  PlanInput input;
  builder.Finish(input);
  EXPECT_EQ(builder.refused(), 7u);
  ASSERT_THAT(input.receivers, SizeIs(1));
  EXPECT_EQ(input.receivers[0].name, "lame.test");
}

TEST(ReceiverBuilder, PutsSmallDomainsUnderTheSameLimitsTogether) {
  const OptionsPtr options = Parse("[[rule]]\nmatch = \"vip.test\"\nmessage_rate = \"1/s\"\n");
  ReceiverBuilder builder(*options);
  for (int i = 0; i < 1000; ++i) builder.AddSmall(fmt::format("d{}.test", i), i == 0 ? 10 : 2);
  builder.AddSmall("vip.test", 1);
  PlanInput input;
  builder.Finish(input);
  ASSERT_THAT(input.receivers, SizeIs(2));
  EXPECT_EQ(input.receivers[0].name, "vip.test");
  EXPECT_EQ(input.receivers[1].recipients, 2008u);
  EXPECT_EQ(input.receivers[1].domains, 1000u);
  EXPECT_NEAR(input.allowances[1].parallel, 200.8, 1e-9);
}

TEST(PlanSources, AreThosesOfThePoolAlikeOnesTogether) {
  const OptionsPtr options = Parse(
      "[[source]]\nname = \"b\"\nipv4 = \"127.0.0.2\"\nehlo_name = \"b.example.org\"\n"
      "[[source]]\nname = \"c\"\nipv4 = \"127.0.0.3\"\nehlo_name = \"c.example.org\"\nmessage_rate = \"5/s\"\n"
      "[[source]]\nname = \"d\"\nipv4 = \"127.0.0.4\"\nehlo_name = \"d.example.org\"\nwarm_up = 2026-11-20\n"
      "[[pool]]\nname = \"two\"\nsources = [\"b\", \"d\"]\n");
  const Wall start{std::chrono::sys_days(std::chrono::year(2026) / 11 / 24)};
  const auto all = PlanSourcesOf(*options, "default", start);
  ASSERT_THAT(all, SizeIs(3));
  EXPECT_EQ(all[0].name, "a, b");
  EXPECT_EQ(all[0].alike, 2);
  EXPECT_EQ(all[1].limits.rate, 5);
  EXPECT_EQ(all[2].warm_up_day, 4u);
  EXPECT_THAT(PlanSourcesOf(*options, "two", start), SizeIs(2));
  EXPECT_FALSE(PlanSourcesOf(*options, "two", start + std::chrono::days(40))[0].warm_up_day);
  EXPECT_TRUE(PlanSourcesOf(*options, "nobody", start).empty());
}

}  // namespace
}  // namespace postrider::tools
