#include "engine/dns/resolver.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <atomic>
#include <map>
#include <optional>
#include <set>
#include <utility>

#include "tests/engine/dns/dns_message.h"
#include "tests/engine/dns/scripted_server.h"

namespace postrider::dns {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::UnorderedElementsAre;

// Real clock for c-ares, which has its own, plus what the test adds for the cache's sake.
class MovableClock final : public io::Clock {
 public:
  Now Read() override {
    Now now = real_->Read();
    now.monotonic += ahead;
    return now;
  }
  seconds ahead{0};

 private:
  std::unique_ptr<io::Clock> real_ = io::MakeSystemClock();
};

struct Zone {
  std::map<std::pair<std::string, unsigned>, Sections> records;
  std::set<std::string> missing;  // NXDOMAIN
  MessageOptions options;

  // What is not named exists without such records.
  std::vector<std::string> operator()(const Asked& asked) const {
    MessageOptions mine = options;
    mine.id = asked.id;
    if (missing.contains(asked.name)) {
      mine.code = 3;
      return {MakeReply(asked.name, asked.type, Sections().Authority(Soa("org", 900, 120)), mine)};
    }
    const auto found = records.find({asked.name, asked.type});
    const Sections none = Sections().Authority(Soa("org", 900, 120));
    return {MakeReply(asked.name, asked.type, found == records.end() ? none : found->second, mine)};
  }
};

class ResolverTest : public testing::Test {
 protected:
  void Serve(ScriptedServer::Script script) {
    server_ = std::make_unique<ScriptedServer>(std::move(script));
    options_.servers = {server_->address()};
    Open();
  }
  void Open() {
    auto made = MakeResolver(options_, *loop_, 1);
    ASSERT_TRUE(made) << made.error().message;
    resolver_ = std::move(*made);
  }

  [[nodiscard]] bool RunUntil(const std::function<bool()>& condition) {
    const Monotonic end = real_clock_->Read().monotonic + seconds(20);
    while (!condition()) {
      if (real_clock_->Read().monotonic > end) return false;
      loop_->RunOnce(milliseconds(100));
    }
    return true;
  }
  MxAnswer LookUpMx(std::string_view domain) {
    std::optional<MxAnswer> answer;
    resolver_->LookUpMx(domain, [&](const MxAnswer& got) { answer = got; });
    EXPECT_TRUE(RunUntil([&] { return answer.has_value(); }));
    return answer.value_or(MxAnswer{});
  }
  AddressAnswer LookUpAddresses(std::string_view host, bool ipv4 = true, bool ipv6 = false) {
    std::optional<AddressAnswer> answer;
    resolver_->LookUpAddresses(host, ipv4, ipv6, [&](const AddressAnswer& got) { answer = got; });
    EXPECT_TRUE(RunUntil([&] { return answer.has_value(); }));
    return answer.value_or(AddressAnswer{});
  }
  static std::vector<std::string> Names(const MxAnswer& answer) {
    std::vector<std::string> names;
    for (const MxHost& host : answer.hosts) names.push_back(host.name);
    return names;
  }
  static std::vector<std::string> Texts(const AddressAnswer& answer) {
    std::vector<std::string> texts;
    for (const IpAddress& address : answer.addresses) texts.push_back(ToString(address));
    return texts;
  }

