#include "config/email_address.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <random>
#include <string>

namespace postrider {
namespace {

using testing::HasSubstr;

std::string Repeat(std::size_t count, std::string_view text) {
  std::string repeated;
  for (std::size_t i = 0; i < count; ++i) repeated += text;
  return repeated;
}

struct Accepted {
  std::string text;
  std::string local;
  std::string domain;
  bool needs_smtputf8 = false;
};

class AcceptedAddress : public testing::TestWithParam<Accepted> {};

TEST_P(AcceptedAddress, IsSplitAndNormalised) {
  const Accepted& expected = GetParam();
  const Result<EmailAddress> address = EmailAddress::Parse(expected.text);
  ASSERT_TRUE(address.has_value()) << address.error().message;
  EXPECT_EQ(address->local, expected.local);
  EXPECT_EQ(address->domain, expected.domain);
  EXPECT_EQ(address->needs_smtputf8, expected.needs_smtputf8);
  // What came out is in its normal form already.
  const Result<EmailAddress> again = EmailAddress::Parse(ToString(*address));
  ASSERT_TRUE(again.has_value()) << again.error().message;
  EXPECT_EQ(*again, *address);
}

INSTANTIATE_TEST_SUITE_P(
    EmailAddress, AcceptedAddress,
    testing::Values(
        Accepted{"ana@example.org", "ana", "example.org"}, Accepted{"Ana.B@EXAMPLE.Org", "Ana.B", "example.org"},
        Accepted{"a@b", "a", "b"}, Accepted{"!#$%&'*+-/=?^_`{|}~@a-b.c0", "!#$%&'*+-/=?^_`{|}~", "a-b.c0"},
        Accepted{"x+tag@1and1.com", "x+tag", "1and1.com"}, Accepted{"\"ana\"@example.org", "ana", "example.org"},
        Accepted{R"("a\na"@example.org)", "ana", "example.org"},
        Accepted{R"("ana.b"@example.org)", "ana.b", "example.org"},
        Accepted{R"("ana..b"@example.org)", R"("ana..b")", "example.org"},
        Accepted{R"("a b"@example.org)", R"("a b")", "example.org"},
        Accepted{R"("a\ b"@example.org)", R"("a b")", "example.org"},
        Accepted{R"("a@b"@example.org)", R"("a@b")", "example.org"},
        Accepted{R"("\"\\"@example.org)", R"("\"\\")", "example.org"},
        Accepted{R"(""@example.org)", R"("")", "example.org"}, Accepted{"ana@[192.0.2.1]", "ana", "[192.0.2.1]"},
        Accepted{"ana@[IPv6:2001:DB8:0::1]", "ana", "[IPv6:2001:db8::1]"},
        Accepted{"ana@[ipv6:::1]", "ana", "[IPv6:::1]"}, Accepted{"jürgen@example.org", "jürgen", "example.org", true},
        Accepted{"\"jürgen\"@example.org", "jürgen", "example.org", true},
        Accepted{"\"jür gen\"@example.org", "\"jür gen\"", "example.org", true},
        Accepted{"ana@BÜCHER.example", "ana", "xn--bcher-kva.example"}, Accepted{"ana@faß.de", "ana", "xn--fa-hia.de"},
        Accepted{"ana@日本語。jp", "ana", "xn--wgv71a119e.jp"},
        Accepted{"ana@XN--Bcher-kva.example", "ana", "xn--bcher-kva.example"},
        // Registered under IDNA2003, refused by IDNA2008, and receiving mail.
        Accepted{"ana@xn--i-7iq.ws", "ana", "xn--i-7iq.ws"}, Accepted{"ana@r3---sn.com", "ana", "r3---sn.com"},
        Accepted{Repeat(64, "a") + "@example.org", Repeat(64, "a"), "example.org"},
        Accepted{"a@" + Repeat(63, "b") + ".org", "a", Repeat(63, "b") + ".org"},
        // 254 octets, the longest address; the domain has 252.
        Accepted{"a@" + Repeat(125, "b.") + "cc", "a", Repeat(125, "b.") + "cc"}));

class RefusedAddress : public testing::TestWithParam<std::string> {};

TEST_P(RefusedAddress, IsAnErrorThatCannotBreakALine) {
  const Result<EmailAddress> address = EmailAddress::Parse(GetParam());
  ASSERT_FALSE(address.has_value()) << ToString(*address);
  EXPECT_EQ(address.error().code, ErrorCode::kInvalid);
  for (char c : address.error().message) EXPECT_GE(static_cast<unsigned char>(c), 0x20);
  EXPECT_LT(address.error().message.size(), 400u);
}

INSTANTIATE_TEST_SUITE_P(
    EmailAddress, RefusedAddress,
    testing::Values(
        "", "@", "ana", "ana@", "@example.org", "ana@@example.org", "ana@b@example.org", " ana@example.org",
        "ana@example.org ", "ana @example.org", "ana@ example.org", "<ana@example.org>", "Ana <ana@example.org>",
        "ana@example.org,bob@example.org", "@relay.example:ana@example.org", "ana(comment)@example.org",
        ".ana@example.org", "ana.@example.org", "an..a@example.org", "an\"a@example.org", "ana\"b\"@example.org",
        "\"ana@example.org", "\"ana\"b@example.org", "\"ana\"", "\"ana\\", "\"ana\\\"@example.org",
        // Controls, wherever they may try to pass.
        "ana\r\n@example.org", "ana@example.org\r\nDATA", "ana@exa\nmple.org", "\"a\rb\"@example.org",
        "\"a\\\nb\"@example.org", "\"a\tb\"@example.org", "ana\x7f@example.org", std::string("a\0b@example.org", 15),
        std::string("\"a\0b\"@example.org", 17), std::string("ana@example.org\0", 16), "a\xc2\x85@example.org",
        "\"a\xc2\x8d\"@example.org",
        // UTF-8 that is none: a stray continuation, overlong, surrogate, beyond U+10FFFF, cut short.
        "a\x80@example.org", "a\xc0\xaf@example.org", "a\xe0\x80\x8a@example.org", "a\xf0\x80\x80\x8a@example.org",
        "a\xed\xa0\x80@example.org", "a\xf4\x90\x80\x80@example.org", "a\xff@example.org", "a\xe2\x82@example.org",
        "a\xc3", "\"a\xc3\"@example.org", "\"\\\xc3\xa9\"@example.org",
        "ana@b\xfc"
        "cher.example",
        // Domains.
        "ana@example..org", "ana@.example.org", "ana@example.org.", "ana@-example.org", "ana@example-.org",
        "ana@exa_mple.org", "ana@exa mple.org", "ana@exa/mple.org", "ana@192.0.2.1", "ana@example.123",
        "ana@b\xc3\xbc"
        "cher_.example",
        "ana@i\xe2\x9d\xa4.ws", "ana@\xe3\x80\x82.jp",
        "ana@a\xe2\x80\x8d"
        "b.com",
        "ana@" + Repeat(64, "b") + ".org", "a@" + Repeat(126, "b.") + "c", "a@" + Repeat(200, "b.") + "org",
        "a@" + Repeat(30, "\xc3\xbc\xc3\xbc\xc3\xbc\xc3\xbc.") + Repeat(300, "\xc3\xbc"),
        // Literals.
        "ana@[]", "ana@[192.0.2.1", "ana@192.0.2.1]", "ana@[192.0.2]", "ana@[192.0.2.256]", "ana@[192.0.2.01]",
        "ana@[2001:db8::1]", "ana@[IPv6:192.0.2.1]", "ana@[IPv6:]", "ana@[tag:content]", "ana@[192.0.2.1]x",
        "ana@[example.org]",
        // Lengths.
        Repeat(65, "a") + "@example.org", Repeat(33, "\xc3\xbc") + "@example.org",
        "\"" + Repeat(63, " ") + "\"@example.org", Repeat(64, "a") + "@" + Repeat(95, "b.") + "org",
        Repeat(100'000, "a") + "@example.org", "a@" + Repeat(100'000, "b.") + "org", "\"" + Repeat(100'000, "a")));

TEST(EmailAddress, LengthCountsAsItGoesOnTheWire) {
  // 64 octets between quotes that need no quotes are a local part of 64.
  EXPECT_TRUE(EmailAddress::Parse("\"" + Repeat(64, "a") + "\"@example.org").has_value());
  EXPECT_TRUE(EmailAddress::Parse("\"" + Repeat(62, " ") + "\"@example.org").has_value());
}

TEST(EmailAddress, ErrorSaysWhatIsWrongWithWhichAddress) {
  EXPECT_THAT(EmailAddress::Parse("ana.example.org").error().message,
              testing::AllOf(HasSubstr("\"ana.example.org\""), HasSubstr("\"@\" is missing")));
  EXPECT_THAT(EmailAddress::Parse("a@192.0.2.1").error().message, HasSubstr("[192.0.2.1]"));
}

TEST(EmailAddress, RandomOctetsNeverPassWithAControlInside) {
  std::mt19937 random(1);
  const std::string alphabet = std::string("\0\r\n\t\x7f\x85 \"\\@.[]-", 14) + "aZ9:\xc2\xc3\xbc\xe2\x9d\xa4\xf0xn";
  int accepted = 0;
  for (int round = 0; round < 200'000; ++round) {
    std::string text = "a";
    const std::size_t length = random() % 12;
    for (std::size_t i = 0; i < length; ++i) text += alphabet[random() % alphabet.size()];
    if (random() % 2 == 0) text += "@a.b";
    const Result<EmailAddress> address = EmailAddress::Parse(text);
    if (!address) continue;
    ++accepted;
    for (char c : ToString(*address)) ASSERT_TRUE(static_cast<unsigned char>(c) >= 0x20 && c != 0x7f) << text;
    ASSERT_EQ(EmailAddress::Parse(ToString(*address)), *address) << text;
  }
  EXPECT_GT(accepted, 1000);
}

TEST(ParseDomain, DropsOneTrailingDotAndLowersCase) {
  EXPECT_EQ(ParseDomain("MX1.Example.ORG."), "mx1.example.org");
  EXPECT_EQ(ParseDomain("example.org"), "example.org");
  EXPECT_FALSE(ParseDomain("example.org..").has_value());
  EXPECT_FALSE(ParseDomain(".").has_value());
  EXPECT_FALSE(ParseDomain("").has_value());
  EXPECT_FALSE(ParseDomain("[192.0.2.1]").has_value());
  EXPECT_FALSE(ParseDomain(std::string("example.org\0", 12)).has_value());
}

TEST(ParseDomain, TakesNamesOf253OctetsAndNotMore) {
  EXPECT_TRUE(ParseDomain(Repeat(126, "b.") + "c").has_value());
  EXPECT_FALSE(ParseDomain(Repeat(126, "b.") + "cc").has_value());
}

TEST(ParseMailDomain, TakesLiteralsButNoTrailingDot) {
  EXPECT_EQ(ParseMailDomain("[192.0.2.1]"), "[192.0.2.1]");
  EXPECT_FALSE(ParseMailDomain("example.org.").has_value());
}

}  // namespace
}  // namespace postrider
