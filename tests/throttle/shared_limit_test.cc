#include "throttle/shared_limit.h"

#include <gtest/gtest.h>

#include <atomic>
#include <cmath>
#include <memory>
#include <random>
#include <thread>
#include <vector>

#include "tests/throttle/rate_audit.h"

namespace postrider {
namespace {

using namespace std::chrono_literals;

const Monotonic kStart{1000h};
const Now kNow{kStart, Wall(490'000h)};

std::shared_ptr<SharedLimit> Make(double per_second, double burst = 0, std::optional<int> connections = {}) {
  auto limit = std::make_shared<SharedLimit>(Limit::kSourceRate, Limit::kSourceConnections);
  limit->Set(kStart, RateLimit{per_second, burst}, connections);
  return limit;
}

TEST(SharedLimit, WithoutARateNothingBinds) {
  auto limit = std::make_shared<SharedLimit>(Limit::kSourceRate, Limit::kSourceConnections);
  Lease lease(limit);
  for (int i = 0; i < 1000; ++i) EXPECT_TRUE(lease.Admit(kStart).Go());
  EXPECT_TRUE(lease.Connect(kStart).Go());
  EXPECT_EQ(limit->connections(), 1);
  lease.Disconnected();
  EXPECT_EQ(limit->lock_count(), 1u);
}

TEST(SharedLimit, NamesItselfAndTheMoment) {
  const auto limit = Make(1);
  Lease lease(limit);
  EXPECT_TRUE(lease.Admit(kStart).Go());
  const Admission refused = lease.Admit(kStart);
  EXPECT_EQ(refused.limit, Limit::kSourceRate);
  EXPECT_EQ(refused.not_before, kStart + 1s);
  EXPECT_TRUE(lease.Ask(kStart + 1s).Go());
  EXPECT_TRUE(lease.Admit(kStart + 1s).Go());
}

TEST(SharedLimit, AtALowRateOneCoresMessageIsNotTheOthers) {
  const auto limit = Make(1);
  Lease a(limit);
  Lease b(limit);
  EXPECT_TRUE(a.Ask(kStart).Go());
  EXPECT_TRUE(b.Admit(kStart).Go());
  EXPECT_FALSE(a.Admit(kStart).Go());
}

TEST(SharedLimit, WhatIsSavedUpIsSharedByAllLeases) {
  const auto limit = Make(1000);
  Lease a(limit);
  Lease b(limit);
  int sent = 0;
  bool more = true;
  while (more) {
    more = false;
    for (Lease* lease : {&a, &b}) {
      if (lease->Admit(kStart).Go()) {
        ++sent;
        more = true;
      }
    }
  }
  EXPECT_LE(sent, 1000);
  EXPECT_GE(sent, 900);
}

TEST(SharedLimit, TakesTheLockSomeTimesASecondNotForEachMessage) {
  const auto limit = Make(10'000);
  Lease a(limit);
  Lease b(limit);
  std::mt19937_64 random(1);
  int sent = 0;
  for (Monotonic now = kStart; now < kStart + 10s; now += std::chrono::microseconds(500 + random() % 1000)) {
    for (Lease* lease : {&a, &b}) {
      while (lease->Admit(now).Go()) ++sent;
    }
  }
  EXPECT_GT(sent, 100'000);
  EXPECT_LT(limit->lock_count(), 10 * 2 * 50u);
}

TEST(SharedLimit, AReturnedMessageIsFreeAgain) {
  const auto limit = Make(1);
  Lease lease(limit);
  EXPECT_TRUE(lease.Admit(kStart).Go());
  EXPECT_FALSE(lease.Ask(kStart).Go());
  lease.Return(kStart, kStart);
  EXPECT_TRUE(lease.Admit(kStart).Go());
  EXPECT_FALSE(lease.Admit(kStart).Go());
}

TEST(SharedLimit, WhatIsReturnedToALeaseIsOfTheLease) {
  const auto limit = Make(1000);
  Lease lease(limit);
  for (int i = 0; i < 10; ++i) EXPECT_TRUE(lease.Admit(kStart).Go());
  const std::uint64_t locks = limit->lock_count();
  for (int i = 0; i < 100; ++i) {
    lease.Return(kStart, kStart);
    EXPECT_TRUE(lease.Admit(kStart).Go());
  }
  EXPECT_EQ(limit->lock_count(), locks);
}

TEST(SharedLimit, ALeaseThatIsNotUsedIsVoidAndItsRestComesBack) {
  const auto limit = Make(1000);
  Lease idle(limit);
  Lease busy(limit);
  // 125 are leased, one is used.
  EXPECT_TRUE(idle.Admit(kStart).Go());
  int sent = 0;
  while (busy.Admit(kStart).Go()) ++sent;
  EXPECT_LE(sent, 875);
  // What it holds is back with the question that follows, for whoever asks.
  idle.ReturnUnused(kStart);
  EXPECT_FALSE(idle.holds());
  while (busy.Admit(kStart).Go()) ++sent;
  EXPECT_LE(sent, 999);
  EXPECT_GE(sent, 960);
}

TEST(SharedLimit, ANewRateIsNoticedAtOnce) {
  const auto limit = Make(1.0 / 3600);
  Lease lease(limit);
  EXPECT_TRUE(lease.Admit(kStart).Go());
  EXPECT_EQ(lease.Ask(kStart + 1s).not_before, kStart + 1h);
  limit->Set(kStart + 2s, RateLimit{100, 0}, {});
  EXPECT_TRUE(lease.Ask(kStart + 2s).Go());
  limit->Set(kStart + 2s, RateLimit{0, 1}, {});
  EXPECT_EQ(lease.Admit(kStart + 2s).not_before, Monotonic::max());
  limit->Set(kStart + 3s, std::nullopt, {});
  EXPECT_TRUE(lease.Admit(kStart + 3s).Go());
}

TEST(SharedLimit, ALowerRateVoidsWhatIsLeased) {
  const auto limit = Make(10'000);
  Lease idle(limit);
  Lease other(limit);
  EXPECT_TRUE(idle.Admit(kStart).Go());
  limit->Set(kStart + 1ms, RateLimit{1, 1}, {});
  // The idle core never comes back, yet the other is not kept from its messages for ever: what was leased leaks away
  // as if it had been sent.
  Monotonic now = kStart + 1ms;
  int asked = 0;
  while (!other.Admit(now).Go()) {
    now = std::max(now + 1ms, other.Ask(now).not_before);
    ASSERT_LT(++asked, 100);
  }
  EXPECT_LT(now, kStart + 1260s);
}

TEST(SharedLimit, ConnectionsAreCountedOverAllCoresAndHandedOutInTurn) {
  const auto limit = Make(1, 0, 2);
  Lease a(limit);
  Lease b(limit);
  EXPECT_TRUE(a.Connect(kStart).Go());
  EXPECT_TRUE(a.Connect(kStart).Go());
  const Admission refused = b.Connect(kStart);
  EXPECT_EQ(refused.limit, Limit::kSourceConnections);
  EXPECT_EQ(refused.not_before, kStart + 200ms);
  a.Disconnected();
  // The other core was refused first: the place is its.
  EXPECT_FALSE(a.Connect(kStart + 100ms).Go());
  EXPECT_TRUE(b.AskConnect(kStart + 200ms).Go());
  EXPECT_TRUE(b.Connect(kStart + 200ms).Go());
  b.Disconnected();
  EXPECT_TRUE(a.Connect(kStart + 300ms).Go());
  // Who does not come back loses its turn.
  EXPECT_FALSE(b.Connect(kStart + 300ms).Go());
  a.Disconnected();
  EXPECT_TRUE(a.Connect(kStart + 900ms).Go());
  a.Disconnected();
  a.Disconnected();
  EXPECT_EQ(limit->connections(), 0);
}

TEST(SharedLimits, WhatASlowRateHasTakenOutlivesARestart) {
  using Kind = SharedLimits::Kind;
  const RateLimit rate{0.1, 3};
  SharedLimits limits;
  limits.Set(Kind::kSource, "a", kStart, rate, std::nullopt);
  limits.Set(Kind::kPool, "fast", kStart, RateLimit{100, 0}, std::nullopt);
  Lease lease(limits.Get(Kind::kSource, "a"));
  Lease fast(limits.Get(Kind::kPool, "fast"));
  EXPECT_TRUE(limits.Unsaved(kNow).empty());
  for (int i = 0; i < 3; ++i) EXPECT_TRUE(lease.Admit(kStart).Go());
  EXPECT_TRUE(fast.Admit(kStart).Go());
  auto records = limits.Unsaved(kNow);
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].first, "limit/shared/source/a");
  EXPECT_TRUE(limits.Unsaved({kStart + 1s, kNow.wall + 1s}).empty()) << "nothing was taken since";

  SharedLimits restarted;
  const Now later{kStart - 100h, kNow.wall + 4s};
  ASSERT_TRUE(restarted.Remember(later, records[0].first, records[0].second).has_value());
  // The configuration is the first to name it, with its rate.
  restarted.Set(Kind::kSource, "a", later.monotonic, rate, std::nullopt);
  Lease again(restarted.Get(Kind::kSource, "a"));
  EXPECT_NEAR(std::chrono::duration<double>(again.Ask(later.monotonic).not_before - later.monotonic).count(), 6, 1e-6);
  EXPECT_TRUE(restarted.Unsaved(later).empty());
  records = restarted.Unsaved({later.monotonic + 27s, later.wall + 27s});
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0].second, "") << "it has leaked away, and is deleted";

  EXPECT_FALSE(restarted.Remember(later, "limit/shared/source/a", "garbage").has_value());
}

TEST(SharedLimits, WhatWasSavedOfALimitThatIsNoMoreIsDeletedOnceItHasLeakedAway) {
  SharedLimits limits;
  limits.Set(SharedLimits::Kind::kCampaign, "offer", kStart, RateLimit{0.1, 1}, std::nullopt);
  Lease lease(limits.Get(SharedLimits::Kind::kCampaign, "offer"));
  EXPECT_TRUE(lease.Admit(kStart).Go());
  const auto record = limits.Unsaved(kNow).at(0);
  SharedLimits restarted;
  ASSERT_TRUE(restarted.Remember(kNow, record.first, record.second).has_value());
  EXPECT_TRUE(restarted.Unsaved(kNow).empty());
  const auto records = restarted.Unsaved({kStart + 11s, kNow.wall + 11s});
  ASSERT_EQ(records.size(), 1u);
  EXPECT_EQ(records[0], (std::pair<std::string, std::string>{"limit/shared/campaign/offer", ""}));
}

TEST(LeaseSet, TakesOfAllOrOfNone) {
  const auto source = Make(1);
  const auto pool = Make(1.0 / 60);
  Lease source_lease(source);
  Lease pool_lease(pool);
  const LeaseSet set{.sender = nullptr, .pool = &pool_lease, .source = &source_lease, .campaign = nullptr};
  EXPECT_TRUE(set.Ask(kStart).Go());
  EXPECT_TRUE(set.Admit(kStart).Go());
  // Both bind; the pool for longer.
  EXPECT_EQ(set.Admit(kStart).not_before, kStart + 60s);
  EXPECT_EQ(set.Ask(kStart + 1s).not_before, kStart + 60s);
  EXPECT_TRUE(source_lease.Ask(kStart + 1s).Go());
  set.Return(kStart + 1s, kStart + 1s);
  EXPECT_TRUE(set.Admit(kStart + 60s).Go());
}

TEST(LeaseSet, ConnectsOfAllOrOfNone) {
  const auto source = Make(1, 0, 5);
  const auto pool = Make(1, 0, 1);
  Lease source_lease(source);
  Lease pool_lease(pool);
  const LeaseSet set{.sender = nullptr, .pool = &pool_lease, .source = &source_lease, .campaign = nullptr};
  EXPECT_TRUE(set.Connect(kStart).Go());
  EXPECT_FALSE(set.AskConnect(kStart).Go());
  EXPECT_FALSE(set.Connect(kStart).Go());
  EXPECT_EQ(source->connections(), 1);
  set.Disconnected();
  EXPECT_EQ(source->connections(), 0);
  EXPECT_EQ(pool->connections(), 0);
}

TEST(SharedLimits, OneObjectForEachNameAndFinishedCampaignsAreForgotten) {
  SharedLimits limits;
  using Kind = SharedLimits::Kind;
  EXPECT_EQ(limits.Find(Kind::kSource, "a"), nullptr);
  limits.Set(Kind::kSource, "a", kStart, RateLimit{5, 0}, 3);
  EXPECT_EQ(limits.Get(Kind::kSource, "a"), limits.Find(Kind::kSource, "a"));
  EXPECT_NE(limits.Get(Kind::kPool, "a"), limits.Get(Kind::kSource, "a"));
  EXPECT_EQ(limits.Find(Kind::kSource, "a")->rate()->per_second, 5);
  EXPECT_EQ(limits.Find(Kind::kSource, "a")->most_connections(), 3);
  limits.Set(Kind::kCampaign, "offer", kStart, RateLimit{0.1, 0}, {});
  {
    Lease lease(limits.Get(Kind::kCampaign, "offer"));
    EXPECT_TRUE(lease.Admit(kStart).Go());
    limits.Sweep(kStart + 1h);
    EXPECT_EQ(limits.size(), 3u);
  }
  // Nobody holds it, but what it sent still counts.
  limits.Sweep(kStart + 1s);
  EXPECT_EQ(limits.size(), 3u);
  limits.Sweep(kStart + 10s);
  EXPECT_EQ(limits.size(), 2u);
}

// Cores that want work or do not, return late what did not go, and may forget to give back what they hold.
struct RandomCores {
  struct Permit {
    Monotonic taken;
    std::size_t number;
  };
  struct Core {
    std::unique_ptr<Lease> lease;
    std::vector<Permit> held;
    bool wants = true;
  };

  RandomCores(std::uint64_t seed, std::size_t count) : random(seed), cores(count) {
    for (Core& core : cores) core.lease = std::make_unique<Lease>(limit);
    greedy = random() % 3 == 0;
  }

  void SetRate(double per_second, double burst) {
    rate = per_second;
    limit->Set(now, RateLimit{per_second, burst}, {});
    audit.SetRate(now, per_second, burst);
  }

  void Step() {
    Core& core = cores[random() % cores.size()];
    if (!greedy && random() % 30 == 0) core.wants = !core.wants;
    if (!core.wants && random() % 8 == 0) core.lease->ReturnUnused(now);
    if (core.wants) {
      // From one to all that it may.
      const std::uint64_t most = random() % 2 == 0 ? 3 : 100'000;
      for (std::uint64_t i = 0; i < most && core.lease->Admit(now).Go(); ++i) {
        core.held.push_back({now, audit.Went(now)});
      }
    }
    while (!core.held.empty() && random() % 16 != 0) {
      if (random() % 5 == 0) {
        core.lease->Return(now, core.held.back().taken);
        audit.NeverWent(core.held.back().number);
      }
      core.held.pop_back();
    }
    now += std::chrono::nanoseconds(static_cast<std::int64_t>(static_cast<double>(random() % 20'000) * 1e6 / rate));
  }

  std::mt19937_64 random;
  std::shared_ptr<SharedLimit> limit = std::make_shared<SharedLimit>(Limit::kSourceRate, Limit::kNone);
  RateAudit audit;
  std::vector<Core> cores;
  Monotonic now = kStart;
  double rate = 1;
  bool greedy = false;
};

TEST(SharedLimit, NoSpanHoldsMoreThanItsRateAndTheBurstOnAnyNumberOfCores) {
  for (std::uint64_t seed = 1; seed <= 90; ++seed) {
    const std::size_t count = std::size_t{1} << (seed % 3);
    RandomCores run(seed, count);
    const double rate = std::pow(10.0, std::uniform_real_distribution<double>(-1, 3)(run.random));
    const double burst = seed % 2 == 0 ? rate : rate * std::uniform_real_distribution<double>(0, 2)(run.random);
    run.SetRate(rate, std::max(1.0, burst));
    for (int step = 0; step < 3000; ++step) run.Step();
    EXPECT_GT(run.audit.count(), 1000u) << seed;
    EXPECT_LE(run.audit.WorstExcess(), 1e-6) << seed << " on " << count;
  }
}

TEST(SharedLimit, NoSpanHoldsMoreThanItsRatesWhateverTheyChangeTo) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    const std::size_t count = std::size_t{1} << (seed % 3);
    RandomCores run(seed, count);
    for (int step = 0; step < 4000; ++step) {
      if (step % 500 == 0) {
        const double rate = std::pow(10.0, std::uniform_real_distribution<double>(1, 3)(run.random));
        // The same burst at any rate, so that it is seen where one rate's lease would be used at another.
        run.SetRate(rate, 100);
      }
      run.Step();
    }
    EXPECT_GT(run.audit.count(), 1000u) << seed;
    EXPECT_LE(run.audit.WorstExcess(), 1e-6) << seed << " on " << count;
  }
}

struct Usage {
  std::vector<int> sent;
  int total = 0;
};

// Each core has work all the time and comes when it was told to, up to 2 ms late.
Usage Saturate(const std::shared_ptr<SharedLimit>& limit, std::size_t cores, std::size_t working,
               std::chrono::seconds span) {
  std::vector<std::unique_ptr<Lease>> leases;
  for (std::size_t i = 0; i < cores; ++i) leases.push_back(std::make_unique<Lease>(limit));
  std::vector<Monotonic> wakes(working, kStart);
  std::mt19937_64 random(42);
  Usage usage;
  usage.sent.assign(cores, 0);
  while (true) {
    const auto next = std::ranges::min_element(wakes);
    if (*next >= kStart + span) break;
    const auto core = static_cast<std::size_t>(next - wakes.begin());
    // One turn: as much as it may, at most 32 in one go.
    Admission answer;
    for (int i = 0; i < 32; ++i) {
      answer = leases[core]->Admit(*next);
      if (!answer.Go()) break;
      ++usage.sent[core];
      ++usage.total;
    }
    *next = std::max(*next, answer.not_before) + std::chrono::microseconds(random() % 2000);
  }
  return usage;
}

TEST(SharedLimit, TheRateIsUsedToNearlyAllOnOneCoreAndOnSeveral) {
  for (const double rate : {0.5, 2.0, 8.0, 50.0, 1000.0, 20'000.0}) {
    for (const auto& [cores, working] : {std::pair<std::size_t, std::size_t>{1, 1}, {2, 2}, {2, 1}, {4, 4}, {4, 1}}) {
      const std::chrono::seconds span(rate < 10 ? 600 : 60);
      const Usage usage = Saturate(Make(rate), cores, working, span);
      const double allowed = rate * static_cast<double>(span.count());
      EXPECT_GE(usage.total, 0.97 * allowed) << rate << " on " << working << " of " << cores;
      EXPECT_LE(usage.total, allowed + std::max(1.0, rate) + 1e-6) << rate;
      RecordProperty("used", static_cast<int>(1000 * usage.total / allowed));
    }
  }
}

TEST(SharedLimit, CoresThatWaitHaveEqualShares) {
  for (const double rate : {1.0, 10.0, 1000.0}) {
    const Usage usage = Saturate(Make(rate), 2, 2, 600s);
    EXPECT_GE(usage.sent[0], 0.4 * usage.total) << rate;
    EXPECT_GE(usage.sent[1], 0.4 * usage.total) << rate;
  }
}

// With real threads, for a race detector to look at; the sum is exact whatever their order.
TEST(SharedLimit, ThreadsTogetherTakeNoMoreThanTheRate) {
  SharedLimits limits;
  limits.Set(SharedLimits::Kind::kSender, {}, kStart, RateLimit{50'000, 0}, 5);
  std::atomic<std::int64_t> clock{0};
  std::atomic<int> sent{0};
  std::atomic<int> most{0};
  std::vector<std::thread> threads;
  constexpr std::int64_t kEnd = 2'000'000'000;
  for (int i = 0; i < 4; ++i) {
    threads.emplace_back([&, i] {
      std::mt19937_64 random(static_cast<std::uint64_t>(i));
      Lease lease(limits.Get(SharedLimits::Kind::kSender, {}));
      while (true) {
        const std::int64_t nanoseconds = clock.fetch_add(10'000);
        if (nanoseconds >= kEnd) break;
        const Monotonic now = kStart + std::chrono::nanoseconds(nanoseconds);
        if (lease.Admit(now).Go()) {
          if (random() % 16 == 0) {
            lease.Return(now, now);
          } else {
            sent.fetch_add(1);
          }
        }
        if (random() % 64 == 0) lease.ReturnUnused(now);
        if (random() % 8 == 0 && lease.Connect(now).Go()) {
          most = std::max(most.load(), lease.limit().connections());
          lease.Disconnected();
        }
        if (i == 0 && random() % 256 == 0) lease.limit().Set(now, RateLimit{50'000, 0}, 5);
      }
    });
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_LE(sent, 50'000 * 2 + 50'000);
  EXPECT_GT(sent, 10'000);
  EXPECT_LE(most, 5);
  EXPECT_EQ(limits.Get(SharedLimits::Kind::kSender, {})->connections(), 0);
}

}  // namespace
}  // namespace postrider
