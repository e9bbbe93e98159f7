// The suppression list in the store: who may stage, what is seen when, what a crash leaves.

#include <gmock/gmock.h>
#include <malloc.h>

#include <map>
#include <random>

#include "queue/outcome.h"
#include "queue/tables.h"
#include "tests/queue/store_fixture.h"

namespace postrider::queue {
namespace {

using std::chrono::hours;
using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::SizeIs;
using testing::UnorderedElementsAre;

class SuppressionTest : public StoreTest {
 protected:
  [[nodiscard]] Suppression Entry(const std::string& list, const std::string& address) const {
    return {.list = list, .address = address, .when = now_, .who = "ana", .why = "asked for it"};
  }
  [[nodiscard]] Suppression ByRule(const std::string& address, const std::string& site = "mx.a.test") const {
    return {.address = address,
            .when = now_,
            .origin = SuppressionOrigin::kRule,
            .why = "no-such-user",
            .campaign = "offer",
            .site = site};
  }
  SuppressionTally Stage(const std::vector<Suppression>& entries) {
    const auto put = store_->PutSuppressions(entries);
    EXPECT_TRUE(put) << put.error().message;
    return put.value_or(SuppressionTally{});
  }
  SuppressionTally Put(const std::vector<Suppression>& entries) {
    const SuppressionTally tally = Stage(entries);
    Commit();
    return tally;
  }
  std::size_t Remove(const std::string& list, const std::string& address) {
    const std::vector<SuppressionRemoval> removals{
        {.list = list, .address = address, .when = now_, .who = "eve", .why = "came back"}};
    const auto removed = store_->DeleteSuppressions(removals);
    EXPECT_TRUE(removed) << removed.error().message;
    Commit();
    return removed.value_or(0);
  }
  // Which of these get no mail from a campaign to that list.
  [[nodiscard]] std::vector<std::string> Suppressed(const std::string& list,
                                                    const std::vector<std::string>& addresses) {
    std::vector<std::string> domains;
    domains.reserve(addresses.size());
    std::vector<Recipient> recipients;
    for (const std::string& address : addresses) {
      domains.push_back(DomainOf(address));
      recipients.push_back({list, address, domains.back()});
    }
    const auto hits = store_->FindSuppressed(recipients, now_);
    EXPECT_TRUE(hits) << hits.error().message;
    std::vector<std::string> found;
    for (const std::size_t hit : hits.value_or(std::vector<std::size_t>())) found.push_back(addresses[hit]);
    return found;
  }
  [[nodiscard]] bool IsSuppressed(const std::string& list, const std::string& address) {
    return !Suppressed(list, {address}).empty();
  }
  // All entries that a query finds, read in pages of `most`.
  [[nodiscard]] std::vector<std::string> List(const SuppressionQuery& query, std::size_t most = 100) {
    std::vector<std::string> found;
    std::string cursor;
    do {
      const auto page = store_->ListSuppressions(query, cursor, most);
      EXPECT_TRUE(page) << page.error().message;
      if (!page) break;
      EXPECT_LE(page->entries.size(), most);
      for (const Suppression& entry : page->entries) found.push_back(entry.list + ":" + entry.address);
      cursor = page->cursor;
    } while (!cursor.empty());
    return found;
  }
  [[nodiscard]] ListCounts CountsOf(const std::string& list) const {
    const SuppressionStatsPtr stats = store_->suppression_stats();
    const auto found = stats->lists.find(list);
    return found == stats->lists.end() ? ListCounts{} : found->second;
  }
  void BounceWithRule(const Job& job, const std::string& domain, const SuppressionOrder& order) {
    Outcome outcome;
    outcome.event.kind = EventKind::kBounced;
    outcome.event.final = true;
    outcome.event.time = now_;
    outcome.event.job = job.id;
    outcome.event.attempt = 1;
    outcome.event.campaign = "offer";
    outcome.event.recipient = job.address;
    outcome.event.domain = domain;
    outcome.event.site = "mx." + domain;
    outcome.event.provider = "Example";
    outcome.event.code = 550;
    outcome.event.reply = "no such user";
    outcome.place = job.place;
    outcome.suppression = order;
    store_->Settle(outcome);
  }
};

TEST_F(SuppressionTest, StopsNobodyWhileItIsEmpty) {
  EXPECT_THAT(Suppressed("offers", {"ana@a.test", "eve@b.test"}), IsEmpty());
  EXPECT_THAT(List({}), IsEmpty());
  EXPECT_TRUE(store_->MatchSuppressions("ana@a.test")->entries.empty());
}

TEST_F(SuppressionTest, HoldsAddressesForTheirListAndForAll) {
  EXPECT_EQ(Put({Entry("", "ana@a.test"), Entry("offers", "bob@a.test"), Entry("news", "eve@a.test")}).added, 3u);

  const std::vector<std::string> all{"ana@a.test", "bob@a.test", "eve@a.test", "kim@a.test", "ana@b.test"};
  EXPECT_THAT(Suppressed("offers", all), ElementsAre("ana@a.test", "bob@a.test"));
  EXPECT_THAT(Suppressed("news", all), ElementsAre("ana@a.test", "eve@a.test"));
  EXPECT_THAT(Suppressed("", all), ElementsAre("ana@a.test"));
  EXPECT_THAT(Suppressed("unknown", all), ElementsAre("ana@a.test"));
}

TEST_F(SuppressionTest, AsksWithoutRegardToCase) {
  Put({Entry("", "ana@a.test")});
  EXPECT_TRUE(IsSuppressed("", "ANA@a.test"));
}

TEST_F(SuppressionTest, HoldsWholeDomainsButNotWhatIsBelowThem) {
  Put({Entry("", "@a.test"), Entry("offers", "@b.test")});
  const std::vector<std::string> all{"ana@a.test", "bob@a.test", "eve@x.a.test", "kim@b.test", "ana@aa.test"};
  EXPECT_THAT(Suppressed("", all), ElementsAre("ana@a.test", "bob@a.test"));
  EXPECT_THAT(Suppressed("offers", all), ElementsAre("ana@a.test", "bob@a.test", "kim@b.test"));
}

TEST_F(SuppressionTest, AnswersOnceForWhomSeveralEntriesHold) {
  Put({Entry("", "ana@a.test"), Entry("", "@a.test"), Entry("offers", "ana@a.test"), Entry("offers", "@a.test")});
  EXPECT_THAT(Suppressed("offers", {"ana@a.test"}), ElementsAre("ana@a.test"));
}

TEST_F(SuppressionTest, IsAskedForThousandsAtOnce) {
  std::vector<Suppression> entries;
  std::vector<std::string> all;
  std::vector<std::string> expected;
  for (int i = 0; i < 3000; ++i) {
    all.push_back("user" + std::to_string(i) + "@d" + std::to_string(i % 300) + ".test");
    if (i % 7 == 0 || i % 300 == 5) expected.push_back(all.back());
    if (i % 7 == 0) entries.push_back(Entry(i % 2 == 0 ? "" : "offers", all.back()));
  }
  entries.push_back(Entry("offers", "@d5.test"));
  Put(entries);
  EXPECT_EQ(Suppressed("offers", all), expected);
  Reopen();
  EXPECT_EQ(Suppressed("offers", all), expected);
}

TEST_F(SuppressionTest, IsSeenOnlyAfterTheCommitAndGoneWithoutOne) {
  Stage({Entry("", "ana@a.test")});
  EXPECT_FALSE(IsSuppressed("", "ana@a.test"));
  EXPECT_EQ(CountsOf("").addresses, 0u);
  Reopen();
  EXPECT_FALSE(IsSuppressed("", "ana@a.test"));

  Put({Entry("", "ana@a.test")});
  EXPECT_TRUE(IsSuppressed("", "ana@a.test"));
  Reopen();
  EXPECT_TRUE(IsSuppressed("", "ana@a.test"));
  EXPECT_EQ(CountsOf("").addresses, 1u);
}

TEST_F(SuppressionTest, KeepsWhoWhenAndWhy) {
  Suppression entry = ByRule("ana@a.test");
  entry.row = 7;
  entry.provider = "Example";
  entry.expires = now_ + hours(1);
  Put({entry});
  Reopen();
  const auto matches = store_->MatchSuppressions("ana@a.test");
  ASSERT_TRUE(matches);
  EXPECT_THAT(matches->entries, ElementsAre(entry));
}

TEST_F(SuppressionTest, ChangesNothingTheSecondTime) {
  Put({Entry("", "ana@a.test")});
  now_ += hours(1);
  Suppression again = Entry("", "ana@a.test");
  again.why = "other words";
  const SuppressionTally tally = Put({again, Entry("", "eve@a.test"), Entry("", "eve@a.test")});
  EXPECT_EQ(tally.added, 1u);
  EXPECT_EQ(tally.unchanged, 2u);
  EXPECT_EQ(tally.replaced, 0u);
  EXPECT_EQ(store_->MatchSuppressions("ana@a.test")->entries[0].why, "asked for it");
  EXPECT_EQ(CountsOf("").addresses, 2u);
}

TEST_F(SuppressionTest, RemembersNothingOfEntriesThatChangedNothing) {
  constexpr std::size_t kBatch = 1000;
  std::vector<std::vector<Suppression>> batches(20);
  for (std::size_t i = 0; i < batches.size() * kBatch; ++i) {
    batches[i / kBatch].push_back(Entry("news", "user" + std::to_string(i) + "@a.test"));
  }
  for (const auto& batch : batches) EXPECT_EQ(Put(batch).added, kBatch);
  const std::size_t before = mallinfo2().uordblks;
  for (const auto& batch : batches) EXPECT_EQ(Put(batch).unchanged, kBatch);
  EXPECT_LT(mallinfo2().uordblks, before + (4 << 20));
}

TEST_F(SuppressionTest, SeesWhatIsStagedInTheSameBatch) {
  EXPECT_EQ(Stage({ByRule("ana@a.test")}).added, 1u);
  EXPECT_EQ(Stage({Entry("", "ana@a.test")}).replaced, 1u);
  EXPECT_EQ(Stage({ByRule("ana@a.test")}).unchanged, 1u);
  Commit();
  const auto matches = store_->MatchSuppressions("ana@a.test");
  ASSERT_THAT(matches->entries, SizeIs(1));
  EXPECT_EQ(matches->entries[0].who, "ana");
  ASSERT_THAT(matches->past, SizeIs(1));
  EXPECT_EQ(matches->past[0].end, SuppressionEnd::kReplaced);
  EXPECT_EQ(matches->past[0].entry.why, "no-such-user");
  EXPECT_EQ(matches->past[0].who, "ana");
  EXPECT_EQ(CountsOf("").addresses, 1u);
}

TEST_F(SuppressionTest, RemembersWhatWasRemovedAndByWhom) {
  Put({Entry("offers", "ana@a.test")});
  now_ += hours(1);
  EXPECT_EQ(Remove("offers", "ana@a.test"), 1u);
  EXPECT_EQ(Remove("offers", "ana@a.test"), 0u);
  EXPECT_EQ(Remove("", "ana@a.test"), 0u);
  EXPECT_FALSE(IsSuppressed("offers", "ana@a.test"));
  EXPECT_EQ(CountsOf("offers"), ListCounts{});
  Reopen();
  const auto matches = store_->MatchSuppressions("ana@a.test");
  EXPECT_THAT(matches->entries, IsEmpty());
  ASSERT_THAT(matches->past, SizeIs(1));
  const PastSuppression& past = matches->past[0];
  EXPECT_EQ(past.end, SuppressionEnd::kRemoved);
  EXPECT_EQ(past.when, now_);
  EXPECT_EQ(past.who, "eve");
  EXPECT_EQ(past.why, "came back");
  EXPECT_EQ(past.entry.when, now_ - hours(1));
  EXPECT_EQ(past.entry.who, "ana");
  EXPECT_EQ(past.entry.list, "offers");
}

TEST_F(SuppressionTest, TellsTheWholeHistoryOfAnAddressInOrder) {
  for (const char* list : {"z", "a"}) {
    Put({Entry(list, "ana@a.test")});
    now_ += hours(1);
    Remove(list, "ana@a.test");
    now_ += hours(1);
  }
  Put({Entry("", "@a.test"), Entry("", "anabel@a.test")});
  Remove("", "@a.test");
  Remove("", "anabel@a.test");
  const auto matches = store_->MatchSuppressions("ana@a.test");
  std::vector<std::string> past;
  for (const PastSuppression& one : matches->past) past.push_back(one.entry.list + ":" + one.entry.address);
  EXPECT_THAT(past, ElementsAre("z:ana@a.test", "a:ana@a.test", ":@a.test"));
}

TEST_F(SuppressionTest, RemovesARulesEntryOnlyWhileItIsStillTheOneThatWasSeen) {
  Put({ByRule("ana@a.test"), ByRule("bob@a.test")});
  const Wall seen = now_;
  now_ += hours(1);
  Put({Entry("", "ana@a.test")});
  const auto removal = [&](const std::string& address, Wall made) {
    return std::vector<SuppressionRemoval>{
        {.list = "", .address = address, .when = now_, .who = "eve", .why = "undo", .only_by_rule_of = made}};
  };
  EXPECT_EQ(store_->DeleteSuppressions(removal("ana@a.test", seen)).value(), 0u);
  EXPECT_EQ(store_->DeleteSuppressions(removal("bob@a.test", seen + hours(1))).value(), 0u);
  EXPECT_EQ(store_->DeleteSuppressions(removal("bob@a.test", seen)).value(), 1u);
  Commit();
  EXPECT_THAT(Suppressed("", {"ana@a.test", "bob@a.test"}), ElementsAre("ana@a.test"));
}

TEST_F(SuppressionTest, LetsMailThroughOnceAnEntryHasExpired) {
  Suppression entry = Entry("", "ana@a.test");
  entry.expires = now_ + hours(1);
  Suppression domain = Entry("", "@b.test");
  domain.expires = now_ + hours(2);
  Put({entry, domain});
  EXPECT_TRUE(IsSuppressed("", "ana@a.test"));
  EXPECT_TRUE(IsSuppressed("", "eve@b.test"));
  now_ += hours(1);
  EXPECT_FALSE(IsSuppressed("", "ana@a.test"));
  EXPECT_TRUE(IsSuppressed("", "eve@b.test"));
  EXPECT_THAT(List({.valid_at = now_}), ElementsAre(":@b.test"));
  EXPECT_THAT(List({}), ElementsAre(":ana@a.test", ":@b.test"));
}

TEST_F(SuppressionTest, TakesExpiredEntriesAwayInTime) {
  std::vector<Suppression> entries;
  for (int i = 0; i < 2500; ++i) {
    entries.push_back(Entry("", "user" + std::to_string(i) + "@a.test"));
    if (i % 2 == 0) entries.back().expires = now_ + hours(1);
  }
  Put(entries);
  EXPECT_EQ(CountsOf("").expiring, 1250u);
  store_->PurgeSuppressions(now_);
  Commit();
  EXPECT_EQ(CountsOf("").addresses, 2500u);
  now_ += hours(2);
  for (int i = 0; i < 6; ++i) {
    store_->PurgeSuppressions(now_);
    Commit();
  }
  EXPECT_EQ(CountsOf(""), (ListCounts{1250, 0, 0}));
  EXPECT_THAT(List({}, 10'000), SizeIs(1250));
  const auto matches = store_->MatchSuppressions("user0@a.test");
  ASSERT_THAT(matches->past, SizeIs(1));
  EXPECT_EQ(matches->past[0].end, SuppressionEnd::kExpired);
}

TEST_F(SuppressionTest, ListsInPagesWhatAQueryAsksFor) {
  Put({Entry("", "eve@b.test"), Entry("", "@b.test"), Entry("", "ana@a.test"), Entry("news", "ana@a.test"),
       Entry("news", "kim@c.test"), ByRule("bob@a.test"), ByRule("joe@b.test", "mx.b.test")});
  const std::vector<std::string> all{":ana@a.test", ":bob@a.test",     ":@b.test",       ":eve@b.test",
                                     ":joe@b.test", "news:ana@a.test", "news:kim@c.test"};
  for (const std::size_t most : {1, 2, 3, 100}) EXPECT_EQ(List({}, most), all);
  EXPECT_THAT(List({.list = "news"}, 1), ElementsAre("news:ana@a.test", "news:kim@c.test"));
  EXPECT_THAT(List({.list = "new"}), IsEmpty());
  EXPECT_THAT(List({.domain = "a.test"}, 1), ElementsAre(":ana@a.test", ":bob@a.test", "news:ana@a.test"));
  EXPECT_THAT(List({.origin = SuppressionOrigin::kRule}), ElementsAre(":bob@a.test", ":joe@b.test"));
  EXPECT_THAT(List({.site = "mx.b.test"}), ElementsAre(":joe@b.test"));
}

TEST_F(SuppressionTest, ReadsALongListInBoundedPieces) {
  std::vector<Suppression> entries;
  for (int i = 0; i < 30'000; ++i) entries.push_back(Entry("", "user" + std::to_string(i) + "@a.test"));
  entries.push_back(ByRule("zoe@a.test"));
  Put(entries);
  const auto page = store_->ListSuppressions({.origin = SuppressionOrigin::kRule}, "", 100);
  ASSERT_TRUE(page);
  EXPECT_THAT(page->entries, IsEmpty());
  EXPECT_FALSE(page->cursor.empty());
  EXPECT_THAT(List({.origin = SuppressionOrigin::kRule}), ElementsAre(":zoe@a.test"));
}

TEST_F(SuppressionTest, ListsItsHistoryByTime) {
  Put({Entry("", "ana@a.test"), Entry("news", "bob@b.test"), ByRule("eve@a.test")});
  const Wall first = now_ += hours(1);
  Remove("", "ana@a.test");
  now_ += hours(1);
  Remove("news", "bob@b.test");
  Remove("", "eve@a.test");
  const auto list = [&](const SuppressionQuery& query) {
    std::vector<std::string> found;
    std::string cursor;
    do {
      const auto page = store_->ListPastSuppressions(query, cursor, 1);
      EXPECT_TRUE(page);
      for (const PastSuppression& past : page->entries) found.push_back(past.entry.address);
      cursor = page->cursor;
    } while (!cursor.empty());
    return found;
  };
  EXPECT_THAT(list({}), ElementsAre("ana@a.test", "eve@a.test", "bob@b.test"));
  EXPECT_THAT(list({.domain = "a.test"}), ElementsAre("ana@a.test", "eve@a.test"));
  EXPECT_THAT(list({.list = "news"}), ElementsAre("bob@b.test"));
  EXPECT_THAT(list({.until = first + hours(1)}), ElementsAre("ana@a.test"));
  EXPECT_THAT(list({.since = first + hours(1)}), ElementsAre("eve@a.test", "bob@b.test"));
  EXPECT_THAT(list({.rule = "no-such-user"}), ElementsAre("eve@a.test"));
}

TEST_F(SuppressionTest, CountsEachListAndWhatHappened) {
  Put({Entry("", "ana@a.test"), Entry("", "@b.test"), Entry("news", "ana@a.test"), ByRule("bob@a.test")});
  EXPECT_EQ(CountsOf(""), (ListCounts{2, 1, 0}));
  EXPECT_EQ(CountsOf("news"), (ListCounts{1, 0, 0}));
  Remove("news", "ana@a.test");
  const SuppressionStatsPtr stats = store_->suppression_stats();
  EXPECT_EQ(stats->added_by_hand, 3u);
  EXPECT_EQ(stats->added_by_rule, 1u);
  EXPECT_EQ(stats->removed, 1u);
  EXPECT_THAT(stats->lists, SizeIs(1));
  Reopen();
  EXPECT_EQ(CountsOf(""), (ListCounts{2, 1, 0}));
}

TEST_F(SuppressionTest, RefusesEntriesThatCannotStandInAKey) {
  for (const Suppression& bad :
       {Entry("", "nobody"), Entry("", "ana@"), Entry("two words", "ana@a.test"),
        Entry("", std::string("a\0b@a.test", 10)), Entry("", ""), Entry("", "ana@" + std::string(300, 'a'))}) {
    // None of the call is staged.
    const auto put = store_->PutSuppressions(std::vector<Suppression>{Entry("", "ana@a.test"), bad});
    ASSERT_FALSE(put) << bad.address;
    EXPECT_EQ(put.error().code, ErrorCode::kInvalid);
  }
  Commit();
  EXPECT_THAT(List({}), IsEmpty());
}

TEST_F(SuppressionTest, HasABoundedNumberOfLists) {
  std::vector<Suppression> entries;
  for (std::size_t i = 0; i < kSuppressionLists; ++i) entries.push_back(Entry("l" + std::to_string(i), "ana@a.test"));
  Put(entries);
  EXPECT_THAT(store_->MatchSuppressions("ana@a.test")->entries, SizeIs(kSuppressionLists));
  const auto put = store_->PutSuppressions(std::vector<Suppression>{Entry("one-more", "ana@a.test")});
  ASSERT_FALSE(put);
  EXPECT_EQ(put.error().code, ErrorCode::kTooLarge);
  EXPECT_THAT(put.error().message, HasSubstr("10000 suppression lists"));
  EXPECT_EQ(Put({Entry("l5", "eve@a.test")}).added, 1u);
}

// -- With jobs

TEST_F(SuppressionTest, IsMarkedOnTheJobsThatAreTaken) {
  CampaignSpec spec = Named("offer");
  spec.list = "offers";
  Released(spec, {{1, "ana@a.test"}, {2, "BOB@a.test"}, {3, "eve@a.test"}, {4, "kim@a.test"}});
  Put({Entry("", "ana@a.test"), Entry("offers", "bob@a.test"), Entry("news", "eve@a.test")});
  const TakenJobs taken = Take("a.test");
  std::vector<bool> marks;
  for (const Job& job : taken.jobs) marks.push_back(job.suppressed);
  EXPECT_THAT(marks, ElementsAre(true, true, false, false));
}

TEST_F(SuppressionTest, HoldsTransactionalMailByTheGlobalListAlone) {
  CampaignSpec spec = Named("receipts");
  spec.mail_class = MailClass::kTransactional;
  spec.list = "offers";
  Released(spec, {{1, "ana@a.test"}, {2, "bob@a.test"}});
  CampaignSpec bulk = Named("offer");
  bulk.list = "offers";
  Released(bulk, {{1, "ana@a.test"}, {2, "bob@a.test"}});
  Put({Entry("", "ana@a.test"), Entry("offers", "bob@a.test")});
  std::map<std::pair<MailClass, std::string>, bool> marks;
  const TakenJobs taken = Take("a.test");
  for (const Job& job : taken.jobs) marks[{job.mail_class, std::string(job.address)}] = job.suppressed;
  EXPECT_EQ(marks,
            (std::map<std::pair<MailClass, std::string>, bool>{{{MailClass::kTransactional, "ana@a.test"}, true},
                                                               {{MailClass::kTransactional, "bob@a.test"}, false},
                                                               {{MailClass::kBulk, "ana@a.test"}, true},
                                                               {{MailClass::kBulk, "bob@a.test"}, true}}));
}

TEST_F(SuppressionTest, IsLookedAtAgainWhenARetryIsTaken) {
  Released(Named("offer"), {{1, "ana@a.test"}});
  const TakenJobs first = Take("a.test");
  EXPECT_FALSE(first.jobs[0].suppressed);
  Defer(first.jobs[0], now_ + std::chrono::minutes(7), "a.test");
  Commit();
  Put({Entry("", "@a.test")});
  now_ += hours(1);
  const TakenJobs again = Take("a.test");
  ASSERT_THAT(again.jobs, SizeIs(1));
  EXPECT_TRUE(again.jobs[0].suppressed);
  EXPECT_EQ(again.jobs[0].attempt.attempts, 1u);
}

TEST_F(SuppressionTest, ComesWithTheOutcomeOfARuleOrNotAtAll) {
  const CampaignId id = Released(Named("offer"), {{1, "ANA@a.test"}, {2, "eve@a.test"}});
  BounceWithRule(Take("a.test").jobs[0], "a.test", {.list = "", .rule = "no-such-user"});
  // The crash before the commit takes both.
  Reopen();
  EXPECT_EQ(TotalsOf(id).bounced, 0u);
  EXPECT_FALSE(IsSuppressed("", "ana@a.test"));
  EXPECT_THAT(AddressesOf(Take("a.test")), ElementsAre("ANA@a.test", "eve@a.test"));

  BounceWithRule(Take("a.test").jobs[0], "a.test", {.list = "", .rule = "no-such-user"});
  Commit();
  Reopen();
  EXPECT_EQ(TotalsOf(id).bounced, 1u);
  const auto matches = store_->MatchSuppressions("ana@a.test");
  ASSERT_THAT(matches->entries, SizeIs(1));
  EXPECT_EQ(matches->entries[0], (Suppression{.list = "",
                                              .address = "ana@a.test",
                                              .when = now_,
                                              .origin = SuppressionOrigin::kRule,
                                              .who = "",
                                              .why = "no-such-user",
                                              .campaign = "offer",
                                              .row = 1,
                                              .site = "mx.a.test",
                                              .provider = "Example",
                                              .reply = "550 no such user"}));
}

TEST_F(SuppressionTest, TakesAWholeDomainByRule) {
  Released(Named("offer"), {{1, "ana@a.test"}, {2, "eve@a.test"}});
  BounceWithRule(Take("a.test").jobs[0], "a.test", {.list = "", .rule = "null-mx", .whole_domain = true});
  Commit();
  EXPECT_EQ(CountsOf(""), (ListCounts{0, 1, 0}));
  const TakenJobs taken = Take("a.test");
  ASSERT_THAT(taken.jobs, SizeIs(1));
  EXPECT_TRUE(taken.jobs[0].suppressed);
}

TEST_F(SuppressionTest, ComesOnlyAtTheSecondBounceADayLaterIfTheRuleSaysSo) {
  Released(Named("offer"), {{1, "ana@a.test"}, {2, "ana@a.test"}, {3, "ana@a.test"}, {4, "ana@a.test"}});
  const TakenJobs taken = Take("a.test");
  ASSERT_THAT(taken.jobs, SizeIs(4));
  const SuppressionOrder order{.rule = "not-available", .on_second = true};
  BounceWithRule(taken.jobs[0], "a.test", order);
  // In the same batch and within the day it is still the first one.
  BounceWithRule(taken.jobs[1], "a.test", order);
  Commit();
  EXPECT_FALSE(IsSuppressed("", "ana@a.test"));
  EXPECT_EQ(CountsOf("bounced-once"), (ListCounts{1, 0, 1}));
  EXPECT_EQ(store_->suppression_stats()->added_by_rule, 0u);
  now_ += hours(23);
  BounceWithRule(taken.jobs[2], "a.test", order);
  Commit();
  EXPECT_FALSE(IsSuppressed("", "ana@a.test"));
  Reopen();
  now_ += hours(1);
  BounceWithRule(Take("a.test").jobs[0], "a.test", order);
  Commit();
  EXPECT_TRUE(IsSuppressed("", "ana@a.test"));
  EXPECT_EQ(CountsOf("bounced-once"), (ListCounts{}));
  EXPECT_EQ(store_->suppression_stats()->added_by_rule, 1u);
  const auto matches = store_->MatchSuppressions("ana@a.test");
  ASSERT_THAT(matches->past, SizeIs(1));
  EXPECT_EQ(matches->past[0].entry.row, 1u);
}

TEST_F(SuppressionTest, ForgetsAFirstBounceAfterThreeMonths) {
  Released(Named("offer"), {{1, "ana@a.test"}, {2, "ana@a.test"}});
  const TakenJobs taken = Take("a.test");
  ASSERT_THAT(taken.jobs, SizeIs(2));
  const SuppressionOrder order{.rule = "not-available", .on_second = true};
  BounceWithRule(taken.jobs[0], "a.test", order);
  Commit();
  now_ += hours(90 * 24);
  BounceWithRule(taken.jobs[1], "a.test", order);
  Commit();
  EXPECT_FALSE(IsSuppressed("", "ana@a.test"));
  EXPECT_EQ(CountsOf("bounced-once"), (ListCounts{1, 0, 1}));
}

TEST_F(SuppressionTest, IsNotBroughtByAnOutcomeThatComesTwice) {
  Released(Named("offer"), {{1, "ana@a.test"}, {2, "eve@a.test"}});
  const TakenJobs taken = Take("a.test");
  BounceWithRule(taken.jobs[0], "a.test", {.list = "", .rule = "no-such-user"});
  Commit();
  Remove("", "ana@a.test");
  BounceWithRule(taken.jobs[0], "a.test", {.list = "", .rule = "no-such-user"});
  Commit();
  EXPECT_FALSE(IsSuppressed("", "ana@a.test"));
}

TEST_F(SuppressionTest, SaysWhereAnEntryIsDamaged) {
  Put({Entry("", "ana@a.test")});
  store_.reset();
  {
    auto tables = Tables::Open(options());
    ASSERT_TRUE(tables);
    TableBatch batch = (*tables)->NewBatch();
    batch.Put(Table::kSuppression, SuppressionKey("", "ana@a.test"), "\x01rubbish");
    ASSERT_TRUE((*tables)->Write(batch));
  }
  Open();
  const std::vector<Recipient> asked{{"", "ana@a.test", "a.test"}};
  // A damaged entry may be one that counts: nobody may take it for none.
  EXPECT_FALSE(store_->MatchSuppressions("ana@a.test"));
  const auto page = store_->ListSuppressions({}, "", 10);
  ASSERT_FALSE(page);
  EXPECT_EQ(page.error().code, ErrorCode::kCorrupt);
  EXPECT_THAT(page.error().message, HasSubstr("table suppression, key e\\x00a.test\\x00ana"));
  EXPECT_FALSE(store_->PutSuppressions(std::vector<Suppression>{Entry("", "ana@a.test")}));
}

TEST_F(SuppressionTest, DoesWhatAPlainMapDoes) {
  std::mt19937_64 random(7);
  std::map<std::pair<std::string, std::string>, Suppression> model;
  const std::vector<std::string> lists{"", "news", "offers"};
  for (int step = 0; step < 3000; ++step) {
    now_ += std::chrono::milliseconds(1);
    const std::string list = lists[random() % lists.size()];
    const std::string domain = "d" + std::to_string(random() % 5) + ".test";
    const std::string address = (random() % 10 == 0 ? "" : "u" + std::to_string(random() % 20)) + "@" + domain;
    const auto place = model.find({list, address});
    if (random() % 3 != 0) {
      Suppression entry = random() % 2 == 0 ? Entry(list, address) : ByRule(address);
      entry.list = list;
      if (random() % 4 == 0) entry.expires = now_ + std::chrono::milliseconds(random() % 300);
      Stage({entry});
      if (place == model.end() || Supersedes(entry, place->second)) model[{list, address}] = entry;
    } else {
      const std::vector<SuppressionRemoval> removals{{list, address, now_, "eve", ""}};
      EXPECT_EQ(store_->DeleteSuppressions(removals).value(), place == model.end() ? 0u : 1u);
      if (place != model.end()) model.erase(place);
    }
    if (random() % 20 == 0) Commit();
    if (random() % 500 == 0) {
      Commit();
      Reopen();
    }
  }
  Commit();
  std::vector<std::string> all;
  std::map<std::string, ListCounts> counts;
  for (const auto& [key, entry] : model) {
    all.push_back(key.first + ":" + key.second);
    ListCounts& of = counts[key.first];
    ++(key.second.starts_with('@') ? of.domains : of.addresses);
    if (entry.expires) ++of.expiring;
  }
  std::vector<std::string> listed = List({}, 7);
  std::ranges::sort(listed);
  EXPECT_EQ(listed, all);
  for (const auto& [list, of] : counts) EXPECT_EQ(CountsOf(list), of);
  for (const std::string& list : lists) {
    for (int d = 0; d < 5; ++d) {
      for (int u = 0; u < 20; ++u) {
        const std::string domain = "@d" + std::to_string(d) + ".test";
        const std::string address = "u" + std::to_string(u) + domain;
        bool expected = false;
        for (const std::string& of : {std::string(), list}) {
          for (const std::string& name : {address, domain}) {
            const auto entry = model.find({of, name});
            expected |= entry != model.end() && !entry->second.Expired(now_);
          }
        }
        EXPECT_EQ(IsSuppressed(list, address), expected) << list << " " << address;
      }
    }
  }
}

}  // namespace
}  // namespace postrider::queue
