// Allowances under random sequences: what they promise must hold whatever happens, and a restart must change nothing.

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <memory>
#include <optional>
#include <random>
#include <string>
#include <vector>

#include "tests/throttle/rate_audit.h"
#include "throttle/allowance.h"

namespace postrider {
namespace {

using namespace std::chrono_literals;

const Now kNow{Monotonic(1000h), Wall(std::chrono::sys_days(std::chrono::November / 23 / 2026)) + 7h};
const Reply kSaid{.code = 421, .enhanced = {}, .text = "4.7.28 unusual rate"};

Now At(Monotonic moment) {
  return {moment, kNow.wall + std::chrono::floor<std::chrono::milliseconds>(moment - kNow.monotonic)};
}

double Between(std::mt19937_64& random, double low, double high) {
  return std::uniform_real_distribution<double>(low, high)(random);
}

EffectiveRule RandomRule(std::mt19937_64& random) {
  EffectiveRule rule;
  rule.connections = 1 + static_cast<int>(random() % 20);
  rule.start_connections = static_cast<int>(random() % 4);
  rule.messages_per_connection = 20;
  rule.connect_rate = RateLimit{Between(random, 0.1, 10), 0};
  const double rate = std::pow(10.0, Between(random, -1, 3));
  rule.message_rate = RateLimit{rate, random() % 2 == 0 ? 0 : std::max(1.0, rate * Between(random, 0, 2))};
  if (random() % 3 == 0) rule.daily_quota = 20 + random() % 5000;
  rule.adaptive = random() % 4 != 0;
  rule.rate_floor = RateLimit{0.05, 1};
  return rule;
}

struct Permit {
  Monotonic admitted;
  std::size_t number;
};

// A sender and its receiver, deciding at random.
class RandomUse {
 public:
  explicit RandomUse(std::uint64_t seed) : random_(seed), rule_(RandomRule(random_)), allowance_(Make(At(now_))) {
    Audit();
    if (seed % 5 == 0) {
      WarmUpPlan plan;
      plan.quotas = {50, 500, 5000};
      plan_ = plan;
      allowance_->SetWarmUp(kNow, &*plan_);
    }
  }

  std::unique_ptr<Allowance> Make(const Now& now) const {
    return std::make_unique<Allowance>(now, rule_, CalendarDayFunction{});
  }

  void Step() {
    const std::uint64_t event = random_() % 100;
    const Now now = At(now_);
    if (allowance_->SaveNow() || random_() % 50 == 0) {
      const Allowance::Save save = allowance_->BeginSave(now);
      allowance_->Saved(save.number);
    }
    const MailClass mail_class = random_() % 10 == 0 ? MailClass::kTransactional : MailClass::kBulk;
    if (event < 60) {
      const Admission asked = allowance_->AskMessage(now, mail_class);
      const Admission answer = allowance_->AdmitMessage(now, mail_class);
      ASSERT_EQ(asked.limit, answer.limit);
      if (answer.Go()) {
        permits_.push_back({now_, audit_.Went(now_)});
      } else {
        ASSERT_GT(answer.not_before, now_);
        // Often it comes when it was told.
        if (answer.not_before < now_ + 24h && random_() % 2 == 0) now_ = answer.not_before;
      }
    } else if (event < 85 && !permits_.empty()) {
      const std::size_t chosen = random_() % permits_.size();
      if (random_() % 5 == 0) {
        allowance_->ReturnMessage(now, permits_[chosen].admitted);
        audit_.NeverWent(permits_[chosen].number);
      } else {
        (void)allowance_->EndMessage(now, static_cast<MessageEnd>(random_() % 8 == 0 ? random_() % 4 : 0));
      }
      permits_.erase(permits_.begin() + static_cast<std::ptrdiff_t>(chosen));
    } else if (event < 90) {
      if (allowance_->AskConnect(now, mail_class).Go()) {
        allowance_->Connecting(now_);
        ++connections_;
        ASSERT_LE(allowance_->connections(), rule_.connections);
      }
    } else if (event < 94 && connections_ > 0) {
      --connections_;
      allowance_->Disconnected(false);
    } else if (event == 94) {
      (void)allowance_->Throttled(now, "rule", kSaid, random_() % 4 == 0 ? std::optional(0.1) : std::nullopt);
    } else if (event == 95 && random_() % 4 == 0) {
      (void)allowance_->Stop(now, std::chrono::seconds(1 + random_() % 60), "rule", kSaid);
    } else if (event == 96 && random_() % 4 == 0) {
      // Now and then enough for the breaker.
      for (int i = random_() % 4 == 0 ? 25 : 1; i > 0; --i) (void)allowance_->Refused(now, "rule", kSaid, random_());
    } else if (event == 97 && random_() % 4 == 0) {
      (void)allowance_->LowerConnections(now, std::chrono::seconds(random_() % 100), "rule", kSaid);
    } else if (event == 98 && random_() % 20 == 0 && connections_ == 0) {
      const int connections = rule_.connections;
      rule_ = RandomRule(random_);
      rule_.connections = connections;
      allowance_->SetRule(now, rule_);
      Audit();
    } else {
      now_ += std::chrono::microseconds(random_() % 2'000'000);
    }
    ASSERT_GE(allowance_->ConnectionLimit(), 1);
    ASSERT_LE(allowance_->ConnectionLimit(), rule_.connections);
  }

