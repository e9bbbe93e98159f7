#include "config/domain_pattern.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postrider {
namespace {

const std::vector<std::string> kMx = {"alt1.aspmx.l.google.com", "mx.example.net"};

DomainPattern Pattern(std::string_view text) {
  const Result<DomainPattern> pattern = DomainPattern::Parse(text);
  EXPECT_TRUE(pattern.has_value()) << text;
  return pattern.value_or(DomainPattern());
}

TEST(DomainPattern, ADomainMatchesItselfAlone) {
  const DomainPattern pattern = Pattern("Example.ORG");
  EXPECT_TRUE(pattern.Matches("example.org", kMx));
  EXPECT_FALSE(pattern.Matches("a.example.org", kMx));
  EXPECT_FALSE(pattern.Matches("notexample.org", kMx));
  EXPECT_EQ(pattern.text(), "Example.ORG");
}

TEST(DomainPattern, ASuffixMatchesWhatIsBelowItAndNotItself) {
  for (const char* text : {"*.example.org", ".example.org"}) {
    const DomainPattern pattern = Pattern(text);
    EXPECT_TRUE(pattern.Matches("a.example.org", kMx));
    EXPECT_TRUE(pattern.Matches("a.b.example.org", kMx));
    EXPECT_FALSE(pattern.Matches("example.org", kMx));
    EXPECT_FALSE(pattern.Matches("notexample.org", kMx));
    EXPECT_FALSE(pattern.Matches(".example.org", kMx));
  }
}

TEST(DomainPattern, MxPatternsLookAtTheHostsAlone) {
  EXPECT_TRUE(Pattern("mx:.google.com").Matches("example.org", kMx));
  EXPECT_TRUE(Pattern("mx:*.google.com").Matches("example.org", kMx));
  EXPECT_FALSE(Pattern("mx:.google.com").Matches("a.google.com", {}));
  EXPECT_FALSE(Pattern("mx:.oogle.com").Matches("example.org", kMx));
  EXPECT_TRUE(Pattern("mx:MX.example.net").Matches("example.org", kMx));
  EXPECT_FALSE(Pattern("mx:example.net").Matches("example.org", kMx));
}

TEST(DomainPattern, AProviderMatchesByItsNameAlone) {
  const DomainPattern pattern = Pattern("provider:yahoo-japan");
  EXPECT_EQ(pattern.provider(), "yahoo-japan");
  EXPECT_TRUE(pattern.Matches("example.org", kMx, "yahoo-japan"));
  EXPECT_FALSE(pattern.Matches("example.org", kMx, "yahoo"));
  EXPECT_FALSE(pattern.Matches("example.org", kMx));
  EXPECT_EQ(Pattern("mx:google").provider(), "");
}

TEST(DomainPattern, HasOneSpellingOfWhatMeansTheSame) {
  EXPECT_EQ(Pattern("Example.ORG").Canonical(), "example.org");
  EXPECT_EQ(Pattern(".Example.ORG").Canonical(), "*.example.org");
  EXPECT_EQ(Pattern("*.bücher.example").Canonical(), "*.xn--bcher-kva.example");
  EXPECT_EQ(Pattern("mx:*.google.com").Canonical(), "mx:.google.com");
  EXPECT_EQ(Pattern("mx:MX1.example.org").Canonical(), "mx:mx1.example.org");
  for (const char* text : {"*", "provider:google", "example.org", "*.example.org", "mx:.google.com", "mx:a.b"}) {
    EXPECT_EQ(Pattern(text).Canonical(), text);
  }
}

TEST(DomainPattern, EverythingMatchesWithoutMx) {
  EXPECT_TRUE(Pattern("*").Matches("example.org", {}));
  EXPECT_TRUE(DomainPattern().Matches("", {}));
  EXPECT_EQ(DomainPattern().text(), "*");
}

TEST(DomainPattern, AnAddressLiteralIsADomainInOneSpelling) {
  EXPECT_TRUE(Pattern("[IPv6:2001:DB8::1]").Matches("[IPv6:2001:db8::1]", {}));
}

TEST(DomainPattern, InternationalNamesMatchTheirALabels) {
  EXPECT_TRUE(Pattern("*.bücher.example").Matches("a.xn--bcher-kva.example", {}));
}

TEST(DomainPattern, MoreSpecificIsLarger) {
  const char* ascending[] = {"*",
                             "provider:google",
                             "mx:.com",
                             "mx:.google.com",
                             "mx:mx.google.com",
                             "*.com",
                             "*.example.com",
                             ".a-much-longer.example.com",
                             "a.com"};
  for (std::size_t i = 1; i < std::size(ascending); ++i) {
    EXPECT_LT(Pattern(ascending[i - 1]).Specificity(), Pattern(ascending[i]).Specificity()) << ascending[i];
  }
  // Of exact names none lies within another.
  EXPECT_EQ(Pattern("mx:a.com").Specificity(), Pattern("mx:mx.google.com").Specificity());
  const std::string longest = std::string("*.") + std::string(63, 'a') + "." + std::string(63, 'b') + "." +
                              std::string(63, 'c') + "." + std::string(61, 'd');
  EXPECT_LT(Pattern(longest).Specificity(), Pattern("a.b").Specificity());
}

TEST(DomainPattern, RefusesWhatIsNoPattern) {
  for (std::string text : {"",
                           ".",
                           "*.",
                           "**",
                           "*example.org",
                           "a.*.org",
                           "mx:",
                           "mx:*",
                           "mx:.",
                           "mx:*.",
                           "MX:a.com",
                           "..a.com",
                           "*..a.com",
                           "*.*.a.com",
                           ".*.a.com",
                           "a b",
                           "a.com\n",
                           "[300.1.1.1]",
                           "mx:[192.0.2.1]",
                           "*.[192.0.2.1]",
                           "user@a.com",
                           "192.0.2.1",
                           "provider:",
                           "provider:Google",
                           "provider:a b",
                           "provider:*",
                           "provider:.google.com\n",
                           "Provider:google"}) {
    EXPECT_FALSE(DomainPattern::Parse(text).has_value()) << text;
  }
  EXPECT_FALSE(DomainPattern::Parse(std::string("a\0.com", 6)).has_value());
  EXPECT_FALSE(DomainPattern::Parse(std::string(100'000, 'a')).has_value());
}

}  // namespace
}  // namespace postrider
