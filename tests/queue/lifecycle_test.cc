#include "queue/lifecycle.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <set>
#include <utility>

namespace postrider::queue {
namespace {

using enum CampaignState;
using std::chrono::hours;
using testing::HasSubstr;

constexpr CampaignState kStates[] = {kLoading, kHeld, kRunning, kPaused, kCancelled, kFailed, kDone};

Wall At(std::int64_t seconds) { return Wall(std::chrono::seconds(seconds)); }

Campaign In(CampaignState state) {
  Campaign campaign;
  campaign.spec.name = "offer";
  campaign.state = state;
  return campaign;
}

TEST(Lifecycle, AllowsExactlyTheStepsOfTheTable) {
  const std::set<std::pair<CampaignState, CampaignState>> allowed = {
      {kLoading, kRunning}, {kLoading, kHeld},   {kLoading, kFailed}, {kLoading, kCancelled}, {kHeld, kRunning},
      {kHeld, kCancelled},  {kRunning, kPaused}, {kPaused, kRunning}, {kRunning, kCancelled}, {kPaused, kCancelled},
  };
  for (const CampaignState from : kStates) {
    for (const CampaignState to : kStates) {
      Campaign campaign = In(from);
      const auto step = Step(campaign, to, At(100), hours(48));
      EXPECT_EQ(step.has_value(), allowed.contains({from, to})) << ToString(from) << " to " << ToString(to);
      EXPECT_EQ(campaign.state, step ? to : from);
      if (step) continue;
      EXPECT_EQ(step.error().code, ErrorCode::kInvalid);
      EXPECT_THAT(step.error().message, HasSubstr("campaign offer is " + std::string(ToString(from)) +
                                                  (from == to ? " already: " : " and cannot become ")));
    }
  }
}

TEST(Lifecycle, CountsTheExpiryFromTheRelease) {
  Campaign campaign = In(kLoading);
  ASSERT_TRUE(Step(campaign, kRunning, At(100), hours(1)));
  EXPECT_EQ(campaign.released_at, At(100));
  EXPECT_EQ(campaign.expires_at, At(3700));
}

TEST(Lifecycle, CountsTheExpiryFromTheMomentOfTheManifestIfThatIsLater) {
  Campaign campaign = In(kLoading);
  campaign.spec.not_before = At(5000);
  ASSERT_TRUE(Step(campaign, kRunning, At(100), hours(1)));
  EXPECT_EQ(campaign.expires_at, At(8600));
}

TEST(Lifecycle, TakesTheExpiryOfTheManifest) {
  Campaign campaign = In(kHeld);
  campaign.spec.expires = At(200);
  ASSERT_TRUE(Step(campaign, kRunning, At(100), hours(1)));
  EXPECT_EQ(campaign.expires_at, At(200));
}

TEST(Lifecycle, GivesAStandingCampaignNoAge) {
  Campaign campaign = In(kLoading);
  campaign.spec.standing = true;
  ASSERT_TRUE(Step(campaign, kRunning, At(100), hours(1)));
  EXPECT_FALSE(campaign.expires_at);
}

TEST(Lifecycle, StopsTheExpiryClockWhilePaused) {
  Campaign campaign = In(kLoading);
  ASSERT_TRUE(Step(campaign, kRunning, At(0), hours(1)));
  ASSERT_TRUE(Step(campaign, kPaused, At(600), hours(1)));
  EXPECT_EQ(campaign.paused_at, At(600));
  EXPECT_FALSE(ReadinessOf(campaign, At(100'000)).now);
  ASSERT_TRUE(Step(campaign, kRunning, At(1600), hours(1)));
  EXPECT_EQ(campaign.expires_at, At(4600));
  EXPECT_EQ(campaign.released_at, At(0));
  EXPECT_FALSE(campaign.paused_at);
  // A clock that was set back takes nothing away.
  ASSERT_TRUE(Step(campaign, kPaused, At(2000), hours(1)));
  ASSERT_TRUE(Step(campaign, kRunning, At(1900), hours(1)));
  EXPECT_EQ(campaign.expires_at, At(4600));
}

TEST(Lifecycle, SaysWhatMayBeTaken) {
  for (const CampaignState state : kStates) {
    const Readiness ready = ReadinessOf(In(state), At(100));
    EXPECT_EQ(ready.now, state == kRunning || state == kCancelled) << ToString(state);
    EXPECT_EQ(ready.ending, state == kCancelled) << ToString(state);
    EXPECT_FALSE(ready.opens_at);
  }
  Campaign streaming = In(kLoading);
  streaming.spec.start = StartMode::kStreaming;
  EXPECT_TRUE(ReadinessOf(streaming, At(100)).now);
}

TEST(Lifecycle, OpensAtTheMomentOfTheManifest) {
  Campaign campaign = In(kRunning);
  campaign.spec.not_before = At(100);
  EXPECT_FALSE(ReadinessOf(campaign, At(99)).now);
  EXPECT_EQ(ReadinessOf(campaign, At(99)).opens_at, At(100));
  EXPECT_TRUE(ReadinessOf(campaign, At(100)).now);
  campaign.state = kCancelled;
  EXPECT_TRUE(ReadinessOf(campaign, At(99)).ending);
}

TEST(Lifecycle, RestsOutsideItsSendWindows) {
  Campaign campaign = In(kRunning);
  // 1 January 1970 was a Thursday.
  campaign.spec.windows = {SendWindow::Parse("Thu-Fri 08:00-20:00").value()};
  const Wall opens = Wall(hours(8));
  const Wall closes = Wall(hours(20));
  EXPECT_FALSE(ReadinessOf(campaign, opens - std::chrono::milliseconds(1)).now);
  EXPECT_EQ(ReadinessOf(campaign, At(0)).opens_at, opens);
  EXPECT_TRUE(ReadinessOf(campaign, opens).now);
  EXPECT_EQ(ReadinessOf(campaign, opens).opens_at, std::nullopt);
  EXPECT_FALSE(ReadinessOf(campaign, closes).now);
  EXPECT_EQ(ReadinessOf(campaign, closes).opens_at, opens + hours(24));
  // It opens with the window in which its moment lies, or the next.
  campaign.spec.not_before = closes - hours(1);
  EXPECT_EQ(ReadinessOf(campaign, opens).opens_at, closes - hours(1));
  campaign.spec.not_before = closes + hours(1);
  EXPECT_EQ(ReadinessOf(campaign, opens).opens_at, opens + hours(24));
  // What is cancelled or expired ends at any hour; a paused one opens by no clock.
  campaign.expires_at = closes + hours(2);
  EXPECT_TRUE(ReadinessOf(campaign, closes + hours(2)).ending);
  campaign.state = kPaused;
  EXPECT_EQ(ReadinessOf(campaign, At(0)).opens_at, std::nullopt);
  campaign.state = kCancelled;
  EXPECT_TRUE(ReadinessOf(campaign, At(0)).ending);
}

TEST(Lifecycle, AsksTheScheduleThatGoesWithTheCampaign) {
  Campaign campaign = In(kRunning);
  campaign.spec.windows = {SendWindow::Parse("08:00-20:00").value()};
  campaign.spec.time_zone = "Asia/Tokyo";
  for (const bool kept : {false, true}) {
    if (kept) campaign.schedule = std::make_shared<const SendSchedule>(campaign.spec.windows, campaign.spec.time_zone);
    EXPECT_TRUE(WindowsAt(campaign, Wall(hours(24))).open);
    EXPECT_EQ(WindowsAt(campaign, Wall(hours(24))).until, Wall(hours(24 + 11)));
  }
}

Campaign WithCanary(std::uint64_t recipients) {
  Campaign campaign = In(kRunning);
  campaign.spec.canary_share = 0.01;
  campaign.spec.canary_wait = std::chrono::minutes(30);
  campaign.canary = {
      .phase = CanaryPhase::kSending, .recipients = recipients, .untried = recipients, .rest_at = std::nullopt};
  return campaign;
}

TEST(Canary, IsFollowedByTheRestAWhileAfterNineInTenWereTriedOrAllButOne) {
  for (const std::uint64_t recipients : {1u, 2u, 5u, 9u, 10u, 1000u}) {
    Campaign campaign = WithCanary(recipients);
    std::uint64_t tried = 0;
    while (campaign.canary.phase == CanaryPhase::kSending) {
      ASSERT_LT(tried, recipients);
      EXPECT_TRUE(ReadinessOf(campaign, At(100)).without_rest);
      CanaryTried(campaign, At(100));
      ++tried;
    }
    EXPECT_EQ(tried, recipients == 1 ? 1 : recipients - std::max<std::uint64_t>(1, recipients / 10));
    EXPECT_EQ(campaign.canary.rest_at, At(100) + std::chrono::minutes(30));
    // Those that come later change nothing.
    if (campaign.canary.untried > 0) CanaryTried(campaign, At(200));
    EXPECT_EQ(campaign.canary.rest_at, At(1900));
    EXPECT_FALSE(RestIsDue(campaign, At(1899)));
    EXPECT_TRUE(ReadinessOf(campaign, At(1900)).without_rest) << "it was not released";
    EXPECT_TRUE(RestIsDue(campaign, At(1900)));
    ReleaseRest(campaign, At(1905));
    EXPECT_FALSE(ReadinessOf(campaign, At(1905)).without_rest);
    EXPECT_FALSE(RestIsDue(campaign, At(5000)));
    EXPECT_EQ(campaign.canary.rest_at, At(1905));
  }
}

TEST(Canary, IsFollowedByTheRestWhenNoMoreOfItIsTriedIfHalfOfItWas) {
  Campaign campaign = WithCanary(10);
  for (int i = 0; i < 4; ++i) CanaryTried(campaign, At(100));
  EXPECT_FALSE(RestIsDue(campaign, At(1'000'000))) << "too few say nothing";
  CanaryTried(campaign, At(200));
  EXPECT_FALSE(RestIsDue(campaign, At(1999)));
  CanaryTried(campaign, At(1000));
  EXPECT_EQ(campaign.canary.phase, CanaryPhase::kSending);
  EXPECT_FALSE(RestIsDue(campaign, At(2799)));
  EXPECT_TRUE(RestIsDue(campaign, At(2800)));
  // Its clock stands still in a pause.
  ASSERT_TRUE(Step(campaign, kPaused, At(1500), hours(1)));
  ASSERT_TRUE(Step(campaign, kRunning, At(2500), hours(1)));
  EXPECT_FALSE(RestIsDue(campaign, At(3799)));
  EXPECT_TRUE(RestIsDue(campaign, At(3800)));
}

TEST(Canary, EndsWithItsCampaignWholly) {
  Campaign campaign = WithCanary(10);
  campaign.expires_at = At(100);
  EXPECT_FALSE(ReadinessOf(campaign, At(100)).without_rest);
  campaign.state = kCancelled;
  EXPECT_FALSE(ReadinessOf(campaign, At(50)).without_rest);
}

TEST(Canary, WaitsOnAfterAPause) {
  Campaign campaign = WithCanary(1);
  CanaryTried(campaign, At(100));
  ASSERT_TRUE(Step(campaign, kPaused, At(200), hours(1)));
  EXPECT_FALSE(RestIsDue(campaign, At(5000)));
  ASSERT_TRUE(Step(campaign, kRunning, At(1200), hours(1)));
  EXPECT_EQ(campaign.canary.phase, CanaryPhase::kWaiting);
  EXPECT_EQ(campaign.canary.rest_at, At(2900));
}

TEST(Canary, StoppedByAGuardPausesItAllUntilAResumeReleasesTheRest) {
  for (const bool by_operator_too : {false, true}) {
    Campaign campaign = WithCanary(1);
    campaign.expires_at = At(10'000);
    CanaryTried(campaign, At(100));
    ASSERT_TRUE(!by_operator_too || Step(campaign, kPaused, At(150), hours(1)));
    EXPECT_TRUE(StopCanary(campaign, At(150)));
    EXPECT_FALSE(StopCanary(campaign, At(160))) << "told twice";
    EXPECT_EQ(campaign.state, kPaused);
    EXPECT_EQ(campaign.canary.phase, CanaryPhase::kStopped);
    EXPECT_EQ(campaign.canary.rest_at, std::nullopt);
    EXPECT_FALSE(RestIsDue(campaign, At(100'000)));
    ASSERT_TRUE(Step(campaign, kRunning, At(250), hours(1)));
    EXPECT_EQ(campaign.canary.phase, CanaryPhase::kReleased);
    EXPECT_EQ(campaign.canary.rest_at, At(250));
    EXPECT_EQ(campaign.expires_at, At(10'100)) << "the expiry clock stood still";
    EXPECT_FALSE(StopCanary(campaign, At(260))) << "it goes on; the guard holds it there alone";
    EXPECT_EQ(campaign.state, kRunning);
  }
  Campaign plain = In(kRunning);
  EXPECT_FALSE(StopCanary(plain, At(1)));
  EXPECT_EQ(plain.state, kRunning);
}

TEST(Lifecycle, EndsAllJobsOfAnExpiredCampaignUnlessItIsPaused) {
  Campaign campaign = In(kRunning);
  campaign.expires_at = At(100);
  EXPECT_FALSE(ReadinessOf(campaign, At(99)).ending);
  EXPECT_TRUE(ReadinessOf(campaign, At(100)).ending);
  campaign.state = kPaused;
  EXPECT_FALSE(ReadinessOf(campaign, At(100)).now);
}

TEST(Lifecycle, FinishesWhatIsReleasedOrCancelledAndEmpty) {
  for (const CampaignState state : kStates) {
    Campaign campaign = In(state);
    EXPECT_EQ(IsFinished(campaign), state == kRunning || state == kCancelled) << ToString(state);
    campaign.totals.accepted = 1;
    EXPECT_FALSE(IsFinished(campaign));
    campaign.totals.unknown = 1;
    campaign.spec.standing = true;
    EXPECT_EQ(IsFinished(campaign), state == kCancelled) << ToString(state);
  }
}

TEST(Lifecycle, EndsACancelledCampaignOnce) {
  Campaign campaign = In(kCancelled);
  EXPECT_FALSE(HasEnded(campaign));
  campaign.ended_at = At(100);
  EXPECT_TRUE(HasEnded(campaign));
  EXPECT_FALSE(IsFinished(campaign));
}

TEST(Lifecycle, TakesRowsWhileLoadingAndIntoStandingCampaigns) {
  for (const CampaignState state : kStates) {
    Campaign campaign = In(state);
    EXPECT_EQ(TakesRows(campaign), state == kLoading) << ToString(state);
    campaign.spec.standing = true;
    EXPECT_EQ(TakesRows(campaign), state == kLoading || state == kRunning || state == kPaused) << ToString(state);
  }
}

}  // namespace
}  // namespace postrider::queue
