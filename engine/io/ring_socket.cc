#include "engine/io/ring_socket.h"

#include <netinet/tcp.h>
#include <unistd.h>

#include <cerrno>
#include <utility>

#include "config/check.h"

namespace postrider::io {
namespace {

void SetOption(int descriptor, int level, int name) {
  const int on = 1;
  // Cannot fail on a TCP socket of our own; were it to, the connection would work all the same.
  static_cast<void>(setsockopt(descriptor, level, name, &on, sizeof on));
}

// A blocking TCP socket (the ring waits, not the call) bound to local. The errno if that fails, else 0.
int MakeSocket(const std::optional<IpAddress>& local, bool ipv4, int& descriptor) {
  descriptor = socket(ipv4 ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, IPPROTO_TCP);
  if (descriptor < 0) return errno;
  SetOption(descriptor, IPPROTO_TCP, TCP_NODELAY);
  if (!local) return 0;
  if (local->IsIpv4() != ipv4) return EAFNOSUPPORT;
  // The port is chosen by connect, per destination; else one source could have only some 28,000 connections in all.
  SetOption(descriptor, IPPROTO_IP, IP_BIND_ADDRESS_NO_PORT);
  const KernelAddress address = ToKernel({*local, 0});
  return bind(descriptor, &address.any, address.length) == 0 ? 0 : errno;
}

}  // namespace

SocketObject::SocketObject(Ring& on, const std::optional<IpAddress>& local, const SocketAddress& remote,
                           SocketHandler& handler)
    : RingObject(on), handler_(&handler), connect_to_(ToKernel(remote)), remote_(remote) {
  connect_error_ = MakeSocket(local, remote.ip.IsIpv4(), descriptor_);
  if (connect_error_ != 0) {
    ring().StartTurn(*this);
    return;
  }
  ring().Start(*this, Operation::kConnect, [this](io_uring_sqe* entry) {
    io_uring_prep_connect(entry, descriptor_, &connect_to_.any, connect_to_.length);
  });
}

SocketObject::SocketObject(Ring& on, int descriptor) : RingObject(on), descriptor_(descriptor), state_(State::kOpen) {}

void SocketObject::Attach(SocketHandler& handler) {
  CHECK(handler_ == nullptr);
  handler_ = &handler;
  StartReceiving(true);
}

void SocketObject::Send(std::span<const std::byte> bytes, std::shared_ptr<const void> keep_alive) {
  if (state_ == State::kClosed) return;  // no other call follows OnClosed
  CHECK(state_ == State::kOpen && handler_ != nullptr && !sending_);
  sending_ = true;
  if (bytes.empty()) {
    nothing_to_send_ = true;
    if (!turn_pending_) ring().StartTurn(*this);
    turn_pending_ = true;
    return;
  }
  rest_ = bytes;
  keep_alive_ = std::move(keep_alive);
  SendRest();
}

void SocketObject::SendRest() {
  ring().Start(*this, Operation::kSend, [this](io_uring_sqe* entry) {
    io_uring_prep_send(entry, descriptor_, rest_.data(), rest_.size(), MSG_WAITALL | MSG_NOSIGNAL);
  });
}

void SocketObject::PauseReading(bool pause) {
  if (paused_ == pause) return;
  paused_ = pause;
  if (state_ != State::kOpen) return;
  if (pause) {
    if (receiving_ && !cancelling_) {
      cancelling_ = true;
      ring().Cancel(*this, Operation::kReceive);
    }
    return;
  }
  if (!held_.empty() || end_) {
    if (!turn_pending_) ring().StartTurn(*this);
    turn_pending_ = true;
  }
  StartReceiving(false);
}

void SocketObject::Close() {
  handler_ = nullptr;
  held_ = {};
  if (state_ == State::kConnecting && connect_error_ == 0) ring().Cancel(*this, Operation::kConnect);
  if (receiving_ && !cancelling_) ring().Cancel(*this, Operation::kReceive);
  if (sending_ && !nothing_to_send_) ring().Cancel(*this, Operation::kSend);
  if (descriptor_ >= 0) ring().Close(descriptor_);
  Abandon();
}

SocketAddress SocketObject::local() {
  if (!local_ || local_->port == 0) local_ = LocalAddress(descriptor_);
  return *local_;
}

SocketAddress SocketObject::remote() {
  if (!remote_) remote_ = PeerAddress(descriptor_);
  return *remote_;
}

void SocketObject::OnCompletion(Operation operation, int result, bool more, std::span<const std::byte> bytes) {
  switch (operation) {
    case Operation::kConnect:
      return OnConnected(result);
    case Operation::kReceive:
      if (!more) receiving_ = cancelling_ = false;
      return OnReceived(result, bytes);
    case Operation::kSend:
      return OnSent(result);
    case Operation::kTurn:
      turn_pending_ = false;
      return OnTurn();
    default:
      CHECK(false);
  }
}

void SocketObject::OnConnected(int result) {
  if (abandoned()) return;
  state_ = result == 0 ? State::kOpen : State::kClosed;
  handler_->OnConnected(-result);
  if (!abandoned() && state_ == State::kOpen) StartReceiving(true);
}

void SocketObject::StartReceiving(bool expect_wait) {
  if (receiving_ || paused_ || end_ || state_ != State::kOpen) return;
  receiving_ = true;
  ring().StartReceive(*this, descriptor_, expect_wait);
}

void SocketObject::OnReceived(int result, std::span<const std::byte> bytes) {
  if (abandoned() || state_ != State::kOpen) return;
  if (result > 0) {
    Deliver(bytes);
    if (abandoned()) return;
  } else if (result == -ENOBUFS) {
    ++ring().counts().receive_buffers_exhausted;
  } else if (result != -ECANCELED && result != -EINTR && result != -EAGAIN) {
    end_ = -result;
    if (held_.empty() && !paused_) return ReportClosed(*end_);
    return;
  }
  StartReceiving(false);
}

void SocketObject::Deliver(std::span<const std::byte> bytes) {
  ring().counts().bytes_received += bytes.size();
  if (paused_ || !held_.empty()) {
    held_.insert(held_.end(), bytes.begin(), bytes.end());
    return;
  }
  handler_->OnReceived(bytes);
}

void SocketObject::OnTurn() {
  if (abandoned()) return;
  if (connect_error_ != 0) return OnConnected(-connect_error_);
  if (std::exchange(nothing_to_send_, false)) {
    sending_ = false;
    if (state_ == State::kOpen) handler_->OnSent();
    if (abandoned()) return;
  }
  if (paused_ || state_ != State::kOpen) return;
  if (!held_.empty()) {
    const std::vector<std::byte> bytes = std::exchange(held_, {});
    handler_->OnReceived(bytes);
    if (abandoned()) return;
  }
  if (end_ && !paused_) ReportClosed(*end_);
}

void SocketObject::OnSent(int result) {
  if (result > 0) {
    ring().counts().bytes_sent += static_cast<std::uint64_t>(result);
    rest_ = rest_.subspan(static_cast<std::size_t>(result));
  }
  const bool try_again = result >= 0 || result == -EINTR || result == -EAGAIN;
  if (!abandoned() && state_ == State::kOpen && try_again && !rest_.empty()) return SendRest();
  if (!abandoned() && state_ == State::kOpen && !try_again) return SendFailed(-result);
  sending_ = false;
  keep_alive_.reset();
  if (!abandoned() && state_ == State::kOpen) handler_->OnSent();
}

// Before the peer broke the connection it may have said why ("421 ..."): shutting down lets the receive bring what is
// there and then end, and the failure is reported after it.
void SocketObject::SendFailed(int error) {
  keep_alive_.reset();
  rest_ = {};
  send_error_ = error;
  shutdown(descriptor_, SHUT_RDWR);
  if (paused_ || !receiving_) ReportClosed(error);
}

void SocketObject::ReportClosed(int error) {
  state_ = State::kClosed;
  handler_->OnClosed(send_error_ != 0 ? send_error_ : error);
}

}  // namespace postrider::io
