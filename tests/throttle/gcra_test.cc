#include "throttle/gcra.h"

#include <gtest/gtest.h>

#include <algorithm>
#include <cmath>
#include <random>
#include <vector>

#include "tests/throttle/rate_audit.h"

namespace postrider {
namespace {

using namespace std::chrono_literals;

const Monotonic kStart{std::chrono::hours(1000)};

double Seconds(Monotonic::duration duration) { return std::chrono::duration<double>(duration).count(); }

TEST(Gcra, BurstGoesAtOnceAndThenTheRatePaces) {
  Gcra gcra(10, 3);
  Monotonic now = kStart;
  for (int i = 0; i < 3; ++i) {
    EXPECT_EQ(gcra.Earliest(now), now);
    gcra.Take(now);
  }
  EXPECT_EQ(gcra.Earliest(now), now + 100ms);
  now += 100ms;
  EXPECT_EQ(gcra.Earliest(now), now);
  gcra.Take(now);
  EXPECT_EQ(gcra.Earliest(now), now + 100ms);
}

TEST(Gcra, ARestSavesUpNoMoreThanTheBurst) {
  Gcra gcra(10, 2);
  gcra.Take(kStart);
  const Monotonic later = kStart + 24h;
  gcra.Take(later);
  gcra.Take(later);
  EXPECT_EQ(gcra.Earliest(later), later + 100ms);
}

TEST(Gcra, AnHoursAllowanceIsNotSentInItsFirstSecond) {
  Gcra gcra(3600.0 / 3600, 1);
  Monotonic now = kStart;
  int sent = 0;
  while (gcra.Earliest(now) < kStart + 1s) {
    now = gcra.Earliest(now);
    gcra.Take(now);
    ++sent;
  }
  EXPECT_EQ(sent, 1);
}

TEST(Gcra, KeepsItsHistoryWhenTheRateChanges) {
  Gcra gcra(10, 10);
  for (int i = 0; i < 10; ++i) gcra.Take(kStart);
  // A full bucket is full at the new rate, but of its burst: ten messages are not paid for with ten seconds.
  gcra.SetRate(kStart, 1, 1);
  EXPECT_EQ(gcra.Earliest(kStart), kStart + 1s);
  EXPECT_DOUBLE_EQ(gcra.Depth(kStart) + gcra.Aside(kStart), 10);
  // Nothing is given back by lowering and raising it.
  gcra.SetRate(kStart, 10, 10);
  EXPECT_EQ(gcra.Earliest(kStart), kStart + 100ms);
  // A larger burst is free but for what is owed still.
  gcra.SetRate(kStart, 1, 1);
  gcra.Take(kStart + 1s);
  EXPECT_DOUBLE_EQ(gcra.Depth(kStart + 1s) + gcra.Aside(kStart + 1s), 10);
  EXPECT_DOUBLE_EQ(gcra.Depth(kStart + 5s) + gcra.Aside(kStart + 5s), 6);
  gcra.SetRate(kStart + 5s, 1, 8);
  EXPECT_DOUBLE_EQ(gcra.Depth(kStart + 5s), 6);
  gcra.Take(kStart + 5s, 2);
  EXPECT_EQ(gcra.Earliest(kStart + 5s), kStart + 6s);
}

TEST(Gcra, IsRestoredWithWhatWasSetAside) {
  Gcra gcra(100, 100);
  gcra.Take(kStart, 100);
  gcra.SetRate(kStart, 1, 2);
  Gcra restored(1, 2);
  restored.Restore(kStart + 3s, gcra.Depth(kStart), gcra.Aside(kStart));
  EXPECT_EQ(restored.Earliest(kStart + 3s), kStart + 4s);
  restored.SetRate(kStart + 3s, 100, 100);
  EXPECT_EQ(restored.Earliest(kStart + 3s), kStart + 3s + 10ms);
  // Away, the depth leaks before what is set aside; and what a smaller burst has no room for is set aside.
  Gcra away(1, 2);
  away.Restore(kStart, gcra.Depth(kStart), gcra.Aside(kStart), 1);
  EXPECT_DOUBLE_EQ(away.Depth(kStart), 1);
  EXPECT_DOUBLE_EQ(away.Aside(kStart), 98);
  Gcra smaller(1, 2);
  smaller.Restore(kStart, 100);
  EXPECT_EQ(smaller.Earliest(kStart), kStart + 1s);
  EXPECT_DOUBLE_EQ(smaller.Aside(kStart), 98);
}

// A thousand a second lowered to one a minute is one a minute, not a silence of sixteen hours.
TEST(Gcra, ALoweredRateIsUsedAtOnce) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 60; ++round) {
    const double before = std::pow(10.0, std::uniform_real_distribution<double>(1, 4)(random));
    const double after = before / std::pow(10.0, std::uniform_real_distribution<double>(0, 4)(random));
    Gcra gcra(before, before);
    gcra.Take(kStart, std::floor(before));
    gcra.SetRate(kStart, after, std::max(1.0, after));
    Monotonic now = kStart;
    int sent = 0;
    const Monotonic end = kStart + std::chrono::nanoseconds(static_cast<std::int64_t>(200 / after * 1e9));
    for (now = gcra.Earliest(now); now < end; now = gcra.Earliest(now)) {
      gcra.Take(now);
      ++sent;
    }
    EXPECT_GE(sent, 197) << before << " to " << after;
    EXPECT_LE(sent, 201) << before << " to " << after;
  }
}

