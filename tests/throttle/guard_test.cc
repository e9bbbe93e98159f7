#include "throttle/guard.h"

#include <gtest/gtest.h>

#include <random>

namespace postrider {
namespace {

using namespace std::chrono_literals;

const Monotonic kStart{1000h};
const GuardNumbers kNumbers;

bool Contains(std::string_view text, std::string_view part) { return text.find(part) != std::string_view::npos; }

TEST(CampaignGuard, ProvesNothingBeforeEnoughTries) {
  CampaignGuard guard(kNumbers);
  for (int i = 0; i < 499; ++i) EXPECT_FALSE(guard.Count(kStart, true, true));
  EXPECT_EQ(guard.alarm(), Alarm::kNone);
  EXPECT_TRUE(guard.Describe("offer", "gmail").why.empty());
}

TEST(CampaignGuard, NeedsFewerTriesOfACanary) {
  CampaignGuard guard(kNumbers);
  for (int i = 0; i < 99; ++i) EXPECT_FALSE(guard.Count(kStart, i % 10 == 0, false, true));
  EXPECT_TRUE(guard.Count(kStart, false, false, true));
  EXPECT_EQ(guard.alarm(), Alarm::kTripped);
  // Never more than of a whole campaign.
  GuardNumbers early = kNumbers;
  early.campaign_tries = 50;
  CampaignGuard earlier(early);
  for (int i = 0; i < 49; ++i) EXPECT_FALSE(earlier.Count(kStart, true, false, true));
  EXPECT_TRUE(earlier.Count(kStart, true, false, true));
}

TEST(CampaignGuard, WarnsAtTwoPerCentAndPausesAtFive) {
  CampaignGuard guard(kNumbers);
  int warned_at = 0;
  int paused_at = 0;
  // One bounce in thirty, then one in ten.
  for (int i = 1; i <= 4000 && paused_at == 0; ++i) {
    if (!guard.Count(kStart + i * 1s, i <= 2000 ? i % 30 == 0 : i % 10 == 0, false)) continue;
    (guard.alarm() == Alarm::kWarning ? warned_at : paused_at) = i;
  }
  EXPECT_EQ(warned_at, 500);
  EXPECT_GT(paused_at, 2000);
  EXPECT_LT(paused_at, 2700);
  const Finding finding = guard.Describe("offer", "google");
  EXPECT_EQ(finding.since, kStart + paused_at * 1s);
  EXPECT_TRUE(Contains(finding.why, "offer at google")) << finding.why;
  EXPECT_TRUE(Contains(finding.why, "5.0 %")) << finding.why;
  EXPECT_TRUE(Contains(finding.go_on, "resume")) << finding.go_on;
}

TEST(CampaignGuard, PausesAtOnePerCentOfSpamBlocks) {
  CampaignGuard guard(kNumbers);
  for (int i = 1; i <= 500; ++i) (void)guard.Count(kStart, false, i % 100 == 0);
  EXPECT_EQ(guard.alarm(), Alarm::kTripped);
}

TEST(CampaignGuard, ACleanCampaignIsLeftAlone) {
  CampaignGuard guard(kNumbers);
  for (int i = 1; i <= 100'000; ++i) EXPECT_FALSE(guard.Count(kStart, i % 100 == 0, i % 200 == 0));
  EXPECT_EQ(guard.alarm(), Alarm::kNone);
}

TEST(CampaignGuard, SeesTroubleThatBeginsLate) {
  CampaignGuard guard(kNumbers);
  for (int i = 0; i < 1'000'000; ++i) (void)guard.Count(kStart, false, false);
  int tries = 0;
  while (guard.alarm() != Alarm::kTripped && tries < 5000) (void)guard.Count(kStart, ++tries % 5 == 0, false);
  EXPECT_LT(tries, 600);
}

TEST(CampaignGuard, ResumedItCountsAnew) {
  CampaignGuard guard(kNumbers);
  EXPECT_TRUE(guard.Pause(kStart, "gmail-low-reputation"));
  EXPECT_FALSE(guard.Pause(kStart, "gmail-low-reputation"));
  EXPECT_TRUE(Contains(guard.Describe("offer", "google").why, "gmail-low-reputation"));
  guard.Resume();
  EXPECT_EQ(guard.alarm(), Alarm::kNone);
  for (int i = 0; i < 499; ++i) (void)guard.Count(kStart, true, false);
  EXPECT_EQ(guard.alarm(), Alarm::kNone);
  (void)guard.Count(kStart, true, false);
  EXPECT_EQ(guard.alarm(), Alarm::kTripped);
}

TEST(CampaignGuard, AWarningEndsWhenTheShareIsWellBelow) {
  CampaignGuard guard(kNumbers);
  for (int i = 1; i <= 1000; ++i) (void)guard.Count(kStart, i % 40 == 0, false);
  ASSERT_EQ(guard.alarm(), Alarm::kWarning);
  int changes = 0;
  for (int i = 0; i < 4000; ++i) changes += guard.Count(kStart, false, false) ? 1 : 0;
  EXPECT_EQ(guard.alarm(), Alarm::kNone);
  EXPECT_EQ(changes, 1);
}

TEST(BounceStorm, TripsWhereASiteSuddenlyDisownsItsMailboxes) {
  BounceStorm storm(kNumbers);
  std::mt19937_64 random(1);
  for (int i = 0; i < 5000; ++i) EXPECT_FALSE(storm.Count(kStart, random() % 50 == 0));
  EXPECT_NEAR(storm.UsualShare(), 0.02, 0.01);
  int tries = 0;
  for (; !storm.tripped() && tries < 1000; ++tries) (void)storm.Count(kStart + 1h, random() % 10 < 6);
  EXPECT_TRUE(storm.tripped());
  EXPECT_LT(tries, 60);
  const Finding finding = storm.Describe("gmail-smtp-in.l.google.com");
  EXPECT_TRUE(Contains(finding.why, "usual is")) << finding.why;
  EXPECT_TRUE(Contains(finding.go_on, "nobody is suppressed")) << finding.go_on;
  // It does not become the usual while it lasts, and ends by itself.
  for (int i = 0; i < 5000; ++i) (void)storm.Count(kStart + 2h, random() % 10 < 6);
  EXPECT_TRUE(storm.tripped());
  EXPECT_LT(storm.UsualShare(), 0.1);
  int changes = 0;
  for (int i = 0; i < 500; ++i) changes += storm.Count(kStart + 3h, random() % 50 == 0) ? 1 : 0;
  EXPECT_FALSE(storm.tripped());
  EXPECT_EQ(changes, 1);
}

TEST(BounceStorm, ASiteThatIsAlwaysLikeThatIsNoStorm) {
  BounceStorm storm(kNumbers);
  std::mt19937_64 random(2);
  for (int i = 0; i < 20'000; ++i) EXPECT_FALSE(storm.Count(kStart, random() % 100 < 12)) << i;
}

TEST(BounceStorm, IsBelievedAfterADayOrWhenTheOperatorSaysSo) {
  BounceStorm storm(kNumbers);
  for (int i = 0; i < 200; ++i) (void)storm.Count(kStart, true);
  ASSERT_TRUE(storm.tripped());
  EXPECT_FALSE(storm.Count(kStart + 24h - 1s, true));
  EXPECT_TRUE(storm.Count(kStart + 24h, true));
  EXPECT_FALSE(storm.tripped());
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(storm.Count(kStart + 25h, i % 2 == 0));

  BounceStorm other(kNumbers);
  for (int i = 0; i < 200; ++i) (void)other.Count(kStart, i % 2 == 0);
  ASSERT_TRUE(other.tripped());
  other.Resume();
  for (int i = 0; i < 1000; ++i) EXPECT_FALSE(other.Count(kStart, i % 2 == 0));
}

TEST(NetworkGuard, TripsWhenMostConnectsFailOverManySites) {
  NetworkGuard guard(kNumbers);
  for (std::uint64_t site = 0; site < 19; ++site) EXPECT_FALSE(guard.Count(kStart, site, false));
  // The same sites again prove nothing more.
  for (std::uint64_t site = 0; site < 19; ++site) EXPECT_FALSE(guard.Count(kStart + 1s, site, false));
  EXPECT_TRUE(guard.AdmitConnect(kStart + 1s).Go());
  EXPECT_TRUE(guard.Count(kStart + 1s, 19, false));
  EXPECT_TRUE(guard.tripped());
  EXPECT_TRUE(Contains(guard.Describe().why, "39 of 39 connects failed within 60 s, at 20 sites"))
      << guard.Describe().why;
}

TEST(NetworkGuard, DeadSitesAmongLivingOnesAreNotOurNetwork) {
  NetworkGuard guard(kNumbers);
  for (std::uint64_t i = 0; i < 10'000; ++i) {
    EXPECT_FALSE(guard.Count(kStart + i * 10ms, i, i % 4 == 0));
  }
}

TEST(NetworkGuard, OldFailuresAreForgotten) {
  NetworkGuard guard(kNumbers);
  for (std::uint64_t site = 0; site < 100; ++site) {
    EXPECT_FALSE(guard.Count(kStart + site * 4s, site, false)) << site;
  }
}

TEST(NetworkGuard, ProbesNowAndThenAndEndsWithTheFirstThatStands) {
  NetworkGuard guard(kNumbers);
  for (std::uint64_t site = 0; site < 20; ++site) (void)guard.Count(kStart, site, false);
  ASSERT_TRUE(guard.tripped());
  const Admission held = guard.AskConnect(kStart + 1s);
  EXPECT_EQ(held.limit, Limit::kGuard);
  EXPECT_EQ(held.not_before, kStart + 5s);
  EXPECT_TRUE(guard.AdmitConnect(kStart + 5s).Go());
  EXPECT_FALSE(guard.AdmitConnect(kStart + 6s).Go());
  EXPECT_FALSE(guard.Count(kStart + 7s, 3, false));
  EXPECT_TRUE(guard.Count(kStart + 11s, 4, true));
  EXPECT_FALSE(guard.tripped());
  EXPECT_TRUE(guard.AskConnect(kStart + 11s).Go());
  EXPECT_TRUE(guard.Describe().why.empty());
}

TEST(DomainGuard, TripsWhenManyDomainsAreSuddenlyMissing) {
  DomainGuard guard(kNumbers);
  std::uint64_t domain = 0;
  for (int i = 0; i < 40; ++i) EXPECT_FALSE(guard.Count(kStart, ++domain * 2654435761u, false));
  // The same one over and over is one.
  for (int i = 0; i < 100; ++i) EXPECT_FALSE(guard.Count(kStart, 7, true));
  bool tripped = false;
  for (int i = 0; i < 60 && !tripped; ++i) tripped = guard.Count(kStart + 10s, ++domain * 2654435761u, true);
  EXPECT_TRUE(tripped);
  EXPECT_TRUE(guard.Tripped(kStart + 20s));
  EXPECT_TRUE(Contains(guard.Describe().why, "50 of 90 domains")) << guard.Describe().why;
  // A window later nothing of it is left.
  EXPECT_FALSE(guard.Tripped(kStart + 10min));
}

TEST(DomainGuard, AFewDeadDomainsAmongManyAreTheList) {
  DomainGuard guard(kNumbers);
  for (std::uint64_t i = 1; i < 20'000; ++i) {
    EXPECT_FALSE(guard.Count(kStart + i * 100ms, i * 2654435761u, i % 5 == 0));
  }
}

TEST(DomainGuard, TheOperatorMayBelieveTheAnswersForADay) {
  DomainGuard guard(kNumbers);
  for (std::uint64_t i = 1; i <= 60; ++i) (void)guard.Count(kStart, i * 2654435761u, true);
  ASSERT_TRUE(guard.Tripped(kStart));
  guard.Resume(kStart);
  for (std::uint64_t i = 1; i <= 200; ++i) EXPECT_FALSE(guard.Count(kStart + 1h, i * 2654435761u, true));
  bool tripped = false;
  for (std::uint64_t i = 1; i <= 200; ++i) tripped = guard.Count(kStart + 25h, i * 2654435761u, true) || tripped;
  EXPECT_TRUE(tripped);
}

TEST(ShareWindow, HoldsTheLastSoManyTries) {
  ShareWindow window(80);
  for (int i = 0; i < 80; ++i) (void)window.Count(true);
  EXPECT_EQ(window.Sum().tries, 80u);
  EXPECT_DOUBLE_EQ(window.Sum().FirstShare(), 1);
  std::uint32_t fallen = 0;
  for (int i = 0; i < 40; ++i) fallen += window.Count(false).tries;
  EXPECT_EQ(fallen, 40u);
  EXPECT_DOUBLE_EQ(window.Sum().FirstShare(), 0.5);
  window.Clear();
  EXPECT_EQ(window.Sum().tries, 0u);
  EXPECT_DOUBLE_EQ(window.Sum().FirstShare(), 0);
}

}  // namespace
}  // namespace postrider