  // Nothing is open at a restart.
  void Settle() {
    for (const Permit& permit : permits_) {
      (void)permit;
      (void)allowance_->EndMessage(At(now_), MessageEnd::kTroubled);
    }
    permits_.clear();
    for (; connections_ > 0; --connections_) allowance_->Disconnected(false);
  }

  std::mt19937_64& random() { return random_; }
  [[nodiscard]] const RateAudit& audit() const { return audit_; }
  [[nodiscard]] Allowance& allowance() { return *allowance_; }
  [[nodiscard]] Monotonic now() const { return now_; }
  [[nodiscard]] const std::optional<WarmUpPlan>& plan() const { return plan_; }

 private:
  void Audit() { audit_.SetRate(now_, rule_.message_rate->per_second, rule_.message_rate->BurstOrDefault()); }

  std::mt19937_64 random_;
  Monotonic now_ = kNow.monotonic;
  EffectiveRule rule_;
  std::unique_ptr<Allowance> allowance_;
  std::optional<WarmUpPlan> plan_;
  RateAudit audit_;
  std::vector<Permit> permits_;
  int connections_ = 0;
};

TEST(AllowanceProperty, NoSpanHoldsMoreThanItsRatesAndOneBurst) {
  std::size_t sent = 0;
  for (std::uint64_t seed = 1; seed <= 100; ++seed) {
    RandomUse run(seed);
    for (int i = 0; i < 5000; ++i) {
      run.Step();
      if (HasFatalFailure()) FAIL() << seed;
    }
    EXPECT_LE(run.audit().WorstExcess(), 1e-6) << seed;
    sent += run.audit().count();
  }
  EXPECT_GT(sent, 50'000u);
}

void ExpectSame(const Admission& was, const Now& before, const Admission& is, const Now& after, std::uint64_t seed) {
  ASSERT_EQ(ToString(was.limit), ToString(is.limit)) << seed;
  if (was.Go() || was.not_before == Monotonic::max()) {
    ASSERT_EQ(is.not_before == Monotonic::max(), was.not_before == Monotonic::max()) << seed;
    return;
  }
  const std::chrono::duration<double> wait_was = was.not_before - before.monotonic;
  const std::chrono::duration<double> wait_is = is.not_before - after.monotonic;
  // Moments are kept to the millisecond.
  ASSERT_NEAR(wait_is.count(), wait_was.count(), 0.0021) << seed << " " << ToString(was.limit);
}

TEST(AllowanceProperty, ARestartAtAnyMomentChangesNoAnswer) {
  int blocked = 0;
  for (std::uint64_t seed = 1; seed <= 300; ++seed) {
    RandomUse run(seed);
    const int steps = static_cast<int>(run.random()() % 3000);
    for (int i = 0; i < steps; ++i) run.Step();
    run.Settle();
    const Now before = At(run.now());
    Allowance& original = run.allowance();
    const std::string record = original.Encode(before);
    // A machine that has just begun, at the same wall time.
    const Now after{Monotonic(17s) + std::chrono::nanoseconds(seed), before.wall};
    std::unique_ptr<Allowance> restored = run.Make(after);
    if (run.plan()) restored->SetWarmUp(after, &*run.plan());
    const Result<void> result = restored->Restore(after, record);
    ASSERT_TRUE(result.has_value()) << result.error().message;

    // A new process saves its counters before it goes on.
    if (original.SaveNow()) original.Saved(original.BeginSave(before).number);
    if (restored->SaveNow()) restored->Saved(restored->BeginSave(after).number);
    for (const MailClass mail_class : {MailClass::kBulk, MailClass::kTransactional}) {
      const Admission was = original.AskMessage(before, mail_class);
      ExpectSame(was, before, restored->AskMessage(after, mail_class), after, seed);
      ExpectSame(original.AskConnect(before, mail_class), before, restored->AskConnect(after, mail_class), after, seed);
      blocked += was.Go() ? 0 : 1;
    }
    const Allowance::State was = original.Describe(before);
    const Allowance::State is = restored->Describe(after);
    EXPECT_EQ(was.mode, is.mode) << seed;
    EXPECT_DOUBLE_EQ(was.adaptive_rate, is.adaptive_rate) << seed;
    EXPECT_EQ(was.reason, is.reason) << seed;
    EXPECT_EQ(was.last_replies, is.last_replies) << seed;
    EXPECT_EQ(was.connection_limit, is.connection_limit) << seed;
    EXPECT_EQ(was.quota_used, is.quota_used) << seed;
    EXPECT_EQ(was.warm_up_day, is.warm_up_day) << seed;
    EXPECT_EQ(was.warm_up_used, is.warm_up_used) << seed;
    EXPECT_EQ(original.Probing(), restored->Probing()) << seed;
    if (HasFatalFailure()) return;
  }
  // It was not all idle.
  EXPECT_GT(blocked, 100);
}

TEST(AllowanceProperty, ACrashNeverLosesWhatADailyQuotaCounted) {
  for (std::uint64_t seed = 1; seed <= 30; ++seed) {
    std::mt19937_64 random(seed);
    EffectiveRule rule;
    rule.connections = 5;
    rule.daily_quota = 50 + random() % 2000;
    std::uint64_t sent = 0;
    Monotonic now = kNow.monotonic;
    std::string disk;
    auto allowance = std::make_unique<Allowance>(At(now), rule, CalendarDayFunction{});
    std::uint64_t crashes = 0;
    while (sent < *rule.daily_quota && now < kNow.monotonic + 15h) {
      if (random() % 200 == 0) {
        ++crashes;
        allowance = std::make_unique<Allowance>(At(now), rule, CalendarDayFunction{});
        if (!disk.empty()) {
          ASSERT_TRUE(allowance->Restore(At(now), disk).has_value());
        }
        const std::uint64_t counted = allowance->Describe(At(now)).quota_used;
        ASSERT_GE(counted, sent);
        // What earlier crashes added stays.
        ASSERT_LE(counted, sent + crashes * std::max<std::uint64_t>(1, *rule.daily_quota / 100));
      }
      if (allowance->SaveNow()) {
        const Allowance::Save save = allowance->BeginSave(At(now));
        // The disk answers, or the crash comes between.
        if (random() % 10 != 0) {
          disk = save.bytes;
          if (random() % 10 != 0) {
            allowance->Saved(save.number);
          } else {
            allowance->SaveFailed();
          }
        } else {
          allowance->SaveFailed();
        }
      }
      const Admission answer = allowance->AdmitMessage(At(now), MailClass::kBulk);
      if (answer.Go()) {
        ++sent;
        (void)allowance->EndMessage(At(now), MessageEnd::kAccepted);
      } else if (allowance->FullToday(At(now))) {
        break;
      } else {
        now = std::min(answer.not_before, now + 1h);
      }
    }
    EXPECT_LE(sent, *rule.daily_quota);
    EXPECT_GT(sent, *rule.daily_quota / 3) << seed;
  }
}

TEST(AllowanceProperty, TheAllowedRateIsUsedToNearlyAll) {
  for (const double rate : {0.2, 1.0, 7.0, 100.0, 3000.0}) {
    for (const bool lowered : {false, true}) {
      EffectiveRule rule;
      rule.connections = 20;
      rule.message_rate = RateLimit{rate, 0};
      rule.connect_rate = RateLimit{1, 0};
      Allowance allowance(kNow, rule, {});
      if (lowered) (void)allowance.Throttled(kNow, "rule", kSaid);
      std::mt19937_64 random(7);
      int sent = 0;
      const std::chrono::seconds span(rate < 10 ? 290 * 4 : 290);
      // Each five minutes the lowered rate rises: measured within them, or in all where there is none.
      const std::chrono::seconds end = lowered ? 290s : span;
      Monotonic now = kNow.monotonic;
      while (now < kNow.monotonic + end) {
        const MailClass mail_class = random() % 20 == 0 ? MailClass::kTransactional : MailClass::kBulk;
        const Admission answer = allowance.AdmitMessage(At(now), mail_class);
        if (!answer.Go()) {
          now = answer.not_before + std::chrono::microseconds(random() % 1500);
          continue;
        }
        // As some do that were ready behind another on a connection that closed.
        if (random() % 10 == 0) {
          allowance.ReturnMessage(At(now), now);
        } else {
          (void)allowance.EndMessage(At(now), MessageEnd::kAccepted);
          ++sent;
        }
      }
      const double allowed = rate * (lowered ? 0.5 : 1) * static_cast<double>(end.count());
      EXPECT_GE(sent, 0.97 * allowed - 1) << rate << lowered;
      EXPECT_LE(sent, allowed + std::max(1.0, rate) + 1) << rate << lowered;
    }
  }
}

TEST(AllowanceProperty, NoDamagedRecordIsRestoredOrDoesHarm) {
  RandomUse run(11);
  for (int i = 0; i < 2000; ++i) run.Step();
  run.Settle();
  const std::string record = run.allowance().Encode(At(run.now()));
  std::mt19937_64 random(1);
  std::unique_ptr<Allowance> fresh = run.Make(At(run.now()));
  const std::string untouched = fresh->Encode(At(run.now()));
  for (int i = 0; i < 5000; ++i) {
    std::string damaged = record.substr(0, random() % 3 == 0 ? random() % record.size() : record.size());
    for (std::uint64_t changes = 1 + random() % 4; changes > 0 && !damaged.empty(); --changes) {
      char& byte = damaged[random() % damaged.size()];
      byte = static_cast<char>(byte ^ static_cast<char>(1 + random() % 255));
    }
    const Result<void> result = fresh->Restore(At(run.now()), damaged);
    if (!result.has_value()) {
      ASSERT_FALSE(result.error().message.empty());
    }
  }
  EXPECT_EQ(fresh->Encode(At(run.now())), untouched);
  // Fields whose sum is right and whose values are absurd.
  for (int i = 0; i < 5000; ++i) {
    StateWriter writer;
    writer.Moment(1, kNow.wall);
    for (int fields = static_cast<int>(random() % 12); fields > 0; --fields) {
      const auto field = static_cast<std::uint8_t>(random() % 26);
      switch (random() % 4) {
        case 0:
          writer.Number(field, random());
          break;
        case 1:
          writer.Real(field, static_cast<double>(random()) * (random() % 2 == 0 ? -1 : 1));
          break;
        case 2:
          writer.Moment(field, Wall(std::chrono::milliseconds(static_cast<std::int64_t>(random() >> 18))));
          break;
        default:
          writer.Text(field, std::string(random() % 20, 'x'));
          break;
      }
    }
    std::unique_ptr<Allowance> odd = run.Make(At(run.now()));
    (void)odd->Restore(At(run.now()), writer.Finish('A', 1));
    (void)odd->AskMessage(At(run.now()), MailClass::kBulk);
    (void)odd->AskConnect(At(run.now()), MailClass::kBulk);
    (void)odd->Describe(At(run.now()));
    ASSERT_LE(odd->BlockedUntil(), run.now() + StateReader::kFarthest);
    // It goes again once its stops are over.
    odd->Resume(run.now());
  }
}

TEST(AllowanceProperty, ALaterVersionIsIgnoredWithAReason) {
  EffectiveRule rule;
  rule.connections = 1;
  Allowance allowance(kNow, rule, {});
  const Result<void> result = allowance.Restore(kNow, StateWriter().Finish('A', 200));
  ASSERT_FALSE(result.has_value());
  EXPECT_EQ(result.error().code, ErrorCode::kUnsupported);
}

}  // namespace
}  // namespace postrider
