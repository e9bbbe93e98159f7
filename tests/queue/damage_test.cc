// Records that do not have their form, and what still works.

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "queue/record.h"
#include "queue/tables.h"
#include "tests/queue/store_fixture.h"

namespace postrider::queue {
namespace {

using testing::ElementsAre;

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

}  // namespace
}  // namespace postrider::queue
