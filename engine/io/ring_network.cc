#include "engine/io/ring_network.h"

#include <fmt/format.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <unistd.h>

#include <cerrno>
#include <cstring>
#include <utility>

#include "config/check.h"
#include "engine/io/local_address.h"
#include "engine/io/ring_socket.h"
#include "engine/io/socket_address.h"

namespace postrider::io {
namespace {

// The kernel cuts it to net.core.somaxconn.
constexpr int kBacklog = 4096;
// With no descriptor left every accept fails at once; connections that end meanwhile make room.
constexpr std::chrono::milliseconds kAcceptPause{100};

class ListenerObject final : public RingObject {
 public:
  ListenerObject(Ring& on, TimerWheel& timers, const Now& now, int descriptor, AcceptHandler& handler)
      : RingObject(on), timers_(timers), now_(now), descriptor_(descriptor), handler_(&handler) {
    Start();
  }

  void Close() {
    pause_.Cancel();
    if (accepting_) ring().Cancel(*this, Operation::kAccept);
    ring().Close(descriptor_);
    Abandon();
  }

  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  void Start() {
    accepting_ = true;
    ring().Start(*this, Operation::kAccept, [this](io_uring_sqe* entry) {
      io_uring_prep_multishot_accept(entry, descriptor_, nullptr, nullptr, SOCK_CLOEXEC);
    });
  }

  void OnCompletion(Operation, int result, bool more, std::span<const std::byte>) override {
    if (!more) accepting_ = false;
    if (abandoned()) {
      if (result >= 0) ring().Close(result);
      return;
    }
    if (result >= 0) {
      handler_->OnAccepted(std::make_unique<RingSocket>(*new SocketObject(ring(), result)));
      if (abandoned()) return;
    }
    if (more) return;
    const bool lost_one = result == -ECONNABORTED || result == -EINTR || result == -EAGAIN || result == -EPROTO;
    if (result >= 0 || lost_one) return Start();
    timers_.Set(pause_, now_.monotonic + kAcceptPause);
  }

  TimerWheel& timers_;
  const Now& now_;
  int descriptor_;
  AcceptHandler* handler_;
  bool accepting_ = false;
  Timer pause_{[this] { Start(); }};
};

class RingListener final : public Listener {
 public:
  explicit RingListener(ListenerObject& object) : object_(object), address_(LocalAddress(object.descriptor())) {}
  ~RingListener() override { object_.Close(); }
  [[nodiscard]] SocketAddress address() const override { return address_; }

 private:
  ListenerObject& object_;
  SocketAddress address_;
};

class WatchObject final : public RingObject {
 public:
  WatchObject(Ring& on, int descriptor, ReadinessHandler& handler)
      : RingObject(on), descriptor_(descriptor), handler_(&handler) {}

  void Arm(unsigned events) {
    wanted_ = events;
    if (!polling_) return Start();
    if (armed_ == wanted_ || cancelling_) return;
    cancelling_ = true;  // its end starts the new one
    ring().Cancel(*this, Operation::kPoll);
  }

  void Close() {
    wanted_ = 0;
    if (polling_ && !cancelling_) ring().Cancel(*this, Operation::kPoll);
    Abandon();
  }

 private:
  void Start() {
    if (wanted_ == 0) return;
    polling_ = true;
    armed_ = wanted_;
    ring().Start(*this, Operation::kPoll,
                 [this](io_uring_sqe* entry) { io_uring_prep_poll_add(entry, descriptor_, armed_); });
  }

  void OnCompletion(Operation, int result, bool, std::span<const std::byte>) override {
    polling_ = cancelling_ = false;
    if (abandoned()) return;
    // A failure to poll (descriptor closed under us) and an error condition make everything "ready": whoever owns the
    // descriptor learns more by using it.
    unsigned ready = result < 0 ? wanted_ : static_cast<unsigned>(result);
    if (result == -ECANCELED) ready = 0;
    if ((ready & (POLLERR | POLLHUP | POLLNVAL)) != 0) ready = POLLIN | POLLOUT;
    ready &= wanted_;
    if (ready == 0) return Start();
    wanted_ = 0;
    handler_->OnReady((ready & POLLIN) != 0, (ready & POLLOUT) != 0);
  }

  int descriptor_;
  ReadinessHandler* handler_;
  unsigned wanted_ = 0;  // what the owner asked for last
  unsigned armed_ = 0;   // what the kernel was asked for
  bool polling_ = false;
  bool cancelling_ = false;
};

class RingWatch final : public Watch {
 public:
  explicit RingWatch(WatchObject& object) : object_(object) {}
  ~RingWatch() override { object_.Close(); }
  void Arm(bool readable, bool writable) override {
    object_.Arm((readable ? unsigned{POLLIN} : 0U) | (writable ? unsigned{POLLOUT} : 0U));
  }

 private:
  WatchObject& object_;
};

// The errno if a step fails, else 0.
int SetUpListener(int descriptor, const SocketAddress& address, bool reuse_port) {
  const int on = 1;
  const auto set = [&](int level, int name) { return setsockopt(descriptor, level, name, &on, sizeof on) == 0; };
  if (!set(SOL_SOCKET, SO_REUSEADDR)) return errno;
  if (reuse_port && !set(SOL_SOCKET, SO_REUSEPORT)) return errno;
  if (!address.ip.IsIpv4() && !set(IPPROTO_IPV6, IPV6_V6ONLY)) return errno;
  if (!set(IPPROTO_TCP, TCP_NODELAY)) return errno;  // accepted sockets inherit it
  const KernelAddress kernel = ToKernel(address);
  if (bind(descriptor, &kernel.any, kernel.length) != 0 || listen(descriptor, kBacklog) != 0) return errno;
  return 0;
}

Error ListenError(const SocketAddress& address, int error) {
  const char* advice = "";
  if (error == EADDRINUSE) advice = ": another process has this port; stop it or choose another";
  if (error == EACCES) advice = ": ports below 1024 need CAP_NET_BIND_SERVICE";
  if (error == EADDRNOTAVAIL) advice = ": no interface of this host has this address";
  const ErrorCode code = error == EADDRINUSE ? ErrorCode::kBusy : error == EACCES ? ErrorCode::kDenied : ErrorCode::kIo;
  return {code, fmt::format("cannot listen on {}: {}{}", ToString(address), std::strerror(error), advice)};
}

}  // namespace

std::unique_ptr<Socket> RingNetwork::Connect(const std::optional<IpAddress>& local, const SocketAddress& remote,
                                             SocketHandler& handler) {
  return std::make_unique<RingSocket>(*new SocketObject(ring_, local, remote, handler));
}

Result<std::unique_ptr<Listener>> RingNetwork::Listen(const SocketAddress& address, bool reuse_port,
                                                      AcceptHandler& handler) {
  const int descriptor = socket(address.ip.IsIpv4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
  if (descriptor < 0) return std::unexpected(ListenError(address, errno));
  if (const int error = SetUpListener(descriptor, address, reuse_port); error != 0) {
    close(descriptor);
    return std::unexpected(ListenError(address, error));
  }
  return std::make_unique<RingListener>(*new ListenerObject(ring_, timers_, now_, descriptor, handler));
}

Result<void> RingNetwork::CheckLocal(const IpAddress& address) { return CheckLocalInterface(address); }

std::vector<IpAddress> RingNetwork::LocalAddresses() { return io::LocalAddresses(); }

std::unique_ptr<Watch> RingNetwork::WatchDescriptor(int descriptor, ReadinessHandler& handler) {
  return std::make_unique<RingWatch>(*new WatchObject(ring_, descriptor, handler));
}

}  // namespace postrider::io
