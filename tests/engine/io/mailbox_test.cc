#include "engine/io/mailbox.h"

#include <gtest/gtest.h>

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/io/loop.h"

namespace postrider::io {
namespace {

constexpr std::chrono::hours kForever{1};  // a lost wake would be noticed by the test's time limit

TEST(Mailbox, KeepsOrderAndBounds) {
  Waker waker;
  Mailbox<int> box(4, waker);
  EXPECT_EQ(box.capacity(), 4);
  EXPECT_EQ(box.Peek(), nullptr);
  for (int i = 0; i < 4; ++i) {
    int* slot = box.Reserve();
    ASSERT_NE(slot, nullptr);
    *slot = i;
    EXPECT_EQ(box.size(), static_cast<std::size_t>(i)) << "not visible before Publish";
    box.Publish();
  }
  EXPECT_EQ(box.Reserve(), nullptr) << "full";
  for (int i = 0; i < 4; ++i) {
    ASSERT_NE(box.Peek(), nullptr);
    EXPECT_EQ(*box.Peek(), i);
    EXPECT_EQ(box.Reserve() != nullptr, i > 0) << "a slot is free only after Pop";
    box.Pop();
  }
  EXPECT_EQ(box.Peek(), nullptr);
}

TEST(Mailbox, SlotsKeepTheirCapacity) {
  Waker waker;
  Mailbox<std::string> box(1, waker);
  box.Reserve()->assign(1000, 'x');
  const char* memory = box.Reserve()->data();
  box.Publish();
  box.Pop();
  box.Reserve()->assign(900, 'y');
  EXPECT_EQ(box.Reserve()->data(), memory);
}

TEST(Waker, AWakeBeforeTheWaitEndsIt) {
  Waker waker;
  waker.Wake();
  waker.Wait(kForever);
  EXPECT_TRUE(waker.PrepareWait()) << "one wake ends one wait";
  waker.Wake();
  EXPECT_FALSE(waker.PrepareWait()) << "woken between two looks";
  waker.FinishWait();
  waker.Wait(std::chrono::milliseconds(1));
}

TEST(Waker, AWakeEndsAWaitUnderWay) {
  Waker waker;
  std::thread waking([&] { waker.Wake(); });
  waker.Wait(kForever);
  waking.join();
}

// Ping-pong: each side waits without limit for the other's message, so that one lost wake would hang the test.
TEST(Mailbox, LosesNoWakeBetweenTwoWaitingThreads) {
  constexpr std::uint64_t kRounds = 20'000;
  Waker here;
  Waker there;
  Mailbox<std::uint64_t> forth(2, there);
  Mailbox<std::uint64_t> back(2, here);
  std::thread other([&] {
    for (std::uint64_t done = 0; done < kRounds;) {
      while (const std::uint64_t* got = forth.Peek()) {
        *back.Reserve() = *got * 3;
        forth.Pop();
        back.Publish();
        ++done;
      }
      if (done < kRounds) there.Wait(kForever);
    }
  });
  for (std::uint64_t round = 0; round < kRounds; ++round) {
    *forth.Reserve() = round;
    forth.Publish();
    while (back.Peek() == nullptr) here.Wait(kForever);
    ASSERT_EQ(*back.Peek(), round * 3);
    back.Pop();
  }
  other.join();
}

// The same with loops that sleep in the kernel, and with bursts, full boxes and one wake for many messages.
TEST(Mailbox, CarriesMessagesBetweenTwoLoops) {
  constexpr std::uint64_t kMessages = 200'000;
  const auto clock = MakeSystemClock();
  auto here = MakeLoop({.entries = 8, .receive_buffers = 8}, *clock);
  auto there = MakeLoop({.entries = 8, .receive_buffers = 8}, *clock);
  ASSERT_TRUE(here && there);
  Mailbox<std::string> forth(64, (*there)->waker());
  Mailbox<std::uint64_t> back(64, (*here)->waker());
  // Made here, run there: the ring's issuer is whoever runs it first.
  std::thread other([&] {
    for (std::uint64_t done = 0; done < kMessages;) {
      while (const std::string* got = forth.Peek()) {
        std::uint64_t* answer = back.Reserve();
        if (answer == nullptr) break;  // tried again when the other side has made room and woken us
        *answer = std::stoull(*got);
        forth.Pop();
        back.Publish(++done % 3 == 0 || forth.size() == 0);
      }
      if (done < kMessages) (*there)->RunOnce(kForever);
    }
    back.Wake();
  });
  std::uint64_t next = 0;
  std::uint64_t answered = 0;
  while (answered < kMessages) {
    while (std::string* slot = next < kMessages ? forth.Reserve() : nullptr) {
      *slot = std::to_string(next++);
      forth.Publish(false);
    }
    forth.Wake();
    while (const std::uint64_t* got = back.Peek()) {
      ASSERT_EQ(*got, answered);
      ++answered;
      back.Pop();
    }
    if (answered < kMessages) {
      forth.Wake();
      (*here)->RunOnce(kForever);
    }
  }
  other.join();
}

TEST(Waker, ManyThreadsMayWakeOne) {
  constexpr std::uint64_t kEach = 20'000;
  constexpr std::size_t kThreads = 4;
  const auto clock = MakeSystemClock();
  auto loop = MakeLoop({.entries = 8, .receive_buffers = 8}, *clock);
  ASSERT_TRUE(loop);
  std::vector<std::unique_ptr<Mailbox<std::uint64_t>>> boxes;
  for (std::size_t i = 0; i < kThreads; ++i) {
    boxes.push_back(std::make_unique<Mailbox<std::uint64_t>>(16, (*loop)->waker()));
  }
  std::vector<std::thread> threads;
  for (std::size_t i = 0; i < kThreads; ++i) {
    threads.emplace_back([&box = *boxes[i]] {
      for (std::uint64_t n = 0; n < kEach;) {
        std::uint64_t* slot = box.Reserve();
        if (slot == nullptr) {
          std::this_thread::yield();
          continue;
        }
        *slot = n++;
        box.Publish();
      }
    });
  }
  std::uint64_t got = 0;
  while (got < kEach * kThreads) {
    for (const auto& box : boxes) {
      for (; box->Peek() != nullptr; ++got) box->Pop();
    }
    if (got < kEach * kThreads) (*loop)->RunOnce(kForever);
  }
  for (std::thread& thread : threads) thread.join();
  EXPECT_EQ(got, kEach * kThreads);
}

}  // namespace
}  // namespace postrider::io
