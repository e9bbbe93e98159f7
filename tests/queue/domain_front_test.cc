#include <gtest/gtest.h>

#include "queue/record.h"
#include "queue/tables.h"
#include "tests/queue/store_fixture.h"

namespace postrider::queue {
namespace {

class DomainFrontTest : public StoreTest {
 protected:
  DomainRecord RecordOf(CampaignId campaign, std::string_view domain) {
    store_.reset();
    const auto tables = Tables::Open(options()).value();
    const auto shard = ShardOf(domain, static_cast<std::uint32_t>(options().shards));
    const auto value = tables->Get(Table::kDomains, DomainKey(shard, domain, campaign)).value();
    return DecodeDomain(value.value()).value();
  }
};

// Blocks that are done before an earlier one are known in memory only.
TEST_F(DomainFrontTest, MovesOnAfterARestartThatForgotWhichBlocksWereDoneAhead) {
  constexpr std::uint64_t kRows = 300;
  const CampaignId id = Begin("offer");
  for (std::uint64_t row = 1; row <= kRows; ++row) {
    Add(id, {{row, "a" + std::to_string(row) + "@a.test"}});  // each a block of its own
  }
  SetState(id, CampaignState::kRunning);
  Commit();
  const std::uint64_t first = RecordOf(id, "a.test").first_sequence;
  Open();

  TakenJobs taken = Take("a.test", {}, kRows);
  ASSERT_EQ(taken.jobs.size(), kRows);
  Finish(taken.jobs[1], EventKind::kDelivered, "a.test");
  Commit();
  Reopen();
  for (std::size_t i = 0; i < 200; ++i) {
    if (i != 1) Finish(taken.jobs[i], EventKind::kDelivered, "a.test");
    if (i % 10 == 9) Commit();
  }
  Commit();
  EXPECT_EQ(Take("a.test", {}, kRows).jobs.size(), kRows - 200);
  const DomainRecord record = RecordOf(id, "a.test");
  EXPECT_EQ(record.waiting, kRows - 200);
  EXPECT_LE(record.first_sequence, first + 200);
  EXPECT_GE(record.first_sequence, first + 100);  // else every reader would pass over what is long gone
}

}  // namespace
}  // namespace postrider::queue
