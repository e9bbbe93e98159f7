#include "engine/io/loop.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <thread>

#include "engine/io/random.h"
#include "tests/engine/io/loop_harness.h"

namespace postrider::io {
namespace {

using std::chrono::milliseconds;

TEST_F(LoopTest, ATimerEndsTheWait) {
  int fired = 0;
  Timer timer([&] { ++fired; });
  const Monotonic before = clock_->Read().monotonic;
  loop_->timers().Set(timer, before + milliseconds(20));
  while (fired == 0) loop_->RunOnce(std::chrono::hours(1));
  EXPECT_GE(loop_->now().monotonic, before + milliseconds(20));
  EXPECT_LE(loop_->counts().waits, 20) << "sleeps, does not spin";
}

TEST_F(LoopTest, WaitsNoLongerThanAsked) {
  const Monotonic before = clock_->Read().monotonic;
  loop_->RunOnce(milliseconds(10));
  EXPECT_GE(loop_->now().monotonic, before + milliseconds(10));
  EXPECT_LE(loop_->now().monotonic, before + std::chrono::seconds(10));
}

TEST_F(LoopTest, ATurnWithNothingToDoCostsNoSystemCall) {
  loop_->RunOnce(std::chrono::nanoseconds(0));
  const std::uint64_t before = loop_->counts().waits;
  for (int i = 0; i < 100; ++i) loop_->RunOnce(std::chrono::nanoseconds(0));
  EXPECT_EQ(loop_->counts().waits, before);
}

TEST_F(LoopTest, AWakeFromAnotherThreadEndsTheWait) {
  std::thread other([this] { loop_->waker().Wake(); });
  loop_->RunOnce(std::chrono::hours(1));
  other.join();
  loop_->waker().Wake();
  loop_->RunOnce(std::chrono::hours(1));
}

TEST_F(LoopTest, TimeStandsStillWithinATurn) {
  Monotonic seen{};
  Timer timer([&] { seen = loop_->now().monotonic; });
  loop_->timers().Set(timer, clock_->Read().monotonic);
  loop_->RunOnce(milliseconds(20));
  loop_->RunOnce(milliseconds(20));
  EXPECT_NE(seen, Monotonic{});
  EXPECT_LE(seen, loop_->now().monotonic);
  const Now now = loop_->now();
  EXPECT_EQ(now.monotonic, loop_->now().monotonic);
}

// Sockets that are alive when their thread has ended are closed by whoever destroys them, without a descriptor lost.
TEST(Loop, MayBeTakenApartAfterItsThreadHasEnded) {
  const auto clock = MakeSystemClock();
  auto made = MakeLoop({.entries = 4, .receive_buffers = 16}, *clock);
  ASSERT_TRUE(made);
  Loop& loop = **made;
  const int lowest_free = dup(0);
  close(lowest_free);

  Recorder client;
  std::vector<std::unique_ptr<Recorder>> servers;
  std::vector<std::unique_ptr<Socket>> sockets;
  Acceptor acceptor([&](std::unique_ptr<AcceptedSocket> socket) {
    servers.push_back(std::make_unique<Recorder>());
    socket->Attach(*servers.back());
    sockets.push_back(std::move(socket));
  });
  auto listener = loop.network().Listen(kLoopback, false, acceptor);
  ASSERT_TRUE(listener);
  const auto text = std::make_shared<const std::string>(64 << 20, 'x');
  std::thread core([&] {
    for (int i = 0; i < 20; ++i) {
      sockets.push_back(loop.network().Connect(std::nullopt, (*listener)->address(), client));
    }
    for (int i = 0; i < 100 && servers.size() < 20; ++i) loop.RunOnce(milliseconds(100));
    for (const auto& socket : sockets) socket->PauseReading(true);
    sockets.back()->Send(Bytes(*text), text);
    loop.RunOnce(milliseconds(1));
  });
  core.join();
  EXPECT_EQ(servers.size(), 20);
  sockets.clear();
  listener->reset();
  const int still_free = dup(0);
  close(still_free);
  EXPECT_EQ(still_free, lowest_free);
  made->reset();
  EXPECT_EQ(text.use_count(), 1);
}

TEST_F(LoopTest, OutlivesTheLoopOfAnEndedThread) {
  loop_->RunOnce(milliseconds(0));
  auto other = MakeLoop({.entries = 4, .receive_buffers = 16}, *clock_);
  ASSERT_TRUE(other);
  std::thread core([&] { (*other)->RunOnce(milliseconds(0)); });
  core.join();
  other->reset();
  loop_->waker().Wake();
  loop_->RunOnce(std::chrono::hours(1));
  loop_->RunOnce(milliseconds(1));
  SUCCEED() << "its own registration with the kernel is untouched";
}

TEST(Loop, MayBeDestroyedWithoutEverHavingRun) {
  const auto clock = MakeSystemClock();
  const int lowest_free = dup(0);
  close(lowest_free);
  Recorder client;
  Acceptor acceptor([](std::unique_ptr<AcceptedSocket>) {});
  {
    auto loop = MakeLoop({}, *clock);
    ASSERT_TRUE(loop);
    auto listener = (*loop)->network().Listen(kLoopback, false, acceptor);
    ASSERT_TRUE(listener);
    auto socket = (*loop)->network().Connect(std::nullopt, (*listener)->address(), client);
  }
  const int still_free = dup(0);
  close(still_free);
  EXPECT_EQ(still_free, lowest_free);
  EXPECT_FALSE(client.connected);
}

// More operations in one turn than the submission queue holds.
TEST(Loop, SubmitsAndGoesOnWhenItsQueueIsFull) {
  const auto clock = MakeSystemClock();
  auto loop = MakeLoop({.entries = 2, .receive_buffers = 4}, *clock);
  ASSERT_TRUE(loop);
  std::vector<std::unique_ptr<AcceptedSocket>> accepted;
  Recorder server;
  Acceptor acceptor([&](std::unique_ptr<AcceptedSocket> socket) {
    socket->Attach(server);
    accepted.push_back(std::move(socket));
  });
  auto listener = (*loop)->network().Listen(kLoopback, false, acceptor);
  ASSERT_TRUE(listener);
  std::vector<Recorder> clients(100);
  std::vector<std::unique_ptr<Socket>> sockets;
  for (Recorder& client : clients) {
    sockets.push_back((*loop)->network().Connect(std::nullopt, (*listener)->address(), client));
  }
  const auto connected = [](const Recorder& client) { return client.connected == 0; };
  for (int i = 0; i < 1000 && !(std::ranges::all_of(clients, connected) && accepted.size() == 100); ++i) {
    (*loop)->RunOnce(milliseconds(10));
  }
  ASSERT_TRUE(std::ranges::all_of(clients, connected));
  for (const auto& socket : sockets) socket->Send(Bytes("x"), nullptr);
  for (int i = 0; i < 1000 && server.received.size() < 100; ++i) (*loop)->RunOnce(milliseconds(10));
  EXPECT_EQ(server.received.size(), 100);
}

TEST(Clock, BothTimesGoForward) {
  const auto clock = MakeSystemClock();
  const Now first = clock->Read();
  const Now second = clock->Read();
  EXPECT_LE(first.monotonic, second.monotonic);
  EXPECT_GT(first.wall.time_since_epoch(), std::chrono::years(50)) << "wall time counts from 1970";
}

TEST(Random, RepeatsItselfForTheSameSeedOnly) {
  const auto one = MakeSeededRandom(1);
  const auto same = MakeSeededRandom(1);
  const auto other = MakeSeededRandom(2);
  int equal = 0;
  for (int i = 0; i < 1000; ++i) {
    const std::uint64_t value = one->Next();
    EXPECT_EQ(value, same->Next());
    if (value == other->Next()) ++equal;
  }
  EXPECT_EQ(equal, 0);
  EXPECT_NE(MakeSystemRandom()->Next(), MakeSystemRandom()->Next());
}

}  // namespace
}  // namespace postrider::io
