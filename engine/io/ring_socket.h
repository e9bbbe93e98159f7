#pragma once
// A TCP socket on the ring: the half that the kernel's operations refer to. Its owner holds it through RingSocket and
// abandons it by destroying that. Private to engine/io.

#include <cstddef>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "engine/io/network.h"
#include "engine/io/ring.h"
#include "engine/io/socket_address.h"

namespace postrider::io {

class SocketObject final : public RingObject {
 public:
  // Makes a socket and starts to connect it; a failure comes as OnConnected too.
  SocketObject(Ring& ring, const std::optional<IpAddress>& local, const SocketAddress& remote, SocketHandler& handler);
  // Takes over an accepted descriptor; no call-backs before Attach.
  SocketObject(Ring& ring, int descriptor);

  void Attach(SocketHandler& handler);
  void Send(std::span<const std::byte> bytes, std::shared_ptr<const void> keep_alive);
  void PauseReading(bool pause);
  void Close();  // abandons the object
  [[nodiscard]] SocketAddress local();
  [[nodiscard]] SocketAddress remote();

 private:
  enum class State { kConnecting, kOpen, kClosed };

  void OnCompletion(Operation operation, int result, bool more, std::span<const std::byte> bytes) override;
  void OnConnected(int result);
  void OnReceived(int result, std::span<const std::byte> bytes);
  void OnSent(int result);
  void OnTurn();
  void Deliver(std::span<const std::byte> bytes);
  void StartReceiving(bool expect_wait);
  void SendRest();
  void SendFailed(int error);
  void ReportClosed(int error);

  int descriptor_ = -1;
  SocketHandler* handler_ = nullptr;
  State state_ = State::kConnecting;
  int connect_error_ = 0;  // found before the kernel was asked to connect

  bool receiving_ = false;   // the multishot receive is armed
  bool cancelling_ = false;  // ... and asked to end
  bool paused_ = false;
  std::vector<std::byte> held_;  // arrived while reading was being paused
  std::optional<int> end_;       // end of stream (0) or failure of the receiving side, not reported yet
  bool turn_pending_ = false;

  bool sending_ = false;
  bool nothing_to_send_ = false;  // a Send of no bytes waits for its OnSent
  int send_error_ = 0;            // reported once what the peer had sent before is read
  std::span<const std::byte> rest_;
  std::shared_ptr<const void> keep_alive_;

  KernelAddress connect_to_{};
  std::optional<SocketAddress> local_;
  std::optional<SocketAddress> remote_;
};

class RingSocket final : public AcceptedSocket {
 public:
  explicit RingSocket(SocketObject& object) : object_(object) {}
  ~RingSocket() override { object_.Close(); }
  void Attach(SocketHandler& handler) override { object_.Attach(handler); }
  void Send(std::span<const std::byte> bytes, std::shared_ptr<const void> keep_alive) override {
    object_.Send(bytes, std::move(keep_alive));
  }
  void PauseReading(bool pause) override { object_.PauseReading(pause); }
  [[nodiscard]] SocketAddress local() const override { return object_.local(); }
  [[nodiscard]] SocketAddress remote() const override { return object_.remote(); }

 private:
  SocketObject& object_;
};

}  // namespace postrider::io
