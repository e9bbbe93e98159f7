#include "queue/job_store.h"

#include <gmock/gmock.h>

#include "queue/outcome.h"
#include "queue/record.h"
#include "tests/queue/store_fixture.h"

namespace postrider::queue {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;
using testing::IsEmpty;
using testing::UnorderedElementsAre;

using JobStoreTest = StoreTest;

TEST_F(JobStoreTest, HandsOutTheRowsOfADomainInListOrder) {
  Released(Named("offer"), {{1, "ana@a.test"}, {2, "bob@b.test"}, {3, "eve@a.test"}});

  const TakenJobs taken = Take("a.test");

  EXPECT_THAT(AddressesOf(taken), ElementsAre("ana@a.test", "eve@a.test"));
  EXPECT_FALSE(taken.more);
  ASSERT_EQ(taken.campaigns.size(), 1u);
  EXPECT_EQ(taken.campaigns[0]->spec.name, "offer");
  ASSERT_EQ(taken.templates.size(), 1u);
  EXPECT_EQ(taken.templates[0]->message, "Subject: to {{name}}\r\n\r\nhello\r\n");
  EXPECT_EQ(taken.templates[0]->accepted_at, now_);
  EXPECT_EQ(taken.templates[0]->host_name, "list.sender.test");
  EXPECT_EQ(taken.jobs[1].id, (JobId{1, 3}));
  EXPECT_EQ(taken.jobs[1].row_id, "id3");
  EXPECT_EQ(taken.jobs[1].fields, "fields");
}

TEST_F(JobStoreTest, HandsOutNothingTwiceWhileACursorLives) {
  Released(Named("offer"), {{1, "ana@a.test"}, {2, "eve@a.test"}});
  const TakenJobs first = Take("a.test");
  Defer(first.jobs[0], now_ + std::chrono::minutes(7), "a.test");
  Commit();

  const TakenJobs second = Take("a.test", first.cursor);
  EXPECT_THAT(second.jobs, IsEmpty());
  EXPECT_EQ(second.next_due, now_ + std::chrono::minutes(7));

  now_ += std::chrono::minutes(8);
  const TakenJobs third = Take("a.test", second.cursor);
  EXPECT_THAT(AddressesOf(third), ElementsAre("ana@a.test"));
  EXPECT_THAT(AddressesOf(Take("a.test", third.cursor)), IsEmpty());
  // A new cursor starts over: both are still unsettled.
  EXPECT_THAT(AddressesOf(Take("a.test")), ElementsAre("ana@a.test", "eve@a.test"));
}

TEST_F(JobStoreTest, TakesOnlyWhatIsAskedFor) {
  CampaignSpec receipts = Named("receipts");
  receipts.mail_class = MailClass::kTransactional;
  const CampaignId urgent = Released(receipts, {{1, "ana@a.test"}});
  const CampaignId offer = Released(Named("offer"), {{1, "eve@a.test"}});
  const CampaignId ends = Released(Named("ends"), {{1, "joe@a.test"}});
  SetState(ends, CampaignState::kCancelled);
  Commit();
  const auto take = [&](TakeRequest request) {
    request.domain = "a.test";
    request.now = now_;
    return store_->Take(request).value();
  };

  const TakenJobs first = take({.domain = {}, .urgent_only = true, .now = {}});
  EXPECT_THAT(AddressesOf(first), UnorderedElementsAre("ana@a.test", "joe@a.test"));
  EXPECT_FALSE(first.more);
  EXPECT_THAT(AddressesOf(take({.domain = {}, .skip = {urgent, ends}, .now = {}})), ElementsAre("eve@a.test"));
  // Whom a Take passed over stays where its cursor stood.
  const TakenJobs second = take({.domain = {}, .cursor = first.cursor, .skip = {urgent, offer}, .now = {}});
  EXPECT_THAT(second.jobs, IsEmpty());
  EXPECT_THAT(AddressesOf(Take("a.test", second.cursor)), ElementsAre("eve@a.test"));
}

TEST_F(JobStoreTest, FinishesACampaignWithItsLastRow) {
  const CampaignId id = Released(Named("offer"), {{1, "ana@a.test"}, {2, "eve@a.test"}});
  const TakenJobs taken = Take("a.test");
  Finish(taken.jobs[0], EventKind::kDelivered, "a.test");
  Commit();
  EXPECT_THAT(store_->TakeFinished(), IsEmpty());
  EXPECT_THAT(AddressesOf(Take("a.test")), ElementsAre("eve@a.test"));

  Finish(taken.jobs[1], EventKind::kBounced, "a.test");
  Commit();

  EXPECT_EQ(store_->FindCampaign(id)->state, CampaignState::kDone);
  ASSERT_EQ(store_->TakeFinished().size(), 1u);
  EXPECT_THAT(store_->TakeFinished(), IsEmpty());
  EXPECT_EQ(TotalsOf(id).delivered, 1u);
  EXPECT_EQ(TotalsOf(id).bounced, 1u);
  EXPECT_EQ(TotalsOf(id).queued(), 0u);
  EXPECT_THAT(Scan(), IsEmpty());
}

TEST_F(JobStoreTest, KeepsAcrossARestartWhatWasCommittedAndNothingElse) {
  const CampaignId id = Begin("offer");
  Add(id, {{1, "ana@a.test"}});
  Commit();
  Add(id, {{2, "eve@a.test"}});
  EXPECT_EQ(store_->run(), 1u);

  Reopen();

  EXPECT_EQ(store_->run(), 2u);
  const CampaignPtr campaign = store_->FindCampaign("offer");
  ASSERT_NE(campaign, nullptr);
  EXPECT_EQ(campaign->state, CampaignState::kLoading);
  EXPECT_EQ(campaign->position.line, 1u);
  EXPECT_EQ(campaign->totals.accepted, 1u);
  Add(id, {{2, "eve@a.test"}});
  SetState(id, CampaignState::kRunning);
  Commit();
  EXPECT_THAT(AddressesOf(Take("a.test")), ElementsAre("ana@a.test", "eve@a.test"));
}

// -- Cursors and order

TEST_F(JobStoreTest, TakesWholeBlocksAndSaysWhetherThereIsMore) {
  std::vector<TestRow> rows;
  for (std::uint64_t i = 1; i <= 600; ++i) rows.push_back({i, "r" + std::to_string(i) + "@a.test"});
  Released(Named("offer"), rows);

  const TakenJobs first = Take("a.test", {}, 1);
  EXPECT_EQ(first.jobs.size(), 256u);
  EXPECT_TRUE(first.more);
  const TakenJobs second = Take("a.test", first.cursor, 257);
  EXPECT_EQ(second.jobs.size(), 344u);
  EXPECT_EQ(second.jobs.front().id.row, 257u);
  EXPECT_FALSE(second.more);
}

TEST_F(JobStoreTest, CutsBlocksOfLongRowsShort) {
  const CampaignId id = Begin("offer");
  const std::string fields(100'000, 'f');
  const std::vector<NewRow> rows(8, NewRow{1, "a.test", "r@a.test", "", fields, false});
  EnqueueBatch batch{.campaign = id, .rows = rows, .rows_read = 8};
  ASSERT_TRUE(store_->Enqueue(batch, now_));
  SetState(id, CampaignState::kRunning);
  Commit();
  EXPECT_EQ(Take("a.test", {}, 1).jobs.size(), 3u);
}

TEST_F(JobStoreTest, LetsCampaignsOfOneClassTakeTurns) {
  for (const char* name : {"one", "two"}) {
    std::vector<TestRow> rows;
    for (std::uint64_t i = 1; i <= 512; ++i) rows.push_back({i, std::string(name) + std::to_string(i) + "@a.test"});
    Released(Named(name), rows);
  }
  std::vector<CampaignId> turns;
  DomainCursor cursor;
  for (int i = 0; i < 4; ++i) {
    const TakenJobs taken = Take("a.test", cursor, 1);
    cursor = taken.cursor;
    turns.push_back(taken.jobs.front().id.campaign);
    EXPECT_EQ(taken.more, i < 3);
  }
  EXPECT_THAT(turns, ElementsAre(1, 2, 1, 2));
}

TEST_F(JobStoreTest, TakesTransactionalBeforeBulkAndHighPriorityFirst) {
  CampaignSpec low = Named("low");
  low.priority = -5;
  CampaignSpec high = Named("high");
  high.priority = 5;
  CampaignSpec urgent = Named("urgent");
  urgent.mail_class = MailClass::kTransactional;
  urgent.priority = -100;
  Released(low, {{1, "low@a.test"}});
  Released(high, {{1, "high@a.test"}, {2, "late@a.test"}});
  Released(urgent, {{1, "urgent@a.test"}, {2, "later@a.test"}});
  const TakenJobs first = Take("a.test");
  EXPECT_THAT(AddressesOf(first),
              ElementsAre("urgent@a.test", "later@a.test", "high@a.test", "late@a.test", "low@a.test"));
  Defer(first.jobs[1], now_ + std::chrono::seconds(20), "a.test");
  Defer(first.jobs[2], now_ + std::chrono::seconds(10), "a.test");
  Commit();
  now_ += std::chrono::seconds(30);
  EXPECT_THAT(AddressesOf(Take("a.test")),
              ElementsAre("later@a.test", "urgent@a.test", "high@a.test", "late@a.test", "low@a.test"));
}

TEST_F(JobStoreTest, HandsRetriesOutInTheOrderOfTheirMoments) {
  Released(Named("one"), {{1, "a1@a.test"}, {2, "a2@a.test"}});
  Released(Named("two"), {{1, "b1@a.test"}});
  const TakenJobs taken = Take("a.test");
  ASSERT_EQ(taken.jobs.size(), 3u);
  const int seconds[] = {30, 10, 20};
  for (std::size_t i = 0; i < 3; ++i) Defer(taken.jobs[i], now_ + std::chrono::seconds(seconds[i]), "a.test");
  Commit();
  const Wall start = now_;
  EXPECT_EQ(Take("a.test").next_due, start + std::chrono::seconds(10));
  now_ = start + std::chrono::seconds(20);
  const TakenJobs two = Take("a.test");
  EXPECT_THAT(AddressesOf(two), ElementsAre("a2@a.test", "b1@a.test"));
  EXPECT_EQ(two.next_due, start + std::chrono::seconds(30));
  now_ = start + std::chrono::seconds(30);
  EXPECT_THAT(AddressesOf(Take("a.test", {}, 2)), ElementsAre("a2@a.test", "b1@a.test"));
  EXPECT_TRUE(Take("a.test", {}, 2).more);
  EXPECT_THAT(AddressesOf(Take("a.test", two.cursor)), ElementsAre("a1@a.test"));
}

TEST_F(JobStoreTest, KeepsWithARetryAllThatItsNextTryNeeds) {
  Released(Named("offer"), {{7, "ana@a.test"}});
  const JobPlace place = Take("a.test").jobs[0].place;
  Outcome outcome;
  outcome.event.kind = EventKind::kUnknown;
  outcome.event.time = now_;
  outcome.event.job = {1, 7};
  outcome.event.attempt = 3;
  outcome.event.domain = "a.test";
  outcome.event.recipient = "ana@a.test";
  outcome.event.row_id = "id7";
  outcome.event.source = "source-b";
  outcome.event.stage = Stage::kContent;
  outcome.event.category = Category::kSpamBlock;
  outcome.event.code = 421;
  outcome.event.enhanced = EnhancedCode{4, 3, 2};
  outcome.event.reply = "closing";
  outcome.event.next_due = now_ + std::chrono::minutes(30);
  outcome.place = place;
  outcome.first_attempt = At(5);
  outcome.unknown_count = 2;
  outcome.bad_mailbox_count = 1;
  outcome.last_bad_mailbox = At(6);
  outcome.needs_smtputf8 = true;
  outcome.fields = "merge";
  store_->Settle(outcome);
  Commit();
  Reopen();
  now_ += std::chrono::minutes(30);

  const TakenJobs taken = Take("a.test");
  ASSERT_EQ(taken.jobs.size(), 1u);
  const Job& retry = taken.jobs[0];
  EXPECT_EQ(retry.id, (JobId{1, 7}));
  EXPECT_EQ(retry.place.retry_due, now_);
  EXPECT_TRUE(retry.needs_smtputf8);
  EXPECT_EQ(retry.address, "ana@a.test");
  EXPECT_EQ(retry.row_id, "id7");
  EXPECT_EQ(retry.fields, "merge");
  EXPECT_EQ(retry.attempt.attempts, 3);
  EXPECT_EQ(retry.attempt.first_attempt, At(5));
  EXPECT_EQ(retry.attempt.source, "source-b");
  EXPECT_EQ(retry.attempt.stage, Stage::kContent);
  EXPECT_EQ(retry.attempt.category, Category::kSpamBlock);
  EXPECT_EQ(retry.attempt.code, 421);
  EXPECT_EQ(retry.attempt.enhanced, (EnhancedCode{4, 3, 2}));
  EXPECT_EQ(retry.attempt.reply_text, "closing");
  EXPECT_EQ(retry.attempt.unknown_count, 2);
  EXPECT_EQ(retry.attempt.bad_mailbox_count, 1);
  EXPECT_EQ(retry.attempt.last_bad_mailbox, At(6));
  // Unknown, not deferred.
  EXPECT_EQ(TotalsOf(1).deferrals, 0u);
  EXPECT_EQ(TotalsOf(1).queued(), 1u);
}

TEST_F(JobStoreTest, LosesNoRetryWhenTheClockIsSetBack) {
  Released(Named("offer"), {{1, "ana@a.test"}, {2, "eve@a.test"}});
  const TakenJobs first = Take("a.test");
  Defer(first.jobs[0], now_ + std::chrono::seconds(10), "a.test");
  Commit();
  const Wall late = now_ + std::chrono::hours(1);
  now_ = late;
  const TakenJobs second = Take("a.test", first.cursor);
  ASSERT_EQ(second.jobs.size(), 1u);
  now_ -= std::chrono::minutes(59);
  Defer(first.jobs[1], now_ + std::chrono::seconds(1), "a.test");
  Commit();
  now_ = late + std::chrono::seconds(1);
  EXPECT_THAT(AddressesOf(Take("a.test", second.cursor)), ElementsAre("eve@a.test"));
}

TEST_F(JobStoreTest, HandsOutWhatComesAfterADomainWasEmptyToAnOldCursor) {
  CampaignSpec spec = Named("offer");
  spec.start = StartMode::kStreaming;
  const CampaignId id = Begin(spec);
  Add(id, {{1, "ana@a.test"}});
  Commit();
  const TakenJobs first = Take("a.test");
  Finish(first.jobs[0], EventKind::kDelivered, "a.test");
  Commit();
  EXPECT_THAT(Scan(), IsEmpty());
  Add(id, {{2, "eve@a.test"}});
  Commit();
  EXPECT_THAT(AddressesOf(Take("a.test", first.cursor)), ElementsAre("eve@a.test"));
}

TEST_F(JobStoreTest, IgnoresASecondOutcomeOfARow) {
  const CampaignId id = Released(Named("offer"), {{1, "ana@a.test"}, {2, "eve@a.test"}, {3, "x@a.test"}});
  const TakenJobs taken = Take("a.test");
  Finish(taken.jobs[0], EventKind::kDelivered, "a.test");
  Finish(taken.jobs[0], EventKind::kDelivered, "a.test");
  Commit();
  Finish(taken.jobs[0], EventKind::kBounced, "a.test");
  Commit();
  EXPECT_EQ(TotalsOf(id).delivered, 1u);
  EXPECT_EQ(TotalsOf(id).bounced, 0u);
  EXPECT_EQ(TotalsOf(id).queued(), 2u);
}

// -- Scanning

TEST_F(JobStoreTest, FindsTheDomainsOfACoresShardsOncePerLap) {
  std::vector<TestRow> rows;
  for (std::uint64_t i = 1; i <= 200; ++i) rows.push_back({i, "r@d" + std::to_string(i % 100) + ".test"});
  Released(Named("one"), rows);
  Released(Named("two"), rows);

  std::vector<std::string> all;
  for (std::uint32_t core = 0; core < 3; ++core) {
    for (const std::string& domain : Scan(core, 3)) {
      EXPECT_EQ(ShardOf(domain, 8) % 3, core);
      all.push_back(domain);
    }
  }
  std::sort(all.begin(), all.end());
  EXPECT_EQ(all.size(), 100u);
  EXPECT_EQ(std::unique(all.begin(), all.end()), all.end());
  // More cores than shards: some have nothing.
  EXPECT_THAT(Scan(11, 12), IsEmpty());
}

TEST_F(JobStoreTest, FindsADomainOfRetriesWhenOneIsDue) {
  Released(Named("offer"), {{1, "ana@a.test"}});
  Defer(Take("a.test").jobs[0], now_ + std::chrono::minutes(7), "a.test");
  Commit();
  EXPECT_THAT(Scan(), IsEmpty());
  now_ += std::chrono::minutes(7);
  EXPECT_THAT(Scan(), ElementsAre("a.test"));
}

TEST_F(JobStoreTest, StopsFindingADomainWhoseDueRetriesAreGone) {
  Released(Named("offer"), {{1, "ana@a.test"}, {2, "eve@a.test"}});
  const TakenJobs first = Take("a.test");
  Defer(first.jobs[0], now_ + std::chrono::minutes(7), "a.test");
  Defer(first.jobs[1], now_ + std::chrono::hours(7), "a.test");
  Commit();
  now_ += std::chrono::minutes(7);
  const TakenJobs second = Take("a.test", first.cursor);
  Finish(second.jobs[0], EventKind::kDelivered, "a.test");
  Commit();
  // With a new cursor the true head is seen once, and then remembered.
  EXPECT_THAT(AddressesOf(Take("a.test")), IsEmpty());
  EXPECT_THAT(Scan(), IsEmpty());
}

// -- A campaign's life

TEST_F(JobStoreTest, SendsNothingBeforeTheReleaseUnlessStreaming) {
  CampaignSpec streaming = Named("streaming");
  streaming.start = StartMode::kStreaming;
  Add(Begin("whole"), {{1, "ana@a.test"}});
  Add(Begin(streaming), {{1, "eve@b.test"}});
  Commit();
  EXPECT_THAT(Scan(), ElementsAre("b.test"));
  EXPECT_THAT(AddressesOf(Take("a.test")), IsEmpty());
  EXPECT_THAT(AddressesOf(Take("b.test")), ElementsAre("eve@b.test"));
}

TEST_F(JobStoreTest, WaitsForTheMomentOfTheManifest) {
  CampaignSpec spec = Named("offer");
  spec.not_before = now_ + std::chrono::hours(1);
  Released(spec, {{1, "ana@a.test"}});
  EXPECT_THAT(Scan(), IsEmpty());
  EXPECT_EQ(Take("a.test").next_due, spec.not_before);
  now_ += std::chrono::hours(1);
  EXPECT_THAT(Scan(), ElementsAre("a.test"));
  EXPECT_THAT(AddressesOf(Take("a.test")), ElementsAre("ana@a.test"));
}

TEST_F(JobStoreTest, HandsOutNothingOfACampaignOutsideItsWindows) {
  now_ = Wall(std::chrono::hours(24 * 365));
  CampaignSpec spec = Named("offer");
  spec.windows = {SendWindow::Parse("08:00-09:00").value()};
  Released(spec, {{1, "ana@a.test"}, {2, "bob@a.test"}});
  EXPECT_THAT(Scan(), IsEmpty());
  EXPECT_THAT(AddressesOf(Take("a.test")), IsEmpty());
  const Wall opens = now_ + std::chrono::hours(8);
  EXPECT_EQ(Take("a.test").next_due, opens);
  now_ = opens;
  EXPECT_THAT(Scan(), ElementsAre("a.test"));
  const TakenJobs taken = Take("a.test");
  EXPECT_THAT(AddressesOf(taken), ElementsAre("ana@a.test", "bob@a.test"));
  Defer(taken.jobs[0], now_ + std::chrono::minutes(10), "a.test");
  Finish(taken.jobs[1], EventKind::kDelivered, "a.test");
  Commit();
  // Its retry waits for the window of the next day, after a restart too.
  Reopen();
  now_ += std::chrono::hours(2);
  EXPECT_THAT(Scan(), IsEmpty());
  now_ = opens + std::chrono::hours(24);
  EXPECT_THAT(Scan(), ElementsAre("a.test"));
  EXPECT_THAT(AddressesOf(Take("a.test")), ElementsAre("ana@a.test"));
}

TEST_F(JobStoreTest, LeavesAPausedCampaignsJobsAndTheOthersPassBy) {
  const CampaignId paused = Released(Named("paused"), {{1, "ana@a.test"}, {2, "eve@a.test"}});
  Defer(Take("a.test").jobs[0], now_ + std::chrono::seconds(1), "a.test");
  Released(Named("other"), {{1, "bob@a.test"}});
  SetState(paused, CampaignState::kPaused);
  Commit();
  now_ += std::chrono::minutes(10);
  const TakenJobs taken = Take("a.test");
  EXPECT_THAT(AddressesOf(taken), ElementsAre("bob@a.test"));
  EXPECT_FALSE(taken.more);
  EXPECT_FALSE(taken.next_due);
  SetState(paused, CampaignState::kRunning);
  Commit();
  EXPECT_THAT(AddressesOf(Take("a.test", taken.cursor)), ElementsAre("ana@a.test", "eve@a.test"));
}

TEST_F(JobStoreTest, HandsOutAllOfACancelledCampaignDueOrNot) {
  const CampaignId id = Released(Named("offer"), {{1, "ana@a.test"}, {2, "eve@a.test"}, {3, "late@a.test"}});
  const TakenJobs first = Take("a.test");
  Defer(first.jobs[0], now_ + std::chrono::hours(4), "a.test");
  SetState(id, CampaignState::kCancelled);
  Commit();
  EXPECT_THAT(Scan(), ElementsAre("a.test"));
  const TakenJobs second = Take("a.test", first.cursor);
  EXPECT_THAT(AddressesOf(second), ElementsAre("ana@a.test"));
  // What was in flight comes back deferred, earlier than what the cursor has passed.
  Defer(first.jobs[1], now_ + std::chrono::hours(1), "a.test");
  Finish(second.jobs[0], EventKind::kCancelled, "a.test");
  Finish(first.jobs[2], EventKind::kCancelled, "a.test");
  Commit();
  const TakenJobs third = Take("a.test", second.cursor);
  EXPECT_THAT(AddressesOf(third), ElementsAre("eve@a.test"));
  Finish(third.jobs[0], EventKind::kCancelled, "a.test");
  Commit();
  // It stays what it was: not done.
  EXPECT_EQ(store_->FindCampaign(id)->state, CampaignState::kCancelled);
  EXPECT_EQ(store_->FindCampaign(id)->ended_at, now_);
  EXPECT_EQ(TotalsOf(id).cancelled, 3u);
  EXPECT_THAT(store_->TakeFinished(), testing::SizeIs(1));
  Commit();
  EXPECT_THAT(store_->TakeFinished(), IsEmpty());
  Reopen();
  EXPECT_EQ(store_->FindCampaign(id)->state, CampaignState::kCancelled);
  EXPECT_FALSE(store_->ReadTemplate(id, 0));
}

TEST_F(JobStoreTest, KeepsWhyACampaignIsHeldUntilItIsNoMore) {
  const CampaignId id = Begin(Named("offer"));
  Add(id, {{1, "ana@a.test"}});
  ASSERT_TRUE(store_->SetState(id, CampaignState::kHeld, now_, std::chrono::hours(48), "9 of 10 rows were rejected"));
  Commit();
  Reopen();
  EXPECT_EQ(store_->FindCampaign(id)->note, "9 of 10 rows were rejected");
  SetState(id, CampaignState::kRunning);
  Commit();
  EXPECT_EQ(store_->FindCampaign(id)->note, "");
}

TEST_F(JobStoreTest, HandsOutAllOfAnExpiredCampaign) {
  const CampaignId id = Released(Named("offer"), {{1, "ana@a.test"}, {2, "eve@a.test"}});
  Defer(Take("a.test").jobs[0], now_ + std::chrono::hours(60), "a.test");
  Commit();
  EXPECT_EQ(store_->FindCampaign(id)->expires_at, now_ + std::chrono::hours(48));
  EXPECT_EQ(Take("a.test").next_due, now_ + std::chrono::hours(48));
  now_ += std::chrono::hours(48);
  EXPECT_THAT(AddressesOf(Take("a.test")), ElementsAre("ana@a.test", "eve@a.test"));
}

TEST_F(JobStoreTest, FinishesAReleasedCampaignWithoutRows) {
  const CampaignId id = Released(Named("empty"), {});
  EXPECT_EQ(store_->FindCampaign(id)->state, CampaignState::kDone);
  EXPECT_EQ(store_->FindCampaign(id)->ended_at, now_);
  EXPECT_EQ(store_->TakeFinished().size(), 1u);
}

TEST_F(JobStoreTest, TakesTheRowsOfAFailedCampaignAway) {
  CampaignSpec spec = Named("offer");
  spec.start = StartMode::kStreaming;
  const CampaignId id = Begin(spec);
  Add(id, {{1, "ana@a.test"}, {2, "eve@b.test"}, {3, "bob@c.test"}});
  Commit();
  Finish(Take("a.test").jobs[0], EventKind::kDelivered, "a.test");
  Defer(Take("b.test").jobs[0], now_ + std::chrono::seconds(1), "b.test");
  const TakenJobs in_flight = Take("c.test");
  Released(Named("other"), {{1, "ana@b.test"}});
  Add(id, {{4, "staged@b.test"}});

  SetState(id, CampaignState::kFailed);
  Finish(in_flight.jobs[0], EventKind::kDelivered, "c.test");
  Commit();

  now_ += std::chrono::minutes(1);
  EXPECT_THAT(Scan(), ElementsAre("b.test"));
  EXPECT_THAT(AddressesOf(Take("b.test")), ElementsAre("ana@b.test"));
  const CampaignTotals totals = TotalsOf(id);
  EXPECT_EQ(totals.rows, 4u);
  EXPECT_EQ(totals.accepted, 1u);
  EXPECT_EQ(totals.rejected, 3u);
  EXPECT_EQ(totals.delivered, 1u);
  EXPECT_EQ(totals.queued(), 0u);
  Reopen();
  EXPECT_EQ(store_->FindCampaign(id)->state, CampaignState::kFailed);
  EXPECT_FALSE(store_->ReadTemplate(id, 0));
  // Its name is free again.
  EXPECT_NE(Begin("offer"), id);
  Commit();
  EXPECT_EQ(store_->FindCampaign("offer")->state, CampaignState::kLoading);
}

TEST_F(JobStoreTest, RefusesANameThatIsTaken) {
  Released(Named("offer"), {{1, "ana@a.test"}});
  const auto again = store_->BeginCampaign(Named("offer"), "", now_);
  ASSERT_FALSE(again);
  EXPECT_EQ(again.error().code, ErrorCode::kExists);
  EXPECT_THAT(again.error().message, HasSubstr("offer is taken by campaign 1, which is running"));
  // One that is only staged counts too.
  Begin("fresh");
  EXPECT_FALSE(store_->BeginCampaign(Named("fresh"), "", now_));
}

TEST_F(JobStoreTest, RefusesRowsThatItCannotKeep) {
  const CampaignId id = Begin("offer");
  const auto enqueue = [&](EnqueueBatch batch, std::vector<NewRow> rows) {
    batch.campaign = batch.campaign == 0 ? id : batch.campaign;
    batch.rows = rows;
    const auto result = store_->Enqueue(batch, now_);
    return result ? std::optional<ErrorCode>() : result.error().code;
  };
  const std::string long_fields(kRowBytesMax + 1, 'x');
  EXPECT_EQ(enqueue({.rows_read = 1}, {{1, "", "a@", "", "", false}}), ErrorCode::kInvalid);
  EXPECT_EQ(enqueue({.rows_read = 1}, {{1, std::string_view("a\0b", 3), "a@", "", "", false}}), ErrorCode::kInvalid);
  EXPECT_EQ(enqueue({.rows_read = 1}, {{1, "a.test", "a@a.test", "", long_fields, false}}), ErrorCode::kTooLarge);
  EXPECT_EQ(enqueue({.rows_read = 2}, {{1, "a.test", "a@a.test", "", "", false}}), ErrorCode::kInvalid);
  EXPECT_EQ(enqueue({.rows_read = 1, .message = "x"}, {{1, "a.test", "a@a.test", "", "", false}}), ErrorCode::kInvalid);
  EXPECT_EQ(enqueue({.campaign = 99}, {}), ErrorCode::kNotFound);
  EXPECT_EQ(enqueue({.rows_read = 4, .rejected = 1, .duplicate = 1, .suppressed = 2}, {}), std::nullopt);
  SetState(id, CampaignState::kHeld);
  EXPECT_EQ(enqueue({.rows_read = 1}, {{1, "a.test", "a@a.test", "", "", false}}), ErrorCode::kInvalid);
  Commit();
  const CampaignTotals totals = TotalsOf(id);
  EXPECT_EQ(totals.rows, 4u);
  EXPECT_EQ(totals.accepted, 0u);
  EXPECT_EQ(totals.suppressed_at_intake, 2u);
}

TEST_F(JobStoreTest, SaysWhyAStepIsNotPossible) {
  const CampaignId id = Released(Named("offer"), {{1, "ana@a.test"}});
  const auto held = store_->SetState(id, CampaignState::kHeld, now_, std::chrono::hours(1));
  ASSERT_FALSE(held);
  EXPECT_EQ(held.error().code, ErrorCode::kInvalid);
  EXPECT_THAT(held.error().message, HasSubstr("offer is running"));
  EXPECT_EQ(store_->SetState(99, CampaignState::kPaused, now_, std::chrono::hours(1)).error().code,
            ErrorCode::kNotFound);
  // A failure that is refused erases nothing.
  EXPECT_FALSE(store_->SetState(id, CampaignState::kFailed, now_, std::chrono::hours(1)));
  EXPECT_THAT(AddressesOf(Take("a.test")), ElementsAre("ana@a.test"));
}

// -- Standing campaigns

TEST_F(JobStoreTest, KeepsAStandingCampaignsMessageUntilItsLastRecipient) {
  CampaignSpec spec = Named("receipts");
  spec.standing = true;
  const CampaignId id = Begin(spec);
  SetState(id, CampaignState::kRunning);
  AddStanding(id, {{1, "ana@a.test"}, {2, "eve@b.test"}}, "first");
  AddStanding(id, {{3, "bob@a.test"}}, "second");
  Commit();
  const TakenJobs taken = Take("a.test");
  ASSERT_EQ(taken.templates.size(), 2u);
  EXPECT_EQ(taken.templates[0]->message, "first");
  EXPECT_EQ(taken.templates[1]->message, "second");
  EXPECT_EQ(taken.templates[1]->host_name, "one.sender.test");
  EXPECT_EQ(taken.jobs[0].template_number, 1u);
  EXPECT_EQ(taken.jobs[1].template_number, 2u);

  Finish(taken.jobs[0], EventKind::kDelivered, "a.test");
  Defer(taken.jobs[1], now_ + std::chrono::seconds(1), "a.test");
  Commit();
  Reopen();
  EXPECT_TRUE(store_->ReadTemplate(id, 1));
  EXPECT_TRUE(store_->ReadTemplate(id, 2));
  Finish(Take("b.test").jobs[0], EventKind::kBounced, "b.test");
  now_ += std::chrono::seconds(2);
  const TakenJobs retry = Take("a.test");
  ASSERT_EQ(retry.jobs.size(), 1u);
  EXPECT_EQ(retry.jobs[0].template_number, 2u);
  Finish(retry.jobs[0], EventKind::kDelivered, "a.test");
  Commit();
  Reopen();
  EXPECT_FALSE(store_->ReadTemplate(id, 1));
  EXPECT_EQ(store_->ReadTemplate(id, 2).error().code, ErrorCode::kNotFound);
  // It stands on, with fresh numbers.
  EXPECT_EQ(store_->FindCampaign(id)->state, CampaignState::kRunning);
  AddStanding(id, {{4, "ana@a.test"}}, "third");
  Commit();
  EXPECT_EQ(Take("a.test").jobs[0].template_number, 3u);
}

TEST_F(JobStoreTest, FreesTheNameOfACancelledStandingCampaign) {
  CampaignSpec spec = Named("receipts");
  spec.standing = true;
  const CampaignId id = Begin(spec);
  SetState(id, CampaignState::kRunning);
  SetState(id, CampaignState::kCancelled);
  Commit();
  EXPECT_EQ(store_->FindCampaign("receipts")->state, CampaignState::kCancelled);
  EXPECT_GT(Begin(spec), id);
  EXPECT_FALSE(store_->BeginCampaign(spec, "", now_));
}

// -- State, history, looking

TEST_F(JobStoreTest, KeepsTheStateOfOthers) {
  store_->PutState("pause/a", "1");
  store_->PutState("pause/b", std::string_view("\0\xff", 2));
  store_->PutState("tls/x", "3");
  EXPECT_THAT(store_->ReadState("pause/").value(), IsEmpty());
  Commit();
  store_->DeleteState("pause/a");
  Commit();
  Reopen();
  EXPECT_THAT(store_->ReadState("pause/").value(), ElementsAre(std::pair("pause/b", std::string("\0\xff", 2))));
  EXPECT_EQ(store_->ReadState("")->size(), 2u);
}

TEST_F(JobStoreTest, RemembersTheSumsOfPurgedCampaigns) {
  const CampaignId old = Released(Named("old"), {{1, "ana@a.test"}});
  Finish(Take("a.test").jobs[0], EventKind::kDelivered, "a.test");
  Commit();
  now_ += std::chrono::hours(1);
  const CampaignId live = Released(Named("live"), {{1, "eve@a.test"}});
  store_->Purge(now_);
  Commit();
  EXPECT_EQ(store_->FindCampaign(old), nullptr);
  EXPECT_NE(store_->FindCampaign(live), nullptr);
  Reopen();
  EXPECT_EQ(store_->Campaigns().size(), 1u);
  EXPECT_EQ(store_->Totals().accepted, 2u);
  EXPECT_EQ(store_->Totals().delivered, 1u);
  EXPECT_EQ(store_->Totals().queued(), 1u);
  // Numbers are never used again, even if the highest was purged.
  SetState(live, CampaignState::kCancelled);
  Finish(Take("a.test").jobs[0], EventKind::kCancelled, "a.test");
  Commit();
  store_->Purge(now_ + std::chrono::hours(1));
  Commit();
  Reopen();
  EXPECT_THAT(store_->Campaigns(), IsEmpty());
  EXPECT_EQ(Begin("old"), live + 1);
}

TEST_F(JobStoreTest, VisitsTheJobsOfAnAddressAndOfACampaign) {
  const CampaignId one = Released(Named("one"), {{1, "ana@a.test"}, {2, "eve@a.test"}, {3, "ana@b.test"}});
  const CampaignId two = Released(Named("two"), {{1, "ana@a.test"}});
  const TakenJobs taken = Take("a.test");
  Defer(taken.jobs[0], now_ + std::chrono::hours(1), "a.test");
  Commit();
  std::vector<JobId> found;
  const auto collect = [&](const Job& job) {
    found.push_back(job.id);
    return true;
  };
  ASSERT_TRUE(store_->VisitAddress("a.test", "Ana@a.test", collect));
  EXPECT_THAT(found, UnorderedElementsAre(JobId{one, 1}, JobId{two, 1}));
  found.clear();
  ASSERT_TRUE(store_->VisitRemaining(one, collect));
  EXPECT_THAT(found, UnorderedElementsAre(JobId{one, 1}, JobId{one, 2}, JobId{one, 3}));
  int visits = 0;
  ASSERT_TRUE(store_->VisitRemaining(one, [&](const Job&) { return ++visits < 2; }));
  EXPECT_EQ(visits, 2);
}

TEST_F(JobStoreTest, CountsWhatItDoes) {
  Released(Named("offer"), {{1, "ana@a.test"}});
  Commit();  // nothing staged: no commit
  const StoreStats stats = store_->stats();
  EXPECT_EQ(stats.commits, 1u);
  EXPECT_EQ(stats.operations, 3u);
  EXPECT_GT(stats.sync_seconds, 0);
  EXPECT_GT(stats.disk_bytes, 0u);
  EXPECT_GT(stats.memory_bytes, 0u);
}

}  // namespace
}  // namespace postrider::queue