  MovableClock clock_;
  std::unique_ptr<io::Clock> real_clock_ = io::MakeSystemClock();
  std::unique_ptr<io::Loop> loop_ = std::move(*io::MakeLoop({.entries = 64, .receive_buffers = 16}, clock_));
  DnsOptions options_{.servers = {},
                      .timeout = seconds(1),
                      .tries = 2,
                      .cache_entries = 1000,
                      .cache_min_ttl = seconds(5),
                      .cache_max_ttl = seconds(1000),
                      .negative_ttl = seconds(100)};
  std::unique_ptr<ScriptedServer> server_;
  std::unique_ptr<Resolver> resolver_;
};

TEST_F(ResolverTest, FindsMxHostsInTheOrderOfPreference) {
  Zone zone;
  zone.records[{"example.org", kTypeMx}] = Sections()
                                               .Answer(Mx("example.org", 20, "b.example.org", 400))
                                               .Answer(Mx("example.org", 10, "a.example.org", 300));
  Serve(zone);
  const MxAnswer answer = LookUpMx("Example.ORG.");
  EXPECT_EQ(answer.status, MxStatus::kFound);
  EXPECT_THAT(Names(answer), ElementsAre("a.example.org", "b.example.org"));
  EXPECT_FALSE(answer.implicit);
  EXPECT_FALSE(answer.authentic);
  EXPECT_EQ(answer.ttl, seconds(300));
  EXPECT_TRUE(server_->asked()[0].wants_authentic);
}

TEST_F(ResolverTest, ShufflesEqualsAndKeepsPreferences) {
  Zone zone;
  Sections& records = zone.records[{"a.org", kTypeMx}];
  for (const char* host : {"x.org", "y.org", "z.org"}) records.Answer(Mx("a.org", 10, host));
  records.Answer(Mx("a.org", 5, "first.org")).Answer(Mx("a.org", 90, "last.org"));
  Serve(zone);
  std::set<std::vector<std::string>> orders;
  for (int i = 0; i < 200; ++i) {
    const auto names = Names(LookUpMx("a.org"));
    ASSERT_EQ(names.size(), 5);
    EXPECT_EQ(names.front(), "first.org");
    EXPECT_EQ(names.back(), "last.org");
    orders.insert(names);
  }
  EXPECT_EQ(orders.size(), 6) << "all orders of three equals";
  EXPECT_EQ(server_->asked().size(), 1);
  EXPECT_EQ(resolver_->counts().cache_hits, 199);
}

TEST_F(ResolverTest, KnowsTheNullMx) {
  Zone zone;
  zone.records[{"a.org", kTypeMx}] = Sections().Answer(Mx("a.org", 0, ""));
  zone.records[{"a.org", kTypeA}] = Sections().Answer(A("a.org", {192, 0, 2, 1}));
  Serve(zone);
  const MxAnswer answer = LookUpMx("a.org");
  EXPECT_EQ(answer.status, MxStatus::kNullMx);
  EXPECT_TRUE(answer.hosts.empty());
}

TEST_F(ResolverTest, TellsNoDomainFromNoMail) {
  Zone zone;
  zone.missing = {"gone.org"};
  Serve(zone);
  const MxAnswer gone = LookUpMx("gone.org");
  EXPECT_EQ(gone.status, MxStatus::kNoDomain);
  EXPECT_THAT(gone.problem, HasSubstr("gone.org"));
  EXPECT_EQ(gone.ttl, seconds(100)) << "120 by the SOA, cut to negative_ttl";
  EXPECT_EQ(LookUpMx("empty.org").status, MxStatus::kNoMail);
  EXPECT_EQ(server_->asked().size(), 4) << "one for gone.org; MX, A, AAAA for empty.org";
}

TEST_F(ResolverTest, FallsBackToTheAddressOfTheDomainOnlyWithoutMx) {
  Zone zone;
  zone.records[{"four.org", kTypeA}] = Sections().Answer(A("four.org", {192, 0, 2, 1}, 50));
  zone.records[{"six.org", kTypeAaaa}] = Sections().Answer(Aaaa("six.org", 1));
  zone.records[{"dead.org", kTypeMx}] = Sections().Answer(Mx("dead.org", 10, "gone.org"));
  zone.records[{"dead.org", kTypeA}] = Sections().Answer(A("dead.org", {192, 0, 2, 1}));
  zone.records[{"junk.org", kTypeMx}] = Sections().Answer(Mx("junk.org", 10, "bad host"));
  zone.records[{"junk.org", kTypeA}] = Sections().Answer(A("junk.org", {192, 0, 2, 1}));
  zone.missing = {"gone.org"};
  Serve(zone);
  const MxAnswer four = LookUpMx("four.org");
  EXPECT_EQ(four.status, MxStatus::kFound);
  EXPECT_TRUE(four.implicit);
  EXPECT_THAT(Names(four), ElementsAre("four.org"));
  EXPECT_EQ(four.ttl, seconds(50));
  const MxAnswer six = LookUpMx("six.org");
  EXPECT_EQ(six.status, MxStatus::kFound);
  EXPECT_TRUE(six.implicit);
  const MxAnswer dead = LookUpMx("dead.org");
  EXPECT_FALSE(dead.implicit);
  EXPECT_THAT(Names(dead), ElementsAre("gone.org")) << "its host does not exist, but it has an MX";
  const MxAnswer junk = LookUpMx("junk.org");
  EXPECT_EQ(junk.status, MxStatus::kFailed);
  EXPECT_THAT(junk.problem, HasSubstr("none names a usable host"));
}

TEST_F(ResolverTest, ReportsAServerFailureAsTemporary) {
  Serve([](const Asked& asked) {
    return std::vector{MakeReply(asked.name, asked.type, Sections(), {.id = asked.id, .code = 2})};
  });
  const MxAnswer answer = LookUpMx("a.org");
  EXPECT_EQ(answer.status, MxStatus::kFailed);
  EXPECT_THAT(answer.problem, HasSubstr("SERVFAIL"));
  EXPECT_THAT(answer.problem, HasSubstr("a.org"));
  const AddressAnswer address = LookUpAddresses("a.org");
  EXPECT_FALSE(address.found);
  EXPECT_TRUE(address.temporary);
  EXPECT_EQ(resolver_->counts().failures, 2);
  EXPECT_EQ(server_->asked().size(), 2) << "asking the same server again would not help";
}

TEST_F(ResolverTest, TriesAgainAndGivesUp) {
  std::atomic<int> asked_late = 0;
  Zone zone;
  zone.records[{"late.org", kTypeMx}] = Sections().Answer(Mx("late.org", 10, "mx.late.org"));
  Serve([&asked_late, zone](const Asked& asked) {
    if (asked.name == "silent.org" || ++asked_late == 1) return std::vector<std::string>();
    return zone(asked);
  });
  std::optional<MxAnswer> silent;
  resolver_->LookUpMx("silent.org", [&](const MxAnswer& got) { silent = got; });
  EXPECT_EQ(LookUpMx("late.org").status, MxStatus::kFound) << "by the second try";
  ASSERT_TRUE(RunUntil([&] { return silent.has_value(); }));
  EXPECT_EQ(silent->status, MxStatus::kFailed);
  EXPECT_THAT(silent->problem, HasSubstr("no DNS server answered"));
}

TEST_F(ResolverTest, AsksTheNextServerWhenOneRefuses) {
  ScriptedServer refusing([](const Asked& asked) {
    return std::vector{MakeReply(asked.name, asked.type, Sections(), {.id = asked.id, .code = 5})};
  });
  Zone zone;
  zone.records[{"a.org", kTypeA}] = Sections().Answer(A("a.org", {192, 0, 2, 1}));
  server_ = std::make_unique<ScriptedServer>(zone);
  options_.servers = {refusing.address(), server_->address()};
  Open();
  EXPECT_THAT(Texts(LookUpAddresses("a.org")), ElementsAre("192.0.2.1"));
  EXPECT_EQ(refusing.asked().size(), 1);
}

TEST_F(ResolverTest, ReportsThatAllServersRefuse) {
  const auto refuse = [](const Asked& asked) {
    return std::vector{MakeReply(asked.name, asked.type, Sections(), {.id = asked.id, .code = 5})};
  };
  const ScriptedServer one(refuse);
  const ScriptedServer two(refuse);
  options_.servers = {one.address(), two.address()};
  Open();
  const MxAnswer answer = LookUpMx("a.org");
  EXPECT_EQ(answer.status, MxStatus::kFailed);
  EXPECT_THAT(answer.problem, HasSubstr("none had a usable answer"));
  EXPECT_FALSE(one.asked().empty());
  EXPECT_FALSE(two.asked().empty());
}

TEST_F(ResolverTest, TakesTruncatedRepliesByTcp) {
  Sections many;
  for (int i = 0; i < 100; ++i) {
    many.Answer(Mx("big.org", static_cast<unsigned>(i), "a-rather-long-name-" + std::to_string(i) + ".big.org"));
  }
  Serve([many](const Asked& asked) {
    if (asked.tcp) return std::vector{MakeReply(asked.name, asked.type, many, {.id = asked.id})};
    return std::vector{MakeReply(asked.name, asked.type, Sections(), {.id = asked.id, .truncated = true})};
  });
  const MxAnswer answer = LookUpMx("big.org");
  EXPECT_EQ(answer.status, MxStatus::kFound);
  EXPECT_EQ(answer.hosts.size(), kMaxMxHosts);
  EXPECT_EQ(answer.hosts[0].name, "a-rather-long-name-0.big.org");
  ASSERT_EQ(server_->asked().size(), 2);
  EXPECT_TRUE(server_->asked()[1].tcp);
}

TEST_F(ResolverTest, IgnoresForgedAndBrokenDatagrams) {
  Zone zone;
  zone.records[{"a.org", kTypeMx}] = Sections().Answer(Mx("a.org", 10, "mx.a.org"));
  Serve([zone](const Asked& asked) {
    const Sections evil = Sections().Answer(Mx("a.org", 1, "evil.org"));
    const std::string other_question = MakeReply("b.org", asked.type, evil, {.id = asked.id});
    const std::string wrong_id = MakeReply("a.org", asked.type, evil, {.id = asked.id ^ 1U});
    std::vector<std::string> replies = {"", "x", wrong_id, other_question};
    replies.push_back(zone(asked)[0]);
    return replies;
  });
  EXPECT_THAT(Names(LookUpMx("a.org")), ElementsAre("mx.a.org"));
}

TEST_F(ResolverTest, ABrokenReplyIsATemporaryFailure) {
  Serve([](const Asked& asked) {
    Sections lying = Sections().Answer(Mx("a.org", 10, "mx.a.org"));
    lying.answer_count = 60'000;
    return std::vector{MakeReply(asked.name, asked.type, lying, {.id = asked.id})};
  });
  const MxAnswer answer = LookUpMx("a.org");
  EXPECT_EQ(answer.status, MxStatus::kFailed);
  EXPECT_THAT(answer.problem, HasSubstr("malformed"));
}

TEST_F(ResolverTest, FollowsAliasesAcrossReplies) {
  Zone zone;
  zone.records[{"a.org", kTypeMx}] = Sections().Answer(Cname("a.org", "b.org", 60));
  zone.records[{"b.org", kTypeMx}] = Sections().Answer(Mx("b.org", 10, "mx.b.org"));
  zone.records[{"loop.org", kTypeMx}] = Sections().Answer(Cname("loop.org", "pool.org"));
  zone.records[{"pool.org", kTypeMx}] = Sections().Answer(Cname("pool.org", "loop.org"));
  Serve(zone);
  const MxAnswer answer = LookUpMx("a.org");
  EXPECT_THAT(Names(answer), ElementsAre("mx.b.org"));
  EXPECT_EQ(answer.ttl, seconds(60));
  const MxAnswer loop = LookUpMx("loop.org");
  EXPECT_EQ(loop.status, MxStatus::kFailed);
  EXPECT_THAT(loop.problem, HasSubstr("CNAME"));
  EXPECT_LT(server_->asked().size(), 15);
}

TEST_F(ResolverTest, TellsAuthenticAnswers) {
  Zone zone;
  zone.options.authentic = true;
  zone.records[{"a.org", kTypeMx}] = Sections().Answer(Mx("a.org", 10, "mx.a.org"));
  zone.records[{"b.org", kTypeA}] = Sections().Answer(A("b.org", {192, 0, 2, 1}));
  Serve(zone);
  EXPECT_TRUE(LookUpMx("a.org").authentic);
  EXPECT_TRUE(LookUpMx("b.org").authentic) << "the absence of MX is proven too";
}

TEST_F(ResolverTest, FindsAddressesOfTheFamiliesAsked) {
  Zone zone;
  zone.records[{"a.org", kTypeA}] =
      Sections().Answer(A("a.org", {192, 0, 2, 1}, 70)).Answer(A("a.org", {192, 0, 2, 2}));
  zone.records[{"a.org", kTypeAaaa}] = Sections().Answer(Aaaa("a.org", 1, 60));
  zone.records[{"four.org", kTypeA}] = Sections().Answer(A("four.org", {192, 0, 2, 4}));
  zone.missing = {"gone.org"};
  Serve(zone);
  EXPECT_THAT(Texts(LookUpAddresses("a.org", true, false)), ElementsAre("192.0.2.1", "192.0.2.2"));
  EXPECT_EQ(server_->asked().size(), 1);
  EXPECT_THAT(Texts(LookUpAddresses("a.org", false, true)), ElementsAre("::1"));
  const AddressAnswer both = LookUpAddresses("A.ORG", true, true);
  EXPECT_THAT(Texts(both), ElementsAre("::1", "192.0.2.1", "192.0.2.2"));
  EXPECT_EQ(both.ttl, seconds(60));
  EXPECT_THAT(Texts(LookUpAddresses("four.org", true, true)), ElementsAre("192.0.2.4"));
  const AddressAnswer none = LookUpAddresses("four.org", false, true);
  EXPECT_FALSE(none.found);
  EXPECT_FALSE(none.temporary);
  EXPECT_THAT(none.problem, HasSubstr("four.org"));
  EXPECT_FALSE(LookUpAddresses("gone.org", true, true).found);
}

TEST_F(ResolverTest, OneFamilysFailureDoesNotHideTheOther) {
  Zone zone;
  zone.records[{"a.org", kTypeA}] = Sections().Answer(A("a.org", {192, 0, 2, 1}));
  Serve([zone](const Asked& asked) {
    if (asked.type == kTypeA) return zone(asked);
    return std::vector{MakeReply(asked.name, asked.type, Sections(), {.id = asked.id, .code = 2})};
  });
  const AddressAnswer found = LookUpAddresses("a.org", true, true);
  EXPECT_TRUE(found.found);
  EXPECT_FALSE(found.temporary);
  const AddressAnswer lost = LookUpAddresses("b.org", true, true);
  EXPECT_FALSE(lost.found);
  EXPECT_TRUE(lost.temporary) << "an IPv6 address may still turn up";
}

TEST_F(ResolverTest, LeavesPlacesForBothFamilies) {
  Zone zone;
  for (int i = 1; i <= 40; ++i) {
    zone.records[{"a.org", kTypeA}].Answer(A("a.org", {192, 0, 2, i}));
    zone.records[{"a.org", kTypeAaaa}].Answer(Aaaa("a.org", i));
  }
  Serve(zone);
  const AddressAnswer answer = LookUpAddresses("a.org", true, true);
  EXPECT_EQ(answer.addresses.size(), kMaxAddresses);
  EXPECT_EQ(std::ranges::count_if(answer.addresses, &IpAddress::IsIpv4), 8);
}

TEST_F(ResolverTest, KeepsAnswersForTheirTimeWithinBounds) {
  Zone zone;
  zone.records[{"short.org", kTypeA}] = Sections().Answer(A("short.org", {192, 0, 2, 1}, 0));
  zone.records[{"long.org", kTypeA}] = Sections().Answer(A("long.org", {192, 0, 2, 1}, 1'000'000));
  zone.records[{"mid.org", kTypeA}] = Sections().Answer(A("mid.org", {192, 0, 2, 1}, 60));
  zone.missing = {"gone.org"};
  Serve(zone);
  const struct {
    const char* name;
    seconds kept;
  } cases[] = {
      {"short.org", seconds(5)}, {"mid.org", seconds(60)}, {"gone.org", seconds(100)}, {"long.org", seconds(1000)}};
  for (const auto& [name, kept] : cases) {
    const std::size_t before = server_->asked().size();
    EXPECT_EQ(LookUpAddresses(name).ttl, kept) << name;
    clock_.ahead += kept - seconds(2);
    loop_->RunOnce(milliseconds(0));
    const AddressAnswer again = LookUpAddresses(name);
    EXPECT_EQ(server_->asked().size(), before + 1) << name << " is still kept";
    EXPECT_LE(again.ttl, seconds(2)) << "what is left of it";
    clock_.ahead += seconds(3);
    loop_->RunOnce(milliseconds(0));
    static_cast<void>(LookUpAddresses(name));
    EXPECT_EQ(server_->asked().size(), before + 2) << name << " is asked for again";
  }
}

TEST_F(ResolverTest, ForgetsTheLeastRecentlyUsed) {
  options_.cache_entries = 2;
  Zone zone;
  for (const char* name : {"a.org", "b.org", "c.org"}) {
    zone.records[{name, kTypeA}] = Sections().Answer(A(name, {192, 0, 2, 1}));
  }
  Serve(zone);
  for (const char* name : {"a.org", "b.org", "a.org", "c.org", "a.org"}) {
    EXPECT_TRUE(LookUpAddresses(name).found);
  }
  EXPECT_EQ(server_->asked().size(), 3);
  EXPECT_EQ(resolver_->counts().cache_entries, 2);
  static_cast<void>(LookUpAddresses("b.org"));
  EXPECT_EQ(server_->asked().size(), 4);
}

TEST_F(ResolverTest, ForgetsANameWhenTold) {
  Zone zone;
  zone.records[{"a.org", kTypeA}] = Sections().Answer(A("a.org", {192, 0, 2, 1}));
  Serve(zone);
  static_cast<void>(LookUpAddresses("a.org"));
  resolver_->Forget("A.org");
  static_cast<void>(LookUpAddresses("a.org"));
  EXPECT_EQ(server_->asked().size(), 2);
  // One that is under way is answered, but not kept.
  resolver_->Forget("a.org");
  bool answered = false;
  resolver_->LookUpAddresses("a.org", true, false, [&](const AddressAnswer& answer) { answered = answer.found; });
  resolver_->Forget("a.org");
  EXPECT_TRUE(RunUntil([&] { return answered; }));
  EXPECT_EQ(resolver_->counts().cache_entries, 0);
}

TEST_F(ResolverTest, AllWhoAskAtOnceShareOneQuery) {
  Zone zone;
  zone.records[{"a.org", kTypeMx}] = Sections().Answer(Mx("a.org", 10, "mx.a.org"));
  Serve(zone);
  int answers = 0;
  for (int i = 0; i < 1000; ++i) {
    resolver_->LookUpMx("a.org", [&](const MxAnswer& answer) { answers += answer.status == MxStatus::kFound ? 1 : 0; });
  }
  EXPECT_EQ(answers, 0);
  ASSERT_TRUE(RunUntil([&] { return answers == 1000; }));
  EXPECT_EQ(server_->asked().size(), 1);
  EXPECT_EQ(resolver_->counts().queries, 1);
}

TEST_F(ResolverTest, AsksNoMoreThanSoManyAtOnce) {
  std::atomic<bool> open = false;
  Zone zone;
  std::atomic<int> asked_before = 0;
  Serve([&](const Asked& asked) {
    if (open) return zone(asked);
    ++asked_before;
    return std::vector<std::string>();
  });
  int answers = 0;
  for (int i = 0; i < 1000; ++i) {
    resolver_->LookUpAddresses("n" + std::to_string(i) + ".org", true, false, [&](const AddressAnswer&) { ++answers; });
  }
  EXPECT_EQ(resolver_->counts().queries, 256);
  ASSERT_TRUE(RunUntil([&] { return asked_before == 256; }));
  open = true;
  ASSERT_TRUE(RunUntil([&] { return answers == 1000; })) << answers;
  EXPECT_EQ(resolver_->counts().queries, 1000);
}

TEST_F(ResolverTest, BadNamesNeverReachTheServer) {
  Serve(Zone());
  for (const std::string_view name :
       {"", ".", "a b.org", "a..b", "bücher.example", "[192.0.2.1]", "a\r\n.org", "-.\\.org"}) {
    bool answered = false;
    resolver_->LookUpMx(name, [&](const MxAnswer& answer) {
      answered = true;
      EXPECT_EQ(answer.status, MxStatus::kNoDomain);
    });
    EXPECT_TRUE(answered) << name;
    answered = false;
    resolver_->LookUpAddresses(name, true, true, [&](const AddressAnswer& answer) {
      answered = true;
      EXPECT_FALSE(answer.found || answer.temporary);
    });
    EXPECT_TRUE(answered) << name;
  }
  EXPECT_TRUE(server_->asked().empty());
  EXPECT_EQ(resolver_->counts().queries, 0);
}

TEST_F(ResolverTest, ACallbackMayAskAgain) {
  Zone zone;
  zone.records[{"a.org", kTypeMx}] = Sections().Answer(Mx("a.org", 10, "mx.a.org"));
  zone.records[{"mx.a.org", kTypeA}] = Sections().Answer(A("mx.a.org", {192, 0, 2, 1}));
  Serve(zone);
  std::optional<AddressAnswer> address;
  resolver_->LookUpMx("a.org", [&](const MxAnswer& answer) {
    resolver_->LookUpMx("a.org", [](const MxAnswer&) {});
    resolver_->Forget("a.org");
    resolver_->LookUpAddresses(answer.hosts.at(0).name, true, false, [&](const AddressAnswer& got) { address = got; });
  });
  ASSERT_TRUE(RunUntil([&] { return address.has_value(); }));
  EXPECT_THAT(Texts(*address), ElementsAre("192.0.2.1"));
}

TEST_F(ResolverTest, DropsWhatIsPendingWhenItEnds) {
  Serve([](const Asked&) { return std::vector<std::string>(); });
  bool called = false;
  for (int i = 0; i < 300; ++i) {
    resolver_->LookUpMx("n" + std::to_string(i) + ".org", [&](const MxAnswer&) { called = true; });
  }
  ASSERT_TRUE(RunUntil([&] { return !server_->asked().empty(); }));
  resolver_.reset();
  for (int i = 0; i < 5; ++i) loop_->RunOnce(milliseconds(1));
  EXPECT_FALSE(called);
  EXPECT_EQ(loop_->counts().in_flight, 1) << "no watch stays behind";
}

TEST_F(ResolverTest, SaysWhenNoServerCanBeReached) {
  {
    const ScriptedServer closed([](const Asked&) { return std::vector<std::string>(); });
    options_.servers = {closed.address()};
  }
  Open();
  const MxAnswer answer = LookUpMx("a.org");
  EXPECT_EQ(answer.status, MxStatus::kFailed);
  EXPECT_THAT(answer.problem, HasSubstr("a.org"));
}

TEST_F(ResolverTest, ReadsTheSystemsServersWhenNoneAreNamed) {
  options_.servers.clear();
  Open();
  EXPECT_NE(resolver_, nullptr);
}

}  // namespace
}  // namespace postrider::dns
