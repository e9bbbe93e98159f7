#include "config/provider.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <random>
#include <set>
#include <string>

#include "config/load.h"
#include "config/options.h"
#include "config/rules.h"

namespace postrider {
namespace {

using testing::AllOf;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::StartsWith;

const ProviderTable& Shipped() { return *ProviderTable::Shipped(); }

EffectiveRule RuleFor(const Options& options, const std::string& mx_host) {
  return ResolveRule(options, "example.org", std::vector<std::string>{mx_host});
}

TEST(Provider, IsKnownByTheSuffixOfItsMx) {
  for (const auto& [host, name] : {std::pair("gmail-smtp-in.l.google.com", "google"),
                                   {"aspmx5.googlemail.com", "google"},
                                   {"hotmail-com.olc.protection.outlook.com", "microsoft"},
                                   {"contoso-com.mail.protection.outlook.com", "microsoft365"},
                                   {"contoso-com.a-v1.mx.microsoft", "microsoft365"},
                                   {"mta5.am0.yahoodns.net", "yahoo"},
                                   {"mx-eu.mail.am0.yahoodns.net", "yahoo"},
                                   {"mx01.mail.icloud.com", "apple"},
                                   {"mx00.emig.gmx.net", "gmx"},
                                   {"mx-ha02.web.de", "gmx"},
                                   {"163mx01.mxmail.netease.com", "netease"},
                                   {"eu-smtp-inbound-1.mimecast.com", "mimecast"},
                                   {"mxa-00.pphosted.com", "proofpoint"},
                                   {"mx1.hc1.iphmx.com", "cisco"},
                                   {"smtp-in.orange.fr", "orange"}}) {
    EXPECT_EQ(Shipped().OfMx(host), name) << host;
  }
}

TEST(Provider, OthersAreUnknown) {
  for (const char* host : {"", ".", "..", "google.com", ".google.com", "mx.example.org", "mx.notgoogle.com",
                           "mx.google.com.example.org", "com", "outlook.com", "mx.google.com."}) {
    EXPECT_EQ(Shipped().OfMx(host), "") << host;
  }
  EXPECT_EQ(Shipped().OfMx(std::string(100'000, '.')), "");
  EXPECT_EQ(Shipped().OfMxSet({}), "");
}

TEST(Provider, TheShippedOnesKeepTheirNames) {
  for (const char* name :
       {"google",   "microsoft", "microsoft365", "yahoo",    "apple", "comcast", "gmx",     "orange", "yahoo-japan",
        "qq",       "netease",   "naver",        "mimecast", "cisco", "free",    "laposte", "sfr",    "barracuda",
        "t-online", "libero",    "seznam",       "wp",       "kpn",   "yandex",  "mailru",  "ziggo",  "proofpoint"}) {
    const ProviderOptions* provider = Shipped().Find(name);
    ASSERT_NE(provider, nullptr) << name;
    // All these have limits of their own.
    const bool has_rule = std::ranges::any_of(Shipped().rules(), [&](const RuleOptions& rule) {
      return rule.match.provider() == name && rule.origin.layer == RuleLayer::kShipped && rule.origin.line > 0;
    });
    EXPECT_TRUE(has_rule) << name;
  }
}

TEST(Provider, PeopleCallItByOtherNames) {
  for (const auto& [said, name] : {std::pair("gmail", "google"),
                                   {"Gmail", "google"},
                                   {"google", "google"},
                                   {"outlook", "microsoft"},
                                   {"hotmail", "microsoft"},
                                   {"icloud", "apple"},
                                   {"aol", "yahoo"},
                                   {"gmx/web.de", "gmx"},
                                   {"163", "netease"},
                                   {"mail.ru", "mailru"},
                                   {"free.fr", "free"},
                                   {"t-online", "t-online"},
                                   {"Office365", "microsoft365"}}) {
    ASSERT_NE(Shipped().FindByAnyName(said), nullptr) << said;
    EXPECT_EQ(Shipped().FindByAnyName(said)->name, name) << said;
  }
  EXPECT_EQ(Shipped().FindByAnyName("unknown"), nullptr);
  EXPECT_EQ(Shipped().FindByAnyName(""), nullptr);
  EXPECT_EQ(Shipped().FindByAnyName(std::string(100'000, 'a')), nullptr);
  EXPECT_EQ(Shipped().Find("gmail"), nullptr);
}

TEST(Provider, TheShippedRulesHoldWhereTheFileSaysNothing) {
  const EffectiveRule google = RuleFor(Options(), "gmail-smtp-in.l.google.com");
  EXPECT_EQ(google.connections, 5);
  EXPECT_EQ(google.messages_per_connection, 50);
  EXPECT_EQ(google.tls, TlsDemand::kRequired);
  EXPECT_EQ(google.start_connections, 2);
  const EffectiveRule tenant = RuleFor(Options(), "contoso-com.mail.protection.outlook.com");
  EXPECT_EQ(tenant.connections, 50);
  EXPECT_EQ(tenant.site_connections, 3);
  EXPECT_EQ(tenant.connect_rate, RateLimit{10});
  EXPECT_EQ(RuleFor(Options(), "mx3.qq.com").messages_per_connection, 8);
  EXPECT_EQ(RuleFor(Options(), "mta5.am0.yahoodns.net").connect_rate, std::nullopt);
  EXPECT_EQ(RuleFor(Options(), "mx1.mail.yahoo.co.jp").message_rate, RateLimit{10});
}

constexpr std::string_view kSource = "[[source]]\nname = \"a\"\nipv4 = \"192.0.2.1\"\nehlo_name = \"a.org\"\n";

OptionsPtr Load(std::string_view toml) {
  const auto options = ParseOptions(std::string(toml) + std::string(kSource), "test.toml", "/");
  if (options) return *options;
  for (const Diagnostic& diagnostic : options.error()) ADD_FAILURE() << ToString(diagnostic);
  return std::make_shared<const Options>();
}

std::vector<std::string> Problems(std::string_view toml) {
  std::vector<std::string> problems;
  const auto options = ParseOptions(std::string(toml) + std::string(kSource), "test.toml", "/");
  if (options) return problems;
  for (const Diagnostic& diagnostic : options.error()) problems.push_back(ToString(diagnostic));
  return problems;
}

TEST(Provider, AnOperatorsRuleComesBeforeTheShippedOne) {
  const OptionsPtr options = Load(
      "[[rule]]\nmatch = \"*\"\nconnections = 20\nsite_connections = 4\n"
      "[[rule]]\nmatch = \"provider:google\"\nmessages_per_connection = 7\n");
  const EffectiveRule rule = RuleFor(*options, "aspmx.l.google.com");
  EXPECT_EQ(rule.messages_per_connection, 7);
  // The shipped one is more specific than the operator's "*".
  EXPECT_EQ(rule.connections, 5);
  EXPECT_EQ(rule.site_connections, 4);
}

TEST(Provider, AnOperatorAddsAndReplacesProviders) {
  const OptionsPtr options = Load(R"([[provider]]
name = "hosting-example"
mx = [".MX.example.net", "mail.example.com", ".aspmx.l.google.com"]
aliases = ["Example Hosting", "yahoo mail"]
notes = "ours"
[[provider]]
name = "google"
mx = [".google.com"]
[[rule]]
match = "provider:hosting-example"
connections = 3
)");
  const ProviderTable& table = options->Providers();
  EXPECT_EQ(table.OfMx("a.mx.example.net"), "hosting-example");
  EXPECT_EQ(table.OfMx("mail.example.com"), "hosting-example");
  EXPECT_EQ(table.OfMx("a.mail.example.com"), "");
  // The longer suffix counts, whoever came first.
  EXPECT_EQ(table.OfMx("alt1.aspmx.l.google.com"), "hosting-example");
  EXPECT_EQ(table.OfMx("aspmx.l.google.com"), "google");
  // Replaced as a whole: the other suffix and the other names are gone, the shipped limits are not.
  EXPECT_EQ(table.OfMx("aspmx5.googlemail.com"), "");
  EXPECT_EQ(table.FindByAnyName("gmail"), nullptr);
  EXPECT_EQ(RuleFor(*options, "aspmx.l.google.com").connections, 5);
  EXPECT_EQ(RuleFor(*options, "mail.example.com").connections, 3);
  EXPECT_EQ(table.FindByAnyName("EXAMPLE hosting")->name, "hosting-example");
  EXPECT_EQ(table.Find("hosting-example")->file, "test.toml");
  EXPECT_EQ(table.Find("hosting-example")->line, 1);
  EXPECT_EQ(table.OfMx("mx3.qq.com"), "qq");
}

TEST(Provider, WhatIsWrongWithOneIsSaid) {
  EXPECT_THAT(Problems("[[rule]]\nmatch = \"provider:googel\"\n"),
              ElementsAre(AllOf(StartsWith("test.toml:2:9: no provider is called \"googel\""),
                                HasSubstr("did you mean \"provider:google\"?"))));
  EXPECT_THAT(Problems("[[rule]]\nmatch = \"provider:gmail\"\n"),
              ElementsAre(HasSubstr("did you mean \"provider:google\"?")));
  EXPECT_THAT(Problems("[[rule]]\nmatch = \"provider:zzzzzzzz\"\n"),
              ElementsAre(HasSubstr("\"zzzzzzzz\"; `postrider")));
  EXPECT_THAT(Problems("[[provider]]\nname = \"A\"\nmx = [\".a.org\"]\n"),
              ElementsAre(AllOf(StartsWith("test.toml:2:8"), HasSubstr("lower-case"))));
  EXPECT_THAT(Problems("[[provider]]\nname = \"a\"\nmx = []\n"), ElementsAre(HasSubstr("at least one suffix")));
  EXPECT_THAT(Problems("[[provider]]\nname = \"a\"\n"), ElementsAre(HasSubstr("[[provider]] needs mx")));
  for (const char* mx : {"*", "a b", "", "mx:.a.org", "[192.0.2.1]", "provider:a"}) {
    EXPECT_THAT(Problems("[[provider]]\nname = \"a\"\nmx = [\"" + std::string(mx) + "\"]\n"),
                ElementsAre(AllOf(StartsWith("test.toml:3:6"), HasSubstr("expected a suffix"))))
        << mx;
  }
  EXPECT_THAT(Problems("[[provider]]\nname = \"a\"\nmx = [\".a.org\"]\naliases = [\"\"]\n"),
              ElementsAre(HasSubstr("a word of 1 to 64 octets")));
  EXPECT_THAT(
      Problems("[[provider]]\nname = \"a\"\nmx = [\".a.org\"]\n[[provider]]\nname = \"a\"\nmx = [\".b.org\"]\n"),
      ElementsAre(AllOf(StartsWith("test.toml:5:8"), HasSubstr("taken by the [[provider]] a of line 1"))));
  EXPECT_THAT(
      Problems("[[provider]]\nname = \"a\"\nmx = [\".a.org\"]\n[[provider]]\nname = \"b\"\nmx = [\"*.A.org\"]\n"),
      ElementsAre(AllOf(StartsWith("test.toml:6:6"), HasSubstr("taken by the [[provider]] a of line 1"))));
  EXPECT_THAT(Problems("[[provider]]\nname = \"a\"\nmx = [\".a.org\"]\naliases = [\"b\"]\n"
                       "[[provider]]\nname = \"b\"\nmx = [\".b.org\"]\n"),
              ElementsAre(AllOf(StartsWith("test.toml:4:11"), HasSubstr("taken by the [[provider]] b of line 5"))));
}

TEST(Provider, AFileOfProvidersHoldsNothingElse) {
  const auto problems = [](std::string_view toml) {
    std::vector<std::string> found;
    const auto table = ParseProviders(toml, "p.toml");
    if (table) return found;
    for (const Diagnostic& diagnostic : table.error()) found.push_back(ToString(diagnostic));
    return found;
  };
  EXPECT_THAT(problems("[engine]\ncores = 1\n"), ElementsAre(StartsWith("p.toml:1:2: expected [[provider]] and")));
  EXPECT_THAT(problems("provider = 1\n"), ElementsAre(HasSubstr("two brackets")));
  EXPECT_THAT(problems("[[provider\n"), ElementsAre(StartsWith("p.toml:")));
  EXPECT_THAT(problems("[[rule]]\nmatch = \"provider:google\"\n"), ElementsAre(HasSubstr("no provider is called")));
  const auto table = ParseProviders("[[provider]]\nname = \"a\"\nmx = [\".a.org\"]\n", "p.toml");
  ASSERT_TRUE(table.has_value());
  EXPECT_EQ((*table)->OfMx("mx.a.org"), "a");
}

TEST(Provider, TheShippedFileIsInOrder) {
  const auto table = ParseProviders(ShippedProviders(), kShippedProvidersName);
  ASSERT_TRUE(table.has_value()) << ToString(table.error().front());
  std::set<std::string> suffixes;
  for (const ProviderOptions& provider : (*table)->providers()) {
    for (const std::string& mx : provider.mx) {
      EXPECT_TRUE(mx.starts_with('.')) << mx;
      EXPECT_TRUE(suffixes.insert(mx).second) << mx;
      EXPECT_EQ((*table)->OfMx("mx1" + mx), provider.name);
    }
  }
  for (const RuleOptions& rule : (*table)->rules()) {
    EXPECT_NE(rule.match.provider(), "") << rule.match.text();
    EXPECT_EQ(rule.origin.file, kShippedProvidersName);
  }
}

TEST(Provider, MangledFilesNeverDoWorseThanADiagnostic) {
  std::mt19937 random(11);
  const std::string bytes = "[]\"'=#.,{}\n\\ 0azZ-\x01\xff";
  for (int round = 0; round < 100; ++round) {
    std::string text(ShippedProviders());
    for (int i = 0; i < 5; ++i) text[random() % text.size()] = bytes[random() % bytes.size()];
    if (random() % 3 == 0) text.resize(random() % text.size());
    const auto table = ParseProviders(text, "x");
    if (!table) {
      EXPECT_FALSE(table.error().empty());
    }
  }
}

}  // namespace
}  // namespace postrider
