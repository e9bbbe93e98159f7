// Records that do not have their form: what still works, and what is said of the rest.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "queue/record.h"
#include "queue/tables.h"
#include "tests/queue/store_fixture.h"

namespace postrider::queue {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

class DamageTest : public StoreTest {
 protected:
  void Damage(Table table, const std::string& key, std::string_view value) {
    store_.reset();
    {
      const auto tables = Tables::Open(options()).value();
      TableBatch batch = tables->NewBatch();
      batch.Put(table, key, value);
      const auto written = tables->Write(batch);
      ASSERT_TRUE(written) << written.error().message;
    }
    Open();
  }
  [[nodiscard]] std::string KeyOf(CampaignId campaign, std::string_view domain) const {
    return DomainKey(ShardOf(domain, static_cast<std::uint32_t>(options().shards)), domain, campaign);
  }
};

TEST_F(DamageTest, AFailingCampaignDoesNotReadTheDomainsOfOthers) {
  const CampaignId id = Begin("offer");
  Add(id, {{1, "ana@a.test"}, {2, "eve@b.test"}, {3, "bob@b.test"}});
  Add(id, {{4, "joe@b.test"}, {5, "kim@c.test"}});
  Commit();
  Damage(Table::kDomains, "\xff", "");
  SetState(id, CampaignState::kFailed);
  Commit();
  EXPECT_EQ(TotalsOf(id).queued(), 0u);
  store_.reset();
  const auto tables = Tables::Open(options()).value();
  const TableView view = tables->View();
  for (const Table table : {Table::kBlocks, Table::kTemplates}) EXPECT_FALSE(view.Walk(table, {}, {}).Valid());
  EXPECT_EQ(view.Walk(Table::kDomains, {}, {}).key(), "\xff");
}

TEST_F(DamageTest, AFailureThatBreaksOffHalfwayErasesNothing) {
  const CampaignId id = Begin("offer");
  Add(id, {{1, "ana@a.test"}, {2, "eve@b.test"}});
  Commit();
  Damage(Table::kBlocks, CampaignKey(id) + "zzz", "");
  const auto failed = store_->SetState(id, CampaignState::kFailed, now_, std::chrono::hours(1));
  ASSERT_FALSE(failed);
  EXPECT_EQ(failed.error().code, ErrorCode::kCorrupt);
  Commit();
  SetState(id, CampaignState::kRunning);
  Commit();
  Reopen();
  EXPECT_THAT(AddressesOf(Take("a.test")), ElementsAre("ana@a.test"));
  EXPECT_THAT(AddressesOf(Take("b.test")), ElementsAre("eve@b.test"));
  EXPECT_TRUE(store_->ReadTemplate(id, 0));
}

TEST_F(DamageTest, SaysWhichRecordStopsTheCommitAndWhatToDo) {
  const CampaignId id = Released(Named("offer"), {{7, "ana@a.test"}, {8, "eve@a.test"}});
  const CampaignId other = Released(Named("other"), {{1, "bob@b.test"}});
  const TakenJobs taken = Take("a.test");
  const Job& job = taken.jobs[0];
  const std::string block_key = BlockKey(id, "a.test", job.place.block);
  struct Case {
    Table table;
    std::string key;
    std::string said;
  };
  for (const Case& damaged :
       {Case{Table::kDone, block_key, "table done, key \\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01a.test\\x00"},
        Case{Table::kDomains, KeyOf(id, "a.test"), "a.test\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x00\\x01"}}) {
    Damage(damaged.table, damaged.key, "?");
    Finish(job, EventKind::kDelivered, "a.test");
    const auto committed = store_->Commit();
    ASSERT_FALSE(committed);
    EXPECT_EQ(committed.error().code, ErrorCode::kCorrupt);
    EXPECT_THAT(committed.error().message, HasSubstr("settling row 7 of campaign offer, to a.test: "));
    EXPECT_THAT(committed.error().message, HasSubstr(damaged.said));
    EXPECT_THAT(committed.error().message, HasSubstr("until the queue is restored from a copy"));
    EXPECT_THAT(committed.error().message, HasSubstr("`postrider export --remaining` still tells what other"));
    int left = 0;
    EXPECT_TRUE(store_->VisitRemaining(other, [&](const Job&) { return ++left < 9; }));
    EXPECT_EQ(left, 1);
  }
}

}  // namespace
}  // namespace postrider::queue
