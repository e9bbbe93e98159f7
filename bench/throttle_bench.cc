// What it costs to ask every limit for a message: an allowance with nothing and with everything on, the limits that
// span cores, the guards, and saving.

#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <vector>

#include "throttle/action_counter.h"
#include "throttle/allowance.h"
#include "throttle/guard.h"
#include "throttle/shared_limit.h"

namespace postrider {
namespace {

const Now kStart{Monotonic(std::chrono::hours(1)), Wall(std::chrono::hours(490'000))};

Now After(std::chrono::nanoseconds elapsed) {
  return {kStart.monotonic + elapsed, kStart.wall + std::chrono::floor<std::chrono::milliseconds>(elapsed)};
}

EffectiveRule Everything() {
  EffectiveRule rule;
  rule.connections = 50;
  rule.start_connections = 2;
  rule.messages_per_connection = 50;
  rule.connect_rate = RateLimit{10, 0};
  rule.message_rate = RateLimit{1e7, 0};
  rule.daily_quota = 1'000'000'000'000;
  return rule;
}

// A permit, and its end.
void Send(Allowance& allowance, const Now& now, MailClass mail_class) {
  if (allowance.SaveNow()) allowance.Saved(allowance.BeginSave(now).number);
  if (!allowance.AdmitMessage(now, mail_class).Go()) return;
  benchmark::DoNotOptimize(allowance.EndMessage(now, MessageEnd::kAccepted));
}

void AdmitMessage(benchmark::State& state, bool everything) {
  EffectiveRule plain;
  plain.connections = 8;
  Allowance allowance(kStart, everything ? Everything() : plain, {});
  WarmUpPlan plan;
  plan.quotas.assign(30, 1'000'000'000'000);
  if (everything) {
    allowance.SetWarmUp(kStart, &plan);
    allowance.TransactionalSeen(kStart.monotonic + std::chrono::minutes(1));
    (void)allowance.Throttled(kStart, "rule", Reply{.code = 421, .enhanced = {}, .text = "slow down"});
  }
  // The lowered rate begins without a burst.
  std::chrono::nanoseconds elapsed = std::chrono::seconds(10);
  for (auto _ : state) {
    elapsed += std::chrono::nanoseconds(500);
    Send(allowance, After(elapsed), MailClass::kBulk);
  }
}
BENCHMARK_CAPTURE(AdmitMessage, nothing_on, false);
BENCHMARK_CAPTURE(AdmitMessage, everything_on, true);

// What is refused is asked most often.
void AskMessageRefused(benchmark::State& state) {
  EffectiveRule rule = Everything();
  rule.message_rate = RateLimit{1.0 / 60, 1};
  Allowance allowance(kStart, rule, {});
  allowance.Saved(allowance.BeginSave(kStart).number);
  benchmark::DoNotOptimize(allowance.AdmitMessage(kStart, MailClass::kBulk));
  for (auto _ : state) benchmark::DoNotOptimize(allowance.AskMessage(kStart, MailClass::kBulk));
}
BENCHMARK(AskMessageRefused);

void EncodeAllowance(benchmark::State& state) {
  Allowance allowance(kStart, Everything(), {});
  (void)allowance.Stop(kStart, std::chrono::hours(1), "rule", Reply{.code = 421, .enhanced = {}, .text = "slow down"});
  for (auto _ : state) benchmark::DoNotOptimize(allowance.Encode(kStart));
}
BENCHMARK(EncodeAllowance);

// Sender, pool, source and campaign: what one message asks of those that span cores. Threads stand for cores.
void AdmitShared(benchmark::State& state) {
  static std::vector<std::shared_ptr<SharedLimit>> limits;
  if (state.thread_index() == 0) {
    limits.clear();
    for (int i = 0; i < 4; ++i) {
      limits.push_back(std::make_shared<SharedLimit>(Limit::kSourceRate, Limit::kSourceConnections));
      limits.back()->Set(kStart.monotonic, RateLimit{1e7, 0}, {});
    }
  }
  std::vector<std::unique_ptr<Lease>> leases;
  LeaseSet set;
  std::chrono::nanoseconds elapsed{0};
  for (auto _ : state) {
    if (leases.empty()) {
      for (const auto& limit : limits) leases.push_back(std::make_unique<Lease>(limit));
      set = {leases[0].get(), leases[1].get(), leases[2].get(), leases[3].get()};
    }
    elapsed += std::chrono::nanoseconds(500);
    benchmark::DoNotOptimize(set.Admit(kStart.monotonic + elapsed));
  }
}
BENCHMARK(AdmitShared)->Threads(1)->Threads(2);

void CountGuards(benchmark::State& state) {
  const GuardNumbers numbers;
  CampaignGuard campaign(numbers);
  BounceStorm storm(numbers);
  for (auto _ : state) {
    benchmark::DoNotOptimize(campaign.Count(kStart.monotonic, false, false));
    benchmark::DoNotOptimize(storm.Count(kStart.monotonic, false));
  }
}
BENCHMARK(CountGuards);

void CountAction(benchmark::State& state) {
  ActionCounter counter;
  ReplyAction action;
  action.threshold = 3;
  Monotonic now = kStart.monotonic;
  for (auto _ : state) benchmark::DoNotOptimize(counter.Count("gmail-unusual-rate", action, now += action.period));
}
BENCHMARK(CountAction);

}  // namespace
}  // namespace postrider
