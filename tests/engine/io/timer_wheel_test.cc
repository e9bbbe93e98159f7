#include "engine/io/timer_wheel.h"

#include <gtest/gtest.h>

#include <chrono>
#include <limits>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "engine/io/random.h"

namespace postrider::io {
namespace {

using std::chrono::hours;
using std::chrono::milliseconds;
using std::chrono::nanoseconds;

constexpr milliseconds kTick{8};
const Monotonic kStart{std::chrono::hours(1000)};

struct Counted {
  int fired = 0;
  Timer timer{[this] { ++fired; }};
};

TEST(TimerWheel, FiresWithinOneTickAndNeverBefore) {
  for (const nanoseconds after :
       {nanoseconds(1), nanoseconds(milliseconds(1)), nanoseconds(kTick), nanoseconds(kTick) + nanoseconds(1),
        nanoseconds(milliseconds(511)), nanoseconds(milliseconds(512)), nanoseconds(milliseconds(513)),
        nanoseconds(milliseconds(32'768)), nanoseconds(std::chrono::seconds(600)), nanoseconds(hours(1)),
        nanoseconds(hours(24 * 400))}) {
    TimerWheel wheel(kStart);
    Counted counted;
    wheel.Set(counted.timer, kStart + after);
    EXPECT_TRUE(counted.timer.set());
    wheel.Advance(kStart + after - nanoseconds(1));
    EXPECT_EQ(counted.fired, 0) << after.count();
    wheel.Advance(kStart + after + kTick);
    EXPECT_EQ(counted.fired, 1) << after.count();
    EXPECT_FALSE(counted.timer.set());
    wheel.Advance(kStart + after + hours(10'000));
    EXPECT_EQ(counted.fired, 1) << "once";
  }
}

TEST(TimerWheel, AMomentInThePastFiresAtTheNextAdvance) {
  TimerWheel wheel(kStart);
  Counted counted;
  wheel.Set(counted.timer, kStart - hours(1));
  ASSERT_TRUE(wheel.NextDue());
  EXPECT_LE(*wheel.NextDue(), kStart);
  EXPECT_EQ(wheel.Advance(kStart), 1);
  EXPECT_EQ(counted.fired, 1);
}

TEST(TimerWheel, ATimerThatSetsItselfToThePastFiresOncePerAdvance) {
  TimerWheel wheel(kStart);
  int fired = 0;
  std::unique_ptr<Timer> timer;
  timer = std::make_unique<Timer>([&] {
    ++fired;
    wheel.Set(*timer, kStart);
  });
  wheel.Set(*timer, kStart);
  for (int i = 1; i <= 5; ++i) {
    wheel.Advance(kStart + i * milliseconds(100));
    EXPECT_EQ(fired, i);
  }
}

TEST(TimerWheel, ACancelledTimerDoesNotFire) {
  TimerWheel wheel(kStart);
  Counted counted;
  wheel.Set(counted.timer, kStart + milliseconds(100));
  counted.timer.Cancel();
  counted.timer.Cancel();
  EXPECT_FALSE(counted.timer.set());
  EXPECT_FALSE(wheel.NextDue());
  EXPECT_EQ(wheel.Advance(kStart + hours(1)), 0);
}

TEST(TimerWheel, SettingAgainMovesTheTimer) {
  TimerWheel wheel(kStart);
  Counted counted;
  wheel.Set(counted.timer, kStart + milliseconds(100));
  wheel.Set(counted.timer, kStart + milliseconds(5000));
  wheel.Advance(kStart + milliseconds(4999));
  EXPECT_EQ(counted.fired, 0);
  wheel.Set(counted.timer, kStart + milliseconds(5001));
  wheel.Advance(kStart + milliseconds(5010));
  EXPECT_EQ(counted.fired, 1);
}

TEST(TimerWheel, ADestroyedTimerIsForgotten) {
  TimerWheel wheel(kStart);
  {
    Counted counted;
    wheel.Set(counted.timer, kStart + milliseconds(100));
  }
  EXPECT_EQ(wheel.Advance(kStart + hours(1)), 0);
}

TEST(TimerWheel, TimersOutliveTheirWheelUnset) {
  Counted soon;
  Counted late;
  Counted past;
  {
    TimerWheel wheel(kStart);
    wheel.Set(soon.timer, kStart + milliseconds(100));
    wheel.Set(late.timer, kStart + hours(100));
    wheel.Set(past.timer, kStart - hours(100));
  }
  EXPECT_FALSE(soon.timer.set());
  EXPECT_FALSE(late.timer.set());
  EXPECT_FALSE(past.timer.set());
}

TEST(TimerWheel, ACallbackMayDestroyItsOwnTimerAndUseWhatItCaptured) {
  TimerWheel wheel(kStart);
  std::string said;
  std::unique_ptr<Timer> timer;
  const std::string word(100, 'w');
  timer = std::make_unique<Timer>([&, word] {
    timer.reset();
    said = word;
  });
  wheel.Set(*timer, kStart + kTick);
  EXPECT_EQ(wheel.Advance(kStart + kTick), 1);
  EXPECT_EQ(said, word);
}

TEST(TimerWheel, ACallbackMayEndOtherTimersOfTheSameMoment) {
  TimerWheel wheel(kStart);
  Counted cancelled;
  auto destroyed = std::make_unique<Counted>();
  Timer first([&] {
    cancelled.timer.Cancel();
    destroyed.reset();
  });
  const Monotonic due = kStart + milliseconds(80);
  wheel.Set(first, due);
  wheel.Set(cancelled.timer, due);
  wheel.Set(destroyed->timer, due);
  EXPECT_EQ(wheel.Advance(due), 1);
  EXPECT_EQ(cancelled.fired, 0);
}

TEST(TimerWheel, FiresInTheOrderOfTheTicks) {
  TimerWheel wheel(kStart);
  std::vector<int> order;
  std::vector<std::unique_ptr<Timer>> timers;
  const int after[] = {70'000, 9, 600, 40, 1'000'000, 520};
  for (const int ms : after) {
    timers.push_back(std::make_unique<Timer>([&order, ms] { order.push_back(ms); }));
    wheel.Set(*timers.back(), kStart + milliseconds(ms));
  }
  EXPECT_EQ(wheel.Advance(kStart + hours(1)), 6);
  EXPECT_EQ(order, (std::vector<int>{9, 40, 520, 600, 70'000, 1'000'000}));
}

TEST(TimerWheel, TheLastMomentOfTheClockIsAMomentLikeAnyOther) {
  TimerWheel wheel(kStart);
  Counted counted;
  wheel.Set(counted.timer, Monotonic::max());
  wheel.Advance(kStart + hours(24 * 365 * 100));
  EXPECT_EQ(counted.fired, 0);
  EXPECT_TRUE(wheel.NextDue());
}

// Against a sorted map as the model: random sets, moves, cancels and steps of all sizes.
TEST(TimerWheel, AgreesWithASortedListOverRandomHistories) {
  for (std::uint64_t seed = 1; seed <= 20; ++seed) {
    const auto random = MakeSeededRandom(seed);
    TimerWheel wheel(kStart);
    Monotonic now = kStart;
    constexpr std::size_t kTimers = 64;
    std::vector<std::optional<Monotonic>> model(kTimers);
    std::vector<std::unique_ptr<Timer>> timers;
    for (std::size_t i = 0; i < kTimers; ++i) {
      timers.push_back(std::make_unique<Timer>([&, i] {
        ASSERT_TRUE(model[i]) << "fired without being set";
        ASSERT_LE(*model[i], now) << "fired before its moment";
        model[i].reset();
      }));
    }
    const auto span = [&] {
      return nanoseconds(static_cast<std::int64_t>(random->Next() >> (20 + random->Next() % 40)));
    };
    for (int step = 0; step < 4000; ++step) {
      const std::size_t i = random->Next() % kTimers;
      switch (random->Next() % 4) {
        case 0:
        case 1:
          model[i] = now + span() - nanoseconds(milliseconds(2));
          wheel.Set(*timers[i], *model[i]);
          break;
        case 2:
          model[i].reset();
          timers[i]->Cancel();
          break;
        default: {
          now += span();
          wheel.Advance(now);
          for (std::size_t t = 0; t < kTimers; ++t) {
            ASSERT_FALSE(model[t] && *model[t] + kTick <= now) << "late by more than a tick";
            ASSERT_EQ(model[t].has_value(), timers[t]->set());
          }
        }
      }
      std::optional<Monotonic> earliest;
      for (const auto& due : model) {
        if (due && (!earliest || *due < *earliest)) earliest = due;
      }
      const auto next = wheel.NextDue();
      ASSERT_EQ(next.has_value(), earliest.has_value());
      if (earliest) {
        ASSERT_LT(*next, std::max(*earliest, now) + kTick);
      }
    }
  }
}

}  // namespace
}  // namespace postrider::io
