// Bringing due moments forward.

#include <gmock/gmock.h>

#include <map>

#include "tests/queue/store_fixture.h"

namespace postrider::queue {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::minutes;
using testing::ElementsAre;
using testing::IsEmpty;

class ForwardingTest : public StoreTest {
 protected:
  // Rows in a domain that wait for a retry in an hour, last tried at the domain's site.
  CampaignId Deferred(const std::string& name, const std::string& domain, std::size_t rows) {
    std::vector<TestRow> list;
    for (std::uint64_t row = 1; row <= rows; ++row) list.push_back({row, "r" + std::to_string(row) + "@" + domain});
    const CampaignId id = Released(Named(name), list);
    DeferAll(domain, id);
    return id;
  }
  void DeferAll(const std::string& domain, CampaignId id) {
    TakenJobs taken;
    do {
      taken = Take(domain, std::move(taken.cursor));
      for (const Job& job : taken.jobs) {
        if (job.id.campaign == id) Defer(job, now_ + hours(1), domain);
      }
    } while (taken.more);
    Commit();
  }
  // Until done, with a commit after each piece.
  ForwardStep Forward(ForwardRequest request) {
    ForwardStep sum;
    request.now = now_;
    for (int pieces = 1; !sum.done; ++pieces) {
      EXPECT_LT(pieces, 1000);
      const auto step = store_->BringForward(request);
      EXPECT_TRUE(step) << step.error().message;
      if (!step) return sum;
      Commit();
      sum.deferred += step->deferred;
      sum.moved += step->moved;
      sum.sites.insert(sum.sites.end(), step->sites.begin(), step->sites.end());
      sum.done = step->done;
      request.domain_key = step->domain_key;
      request.retry_key = step->retry_key;
      pieces_ = pieces;
    }
    return sum;
  }
  std::map<JobId, Wall> Dues() {
    std::map<JobId, Wall> dues;
    for (const CampaignPtr& campaign : store_->Campaigns()) {
      const auto visited = store_->VisitRemaining(campaign->id, [&](const Job& job) {
        const bool is_new = !job.place.retry_due || dues.emplace(job.id, *job.place.retry_due).second;
        EXPECT_TRUE(is_new) << "twice";
        return true;
      });
      EXPECT_TRUE(visited);
    }
    return dues;
  }

