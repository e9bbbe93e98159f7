#include "throttle/allowance.h"

#include <gtest/gtest.h>

#include <memory>
#include <string>

namespace postrider {
namespace {

using namespace std::chrono_literals;

const Wall kMidnight{std::chrono::sys_days(std::chrono::November / 23 / 2026)};
const Now kNow{Monotonic(1000h), kMidnight};
constexpr MailClass kBulk = MailClass::kBulk;
constexpr MailClass kTransactional = MailClass::kTransactional;

Now After(std::chrono::nanoseconds elapsed) {
  return {kNow.monotonic + elapsed, kNow.wall + std::chrono::floor<std::chrono::milliseconds>(elapsed)};
}

Reply Said(int code, std::string text) { return {.code = code, .enhanced = {}, .text = std::move(text)}; }
const Reply kThrottled = Said(421, "4.7.28 unusual rate");

EffectiveRule Rule() {
  EffectiveRule rule;
  rule.connections = 8;
  rule.messages_per_connection = 50;
  return rule;
}

EffectiveRule Rated(double per_second, double burst = 0) {
  EffectiveRule rule = Rule();
  rule.message_rate = RateLimit{per_second, burst};
  return rule;
}

// One message from its permit to its end.
void Deliver(Allowance& allowance, const Now& now, MessageEnd end = MessageEnd::kAccepted) {
  ASSERT_TRUE(allowance.AdmitMessage(now, kBulk).Go());
  (void)allowance.EndMessage(now, end);
}

int SendAll(Allowance& allowance, const Now& now, MailClass mail_class) {
  int sent = 0;
  for (; sent < 100'000 && allowance.AdmitMessage(now, mail_class).Go(); ++sent) (void)0;
  return sent;
}

TEST(Allowance, WithoutLimitsEverythingGoes) {
  Allowance allowance(kNow, Rule(), {});
  for (int i = 0; i < 1000; ++i) Deliver(allowance, kNow);
  EXPECT_EQ(allowance.in_flight(), 0);
  EXPECT_FALSE(allowance.Unsaved());
  EXPECT_FALSE(allowance.FullToday(kNow));
  EXPECT_EQ(allowance.Describe(kNow).mode, Allowance::Mode::kNormal);
}

TEST(Allowance, TheLatestOfAllLimitsBinds) {
  EffectiveRule rule = Rated(1);
  Allowance allowance(kNow, rule, {});
  EXPECT_TRUE(allowance.AdmitMessage(kNow, kBulk).Go());
  Admission answer = allowance.AskMessage(kNow, kBulk);
  EXPECT_EQ(answer.limit, Limit::kMessageRate);
  EXPECT_EQ(answer.not_before, kNow.monotonic + 1s);
  (void)allowance.Stop(kNow, 600s, "rule", kThrottled);
  answer = allowance.AskMessage(kNow, kBulk);
  EXPECT_EQ(answer.limit, Limit::kStopped);
  EXPECT_EQ(answer.not_before, kNow.monotonic + 600s);
}

TEST(Allowance, AskingTakesNothing) {
  Allowance allowance(kNow, Rated(1), {});
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(allowance.AskMessage(kNow, kBulk).Go());
  EXPECT_TRUE(allowance.AdmitMessage(kNow, kBulk).Go());
  EXPECT_FALSE(allowance.AdmitMessage(kNow, kBulk).Go());
  allowance.ReturnMessage(kNow, kNow.monotonic);
  EXPECT_TRUE(allowance.AdmitMessage(kNow, kBulk).Go());
}

TEST(Allowance, ANewRuleKeepsWhatWasSent) {
  Allowance allowance(kNow, Rated(10), {});
  EXPECT_EQ(SendAll(allowance, kNow, kBulk), 10);
  allowance.SetRule(kNow, Rated(1));
  EXPECT_EQ(allowance.AskMessage(kNow, kBulk).not_before, kNow.monotonic + 1s) << "a full bucket stays full";
  allowance.SetRule(kNow, Rated(10));
  EXPECT_EQ(allowance.AskMessage(kNow, kBulk).not_before, kNow.monotonic + 100ms) << "and gives nothing";
  allowance.SetRule(kNow, Rule());
  EXPECT_TRUE(allowance.AskMessage(kNow, kBulk).Go());
}

// ---- transactional mail

TEST(Allowance, BulkLeavesAFifthOfTheBurstWhileTransactionalMailIsAbout) {
  Allowance alone(kNow, Rated(10), {});
  EXPECT_EQ(SendAll(alone, kNow, kBulk), 10);

  Allowance allowance(kNow, Rated(10), {});
  allowance.TransactionalSeen(kNow.monotonic);
  EXPECT_EQ(SendAll(allowance, kNow, kBulk), 8);
  EXPECT_EQ(SendAll(allowance, kNow, kTransactional), 2);
  // Ten minutes after the last one nothing is left any more.
  EXPECT_EQ(SendAll(allowance, After(11min), kBulk), 10);
}

TEST(Allowance, TheReserveCostsNoRate) {
  Allowance allowance(kNow, Rated(5), {});
  int sent = 0;
  Now now = kNow;
  while (now.monotonic < kNow.monotonic + 600s) {
    allowance.TransactionalSeen(now.monotonic);
    const Admission answer = allowance.AdmitMessage(now, kBulk);
    if (answer.Go()) {
      (void)allowance.EndMessage(now, MessageEnd::kAccepted);
      ++sent;
    } else {
      now = After(answer.not_before - kNow.monotonic + 1ms);
    }
  }
  EXPECT_GE(sent, 0.99 * 5 * 600);
}

TEST(Allowance, BulkLeavesOneConnectionForTransactionalMail) {
  Allowance allowance(kNow, Rule(), {});
  allowance.TransactionalSeen(kNow.monotonic);
  for (int i = 0; i < 7; ++i) {
    ASSERT_TRUE(allowance.AskConnect(kNow, kBulk).Go());
    allowance.Connecting(kNow.monotonic);
  }
  EXPECT_EQ(allowance.AskConnect(kNow, kBulk).limit, Limit::kConnections);
  EXPECT_TRUE(allowance.AskConnect(kNow, kTransactional).Go());
  EXPECT_TRUE(allowance.AskConnect(After(10min), kBulk).Go());
  // Of a single one nothing can be left.
  EffectiveRule one = Rule();
  one.connections = 1;
  Allowance narrow(kNow, one, {});
  narrow.TransactionalSeen(kNow.monotonic);
  EXPECT_TRUE(narrow.AskConnect(kNow, kBulk).Go());
}

// ---- connections

TEST(Allowance, ConnectionsRampUpWithCleanDeliveries) {
  EffectiveRule rule = Rule();
  rule.start_connections = 2;
  Allowance allowance(kNow, rule, {});
  EXPECT_EQ(allowance.ConnectionLimit(), 2);
  for (int i = 0; i < 19; ++i) Deliver(allowance, kNow);
  // What is bounced is neither clean nor trouble.
  Deliver(allowance, kNow, MessageEnd::kBounced);
  EXPECT_EQ(allowance.ConnectionLimit(), 2);
  Deliver(allowance, kNow);
  EXPECT_EQ(allowance.ConnectionLimit(), 3);
  EXPECT_TRUE(allowance.Unsaved());
  for (int i = 0; i < 1000; ++i) Deliver(allowance, kNow);
  EXPECT_EQ(allowance.ConnectionLimit(), 8);
  (void)allowance.Refused(kNow, "refused", kThrottled, 0);
  EXPECT_EQ(allowance.ConnectionLimit(), 2);
}

TEST(Allowance, ConnectionsAreCountedFromTheirBeginning) {
  EffectiveRule rule = Rule();
  rule.connections = 2;
  Allowance allowance(kNow, rule, {});
  allowance.Connecting(kNow.monotonic);
  allowance.Connecting(kNow.monotonic);
  const Admission answer = allowance.AskConnect(kNow, kBulk);
  EXPECT_EQ(answer.limit, Limit::kConnections);
  EXPECT_EQ(answer.not_before, Monotonic::max());
  allowance.Connected();
  allowance.Disconnected(true);
  EXPECT_TRUE(allowance.AskConnect(kNow, kBulk).Go());
  allowance.Disconnected(false);
  EXPECT_EQ(allowance.connections(), 0);
  EXPECT_TRUE(allowance.UsedUp(50));
  EXPECT_FALSE(allowance.UsedUp(49));
}

TEST(Allowance, NewConnectionsHaveARate) {
  EffectiveRule rule = Rule();
  rule.connect_rate = RateLimit{20.0 / 60, 0};
  Allowance allowance(kNow, rule, {});
  EXPECT_TRUE(allowance.AskConnect(kNow, kBulk).Go());
  allowance.Connecting(kNow.monotonic);
  const Admission answer = allowance.AskConnect(kNow, kBulk);
  EXPECT_EQ(answer.limit, Limit::kConnectRate);
  EXPECT_EQ(answer.not_before, kNow.monotonic + 3s);
}

TEST(Allowance, TheFirstConnectionsToAStrangerMayBeOpenedAtOnce) {
  EffectiveRule rule = Rule();
  rule.connect_rate = RateLimit{20.0 / 60, 0};
  rule.start_connections = 2;
  Allowance allowance(kNow, rule, {});
  allowance.Connecting(kNow.monotonic);
  EXPECT_TRUE(allowance.AskConnect(kNow, kBulk).Go());
  allowance.Connecting(kNow.monotonic);
  for (int i = 0; i < 20; ++i) Deliver(allowance, kNow);
  const Admission answer = allowance.AskConnect(kNow, kBulk);
  EXPECT_EQ(answer.limit, Limit::kConnectRate);
  EXPECT_EQ(answer.not_before, kNow.monotonic + 3s);
}

TEST(Allowance, ComplaintsAboutConnectionsHalveThoseInUse) {
  Allowance allowance(kNow, Rule(), {});
  for (int i = 0; i < 6; ++i) allowance.Connecting(kNow.monotonic);
  EXPECT_TRUE(allowance.LowerConnections(kNow, 3600s, "too-many", kThrottled));
  EXPECT_EQ(allowance.ConnectionLimit(), 3);
  // The others complain about the same.
  EXPECT_FALSE(allowance.LowerConnections(After(1s), 3600s, "too-many", kThrottled));
  EXPECT_EQ(allowance.Describe(After(1s)).reason, "too-many");
  for (int i = 0; i < 100; ++i) Deliver(allowance, After(30min));
  EXPECT_EQ(allowance.ConnectionLimit(), 3);
  // After the hour up again, one by one.
  for (int i = 0; i < 20; ++i) Deliver(allowance, After(61min));
  EXPECT_EQ(allowance.ConnectionLimit(), 4);
  EXPECT_EQ(allowance.Describe(After(61min)).reason, "");
}

TEST(Allowance, ALowerLimitOfConnectionsHoldsAtOnce) {
  Allowance allowance(kNow, Rule(), {});
  for (int i = 0; i < 8; ++i) allowance.Connecting(kNow.monotonic);
  EffectiveRule rule = Rule();
  rule.connections = 4;
  allowance.SetRule(kNow, rule);
  EXPECT_FALSE(allowance.AskConnect(kNow, kBulk).Go());
  for (int i = 0; i < 5; ++i) allowance.Disconnected(false);
  EXPECT_TRUE(allowance.AskConnect(kNow, kBulk).Go());
  rule.connections = 20;
  allowance.SetRule(kNow, rule);
  EXPECT_EQ(allowance.ConnectionLimit(), 20);
}

// ---- back-off, breaker, stops

TEST(Allowance, ARefusalBacksOffAndOneMessageProbes) {
  Allowance allowance(kNow, Rule(), {});
  Allowance::Refusal refusal = allowance.Refused(kNow, "refused", kThrottled, 0);
  EXPECT_TRUE(refusal.began);
  EXPECT_TRUE(refusal.blocked);
  EXPECT_EQ(refusal.until, kNow.monotonic + 1min);
  refusal = allowance.Refused(kNow, "refused", kThrottled, 0);
  EXPECT_FALSE(refusal.began);
  EXPECT_FALSE(refusal.blocked);
  EXPECT_EQ(allowance.AskMessage(kNow, kBulk).limit, Limit::kBackoff);
  EXPECT_EQ(allowance.AskConnect(kNow, kBulk).limit, Limit::kBackoff);
  EXPECT_EQ(allowance.Describe(kNow).mode, Allowance::Mode::kBackingOff);

  const Now later = After(1min);
  EXPECT_TRUE(allowance.Probing());
  EXPECT_TRUE(allowance.AskConnect(later, kBulk).Go());
  allowance.Connecting(later.monotonic);
  EXPECT_EQ(allowance.AskConnect(later, kBulk).limit, Limit::kProbing);
  allowance.Connected();
  EXPECT_TRUE(allowance.AdmitMessage(later, kBulk).Go());
  EXPECT_EQ(allowance.AdmitMessage(later, kBulk).limit, Limit::kProbing);
  EXPECT_EQ(allowance.AskConnect(later, kBulk).limit, Limit::kProbing);
  EXPECT_TRUE(allowance.EndMessage(later, MessageEnd::kAccepted));
  EXPECT_FALSE(allowance.Probing());
  EXPECT_EQ(SendAll(allowance, later, kBulk), 100'000);
}

TEST(Allowance, AnAnswerAboutARecipientEndsTheProbeAndTroubleDoesNot) {
  Allowance allowance(kNow, Rule(), {});
  (void)allowance.Refused(kNow, "refused", kThrottled, 0);
  Now now = After(1min);
  ASSERT_TRUE(allowance.AdmitMessage(now, kBulk).Go());
  EXPECT_FALSE(allowance.EndMessage(now, MessageEnd::kTroubled));
  EXPECT_TRUE(allowance.Probing());
  // Twice as long.
  EXPECT_EQ(allowance.Refused(now, "refused", kThrottled, 0).until, now.monotonic + 2min);
  now = After(3min);
  ASSERT_TRUE(allowance.AdmitMessage(now, kBulk).Go());
  EXPECT_TRUE(allowance.EndMessage(now, MessageEnd::kDeferred));
}

TEST(Allowance, TwentyRefusalsInARowTripTheBreaker) {
  Allowance allowance(kNow, Rated(10), {});
  Now now = kNow;
  for (int i = 1; i < 20; ++i) EXPECT_FALSE(allowance.Refused(now, "refused", kThrottled, 0).tripped);
  Allowance::Refusal refusal = allowance.Refused(now, "refused", kThrottled, 0);
  EXPECT_TRUE(refusal.tripped);
  EXPECT_EQ(refusal.until, now.monotonic + 15min);
  EXPECT_EQ(allowance.AskMessage(now, kBulk).limit, Limit::kStopped);
  EXPECT_EQ(allowance.Describe(now).mode, Allowance::Mode::kStopped);
  // The probe is refused again: twice as long, up to four hours.
  for (const std::chrono::minutes longer : {30min, 60min, 120min, 240min, 240min}) {
    now = Now{refusal.until, now.wall + std::chrono::ceil<std::chrono::milliseconds>(refusal.until - now.monotonic)};
    refusal = allowance.Refused(now, "refused", kThrottled, 0);
    EXPECT_TRUE(refusal.tripped);
    EXPECT_EQ(refusal.until, now.monotonic + longer);
  }
  // It resumes by a ramp.
  EXPECT_DOUBLE_EQ(allowance.Describe(now).adaptive_rate, 5);
}

TEST(Allowance, AnAnswerInBetweenBeginsTheCountAnew) {
  Allowance allowance(kNow, Rule(), {});
  ASSERT_TRUE(allowance.AdmitMessage(kNow, kBulk).Go());
  for (int i = 0; i < 19; ++i) (void)allowance.Refused(kNow, "refused", kThrottled, 0);
  EXPECT_TRUE(allowance.EndMessage(kNow, MessageEnd::kBounced));
  EXPECT_FALSE(allowance.Refused(kNow, "refused", kThrottled, 0).tripped);
}

TEST(Allowance, AStopLastsAndResumesAtHalfTheRate) {
  Allowance allowance(kNow, Rated(10), {});
  ASSERT_TRUE(allowance.AdmitMessage(kNow, kBulk).Go());
  EXPECT_EQ(allowance.Stop(kNow, 7200s, "yahoo-ts04", Said(421, "4.7.0 [TSS04]")), kNow.monotonic + 2h);
  // What was sent before is answered still; that ends no stop.
  EXPECT_FALSE(allowance.EndMessage(After(1s), MessageEnd::kAccepted));
  EXPECT_FALSE(allowance.AskMessage(After(2h - 1s), kBulk).Go());
  const Now end = After(2h);
  EXPECT_TRUE(allowance.AskMessage(end, kBulk).Go());
  Deliver(allowance, end);
  EXPECT_FALSE(allowance.Probing());
  const Allowance::State state = allowance.Describe(end);
  EXPECT_EQ(state.mode, Allowance::Mode::kNormal);
  EXPECT_DOUBLE_EQ(state.adaptive_rate, 5);
  EXPECT_EQ(state.reason, "yahoo-ts04");
  EXPECT_EQ(state.since, kNow.monotonic);
  ASSERT_EQ(state.last_replies.size(), 1u);
  EXPECT_EQ(state.last_replies[0], "421 4.7.0 [TSS04]");
  EXPECT_EQ(SendAll(allowance, end, kBulk), 4);
  EXPECT_EQ(allowance.AskMessage(end, kBulk).limit, Limit::kAdaptiveRate);
}

TEST(Allowance, RepeatedStopsDoubleUntilMailFlows) {
  Allowance allowance(kNow, Rule(), {});
  Monotonic until = allowance.Stop(kNow, 900s, "rule", kThrottled);
  EXPECT_EQ(until, kNow.monotonic + 15min);
  // While it is stopped others say the same.
  EXPECT_EQ(allowance.Stop(After(1min), 900s, "rule", kThrottled), kNow.monotonic + 16min);
  Now now = After(16min);
  EXPECT_EQ(allowance.Stop(now, 900s, "rule", kThrottled), now.monotonic + 30min);
  now = After(46min);
  for (int i = 0; i < 10; ++i) {
    until = allowance.Stop(now, 900s, "rule", kThrottled);
    now = After(until - kNow.monotonic);
  }
  EXPECT_EQ(allowance.Stop(now, 900s, "rule", kThrottled), now.monotonic + 4h);
  now = After(now.monotonic - kNow.monotonic + 4h);
  Deliver(allowance, now);
  EXPECT_EQ(allowance.Stop(now, 900s, "rule", kThrottled), now.monotonic + 15min);
}

TEST(Allowance, TheOperatorLiftsAStopAndAProbeGoesFirst) {
  Allowance allowance(kNow, Rule(), {});
  (void)allowance.Stop(kNow, 7200s, "rule", kThrottled);
  const Now now = After(1min);
  allowance.Resume(now.monotonic);
  EXPECT_TRUE(allowance.AdmitMessage(now, kBulk).Go());
  EXPECT_EQ(allowance.AdmitMessage(After(2min), kBulk).limit, Limit::kProbing);
  EXPECT_TRUE(allowance.EndMessage(now, MessageEnd::kAccepted));
  EXPECT_EQ(allowance.Describe(now).adaptive_rate, 0);
  EXPECT_EQ(allowance.ConnectionLimit(), 8);
}

// ---- the adaptive rate

TEST(Allowance, ThrottlingLowersTheRateAtOnceWithoutASavedUpBurst) {
  Allowance allowance(kNow, Rated(10), {});
  EXPECT_TRUE(allowance.Throttled(kNow, "gmail-rate", kThrottled));
  const Admission answer = allowance.AskMessage(kNow, kBulk);
  EXPECT_EQ(answer.limit, Limit::kAdaptiveRate);
  EXPECT_EQ(answer.not_before, kNow.monotonic + 200ms);
  EXPECT_FALSE(allowance.Throttled(After(1s), "gmail-rate", kThrottled));
  EXPECT_DOUBLE_EQ(allowance.Describe(After(1s)).adaptive_rate, 5);
  EXPECT_TRUE(allowance.Throttled(After(2s), "microsoft-rp", kThrottled, 1.0 / 60));
  EXPECT_DOUBLE_EQ(allowance.Describe(After(2s)).adaptive_rate, 1.0 / 60);
}

TEST(Allowance, APermitFromBeforeTheRateWasLoweredReturnsNothingToTheLoweredOne) {
  Allowance allowance(kNow, Rated(10), {});
  ASSERT_TRUE(allowance.AdmitMessage(kNow, kBulk).Go());
  const Now later = After(50ms);
  ASSERT_TRUE(allowance.Throttled(later, "rule", kThrottled, 0.1));
  const Monotonic not_before = allowance.AskMessage(later, kBulk).not_before;
  allowance.ReturnMessage(later, kNow.monotonic);
  EXPECT_EQ(allowance.AskMessage(later, kBulk).not_before, not_before);
}

TEST(Allowance, WithoutARateItStartsFromTheMeasuredOne) {
  Allowance allowance(kNow, Rule(), {});
  for (int i = 0; i < 2400; ++i) Deliver(allowance, After(i * 25ms));
  EXPECT_TRUE(allowance.Throttled(After(60s), "rule", kThrottled));
  EXPECT_NEAR(allowance.Describe(After(60s)).adaptive_rate, 20, 1);
}

TEST(Allowance, ARuleMaySayThatTheRateIsNotAdaptive) {
  EffectiveRule rule = Rated(10);
  Allowance allowance(kNow, rule, {});
  EXPECT_TRUE(allowance.Throttled(kNow, "rule", kThrottled));
  rule.adaptive = false;
  allowance.SetRule(kNow, rule);
  EXPECT_TRUE(allowance.AskMessage(kNow, kBulk).Go());
  EXPECT_FALSE(allowance.Throttled(After(61s), "rule", kThrottled));
  EXPECT_EQ(allowance.Describe(After(61s)).adaptive_rate, 0);
}

TEST(Allowance, KeepsTheLastThreeRepliesShortened) {
  Allowance allowance(kNow, Rule(), {});
  for (int i = 0; i < 5; ++i) {
    (void)allowance.Throttled(After(i * 1s), "rule", Said(420 + i, std::string(500, 'x') + "\xc3\xa9"));
  }
  const Allowance::State state = allowance.Describe(After(5s));
  ASSERT_EQ(state.last_replies.size(), 3u);
  EXPECT_EQ(state.last_replies[0].substr(0, 5), "424 x");
  EXPECT_EQ(state.last_replies[2].substr(0, 3), "422");
  EXPECT_EQ(state.last_replies[0].size(), 200u);
}

// ---- quotas

void SaveIfAsked(Allowance& allowance, const Now& now) {
  if (!allowance.SaveNow()) return;
  const Allowance::Save save = allowance.BeginSave(now);
  EXPECT_FALSE(allowance.SaveNow());
  allowance.Saved(save.number);
}

TEST(Allowance, ADailyQuotaWaitsForItsSave) {
  EffectiveRule rule = Rule();
  rule.daily_quota = 800;
  Allowance allowance(kNow, rule, {});
  EXPECT_EQ(allowance.AskMessage(kNow, kBulk).limit, Limit::kUnsaved);
  EXPECT_TRUE(allowance.SaveNow());
  EXPECT_TRUE(allowance.Unsaved());
  Allowance::Save save = allowance.BeginSave(kNow);
  allowance.SaveFailed();
  EXPECT_TRUE(allowance.SaveNow());
  // The failed one came through after all: too late, another is due.
  allowance.Saved(save.number);
  EXPECT_EQ(allowance.AskMessage(kNow, kBulk).limit, Limit::kUnsaved);
  save = allowance.BeginSave(kNow);
  allowance.Saved(save.number);
  EXPECT_TRUE(allowance.AskMessage(kNow, kBulk).Go());
}

TEST(Allowance, ADailyQuotaIsPacedAndEndsWithTheDayOfItsZone) {
  EffectiveRule rule = Rule();
  rule.daily_quota = 80;
  rule.time_zone = "Europe/Lisbon";
  std::string asked;
  Allowance allowance(kNow, rule, [&asked](std::string_view zone, Wall moment) {
    asked = zone;
    const Wall start = std::chrono::floor<std::chrono::days>(moment - 5h) + 5h;
    return CalendarDay{start, start + 24h};
  });
  EXPECT_EQ(asked, "Europe/Lisbon");
  int sent = 0;
  Now now = kNow;
  while (now.monotonic < kNow.monotonic + 30h) {
    SaveIfAsked(allowance, now);
    const Admission answer = allowance.AdmitMessage(now, kBulk);
    if (answer.Go()) {
      (void)allowance.EndMessage(now, MessageEnd::kAccepted);
      if (now.wall < kMidnight + 5h) ++sent;
      continue;
    }
    // The new day's counter is saved first.
    if (answer.limit == Limit::kUnsaved) continue;
    EXPECT_EQ(answer.limit, Limit::kDailyQuota);
    // Five hours are left of the day that began the morning before, with ten in each.
    if (now.wall < kMidnight + 5h) {
      EXPECT_LE(sent, 51);
    }
    if (allowance.FullToday(now)) break;
    now = After(answer.not_before - kNow.monotonic + 1ms);
  }
  EXPECT_GE(sent, 49);
  // The second day: full after eight hours.
  EXPECT_TRUE(allowance.FullToday(now));
  EXPECT_EQ(allowance.Describe(now).quota_used, 80u);
  EXPECT_EQ(allowance.AskMessage(now, kBulk).not_before, After(29h).monotonic);
}

// A day that begins at five, as if that were midnight in the zone of that name.
CalendarDay DayOfLisbon(std::string_view zone, Wall moment) {
  const auto begins = zone == "Europe/Lisbon" ? 5h : 0h;
  const Wall start = std::chrono::floor<std::chrono::days>(moment - begins) + begins;
  return {start, start + 24h};
}

TEST(Allowance, AWarmUpsDayIsThatOfTheRulesZoneWithoutADailyQuotaToo) {
  EffectiveRule rule = Rule();
  rule.time_zone = "Europe/Lisbon";
  WarmUpPlan plan;
  plan.start = kMidnight;
  plan.quotas = {1, 8};
  Allowance allowance(kNow, rule, DayOfLisbon);
  allowance.SetWarmUp(kNow, &plan);
  SaveIfAsked(allowance, kNow);
  Deliver(allowance, kNow);
  SaveIfAsked(allowance, kNow);
  EXPECT_EQ(allowance.AskMessage(kNow, kBulk).not_before, After(5h).monotonic);
  Allowance restored(kNow, rule, DayOfLisbon);
  restored.SetWarmUp(kNow, &plan);
  ASSERT_TRUE(restored.Restore(kNow, allowance.Encode(kNow)).has_value());
  EXPECT_EQ(restored.AskMessage(kNow, kBulk).not_before, After(5h).monotonic);
}

TEST(Allowance, AQuotaThatIsTakenBackAndSetAgainCountsWhatWentThatDay) {
  EffectiveRule rule = Rule();
  rule.daily_quota = 80;
  Allowance allowance(kNow, rule, {});
  SaveIfAsked(allowance, kNow);
  Deliver(allowance, kNow);
  allowance.SetRule(kNow, Rule());
  EXPECT_EQ(allowance.Describe(kNow).quota, 0u);
  for (int i = 0; i < 5; ++i) Deliver(allowance, kNow);
  Allowance restored(kNow, Rule(), {});
  ASSERT_TRUE(restored.Restore(kNow, allowance.Encode(kNow)).has_value());
  for (Allowance* const one : {&allowance, &restored}) {
    EXPECT_FALSE(one->FullToday(kNow));
    one->SetRule(kNow, rule);
    EXPECT_EQ(one->Describe(kNow).quota_used, 6u);
    one->SetRule(kNow, Rule());
  }
  // Until the day is over.
  (void)allowance.FullToday(After(24h));
  allowance.SetRule(After(24h), rule);
  EXPECT_EQ(allowance.Describe(After(24h)).quota_used, 0u);
}

TEST(Allowance, AWarmingSourceSaysWhenItsDayIsFull) {
  Allowance allowance(kNow, Rule(), {});
  WarmUpPlan plan;
  plan.start = kMidnight;
  plan.quotas = {2, 8};
  allowance.SetWarmUp(kNow, &plan);
  const auto send = [&](const Now& now) {
    SaveIfAsked(allowance, now);
    return allowance.AdmitMessage(now, kBulk);
  };
  EXPECT_TRUE(send(kNow).Go());
  EXPECT_EQ(send(kNow).limit, Limit::kWarmUp);
  EXPECT_FALSE(allowance.FullToday(kNow));
  EXPECT_TRUE(send(After(1h)).Go());
  EXPECT_TRUE(allowance.FullToday(After(1h)));
  EXPECT_EQ(send(After(1h)).not_before, After(24h).monotonic);
  EXPECT_EQ(allowance.Describe(After(1h)).warm_up_day, 1u);
  EXPECT_EQ(allowance.Describe(After(1h)).warm_up_used, 2u);
  for (int i = 0; i < 2; ++i) (void)allowance.EndMessage(After(1h), MessageEnd::kAccepted);
  EXPECT_FALSE(allowance.FullToday(After(25h)));
  EXPECT_EQ(allowance.Describe(After(25h)).warm_up_day, 2u);
  (void)allowance.Stop(After(25h), 900s, "listed", kThrottled);
  EXPECT_EQ(allowance.Describe(After(25h)).warm_up_day, 1u);
  allowance.SetWarmUp(After(26h), nullptr);
  EXPECT_EQ(allowance.Describe(After(26h)).warm_up_day, 0u);
  EXPECT_TRUE(allowance.AskMessage(After(26h), kBulk).Go());
}

// ---- a restart

std::unique_ptr<Allowance> Restarted(const Allowance& allowance, const EffectiveRule& rule, const Now& before,
                                     const Now& after) {
  auto restored = std::make_unique<Allowance>(after, rule, CalendarDayFunction{});
  const Result<void> result = restored->Restore(after, allowance.Encode(before));
  EXPECT_TRUE(result.has_value());
  return restored;
}

TEST(Allowance, TheTimeAwayCountsAndNoMore) {
  const EffectiveRule rule = Rated(0.1, 3);
  Allowance allowance(kNow, rule, {});
  EXPECT_EQ(SendAll(allowance, kNow, kBulk), 3);
  const auto wait = [&](const Now& after) {
    const Admission answer = Restarted(allowance, rule, kNow, after)->AskMessage(after, kBulk);
    return std::chrono::duration<double>(answer.not_before - after.monotonic).count();
  };
  EXPECT_NEAR(wait({Monotonic(5s), kNow.wall + 4s}), 6, 1e-6);
  // A clock that went back gives nothing.
  EXPECT_NEAR(wait({Monotonic(5s), kNow.wall - 1h}), 10, 1e-6);
}

TEST(Allowance, DeliveriesTowardsTheNextConnectionAreKept) {
  EffectiveRule rule = Rule();
  rule.start_connections = 2;
  Allowance allowance(kNow, rule, {});
  for (int i = 0; i < 19; ++i) Deliver(allowance, kNow);
  const std::unique_ptr<Allowance> restored = Restarted(allowance, rule, kNow, kNow);
  EXPECT_EQ(restored->ConnectionLimit(), 2);
  Deliver(*restored, kNow);
  EXPECT_EQ(restored->ConnectionLimit(), 3);
}

TEST(Allowance, StopsAndBreakersEndWhenTheyWouldHave) {
  for (const bool breaker : {false, true}) {
    Allowance allowance(kNow, Rule(), {});
    if (breaker) {
      for (int i = 0; i < 20; ++i) (void)allowance.Refused(kNow, "refused", kThrottled, 0);
    } else {
      (void)allowance.Stop(kNow, 900s, "rule", kThrottled);
    }
    const Now after{Monotonic(5s), kNow.wall + 5min};
    const std::unique_ptr<Allowance> restored = Restarted(allowance, Rule(), After(1min), after);
    EXPECT_EQ(restored->AskMessage(after, kBulk).limit, Limit::kStopped);
    EXPECT_EQ(restored->AskMessage(after, kBulk).not_before, after.monotonic + 10min);
    EXPECT_TRUE(restored->Probing());
    EXPECT_EQ(restored->Describe(after).mode, Allowance::Mode::kStopped);
  }
}

TEST(Allowance, SlowRatesAreSavedWithinASecondAndFastOnesNeedNot) {
  Allowance fast(kNow, Rated(100), {});
  EXPECT_TRUE(fast.AdmitMessage(kNow, kBulk).Go());
  EXPECT_FALSE(fast.Unsaved());
  Allowance slow(kNow, Rated(1.0 / 60), {});
  EXPECT_TRUE(slow.AdmitMessage(kNow, kBulk).Go());
  EXPECT_TRUE(slow.Unsaved());
  slow.Saved(slow.BeginSave(kNow).number);
  EXPECT_FALSE(slow.Unsaved());
}

}  // namespace
}  // namespace postrider
