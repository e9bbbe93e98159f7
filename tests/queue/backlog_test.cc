// What waits where, how long, and until when.

#include <gmock/gmock.h>

#include "queue/store_survey.h"
#include "tests/queue/store_fixture.h"

namespace postrider::queue {
namespace {

using std::chrono::hours;
using std::chrono::minutes;
using testing::ElementsAre;
using testing::IsEmpty;

CampaignSpec Standing(const std::string& name) {
  CampaignSpec spec = Named(name);
  spec.standing = true;
  return spec;
}

class BacklogTest : public StoreTest {};

TEST_F(BacklogTest, IsToldOfEveryDomainOnce) {
  Released(Named("one"), {{1, "a@a.test"}, {2, "b@a.test"}, {3, "c@a.test"}, {4, "d@b.test"}, {5, "e@b.test"}});
  const Wall first = now_;
  now_ += hours(1);
  Released(Named("two"), {{1, "a@a.test"}, {2, "x@c.test"}});
  Defer(Take("a.test").jobs[0], now_ + minutes(5), "a.test");
  Commit();
  const std::vector<DomainBacklog> backlog = Backlog();
  ASSERT_EQ(backlog.size(), 3u);
  EXPECT_EQ(backlog[0].domain, "a.test");
  EXPECT_EQ(backlog[0].waiting, 3u);
  EXPECT_EQ(backlog[0].deferred, 1u);
  EXPECT_EQ(backlog[0].oldest, first);
  EXPECT_EQ(backlog[0].next_due, now_ + minutes(5));
  EXPECT_EQ(backlog[1].domain, "b.test");
  EXPECT_EQ(backlog[1].waiting, 2u);
  EXPECT_FALSE(backlog[1].next_due);
  EXPECT_EQ(backlog[2].domain, "c.test");
  EXPECT_EQ(backlog[2].oldest, now_);
}

TEST_F(BacklogTest, CountsMailByTheAgeOfItsCampaign) {
  Released(Named("old"), {{1, "a@a.test"}, {2, "b@a.test"}});
  now_ += hours(22);
  Released(Named("middle"), {{1, "c@a.test"}});
  Defer(Take("a.test").jobs[0], now_ + hours(1), "a.test");
  Commit();
  now_ += minutes(10);
  Released(Named("new"), {{1, "d@a.test"}, {2, "e@a.test"}, {3, "f@a.test"}});
  now_ += minutes(5) - std::chrono::milliseconds(1);
  const std::vector<DomainBacklog> backlog = Backlog();
  ASSERT_EQ(backlog.size(), 1u);
  // Under 5 minutes; 10 to 20; and beyond 1280.
  EXPECT_THAT(backlog[0].by_age, ElementsAre(3, 0, 1, 0, 0, 0, 0, 0, 0, 2));
  now_ += std::chrono::milliseconds(1);
  EXPECT_THAT(Backlog()[0].by_age, ElementsAre(0, 3, 1, 0, 0, 0, 0, 0, 0, 2)) << "five minutes are not under five";
}

TEST_F(BacklogTest, CountsMailOfAStandingCampaignByTheAgeOfEachMessage) {
  const CampaignId receipts = Begin(Standing("receipts"));
  SetState(receipts, CampaignState::kRunning);
  Commit();
  now_ += hours(24 * 30);
  const Wall first = now_;
  AddStanding(receipts, {{1, "a@a.test"}, {2, "b@a.test"}}, "one");
  Commit();
  Defer(Take("a.test").jobs[0], now_ + hours(1), "a.test");
  Commit();
  now_ += minutes(30);
  AddStanding(receipts, {{3, "c@a.test"}}, "two");
  Commit();
  now_ += minutes(1);
  const std::vector<DomainBacklog> backlog = Backlog();
  ASSERT_EQ(backlog.size(), 1u);
  EXPECT_THAT(backlog[0].by_age, ElementsAre(1, 0, 0, 2, 0, 0, 0, 0, 0, 0));
  EXPECT_EQ(backlog[0].oldest, first) << "not the campaign's own age";
}

TEST_F(BacklogTest, LooksAtSoManyMessagesAndTakesTheRestForAsOldAsTheYoungest) {
  const CampaignId receipts = Begin(Standing("receipts"));
  SetState(receipts, CampaignState::kRunning);
  Commit();
  now_ += hours(1);
  const auto add = [&](std::uint64_t first, std::uint64_t count) {
    for (std::uint64_t row = first; row < first + count; ++row) {
      AddStanding(receipts, {{row, "a" + std::to_string(row) + "@a.test"}}, "message");
    }
    Commit();
  };
  add(1, StoreSurvey::kMessagesMost);
  now_ += hours(1);
  add(StoreSurvey::kMessagesMost + 1, 7);
  const std::vector<DomainBacklog> backlog = Backlog();
  ASSERT_EQ(backlog.size(), 1u);
  EXPECT_EQ(backlog[0].waiting, StoreSurvey::kMessagesMost + 7);
  EXPECT_THAT(backlog[0].by_age, ElementsAre(0, 0, 0, 0, StoreSurvey::kMessagesMost + 7, 0, 0, 0, 0, 0));
}

TEST_F(BacklogTest, IsEmptyOnceAllIsSettled) {
  Released(Named("one"), {{1, "a@a.test"}});
  Finish(Take("a.test").jobs[0], EventKind::kDelivered, "a.test");
  Commit();
  EXPECT_THAT(Backlog(), IsEmpty());
}

}  // namespace
}  // namespace postrider::queue