TEST(Gcra, ARateOfZeroNeverGoesAndAVerySlowOneDoesNotOverflow) {
  EXPECT_EQ(Gcra().Earliest(kStart), Monotonic::max());
  Gcra stopped(0, 5);
  EXPECT_EQ(stopped.Earliest(kStart), Monotonic::max());
  Gcra slow(1e-300, 1);
  slow.Take(kStart);
  EXPECT_GT(slow.Earliest(kStart), kStart + 24h);
}

TEST(Gcra, AReturnedPermitIsFreeAgain) {
  Gcra gcra(1, 1);
  gcra.Take(kStart);
  EXPECT_GT(gcra.Earliest(kStart), kStart);
  gcra.Return(kStart, kStart);
  EXPECT_EQ(gcra.Earliest(kStart), kStart);
  // But never makes more than the burst.
  gcra.Return(kStart, kStart);
  gcra.Return(kStart, kStart);
  gcra.Take(kStart);
  EXPECT_EQ(gcra.Earliest(kStart), kStart + 1s);
}

TEST(Gcra, TimeThatRunsBackGivesNothing) {
  Gcra gcra(1, 1);
  gcra.Take(kStart);
  gcra.Take(kStart - 10s);
  EXPECT_EQ(gcra.Earliest(kStart - 10s), kStart + 2s);
  EXPECT_EQ(gcra.Earliest(kStart), kStart + 2s);
}

TEST(Gcra, ALateReturnGivesBackNoMoreThanIsNotLeakedAway) {
  Gcra gcra(1, 1);
  gcra.Take(kStart);
  gcra.Take(kStart + 1s);
  // The first was returned too late: its second is over, and giving it back would let two go within the next.
  gcra.Return(kStart + 1s, kStart);
  EXPECT_EQ(gcra.Earliest(kStart + 1s), kStart + 2s);
  // The second is still whole.
  gcra.Return(kStart + 1s, kStart + 1s);
  EXPECT_EQ(gcra.Earliest(kStart + 1s), kStart + 1s);
}

TEST(Gcra, WhileWorkWaitsALateReturnIsGivenBackWhole) {
  Gcra gcra(10, 10);
  for (int i = 0; i < 10; ++i) gcra.Take(kStart);
  for (int i = 1; i <= 50; ++i) gcra.Take(kStart + i * 100ms);
  EXPECT_EQ(gcra.Earliest(kStart + 5s), kStart + 5s + 100ms);
  for (int i = 0; i < 3; ++i) gcra.Return(kStart + 5s, kStart + 1s);
  EXPECT_NEAR(gcra.Depth(kStart + 5s), 7, 1e-9);
}