  int pieces_ = 0;
};

TEST_F(ForwardingTest, SpreadsThemEvenlyOverThePeriod) {
  const CampaignId id = Deferred("offer", "a.test", 5000);
  const ForwardStep sum = Forward({.campaign = id, .over = minutes(5)});
  EXPECT_EQ(sum.deferred, 5000u);
  EXPECT_EQ(sum.moved, 5000u);
  EXPECT_THAT(sum.sites, testing::Each("mx.a.test"));
  EXPECT_GT(pieces_, 3) << "one piece of work holds the store for long";
  std::array<int, 10> tenths{};
  for (const auto& [job, due] : Dues()) {
    ASSERT_GT(due, now_);
    ASSERT_LE(due, now_ + minutes(5));
    ++tenths[std::min<std::size_t>(9, static_cast<std::size_t>((due - now_) / milliseconds(30'000)))];
  }
  for (const int tenth : tenths) EXPECT_NEAR(tenth, 500, 100);
  // Each comes when it is due, and once.
  EXPECT_THAT(Scan(), IsEmpty());
  now_ += minutes(5);
  EXPECT_THAT(Scan(), ElementsAre("a.test"));
  DomainCursor cursor;
  std::size_t taken = 0;
  for (bool more = true; more;) {
    const TakenJobs some = Take("a.test", cursor);
    cursor = some.cursor;
    more = some.more;
    taken += some.jobs.size();
  }
  EXPECT_EQ(taken, 5000u);
  now_ += hours(2);
  EXPECT_THAT(Take("a.test", cursor).jobs, IsEmpty()) << "the old moments are still there";
}

TEST_F(ForwardingTest, TakesOnlyWhatIsAsked) {
  const CampaignId offer = Deferred("offer", "a.test", 3);
  const CampaignId other = Deferred("other", "a.test", 4);
  Deferred("third", "b.test", 5);
  EXPECT_EQ(Forward({.campaign = offer, .over = minutes(1)}).moved, 3u);
  EXPECT_EQ(Forward({.site = "mx.b.test", .over = minutes(1)}).moved, 5u);
  EXPECT_EQ(Forward({.site = "mx.c.test", .over = minutes(1)}).deferred, 0u);
  EXPECT_EQ(Forward({.domain = "b.test", .over = minutes(10)}).moved, 0u) << "they are due sooner already";
  EXPECT_EQ(Forward({.domain = "a.test", .over = minutes(1)}).moved, 4u);
  EXPECT_EQ(Forward({.campaign = other, .over = minutes(1)}).deferred, 4u);
}

TEST_F(ForwardingTest, LeavesWhatIsDueOrTaken) {
  const CampaignId id = Deferred("offer", "a.test", 10);
  now_ += hours(1);
  const TakenJobs taken = Take("a.test");
  ASSERT_EQ(taken.jobs.size(), 10u);
  for (int i = 0; i < 4; ++i) Defer(taken.jobs[static_cast<std::size_t>(i)], now_ + hours(3), "a.test");
  Commit();
  EXPECT_EQ(Forward({.campaign = id, .over = minutes(5)}).moved, 4u);
  for (std::size_t i = 4; i < 10; ++i) Finish(taken.jobs[i], EventKind::kDelivered, "a.test");
  Commit();
  EXPECT_EQ(TotalsOf(id).queued(), 4u);
  now_ += minutes(5);
  EXPECT_EQ(Take("a.test", taken.cursor).jobs.size(), 4u);
}

TEST_F(ForwardingTest, IsOnePieceBetweenTwoCommits) {
  const CampaignId id = Deferred("offer", "a.test", 3);
  const ForwardRequest request{.campaign = id, .now = now_, .over = minutes(1)};
  EXPECT_EQ(store_->BringForward(request).value().moved, 3u);
  EXPECT_EQ(store_->BringForward(request).error().code, ErrorCode::kBusy);
  EXPECT_EQ(Take("a.test").jobs.size(), 0u);
  Reopen();
  for (const auto& [job, due] : Dues()) EXPECT_EQ(due, now_ + hours(1)) << "moved by what was not committed";
  EXPECT_EQ(store_->BringForward(request).value().moved, 3u);
  Commit();
  EXPECT_EQ(store_->BringForward(request).value().moved, 0u);
}

TEST_F(ForwardingTest, LeavesCampaignsThatEndAndTakesPausedOnes) {
  const CampaignId cancelled = Deferred("cancelled", "a.test", 3);
  const CampaignId paused = Deferred("paused", "a.test", 3);
  CampaignSpec spec = Named("expired");
  spec.expires = now_ + minutes(10);
  const CampaignId expired = Released(spec, {{1, "x@a.test"}});
  DeferAll("a.test", expired);
  SetState(cancelled, CampaignState::kCancelled);
  SetState(paused, CampaignState::kPaused);
  Commit();
  now_ += minutes(10);
  EXPECT_EQ(Forward({.campaign = cancelled, .over = minutes(1)}).moved, 0u);
  EXPECT_EQ(Forward({.campaign = expired, .over = minutes(1)}).moved, 0u);
  EXPECT_EQ(Forward({.campaign = paused, .over = minutes(1)}).moved, 3u);
  now_ += minutes(1);
  EXPECT_EQ(Take("a.test").jobs.size(), 4u) << "those that end";
  SetState(paused, CampaignState::kRunning);
  Commit();
  EXPECT_EQ(Take("a.test").jobs.size(), 7u);
}

TEST_F(ForwardingTest, KnowsTheSiteAfterARestart) {
  Deferred("offer", "a.test", 3);
  Reopen();
  EXPECT_EQ(Forward({.site = "mx.a.test", .over = minutes(1)}).moved, 3u);
}

TEST_F(ForwardingTest, GoesThroughManyDomainsInPieces) {
  std::vector<TestRow> rows;
  for (std::uint64_t row = 1; row <= 6000; ++row) rows.push_back({row, "r@d" + std::to_string(row) + ".test"});
  const CampaignId id = Released(Named("offer"), rows);
  for (std::uint64_t row = 1; row <= 6000; row += 2) {
    const std::string domain = "d" + std::to_string(row) + ".test";
    Defer(Take(domain).jobs.front(), now_ + hours(1), domain);
  }
  Commit();
  const ForwardStep sum = Forward({.campaign = id, .over = milliseconds(0)});
  EXPECT_EQ(sum.deferred, 3000u);
  EXPECT_EQ(sum.moved, 3000u);
  EXPECT_GE(pieces_, 2);
}

}  // namespace
}  // namespace postrider::queue
