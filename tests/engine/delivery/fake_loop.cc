#include "tests/engine/delivery/fake_loop.h"

#include <cerrno>

#include "config/check.h"
#include "tests/engine/delivery/host.h"

namespace postrider::delivery {
namespace {

// The client's end; events under way look here whether it still lives.
class FakeSocket final : public io::Socket {
 public:
  struct State {
    FakeLoop& loop;
    io::SocketHandler* handler;  // null once the socket is destroyed
    SocketAddress local;
    SocketAddress remote;
    Host* host = nullptr;
    std::unique_ptr<ServerEnd> session;
    bool closed = false;

    [[nodiscard]] std::chrono::nanoseconds one_way() const { return host->reach().round_trip / 2; }
  };

  explicit FakeSocket(std::shared_ptr<State> state) : state_(std::move(state)) {}
  ~FakeSocket() override {
    state_->handler = nullptr;
    // The server sees the close half a round trip later.
    if (state_->host != nullptr) {
      state_->loop.After(state_->one_way(), [state = state_] { state->session.reset(); });
    }
  }

  void Send(std::span<const std::byte> bytes, std::shared_ptr<const void>) override {
    std::string sent(reinterpret_cast<const char*>(bytes.data()), bytes.size());
    state_->loop.After(state_->host->reach().sending, [state = state_] {
      if (state->handler != nullptr) state->handler->OnSent();
    });
    state_->loop.After(state_->one_way(), [state = state_, sent = std::move(sent)] {
      if (state->session == nullptr || state->closed) return;
      std::string out;
      const bool open = state->session->Receive(sent, state->loop.moment(), out);
      Answer(state, std::move(out), open);
    });
  }
  void PauseReading(bool) override {}
  SocketAddress local() const override { return state_->local; }
  SocketAddress remote() const override { return state_->remote; }

  static void Answer(const std::shared_ptr<State>& state, std::string out, bool open) {
    const int error = state->session->reset() ? ECONNRESET : 0;
    if (!open) state->closed = true;
    state->loop.After(state->one_way() + state->host->reach().work, [state, out = std::move(out), open, error] {
      if (state->handler != nullptr && !out.empty()) state->handler->OnReceived(std::as_bytes(std::span(out)));
      if (state->handler != nullptr && !open) std::exchange(state->handler, nullptr)->OnClosed(error);
    });
  }

 private:
  std::shared_ptr<State> state_;
};

}  // namespace

void VirtualTime::MoveTo(Monotonic moment) {
  now.monotonic = moment;
  now.wall = wall_origin_ + std::chrono::floor<std::chrono::milliseconds>(moment - origin_);
}

void FakeLoop::RunOnce(std::chrono::nanoseconds max_wait) {
  now_ = time_.now;
  wait_until_ = now_.monotonic + max_wait;
  while (!events_.empty() && events_.begin()->first.first <= now_.monotonic) {
    auto work = std::move(events_.extract(events_.begin()).mapped());
    work();
    took_part_ = true;
  }
  if (timers_.Advance(now_.monotonic) != 0) took_part_ = true;
}

void FakeLoop::After(std::chrono::nanoseconds delay, std::move_only_function<void()> work) {
  events_.emplace(std::pair(time_.now.monotonic + delay, ++sequence_), std::move(work));
}

Monotonic FakeLoop::NextEvent() const {
  Monotonic next = wait_until_;
  // A wheel may name a moment a little early; time goes on in any case.
  if (const auto due = timers_.NextDue()) {
    next = std::min(next, std::max(*due, time_.now.monotonic + std::chrono::microseconds(100)));
  }
  // What goes over the network arrives at its very moment.
  if (!events_.empty()) next = std::min(next, events_.begin()->first.first);
  return next;
}

std::unique_ptr<io::Socket> FakeLoop::Connect(const std::optional<IpAddress>& local, const SocketAddress& remote,
                                              io::SocketHandler& handler) {
  auto state = std::make_shared<FakeSocket::State>(FakeSocket::State{.loop = *this,
                                                                     .handler = &handler,
                                                                     .local = {local.value_or(IpAddress{}), 40000},
                                                                     .remote = remote,
                                                                     .session = {}});
  if (local && missing_.contains(*local)) {
    After({}, [state] {
      if (state->handler != nullptr) state->handler->OnConnected(EADDRNOTAVAIL);
    });
    return std::make_unique<FakeSocket>(state);
  }
  const auto place = directory_.find(remote);
  Host* host = place == directory_.end() ? nullptr : place->second;
  if (host != nullptr) ++host->connects;
  const Host::Reach reach = host != nullptr ? host->reach() : Host::Reach{.listening = false};
  if (!reach.listening) {
    After(std::chrono::milliseconds(1), [state] {
      if (state->handler != nullptr) state->handler->OnConnected(ECONNREFUSED);
    });
  } else if (!reach.silent) {
    state->host = host;
    // The server knows of it half a round trip earlier than the client.
    After(state->one_way(), [state] {
      if (state->handler == nullptr) return;
      state->session = state->host->Accept(ToString(state->local.ip), state->loop.moment());
    });
    After(reach.round_trip, [state] {
      if (state->handler == nullptr || state->session == nullptr) return;
      std::string out;
      const bool open = state->session->Open(state->loop.moment(), out);
      FakeSocket::Answer(state, std::move(out), open);
      state->handler->OnConnected(0);
    });
  }
  return std::make_unique<FakeSocket>(state);
}

Result<std::unique_ptr<io::Listener>> FakeLoop::Listen(const SocketAddress&, bool, io::AcceptHandler&) {
  return Fail(ErrorCode::kUnsupported, "nothing listens here");
}

Result<void> FakeLoop::CheckLocal(const IpAddress& address) {
  if (!missing_.contains(address)) return {};
  return Fail(ErrorCode::kInvalid, ToString(address) + " is not an address of this host");
}

std::vector<IpAddress> FakeLoop::LocalAddresses() { return {own_.begin(), own_.end()}; }

std::unique_ptr<io::Watch> FakeLoop::WatchDescriptor(int, io::ReadinessHandler&) {
  CHECK(false);
  return nullptr;
}

}  // namespace postrider::delivery
