#include "queue/suppression.h"

#include <gtest/gtest.h>

#include <random>

#include "queue/record.h"

namespace postrider::queue {
namespace {

using std::string_literals::operator""s;

Wall Moment(std::int64_t milliseconds) { return Wall(std::chrono::milliseconds(milliseconds)); }

Suppression Full() {
  return {.list = "newsletter",
          .address = "ana@example.org",
          .when = Moment(1'800'000'000'001),
          .origin = SuppressionOrigin::kRule,
          .who = "",
          .why = "no-such-user",
          .campaign = "2026-11-offer",
          .row = 4711,
          .site = "mx1.example.org",
          .provider = "Example",
          .reply = "550 5.1.1 no such user",
          .expires = Moment(1'900'000'000'000)};
}

Suppression ByHand() { return {.address = "ana@example.org", .when = Moment(1000), .who = "eve", .why = "asked"}; }
Suppression ByRule() {
  return {.address = "ana@example.org", .when = Moment(1000), .origin = SuppressionOrigin::kRule, .why = "rule"};
}

TEST(Suppressed, TakesAddressesAndDomainsInOneSpelling) {
  EXPECT_EQ(ParseSuppressed("Ana.Maria+News@Example.ORG").value(), "ana.maria+news@example.org");
  EXPECT_EQ(ParseSuppressed("ana@b\xc3\xbc"
                            "cher.example")
                .value(),
            "ana@xn--bcher-kva.example");
  EXPECT_EQ(ParseSuppressed("@Example.org").value(), "@example.org");
  EXPECT_EQ(ParseSuppressed("Example.org").value(), "@example.org");
  EXPECT_EQ(ParseSuppressed("@localhost").value(), "@localhost");
  EXPECT_EQ(ParseSuppressed("\"a@b\"@example.org").value(), "\"a@b\"@example.org");
  EXPECT_EQ(ParseSuppressed("ana@[192.0.2.1]").value(), "ana@[192.0.2.1]");
  EXPECT_EQ(SuppressedAddress("\"A@B\"@example.org"), "\"a@b\"@example.org");
}

TEST(Suppressed, RefusesWhatIsNeither) {
  for (const std::string& text :
       {""s, "@"s, "nobody"s, "null"s, "a b@example.org"s, "ana@"s, "@@example.org"s, "ana@example..org"s,
        "a\0b@x.org"s, "@a\0b.org"s, "\xff\xfe@example.org"s, "<ana@example.org>"s, "ana@example.org,eve@example.org"s,
        std::string(65, 'a') + "@example.org", "a@" + std::string(300, 'b') + ".org"}) {
    const auto parsed = ParseSuppressed(text);
    ASSERT_FALSE(parsed) << text;
    EXPECT_EQ(parsed.error().code, ErrorCode::kInvalid);
    EXPECT_FALSE(parsed.error().message.empty());
  }
}

TEST(Suppression, GivesWayToAStrongerOrLongerOne) {
  struct Case {
    const char* what;
    Suppression fresh, old;
    bool supersedes;
  };
  const auto until = [](Suppression entry, std::int64_t end) {
    entry.expires = Moment(end);
    return entry;
  };
  for (const Case& one : {
           Case{"a rule says again what it said", ByRule(), ByRule(), false},
           Case{"an operator over a rule", ByHand(), ByRule(), true},
           Case{"an operator for a while, over a rule", until(ByHand(), 5000), ByRule(), true},
           Case{"a rule over an operator", ByRule(), ByHand(), false},
           Case{"a rule over an operator's for a while", ByRule(), until(ByHand(), 5000), false},
           Case{"a rule over what has expired", ByRule(), until(ByHand(), 1000), true},
           Case{"for ever over for a while", ByHand(), until(ByHand(), 5000), true},
           Case{"for a while over for ever", until(ByHand(), 5000), ByHand(), false},
           Case{"longer over shorter", until(ByHand(), 5001), until(ByHand(), 5000), true},
           Case{"the same end", until(ByHand(), 5000), until(ByHand(), 5000), false},
       }) {
    EXPECT_EQ(Supersedes(one.fresh, one.old), one.supersedes) << one.what;
  }
}

TEST(Suppression, CountsUntilItsEnd) {
  Suppression entry = ByHand();
  EXPECT_FALSE(entry.Expired(Moment(1'000'000'000'000'000)));
  entry.expires = Moment(2000);
  EXPECT_FALSE(entry.Expired(Moment(1999)));
  EXPECT_TRUE(entry.Expired(Moment(2000)));
  EXPECT_FALSE(HasExpired(EncodeSuppression(entry), Moment(1999)).value());
  EXPECT_TRUE(HasExpired(EncodeSuppression(entry), Moment(2000)).value());
  EXPECT_FALSE(HasExpired(EncodeSuppression(ByHand()), Moment(2000)).value());
}

TEST(SuppressionQuery, HoldsAllItsConditions) {
  const Suppression entry = Full();
  EXPECT_TRUE(SuppressionQuery{}.Matches(entry));
  EXPECT_TRUE((SuppressionQuery{.list = "newsletter",
                                .domain = "example.org",
                                .origin = SuppressionOrigin::kRule,
                                .rule = "no-such-user",
                                .site = "mx1.example.org",
                                .provider = "Example",
                                .since = entry.when,
                                .until = entry.when + std::chrono::milliseconds(1),
                                .valid_at = entry.when}
                   .Matches(entry)));
  EXPECT_FALSE(SuppressionQuery{.list = ""}.Matches(entry));
  EXPECT_FALSE(SuppressionQuery{.domain = "xample.org"}.Matches(entry));
  EXPECT_FALSE(SuppressionQuery{.origin = SuppressionOrigin::kHand}.Matches(entry));
  EXPECT_FALSE(SuppressionQuery{.rule = "other"}.Matches(entry));
  EXPECT_FALSE(SuppressionQuery{.site = "mx2.example.org"}.Matches(entry));
  EXPECT_FALSE(SuppressionQuery{.provider = "Other"}.Matches(entry));
  EXPECT_FALSE(SuppressionQuery{.since = entry.when + std::chrono::milliseconds(1)}.Matches(entry));
  EXPECT_FALSE(SuppressionQuery{.until = entry.when}.Matches(entry));
  EXPECT_FALSE(SuppressionQuery{.valid_at = entry.expires}.Matches(entry));
  // The words of an operator are no rule's name.
  Suppression by_hand = entry;
  by_hand.origin = SuppressionOrigin::kHand;
  EXPECT_FALSE(SuppressionQuery{.rule = "no-such-user"}.Matches(by_hand));
}

TEST(SuppressionKey, TellsListsDomainsAndAddressesApart) {
  EXPECT_EQ(SuppressionKey("", "ana@example.org"), "e\0example.org\0ana"s);
  EXPECT_EQ(SuppressionKey("offers", "ANA@example.org"), "eoffers\0example.org\0ana"s);
  EXPECT_EQ(SuppressionKey("", "@example.org"), "e\0example.org\0"s);
  EXPECT_EQ(SuppressionKey("", "\"a@b\"@example.org"), "e\0example.org\0\"a@b\""s);
  for (const auto& [list, address] : {std::pair("", "ana@example.org"), std::pair("offers", "@example.org")}) {
    const std::string key = SuppressionKey(list, address);
    EXPECT_TRUE(key.starts_with(SuppressionListPrefix(list)));
    EXPECT_TRUE(key.starts_with(SuppressionDomainPrefix(list, "example.org")));
    const auto parts = ParseSuppressionKey(key);
    ASSERT_TRUE(parts);
    EXPECT_EQ(parts->list, list);
    EXPECT_EQ(parts->domain, "example.org");
  }
  // No list lies within another one, nor a domain.
  EXPECT_FALSE(SuppressionKey("a.b", "x@y.org").starts_with(SuppressionListPrefix("a")));
  EXPECT_FALSE(SuppressionKey("a", "x@y.org.uk").starts_with(SuppressionDomainPrefix("a", "y.org")));
}

TEST(SuppressionRecord, KeepsEverything) {
  const Suppression entry = Full();
  EXPECT_EQ(DecodeSuppression(SuppressionKey(entry.list, entry.address), EncodeSuppression(entry)).value(), entry);
  const Suppression plain = ByHand();
  EXPECT_EQ(DecodeSuppression(SuppressionKey("", plain.address), EncodeSuppression(plain)).value(), plain);

  const PastSuppression past{entry, SuppressionEnd::kReplaced, Moment(-5), "eve", "by mistake"};
  const auto read = DecodePastSuppression(EncodePastSuppression(past));
  ASSERT_TRUE(read);
  EXPECT_EQ(read->entry, entry);
  EXPECT_EQ(read->end, SuppressionEnd::kReplaced);
  EXPECT_EQ(read->when, Moment(-5));
  EXPECT_EQ(read->who, "eve");
  EXPECT_EQ(read->why, "by mistake");

  const ListCounts counts{5'000'000'000, 2, 3};
  EXPECT_EQ(DecodeListCounts(EncodeListCounts(counts)).value(), counts);
}

TEST(SuppressionRecord, ReadsEntriesOfTheFirstVersion) {
  Suppression entry = Full();
  entry.reply.clear();
  std::string value = EncodeSuppression(entry);
  // Its last field was the provider.
  value[0] = 1;
  value.pop_back();
  EXPECT_EQ(DecodeSuppression(SuppressionKey(entry.list, entry.address), value).value(), entry);
}

TEST(SuppressionRecord, CutsWordsThatAreTooLong) {
  Suppression entry = ByHand();
  entry.who = std::string(10'000, 'w');
  entry.why = std::string(10'000, 'y');
  const std::string value = EncodeSuppression(entry);
  EXPECT_LT(value.size(), 500u);
  const auto read = DecodeSuppression(SuppressionKey("", entry.address), value);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->why, std::string(kSuppressionTextMax, 'y'));
  EXPECT_EQ(read->who, std::string(kSuppressionNameMax, 'w'));
}

TEST(SuppressionRecord, RefusesDamage) {
  const std::string key = SuppressionKey("offers", "ana@example.org");
  const std::string value = EncodeSuppression(Full());
  const std::string past = EncodePastSuppression({Full(), SuppressionEnd::kRemoved, Moment(1), "a", "b"});
  const std::string counts = EncodeListCounts({1, 2, 3});
  for (std::size_t i = 0; i < value.size(); ++i) EXPECT_FALSE(DecodeSuppression(key, value.substr(0, i)));
  for (std::size_t i = 0; i < past.size(); ++i) EXPECT_FALSE(DecodePastSuppression(past.substr(0, i)));
  for (std::size_t i = 0; i < counts.size(); ++i) EXPECT_FALSE(DecodeListCounts(counts.substr(0, i)));
  EXPECT_FALSE(DecodeSuppression(key, value + "\0"s));
  EXPECT_FALSE(DecodePastSuppression(past + "x"));
  EXPECT_FALSE(DecodeListCounts(counts + "x"));
  for (const std::string& bad : {""s, "e"s, "e\0"s, "e\0\0a"s, "e\0a.test"s, "x\0a.test\0b"s, "e\0a.test\0b\0c"s,
                                 "e\0"s + std::string(300, 'a') + "\0b"s}) {
    EXPECT_FALSE(ParseSuppressionKey(bad));
    EXPECT_FALSE(DecodeSuppression(bad, value));
  }
  EXPECT_FALSE(ParseListCountsKey("e"));
  for (std::string other : {value, past, counts}) {
    other[0] = 9;
    EXPECT_FALSE(DecodeSuppression(key, other));
    EXPECT_FALSE(DecodePastSuppression(other));
    EXPECT_FALSE(DecodeListCounts(other));
    EXPECT_FALSE(HasExpired(other, Moment(0)));
  }
  EXPECT_FALSE(HasExpired("", Moment(0)));
}

TEST(SuppressionRecord, SurvivesAnyBytes) {
  std::mt19937_64 random(4711);
  const std::string key = SuppressionKey("", "ana@example.org");
  const std::string whole = EncodeSuppression(Full());
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes = whole;
    for (int changes = 0; changes < 3; ++changes) bytes[random() % bytes.size()] = static_cast<char>(random());
    const auto is_refusal = [](const auto& read) { return read || read.error().code == ErrorCode::kCorrupt; };
    EXPECT_TRUE(is_refusal(DecodeSuppression(key, bytes)));
    EXPECT_TRUE(is_refusal(DecodePastSuppression(bytes)));
    EXPECT_TRUE(is_refusal(HasExpired(bytes, Moment(0))));
    EXPECT_TRUE(is_refusal(ParseSuppressionKey(bytes)));
  }
}

}  // namespace
}  // namespace postrider::queue
