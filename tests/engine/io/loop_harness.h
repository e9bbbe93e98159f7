#pragma once
// A real loop and recording handlers, for tests of sockets on 127.0.0.1.

#include <gtest/gtest.h>

#include <cstring>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "engine/io/loop.h"

namespace postrider::io {

inline std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

inline const SocketAddress kLoopback{IpAddress{IpAddress::Family::kIpv4, {127, 0, 0, 1}}, 0};

// Remembers what it is told; a test may hang further doings on each call.
class Recorder final : public SocketHandler {
 public:
  void OnConnected(int error) override {
    connected = error;
    if (on_connected) on_connected();
  }
  void OnReceived(std::span<const std::byte> bytes) override {
    received.append(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    if (on_received) on_received();
  }
  void OnSent() override {
    ++sent;
    if (on_sent) on_sent();
  }
  void OnClosed(int error) override {
    EXPECT_FALSE(closed.has_value()) << "closed twice";
    closed = error;
    if (on_closed) on_closed();
  }

  std::optional<int> connected;
  std::string received;
  int sent = 0;
  std::optional<int> closed;
  std::function<void()> on_connected, on_received, on_sent, on_closed;
};

// Hands each accepted socket to a function.
class Acceptor final : public AcceptHandler {
 public:
  explicit Acceptor(std::function<void(std::unique_ptr<AcceptedSocket>)> accept) : accept_(std::move(accept)) {}
  void OnAccepted(std::unique_ptr<AcceptedSocket> socket) override { accept_(std::move(socket)); }

 private:
  std::function<void(std::unique_ptr<AcceptedSocket>)> accept_;
};

class LoopTest : public testing::Test {
 protected:
  explicit LoopTest(const LoopOptions& options = {}) {
    auto made = MakeLoop(options, *clock_);
    if (!made) {
      ADD_FAILURE() << made.error().message;
      std::abort();
    }
    loop_ = std::move(*made);
  }

  // Turns the loop until the condition holds; false after ten seconds of turning.
  [[nodiscard]] bool RunUntil(const std::function<bool()>& condition) {
    const Monotonic end = clock_->Read().monotonic + std::chrono::seconds(10);
    while (!condition()) {
      if (clock_->Read().monotonic > end) return false;
      loop_->RunOnce(std::chrono::milliseconds(100));
    }
    return true;
  }
  // Turns the loop as long as turning brings something, and a few times more.
  void RunUntilQuiet() {
    for (int quiet = 0; quiet < 3; ++quiet) {
      const std::uint64_t before = loop_->counts().completions;
      loop_->RunOnce(std::chrono::milliseconds(5));
      if (loop_->counts().completions != before) quiet = 0;
    }
  }
  // Everything abandoned has left the kernel; the waker's read stays.
  [[nodiscard]] bool OnlyTheWakerIsInFlight() {
    return RunUntil([this] { return loop_->counts().in_flight == 1; });
  }

  std::unique_ptr<Clock> clock_ = MakeSystemClock();
  std::unique_ptr<Loop> loop_;
};

// Two connected ends in one loop.
class PairTest : public LoopTest {
 protected:
  using LoopTest::LoopTest;

  void Connect() {
    Acceptor acceptor([this](std::unique_ptr<AcceptedSocket> socket) {
      socket->Attach(server_);
      server_socket_ = std::move(socket);
    });
    auto listener = loop_->network().Listen(kLoopback, false, acceptor);
    ASSERT_TRUE(listener) << listener.error().message;
    client_socket_ = loop_->network().Connect(std::nullopt, (*listener)->address(), client_);
    ASSERT_FALSE(client_.connected) << "called back from inside the call";
    ASSERT_TRUE(RunUntil([this] { return client_.connected && server_socket_; }));
    ASSERT_EQ(*client_.connected, 0);
  }

  Recorder client_;
  Recorder server_;
  std::unique_ptr<Socket> client_socket_;
  std::unique_ptr<AcceptedSocket> server_socket_;
};

}  // namespace postrider::io
