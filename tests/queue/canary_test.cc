// Canaries: which rows they are, and what the queue hands out until the rest is released.

#include "queue/canary.h"

#include <gmock/gmock.h>

#include <algorithm>
#include <list>
#include <set>

#include "tests/queue/store_fixture.h"

namespace postrider::queue {
namespace {

using std::chrono::minutes;
using testing::ElementsAre;
using testing::IsEmpty;

std::uint64_t Count(CampaignId campaign, std::uint64_t rows, double share) {
  std::uint64_t count = 0;
  for (std::uint64_t row = 0; row < rows; ++row) count += IsCanaryRow(campaign, row, share) ? 1 : 0;
  return count;
}

TEST(CanaryRows, AreTheShareOfTheListToOneRow) {
  for (const double share : {0.0001, 0.001, 0.01, 0.015, 0.03, 0.1, 1.0 / 3, 0.5}) {
    for (const std::uint64_t rows : {1'000u, 12'345u, 100'000u}) {
      const double wanted = static_cast<double>(rows) * share;
      EXPECT_NEAR(static_cast<double>(Count(7, rows, share)), wanted, 1.01) << share << " of " << rows;
    }
  }
}

TEST(CanaryRows, AreAtLeastOneHoweverShortTheList) {
  for (std::uint64_t rows = 1; rows < 30; ++rows) EXPECT_EQ(Count(1, rows, 0.01), 1u);
  EXPECT_EQ(Count(1, 30, 0), 0u);
  EXPECT_EQ(Count(1, 30, 1), 30u);
}

TEST(CanaryRows, AreOthersInOtherStretchesAndOtherCampaigns) {
  std::set<std::uint64_t> places;
  for (std::uint64_t row = 100; row < 20'000; ++row) {
    if (IsCanaryRow(3, row, 0.01)) places.insert(row % 100);
  }
  EXPECT_GT(places.size(), 70u) << "a list in turns of a hundred domains would be tried in a few of them";
  std::uint64_t same = 0;
  for (std::uint64_t row = 100; row < 20'000; ++row) same += IsCanaryRow(3, row, 0.01) && IsCanaryRow(4, row, 0.01);
  EXPECT_LT(same, 15u);
}

class CanaryTest : public StoreTest {
 protected:
  // Rows in turns over three domains; one in ten is of the canary.
  CampaignId Submit(std::size_t count) {
    CampaignSpec spec = Named("offer");
    spec.canary_share = 0.1;
    spec.canary_wait = minutes(30);
    const CampaignId id = Begin(spec);
    std::vector<TestRow> rows;
    for (std::uint64_t row = 1; row <= count; ++row) {
      const std::string domain = "d" + std::to_string(row % 3) + ".test";
      rows.push_back({row, "r" + std::to_string(row) + "@" + domain});
      if (IsCanaryRow(id, row - 1, 0.1)) canary_.insert(row);
      // In several batches, as intake writes them.
      if (rows.size() == 100 || row == count) {
        Add(id, rows);
        Commit();
        rows.clear();
      }
    }
    SetState(id, CampaignState::kRunning);
    Commit();
    return id;
  }

  // All that a fresh cursor of each domain is given now.
  std::vector<std::pair<std::string, Job>> TakeAll() {
    std::vector<std::pair<std::string, Job>> jobs;
    for (int i = 0; i < 3; ++i) {
      const std::string domain = "d" + std::to_string(i) + ".test";
      TakenJobs taken;
      do {
        taken = Take(domain, std::move(taken.cursor), 64);
        for (Job job : taken.jobs) {
          job.address = texts_.emplace_back(job.address);
          job.row_id = job.fields = {};
          jobs.emplace_back(domain, job);
        }
      } while (taken.more);
    }
    return jobs;
  }
  static std::set<std::uint64_t> RowsOf(const std::vector<std::pair<std::string, Job>>& jobs) {
    std::set<std::uint64_t> rows;
    for (const auto& [domain, job] : jobs) EXPECT_TRUE(rows.insert(job.id.row).second);
    return rows;
  }
  [[nodiscard]] const Canary& CanaryOf(CampaignId id) const { return store_->FindCampaign(id)->canary; }

  std::set<std::uint64_t> canary_;
  std::list<std::string> texts_;
};

TEST_F(CanaryTest, GoesFirstAndTheRestWhenItsWaitIsOver) {
  const CampaignId id = Submit(1000);
  EXPECT_EQ(CanaryOf(id).recipients, canary_.size());
  auto jobs = TakeAll();
  EXPECT_EQ(RowsOf(jobs), canary_);
  for (std::size_t i = 0; i + 1 < jobs.size(); ++i) Finish(jobs[i].second, EventKind::kDelivered, jobs[i].first);
  Defer(jobs.back().second, now_ + minutes(5), jobs.back().first);
  Commit();
  EXPECT_THAT(Scan(), IsEmpty()) << "domains are activated for mail that may not go";
  EXPECT_THAT(TakeAll(), IsEmpty());
  ASSERT_EQ(CanaryOf(id).phase, CanaryPhase::kWaiting);
  EXPECT_EQ(CanaryOf(id).rest_at, now_ + minutes(30));
  EXPECT_EQ(Take("d0.test").next_due, now_ + minutes(jobs.back().first == "d0.test" ? 5 : 30));
  // Its retries go on.
  now_ += minutes(5);
  EXPECT_EQ(TakeAll().size(), 1u);
  now_ += minutes(24);
  EXPECT_THAT(store_->ReleaseRests(now_), IsEmpty());
  now_ += minutes(1);
  EXPECT_THAT(store_->ReleaseRests(now_), ElementsAre(id));
  EXPECT_THAT(store_->ReleaseRests(now_), IsEmpty());
  EXPECT_EQ(TakeAll().size(), 1u) << "before the commit";
  Commit();
  EXPECT_EQ(Scan().size(), 3u);
  jobs = TakeAll();
  EXPECT_EQ(jobs.size(), 1000 - canary_.size() + 1);
  for (const auto& [domain, job] : jobs) Finish(job, EventKind::kDelivered, domain);
  Commit();
  EXPECT_EQ(store_->FindCampaign(id)->state, CampaignState::kDone);
  EXPECT_EQ(TotalsOf(id).delivered, 1000u);
}

TEST_F(CanaryTest, OpenCursorsReachTheRestWithoutGoingBack) {
  Submit(900);
  DomainCursor cursor;
  std::set<std::uint64_t> seen;
  const auto take = [&] {
    TakenJobs taken;
    do {
      taken = Take("d1.test", cursor, 64);
      cursor = taken.cursor;
      for (const Job& job : taken.jobs) EXPECT_TRUE(seen.insert(job.id.row).second) << job.id.row;
    } while (taken.more);
    return seen.size();
  };
  const std::size_t canary = take();
  EXPECT_GT(canary, 20u);
  EXPECT_LT(canary, 40u);
  // Nine in ten of all three domains.
  for (const auto& [domain, job] : TakeAll()) Finish(job, EventKind::kDelivered, domain);
  Commit();
  now_ += minutes(31);
  EXPECT_EQ(store_->ReleaseRests(now_).size(), 1u);
  Commit();
  EXPECT_EQ(take(), 300u);
}

TEST_F(CanaryTest, StandsWhereItStoodAfterACrash) {
  const CampaignId id = Submit(500);
  for (const auto& [domain, job] : TakeAll()) Finish(job, EventKind::kDelivered, domain);
  Reopen();
  EXPECT_EQ(CanaryOf(id).phase, CanaryPhase::kSending);
  EXPECT_EQ(RowsOf(TakeAll()), canary_);
  for (const auto& [domain, job] : TakeAll()) Finish(job, EventKind::kDelivered, domain);
  Commit();
  Reopen();
  EXPECT_EQ(CanaryOf(id).phase, CanaryPhase::kWaiting);
  EXPECT_THAT(TakeAll(), IsEmpty());
  now_ += minutes(30);
  EXPECT_EQ(store_->ReleaseRests(now_).size(), 1u);
  Reopen();
  EXPECT_EQ(CanaryOf(id).phase, CanaryPhase::kWaiting) << "not committed";
  EXPECT_EQ(store_->ReleaseRests(now_).size(), 1u);
  Commit();
  Reopen();
  EXPECT_EQ(TakeAll().size(), 500 - canary_.size());
}

TEST_F(CanaryTest, IsDividedAlikeByAListThatIsReadAgain) {
  CampaignSpec spec = Named("offer");
  spec.canary_share = 0.1;
  const CampaignId id = Begin(spec);
  std::vector<TestRow> rows;
  for (std::uint64_t row = 1; row <= 100; ++row) rows.push_back({row, "r@d1.test"});
  Add(id, rows);
  Commit();
  for (TestRow& row : rows) row.row += 100;
  Add(id, rows);
  Reopen();  // the second batch was not synced
  Add(id, rows);
  SetState(id, CampaignState::kRunning);
  Commit();
  std::set<std::uint64_t> expected;
  for (std::uint64_t row = 1; row <= 200; ++row) {
    if (IsCanaryRow(id, row - 1, 0.1)) expected.insert(row);
  }
  EXPECT_EQ(RowsOf(TakeAll()), expected);
  EXPECT_EQ(CanaryOf(id).recipients, expected.size());
}

TEST_F(CanaryTest, StoppedByAGuardWaitsForTheOperator) {
  const CampaignId id = Submit(300);
  const auto stopped = store_->StopCanary(id, now_, "offer at google: too many were refused");
  ASSERT_TRUE(stopped);
  EXPECT_TRUE(*stopped);
  EXPECT_FALSE(store_->StopCanary(id, now_, "the same at yahoo").value());
  Commit();
  const CampaignPtr campaign = store_->FindCampaign(id);
  EXPECT_EQ(campaign->state, CampaignState::kPaused);
  EXPECT_EQ(campaign->note, "offer at google: too many were refused");
  EXPECT_THAT(TakeAll(), IsEmpty());
  Reopen();
  EXPECT_EQ(store_->FindCampaign(id)->note, campaign->note);
  SetState(id, CampaignState::kRunning);
  Commit();
  EXPECT_EQ(store_->FindCampaign(id)->note, "");
  EXPECT_EQ(CanaryOf(id).phase, CanaryPhase::kReleased);
  EXPECT_EQ(TakeAll().size(), 300u);
}

TEST_F(CanaryTest, CancelledEndsTheRestToo) {
  const CampaignId id = Submit(300);
  SetState(id, CampaignState::kCancelled);
  Commit();
  const auto jobs = TakeAll();
  EXPECT_EQ(jobs.size(), 300u);
  for (const auto& [domain, job] : jobs) Finish(job, EventKind::kCancelled, domain);
  Commit();
  EXPECT_TRUE(store_->FindCampaign(id)->ended_at);
}

TEST_F(CanaryTest, OfOneRowHoldsTheOthersBack) {
  const CampaignId id = Submit(3);
  EXPECT_EQ(RowsOf(TakeAll()), std::set<std::uint64_t>{1});
  for (const auto& [domain, job] : TakeAll()) Defer(job, now_ + minutes(10), domain);
  Commit();
  EXPECT_EQ(CanaryOf(id).phase, CanaryPhase::kWaiting) << "a first attempt is enough";
  now_ += minutes(30);
  EXPECT_EQ(store_->ReleaseRests(now_).size(), 1u);
  Commit();
  EXPECT_EQ(TakeAll().size(), 3u);
}

// The canary's blocks leave before those of the rest, which share their sequences: the front is found past both.
TEST_F(CanaryTest, LeavesTheFrontWhereTheFirstBlockIs) {
  const CampaignId id = Submit(30'000);
  for (const auto& [domain, job] : TakeAll()) Finish(job, EventKind::kDelivered, domain);
  Commit();
  Reopen();
  now_ += minutes(30);
  EXPECT_EQ(store_->ReleaseRests(now_).size(), 1u);
  Commit();
  auto jobs = TakeAll();
  EXPECT_EQ(jobs.size(), 27'000u);
  // From the back, so that what is done stands ahead of the front; then all.
  std::reverse(jobs.begin(), jobs.end());
  for (std::size_t i = 0; i < jobs.size(); ++i) {
    Finish(jobs[i].second, EventKind::kDelivered, jobs[i].first);
    if (i % 5000 == 0) Commit();
    if (i == 20'000) {
      EXPECT_EQ(TakeAll().size(), jobs.size() - 20'001);
    }
  }
  Commit();
  EXPECT_EQ(store_->FindCampaign(id)->state, CampaignState::kDone);
  EXPECT_TRUE(Backlog().empty());
}

TEST_F(CanaryTest, IsNotForListsSentWhileTheyAreReadNorForStandingCampaigns) {
  CampaignSpec spec = Named("stream");
  spec.canary_share = 0.1;
  spec.start = StartMode::kStreaming;
  const CampaignId stream = Released(spec, {{1, "a@d1.test"}, {2, "b@d1.test"}});
  EXPECT_EQ(CanaryOf(stream).phase, CanaryPhase::kNone);
  EXPECT_EQ(Take("d1.test").jobs.size(), 2u);
}

}  // namespace
}  // namespace postrider::queue
