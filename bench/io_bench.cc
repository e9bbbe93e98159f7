// What engine/io costs: a round trip between two sockets of one loop, bulk bytes, a timer, a message between threads.
// Both ends run on the measured thread, so a round trip's figure holds two sends, two receives and both TCP stacks.

#include <benchmark/benchmark.h>

#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "engine/io/loop.h"

namespace postrider::io {
namespace {

constexpr std::chrono::seconds kPatience{1};

// Counts the times `expected` bytes have come, and may answer each with its own bytes.
class Player final : public SocketHandler {
 public:
  Player(std::size_t send_bytes, std::size_t expected) : out_(send_bytes, 'x'), expected_(expected) {}
  void OnConnected(int error) override { connected = error == 0; }
  void OnReceived(std::span<const std::byte> bytes) override {
    received_ += bytes.size();
    if (received_ < expected_) return;
    received_ -= expected_;
    ++turns;
    if (answers) Send();
  }
  void OnSent() override {}
  void OnClosed(int) override {}
  void Send() { socket->Send(std::as_bytes(std::span(out_)), nullptr); }

  std::unique_ptr<Socket> socket;
  bool connected = false;
  bool answers = false;
  std::uint64_t turns = 0;

 private:
  std::string out_;
  std::size_t expected_;
  std::size_t received_ = 0;
};

class Game final : public AcceptHandler {
 public:
  Game(std::size_t connections, std::size_t request_bytes, std::size_t reply_bytes)
      : clock_(MakeSystemClock()),
        loop(std::move(*MakeLoop({}, *clock_))),
        request_bytes_(request_bytes),
        reply_bytes_(reply_bytes) {
    const SocketAddress loopback{IpAddress{IpAddress::Family::kIpv4, {127, 0, 0, 1}}, 0};
    listener_ = std::move(*loop->network().Listen(loopback, false, *this));
    Open(connections);
  }

  void Open(std::size_t connections) {
    for (std::size_t i = 0; i < connections; ++i) {
      auto& client = clients.emplace_back(std::make_unique<Player>(request_bytes_, reply_bytes_));
      client->socket = loop->network().Connect(std::nullopt, listener_->address(), *client);
      while (!client->connected || servers_.size() <= i) loop->RunOnce(kPatience);
    }
  }

  void Close() {
    clients.clear();
    servers_.clear();
  }

  void OnAccepted(std::unique_ptr<AcceptedSocket> socket) override {
    auto& server = servers_.emplace_back(std::make_unique<Player>(reply_bytes_, request_bytes_));
    server->answers = true;
    socket->Attach(*server);
    server->socket = std::move(socket);
  }

 private:
  std::unique_ptr<Clock> clock_;

 public:
  std::unique_ptr<Loop> loop;
  std::vector<std::unique_ptr<Player>> clients;

 private:
  std::size_t request_bytes_;
  std::size_t reply_bytes_;
  std::unique_ptr<Listener> listener_;
  std::vector<std::unique_ptr<Player>> servers_;
};

// All connections send at once, then wait for their replies: one round trip each.
void RoundTrips(benchmark::State& state, std::size_t request_bytes, std::size_t reply_bytes) {
  const auto connections = static_cast<std::size_t>(state.range(0));
  Game game(connections, request_bytes, reply_bytes);
  const LoopCounts before = game.loop->counts();
  std::uint64_t rounds = 0;
  for (auto _ : state) {
    ++rounds;
    for (const auto& client : game.clients) client->Send();
    for (const auto& client : game.clients) {
      while (client->turns < rounds) game.loop->RunOnce(kPatience);
    }
  }
  const auto trips = static_cast<double>(rounds * connections);
  const LoopCounts& after = game.loop->counts();
  state.SetItemsProcessed(static_cast<std::int64_t>(trips));
  state.SetBytesProcessed(static_cast<std::int64_t>(after.bytes_received - before.bytes_received));
  state.counters["system_calls"] = static_cast<double>(after.waits - before.waits) / trips;
  state.counters["completions"] = static_cast<double>(after.completions - before.completions) / trips;
}

void PingPong(benchmark::State& state) { RoundTrips(state, 64, 64); }
BENCHMARK(PingPong)->Arg(1)->Arg(8)->Arg(40)->Arg(500);

// A message of 10 KB and its reply.
void Message(benchmark::State& state) { RoundTrips(state, 10 << 10, 64); }
BENCHMARK(Message)->Arg(1)->Arg(8)->Arg(40);

void Bulk(benchmark::State& state) { RoundTrips(state, 16 << 20, 1); }
BENCHMARK(Bulk)->Arg(1)->Arg(8);

// Connect, accept, and both ends' close.
void ConnectAndClose(benchmark::State& state) {
  Game game(0, 64, 64);
  for (auto _ : state) {
    game.Open(1);
    game.Close();
  }
}
BENCHMARK(ConnectAndClose);

void TimerSetAndCancel(benchmark::State& state) {
  const Monotonic start{std::chrono::hours(1)};
  TimerWheel wheel(start);
  Timer timer([] {});
  std::int64_t i = 0;
  for (auto _ : state) {
    wheel.Set(timer, start + std::chrono::milliseconds(++i % 600'000));
    timer.Cancel();
  }
}
BENCHMARK(TimerSetAndCancel);

void TimerFire(benchmark::State& state) {
  Monotonic now{std::chrono::hours(1)};
  TimerWheel wheel(now);
  std::vector<std::unique_ptr<Timer>> timers;
  for (int i = 0; i < 10'000; ++i) {
    timers.push_back(std::make_unique<Timer>([&, i] { wheel.Set(*timers[i], now + std::chrono::seconds(30)); }));
    wheel.Set(*timers.back(), now + std::chrono::milliseconds(3 * i));
  }
  std::size_t fired = 0;
  for (auto _ : state) {
    now += std::chrono::milliseconds(8);
    fired += wheel.Advance(now);
  }
  state.SetItemsProcessed(static_cast<std::int64_t>(fired));
}
BENCHMARK(TimerFire);

// Messages to a thread that is busy or asleep, as it comes.
void MailboxMessage(benchmark::State& state) {
  const auto clock = MakeSystemClock();
  auto loop = std::move(*MakeLoop({.entries = 8, .receive_buffers = 8}, *clock));
  Mailbox<std::uint64_t> box(1024, loop->waker());
  constexpr std::uint64_t kStop = ~std::uint64_t{0};
  std::thread consumer([&] {
    for (bool stop = false; !stop;) {
      for (const std::uint64_t* got = box.Peek(); got != nullptr; got = box.Peek()) {
        stop = *got == kStop;
        box.Pop();
      }
      if (!stop) loop->RunOnce(kPatience);
    }
  });
  const auto publish = [&box](std::uint64_t value) {
    std::uint64_t* slot = box.Reserve();
    while (slot == nullptr) {
      std::this_thread::yield();
      slot = box.Reserve();
    }
    *slot = value;
    box.Publish();
  };
  for (auto _ : state) publish(1);
  publish(kStop);
  consumer.join();
}
BENCHMARK(MailboxMessage);

}  // namespace
}  // namespace postrider::io