TEST(Gcra, AReserveIsLeftForOthersAndCostsNoRate) {
  Gcra gcra(10, 10);
  const double reserve = gcra.ReserveOf(0.2);
  EXPECT_DOUBLE_EQ(reserve, 2);
  Monotonic now = kStart;
  int at_once = 0;
  for (; gcra.Earliest(now, reserve) <= now; ++at_once) gcra.Take(now);
  EXPECT_EQ(at_once, 8);
  // Who need not leave it goes at once.
  EXPECT_EQ(gcra.Earliest(now), now);
  int sent = 0;
  while (gcra.Earliest(now, reserve) < kStart + 100s) {
    now = gcra.Earliest(now, reserve);
    gcra.Take(now);
    ++sent;
  }
  EXPECT_GE(sent, 999);
  // A bucket of one has nothing to leave.
  EXPECT_DOUBLE_EQ(Gcra(1, 1).ReserveOf(0.2), 0);
}

TEST(Gcra, SeveralGoAtOnceOnlyIfTheBurstHoldsThem) {
  Gcra gcra(10, 5);
  EXPECT_EQ(gcra.EarliestFor(kStart, 5, 0), kStart);
  EXPECT_EQ(gcra.EarliestFor(kStart, 4, 2), Monotonic::max());
  gcra.Take(kStart, 5);
  EXPECT_EQ(gcra.EarliestFor(kStart, 3, 1), kStart + 400ms);
}

// Rates that change at random moments, and a sender that always takes what it may, waking late or early at random.
struct History {
  struct Change {
    Monotonic at;
    double rate;
    double burst;
  };
  std::vector<Change> changes;
  std::vector<Monotonic> sent;
  Monotonic end;

  // What the rates allow from the span's start to its end, the bursts aside.
  [[nodiscard]] double Allowed(Monotonic from, Monotonic to) const {
    double allowed = 0;
    for (std::size_t i = 0; i < changes.size(); ++i) {
      const Monotonic begin = std::max(from, changes[i].at);
      const Monotonic until = std::min(to, i + 1 < changes.size() ? changes[i + 1].at : to);
      if (until > begin) allowed += Seconds(until - begin) * changes[i].rate;
    }
    return allowed;
  }
  [[nodiscard]] double LargestBurst() const { return std::ranges::max(changes, {}, &Change::burst).burst; }
};

History RandomRun(std::mt19937_64& random, int changes, bool wakes_late) {
  std::uniform_real_distribution<double> exponent(-1, 4);
  History run;
  Gcra gcra;
  Monotonic now = kStart;
  for (int i = 0; i < changes; ++i) {
    const double rate = std::pow(10.0, exponent(random));
    const double burst = std::max(1.0, rate * std::uniform_real_distribution<double>(0, 1)(random));
    gcra.SetRate(now, rate, burst);
    run.changes.push_back({now, rate, burst});
    // Long enough for some 300 at this rate.
    const Monotonic until = now + std::chrono::nanoseconds(static_cast<std::int64_t>(300 / rate * 1e9));
    while (true) {
      const Monotonic earliest = gcra.Earliest(now);
      EXPECT_GE(earliest, now);
      if (earliest >= until) break;
      now = earliest;
      if (wakes_late && random() % 4 == 0) now += std::chrono::nanoseconds(random() % 3'000'000);
      if (now >= until) break;
      EXPECT_EQ(gcra.Earliest(now), now);
      if (random() % 16 == 0) {
        // A permit that could not go.
        gcra.Take(now);
        gcra.Return(now, now);
      }
      gcra.Take(now);
      run.sent.push_back(now);
    }
    now = until;
  }
  run.end = now;
  return run;
}

