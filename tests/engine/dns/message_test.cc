#include "engine/dns/message.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "engine/io/random.h"
#include "tests/engine/dns/dns_message.h"

namespace postrider::dns {
namespace {

using testing::HasSubstr;

ParsedReply Parse(const std::string& message, std::string_view name, RecordType type) {
  return ParseReply(std::as_bytes(std::span(message)), name, type);
}

std::string Names(const RecordSet& records) {
  std::string names;
  for (const MxHost& host : UnpackMx(records.packed)) names += std::to_string(host.preference) + " " + host.name + ";";
  return names;
}

std::vector<IpAddress> Addresses(RecordType type, const RecordSet& records) {
  std::vector<IpAddress> addresses;
  UnpackAddresses(type, records.packed, addresses);
  return addresses;
}

TEST(CanonicalName, AcceptsHostNamesOnly) {
  const std::string label63(63, 'a');
  const std::string longest = label63 + "." + label63 + "." + label63 + "." + std::string(61, 'a');
  const std::pair<std::string, std::string> cases[] = {
      {"example.org", "example.org"},
      {"EXAMPLE.Org.", "example.org"},
      {"_dmarc.mail_1.example.org", "_dmarc.mail_1.example.org"},
      {"org", "org"},
      {label63 + ".org", label63 + ".org"},
      {"a" + label63 + ".org", ""},
      {longest, longest},
      {longest + "a", ""},
      {"", ""},
      {".", ""},
      {"a..b", ""},
      {".a", ""},
      {"a..", ""},
      {"a b.org", ""},
      {"a\\.b", ""},
      {std::string("a\0b.org", 7), ""},
      {"a\r\n.org", ""},
      {"bücher.example", ""},
      {"[192.0.2.1]", ""},
  };
  for (const auto& [text, expected] : cases) EXPECT_EQ(CanonicalName(text), expected) << text;
}

TEST(ParseReply, ReadsMxRecordsInTheOrderOfPreference) {
  const auto parsed = Parse(MakeReply("example.org", kTypeMx,
                                      Sections()
                                          .Answer(Mx("example.org", 20, "b.example.org", 500))
                                          .Answer(Mx("Example.ORG", 10, "A.example.org", 300))
                                          .Answer(Mx("other.org", 1, "not.mine"))
                                          .Answer(Mx("example.org", 20, "c.example.org", 400)),
                                      {.authentic = true}),
                            "example.org", RecordType::kMx);
  EXPECT_EQ(parsed.records.status, RecordStatus::kFound);
  EXPECT_EQ(Names(parsed.records), "10 a.example.org;20 b.example.org;20 c.example.org;");
  EXPECT_EQ(parsed.records.ttl, 300);
  EXPECT_TRUE(parsed.records.authentic);
}

TEST(ParseReply, ReadsAddresses) {
  const auto ipv4 = Parse(
      MakeReply("a.org", kTypeA, Sections().Answer(A("a.org", {192, 0, 2, 1})).Answer(A("a.org", {192, 0, 2, 2}, 9))),
      "a.org", RecordType::kA);
  ASSERT_EQ(Addresses(RecordType::kA, ipv4.records).size(), 2);
  EXPECT_EQ(ToString(Addresses(RecordType::kA, ipv4.records)[1]), "192.0.2.2");
  EXPECT_EQ(ipv4.records.ttl, 9);
  EXPECT_FALSE(ipv4.records.authentic);

  const auto ipv6 =
      Parse(MakeReply("a.org", kTypeAaaa, Sections().Answer(Aaaa("a.org", 1))), "a.org", RecordType::kAaaa);
  ASSERT_EQ(Addresses(RecordType::kAaaa, ipv6.records).size(), 1);
  EXPECT_EQ(ToString(Addresses(RecordType::kAaaa, ipv6.records)[0]), "::1");
}

TEST(ParseReply, FollowsAliasesInAnyOrder) {
  const auto parsed = Parse(MakeReply("a.org", kTypeA,
                                      Sections()
                                          .Answer(A("c.org", {192, 0, 2, 1}))
                                          .Answer(Cname("b.org", "c.org", 30))
                                          .Answer(Cname("a.org", "b.org"))),
                            "a.org", RecordType::kA);
  EXPECT_EQ(parsed.records.status, RecordStatus::kFound);
  EXPECT_EQ(parsed.records.ttl, 30);
}

TEST(ParseReply, AsksAgainWhereTheServerLeftAnAliasOpen) {
  const auto open =
      Parse(MakeReply("a.org", kTypeMx, Sections().Answer(Cname("a.org", "b.org", 30))), "a.org", RecordType::kMx);
  EXPECT_EQ(open.continue_at, "b.org");
  const auto ended =
      Parse(MakeReply("a.org", kTypeMx, Sections().Answer(Cname("a.org", "b.org", 30)).Authority(Soa("b.org", 60, 60))),
            "a.org", RecordType::kMx);
  EXPECT_EQ(ended.continue_at, "") << "the SOA says that b.org has none";
  EXPECT_EQ(ended.records.status, RecordStatus::kNoData);
  EXPECT_EQ(ended.records.ttl, 30);
}

TEST(ParseReply, BoundsAliases) {
  const auto loop =
      Parse(MakeReply("a.org", kTypeA, Sections().Answer(Cname("a.org", "b.org")).Answer(Cname("b.org", "a.org"))),
            "a.org", RecordType::kA);
  EXPECT_EQ(loop.records.status, RecordStatus::kFailed);
  EXPECT_THAT(loop.records.problem, HasSubstr("CNAME"));

  Sections chain;
  for (int i = 0; i < 9; ++i) {
    chain.Answer(Cname("n" + std::to_string(i) + ".org", "n" + std::to_string(i + 1) + ".org"));
  }
  chain.Answer(A("n9.org", {192, 0, 2, 1}));
  EXPECT_EQ(Parse(MakeReply("n0.org", kTypeA, chain), "n0.org", RecordType::kA).records.status, RecordStatus::kFailed);
  EXPECT_EQ(Parse(MakeReply("n1.org", kTypeA, chain), "n1.org", RecordType::kA).records.status, RecordStatus::kFound);
}

TEST(ParseReply, TellsNoDomainFromNoData) {
  const Sections negative = Sections().Authority(Soa("org", 900, 120));
  const auto no_domain = Parse(MakeReply("a.org", kTypeMx, negative, {.code = 3}), "a.org", RecordType::kMx);
  EXPECT_EQ(no_domain.records.status, RecordStatus::kNoDomain);
  EXPECT_EQ(no_domain.records.ttl, 120) << "the smaller of the SOA's TTL and its minimum";
  const auto no_data = Parse(MakeReply("a.org", kTypeMx, negative), "a.org", RecordType::kMx);
  EXPECT_EQ(no_data.records.status, RecordStatus::kNoData);
  const auto silent = Parse(MakeReply("a.org", kTypeMx, Sections()), "a.org", RecordType::kMx);
  EXPECT_EQ(silent.records.status, RecordStatus::kNoData);
  EXPECT_EQ(silent.records.ttl, 0) << "no SOA, nothing to remember";
}

TEST(ParseReply, NamesTheErrorOfTheServer) {
  const auto parsed = Parse(MakeReply("a.org", kTypeMx, Sections(), {.code = 2}), "a.org", RecordType::kMx);
  EXPECT_EQ(parsed.records.status, RecordStatus::kFailed);
  EXPECT_THAT(parsed.records.problem, HasSubstr("SERVFAIL"));
  EXPECT_THAT(parsed.records.problem, HasSubstr("MX of a.org"));
}

TEST(ParseReply, ANullMxStandsAlone) {
  const auto alone =
      Parse(MakeReply("a.org", kTypeMx, Sections().Answer(Mx("a.org", 0, ""))), "a.org", RecordType::kMx);
  EXPECT_EQ(alone.records.status, RecordStatus::kFound);
  EXPECT_EQ(Names(alone.records), "0 ;");
  const auto mixed =
      Parse(MakeReply("a.org", kTypeMx, Sections().Answer(Mx("a.org", 0, "")).Answer(Mx("a.org", 10, "mx.a.org"))),
            "a.org", RecordType::kMx);
  EXPECT_EQ(Names(mixed.records), "10 mx.a.org;");
}

TEST(ParseReply, LeavesOutMxHostsThatAreNoHostNames) {
  const auto some = Parse(
      MakeReply("a.org", kTypeMx, Sections().Answer(Mx("a.org", 5, "bad host")).Answer(Mx("a.org", 10, "mx.a.org"))),
      "a.org", RecordType::kMx);
  EXPECT_EQ(Names(some.records), "10 mx.a.org;");
  const auto none =
      Parse(MakeReply("a.org", kTypeMx, Sections().Answer(Mx("a.org", 5, "bad\nhost"))), "a.org", RecordType::kMx);
  EXPECT_EQ(none.records.status, RecordStatus::kFailed) << "there are MX records: the domain itself is no host";
  EXPECT_THAT(none.records.problem, HasSubstr("none names a usable host"));
  // A label with a dot inside is not the two labels it looks like.
  const std::string dotted = std::string("\7mx.a.or", 8) + '\0';
  const auto spoofed =
      Parse(MakeReply("a.org", kTypeMx, Sections().Answer(MakeRecord("a.org", kTypeMx, 60, Two(5) + dotted))), "a.org",
            RecordType::kMx);
  EXPECT_EQ(spoofed.records.status, RecordStatus::kFailed);
}

TEST(ParseReply, KeepsTheBestOfTooMany) {
  Sections many;
  for (int i = 0; i < 300; ++i) {
    many.Answer(Mx("a.org", 1000U - static_cast<unsigned>(i), "m" + std::to_string(i) + ".org"));
  }
  const auto hosts = UnpackMx(Parse(MakeReply("a.org", kTypeMx, many), "a.org", RecordType::kMx).records.packed);
  ASSERT_EQ(hosts.size(), kMaxMxHosts);
  EXPECT_EQ(hosts[0].name, "m299.org");

  Sections addresses;
  for (int i = 0; i < 300; ++i) addresses.Answer(A("a.org", {10, 0, i / 256, i % 256}));
  const auto parsed = Parse(MakeReply("a.org", kTypeA, addresses), "a.org", RecordType::kA);
  EXPECT_EQ(Addresses(RecordType::kA, parsed.records).size(), kMaxAddresses);
}

// Compression: a pointer to the question's name at offset 12.
TEST(ParseReply, FollowsCompressionPointersBackwardOnly) {
  const std::string pointer("\xc0\x0c", 2);
  const auto record = [](const std::string& owner, const std::string& data) {
    return owner + Two(kTypeMx) + Two(1) + Four(60) + Two(static_cast<unsigned>(data.size())) + data;
  };
  const auto good = Parse(MakeReply("a.org", kTypeMx, Sections().Answer(record(pointer, Two(5) + "\2mx" + pointer))),
                          "a.org", RecordType::kMx);
  EXPECT_EQ(Names(good.records), "5 mx.a.org;");

  const std::size_t answer_at = 12 + 7 + 4;
  const std::string bad_owners[] = {
      std::string("\xc0") + static_cast<char>(answer_at),      // to itself
      std::string("\xc0") + static_cast<char>(answer_at + 4),  // forward
      std::string("\xff\xff", 2),                              // beyond the end
      std::string("\x41q", 2),                                 // a label type nobody uses
  };
  for (const std::string& owner : bad_owners) {
    const auto bad = Parse(MakeReply("a.org", kTypeMx, Sections().Answer(record(owner, Two(5) + pointer))), "a.org",
                           RecordType::kMx);
    EXPECT_EQ(bad.records.status, RecordStatus::kFailed);
  }
  // Two pointers to each other inside a label's reach: a.<pointer to itself>.
  const std::string cycle = "\1a\xc0" + std::string(1, static_cast<char>(answer_at));
  EXPECT_EQ(
      Parse(MakeReply("a.org", kTypeMx, Sections().Answer(record(cycle, Two(5) + pointer))), "a.org", RecordType::kMx)
          .records.status,
      RecordStatus::kFailed);
}

TEST(ParseReply, RefusesWrongLengthsAndNames) {
  const auto short_address =
      Parse(MakeReply("a.org", kTypeA, Sections().Answer(MakeRecord("a.org", kTypeA, 60, "\1\2\3"))), "a.org",
            RecordType::kA);
  EXPECT_EQ(short_address.records.status, RecordStatus::kFailed);
  const auto short_mx = Parse(MakeReply("a.org", kTypeMx, Sections().Answer(MakeRecord("a.org", kTypeMx, 60, "\1"))),
                              "a.org", RecordType::kMx);
  EXPECT_EQ(short_mx.records.status, RecordStatus::kFailed);
  std::string long_name;
  for (int i = 0; i < 5; ++i) long_name += std::string(60, 'a') + ".";
  long_name.pop_back();
  const auto too_long =
      Parse(MakeReply("a.org", kTypeMx, Sections().Answer(Mx("a.org", 5, long_name))), "a.org", RecordType::kMx);
  EXPECT_EQ(too_long.records.status, RecordStatus::kFailed);
  const auto negative_ttl = Parse(MakeReply("a.org", kTypeA, Sections().Answer(A("a.org", {1, 2, 3, 4}, 0x80000001U))),
                                  "a.org", RecordType::kA);
  EXPECT_EQ(negative_ttl.records.ttl, 0) << "RFC 2181 section 8";
}

TEST(ParseReply, RefusesCountsThatLie) {
  Sections lying = Sections().Answer(Mx("a.org", 5, "mx.a.org"));
  lying.answer_count = 65535;
  const auto parsed = Parse(MakeReply("a.org", kTypeMx, lying), "a.org", RecordType::kMx);
  EXPECT_EQ(parsed.records.status, RecordStatus::kFailed);
  std::string no_question = MakeReply("a.org", kTypeMx, Sections());
  no_question[5] = '\0';
  EXPECT_EQ(Parse(no_question, "a.org", RecordType::kMx).records.status, RecordStatus::kFailed);
  std::string a_query = MakeReply("a.org", kTypeMx, Sections().Answer(Mx("a.org", 5, "mx.a.org")));
  a_query[2] = '\1';
  EXPECT_EQ(Parse(a_query, "a.org", RecordType::kMx).records.status, RecordStatus::kFailed);
}

TEST(ParseReply, EveryPrefixOfAReplyFailsOrIsNegative) {
  const std::string whole = MakeReply(
      "a.org", kTypeMx,
      Sections().Answer(Cname("a.org", "b.org")).Answer(Mx("b.org", 5, "mx.b.org")).Answer(Mx("b.org", 6, "c")));
  for (std::size_t size = 0; size < whole.size(); ++size) {
    // A copy of the exact size, so that a read beyond its end is seen by the sanitizer.
    const std::string cut(whole.data(), size);
    EXPECT_EQ(Parse(cut, "a.org", RecordType::kMx).records.status, RecordStatus::kFailed) << size;
  }
  EXPECT_EQ(Parse(whole, "a.org", RecordType::kMx).records.status, RecordStatus::kFound);
}

TEST(ParseReply, SurvivesRandomDamage) {
  const auto random = io::MakeSeededRandom(7);
  const std::string whole = MakeReply("a.org", kTypeMx,
                                      Sections()
                                          .Answer(Cname("a.org", "b.org"))
                                          .Answer(Mx("b.org", 5, "mx.b.org"))
                                          .Answer(Mx("b.org", 6, "mx2.b.org"))
                                          .Authority(Soa("b.org", 60, 60)));
  int found = 0;
  for (int round = 0; round < 50'000; ++round) {
    std::string damaged = whole;
    for (std::uint64_t hits = random->Next() % 6 + 1; hits > 0; --hits) {
      damaged[random->Next() % damaged.size()] = static_cast<char>(random->Next());
    }
    const ParsedReply parsed = Parse(damaged, "a.org", RecordType::kMx);
    if (parsed.records.status != RecordStatus::kFound) continue;
    ++found;
    for (const MxHost& host : UnpackMx(parsed.records.packed)) EXPECT_EQ(CanonicalName(host.name), host.name);
  }
  EXPECT_GT(found, 0) << "some damage leaves the records whole";
}

}  // namespace
}  // namespace postrider::dns
