#include "queue/job_store.h"

#include <gmock/gmock.h>

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

}  // namespace
}  // namespace postrider::queue