TEST(Gcra, NoSpanHoldsMoreThanItsRatesAndOneBurst) {
  std::mt19937_64 random(20261123);
  for (int round = 0; round < 40; ++round) {
    const History run = RandomRun(random, 1 + static_cast<int>(random() % 5), round % 2 == 0);
    ASSERT_GT(run.sent.size(), 100u);
    const double burst = run.LargestBurst();
    for (std::size_t i = 0; i < run.sent.size(); ++i) {
      for (std::size_t j = i; j < run.sent.size(); j += 1 + (j - i) / 8) {
        const auto count = static_cast<double>(j - i + 1);
        ASSERT_LE(count, run.Allowed(run.sent[i], run.sent[j]) + burst + 1e-6) << "round " << round;
      }
    }
  }
}

TEST(Gcra, AllowedRateIsUsedToNearlyAll) {
  std::mt19937_64 random(7);
  for (int round = 0; round < 60; ++round) {
    const History run = RandomRun(random, 1, false);
    const double allowed = run.Allowed(kStart, run.end);
    EXPECT_GE(static_cast<double>(run.sent.size()), 0.97 * allowed) << run.changes[0].rate;
  }
}

TEST(Gcra, WakingLateCostsNothingWhileTheBurstCoversIt) {
  Gcra gcra(1000, 1000);
  std::mt19937_64 random(3);
  Monotonic now = kStart;
  int sent = 0;
  while (now < kStart + 60s) {
    // A timer that is up to 5 ms late: five messages' worth.
    now = gcra.Earliest(now) + std::chrono::nanoseconds(random() % 5'000'000);
    while (gcra.Earliest(now) == now) {
      gcra.Take(now);
      ++sent;
    }
  }
  EXPECT_GE(sent, 0.97 * 60'000);
  EXPECT_LE(sent, 61'006);
}

TEST(Gcra, StaysExactOverAMonth) {
  Gcra gcra(1.0 / 3, 1);
  Monotonic now = kStart;
  for (int i = 0; i < 1'000'000; ++i) {
    now = gcra.Earliest(now);
    gcra.Take(now);
  }
  const double elapsed = Seconds(now - kStart);
  EXPECT_NEAR(elapsed, 3 * 999'999.0, 0.01);
}

// Permits that are held for up to ten seconds and then used or returned, at rates that change.
TEST(Gcra, NoSpanHoldsMoreThanItsRatesWhateverIsReturnedLate) {
  for (std::uint64_t seed = 1; seed <= 60; ++seed) {
    std::mt19937_64 random(seed);
    RateAudit audit;
    Gcra gcra;
    struct Permit {
      Monotonic taken;
      std::size_t number;
    };
    std::vector<Permit> held;
    Monotonic now = kStart;
    for (int i = 0; i < 4000; ++i) {
      if (i % 500 == 0) {
        const double rate = std::pow(10.0, std::uniform_real_distribution<double>(-1, 3)(random));
        const double burst = std::max(1.0, rate * std::uniform_real_distribution<double>(0, 2)(random));
        gcra.SetRate(now, rate, burst);
        audit.SetRate(now, rate, burst);
      }
      if (gcra.Earliest(now) <= now) {
        gcra.Take(now);
        held.push_back({now, audit.Went(now)});
      } else if (random() % 2 == 0) {
        now = gcra.Earliest(now);
      } else {
        now += std::chrono::microseconds(random() % 200'000);
      }
      if (!held.empty() && random() % 3 == 0) {
        const std::size_t chosen = random() % held.size();
        if (random() % 2 == 0) {
          gcra.Return(now, held[chosen].taken);
          audit.NeverWent(held[chosen].number);
        }
        held.erase(held.begin() + static_cast<std::ptrdiff_t>(chosen));
      }
    }
    EXPECT_GT(audit.count(), 500u) << seed;
    EXPECT_LE(audit.WorstExcess(), 1e-6) << seed;
  }
}

}  // namespace
}  // namespace postrider
