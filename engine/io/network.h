#pragma once
// The network of one core, as the delivery and the sink see it: sockets that call back, listeners, and readiness of a
// foreign descriptor (for c-ares). One real implementation on io_uring (io/loop.h), one in the simulation.
// Single-threaded: everything is called, and calls back, on the loop's own thread, never from inside the call itself.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <vector>

#include "config/error.h"
#include "config/ip_address.h"
#include "engine/io/timer_wheel.h"

namespace postrider::io {

class SocketHandler {
 public:
  virtual ~SocketHandler() = default;
  // After Connect: 0, or the errno of the failure (then no other call follows).
  virtual void OnConnected(int error) = 0;
  // Bytes are valid during the call only. The handler may destroy the socket inside any of these calls.
  virtual void OnReceived(std::span<const std::byte> bytes) = 0;
  // The last Send has been handed to the kernel in full; its buffer is free again.
  virtual void OnSent() = 0;
  // The peer closed (error 0), or the connection broke (errno). No other call follows.
  virtual void OnClosed(int error) = 0;
};

// A connected or connecting TCP socket. Destroying it closes the descriptor at once and ends all callbacks; a Send
// still in the kernel's hands keeps its buffer alive only through `keep_alive` of Send.
class Socket {
 public:
  virtual ~Socket() = default;
  // One Send at a time: the next only after OnSent. The bytes must stay valid until OnSent, or, should the socket be
  // destroyed before that, are kept by holding `keep_alive` until the kernel is done with them.
  virtual void Send(std::span<const std::byte> bytes, std::shared_ptr<const void> keep_alive) = 0;
  // Stops (true) or goes on (false) to read, so that a peer who talks too much meets TCP's own back-pressure.
  virtual void PauseReading(bool pause) = 0;
  [[nodiscard]] virtual SocketAddress local() const = 0;
  [[nodiscard]] virtual SocketAddress remote() const = 0;
};

class Listener {
 public:
  virtual ~Listener() = default;                            // stops listening
  [[nodiscard]] virtual SocketAddress address() const = 0;  // with the port the system chose, if 0 was asked
};

class AcceptHandler {
 public:
  virtual ~AcceptHandler() = default;
  // The handler must call Attach on the socket before it returns, or drop it.
  virtual void OnAccepted(std::unique_ptr<class AcceptedSocket> socket) = 0;
};

class AcceptedSocket : public Socket {
 public:
  virtual void Attach(SocketHandler& handler) = 0;
};

class ReadinessHandler {
 public:
  virtual ~ReadinessHandler() = default;
  virtual void OnReady(bool readable, bool writable) = 0;
};

// A watch on a descriptor that somebody else owns; one-shot: Arm again after each OnReady. Destroying it cancels.
class Watch {
 public:
  virtual ~Watch() = default;
  virtual void Arm(bool readable, bool writable) = 0;
};

class Network {
 public:
  virtual ~Network() = default;
  // Starts to connect from local (its port 0: any) to remote. The handler outlives the socket. No time limit of its
  // own. An unusable local address or no descriptors left comes as OnConnected(errno), like every other failure.
  [[nodiscard]] virtual std::unique_ptr<Socket> Connect(const std::optional<IpAddress>& local,
                                                        const SocketAddress& remote, SocketHandler& handler) = 0;
  // reuse_port lets several loops listen on one address.
  [[nodiscard]] virtual Result<std::unique_ptr<Listener>> Listen(const SocketAddress& address, bool reuse_port,
                                                                 AcceptHandler& handler) = 0;
  [[nodiscard]] virtual std::unique_ptr<Watch> WatchDescriptor(int descriptor, ReadinessHandler& handler) = 0;
  // Whether connections can be made from this address now; the sentence says what is wrong. Asks the kernel: for when a
  // connect failed, not for each.
  [[nodiscard]] virtual Result<void> CheckLocal(const IpAddress& address) = 0;
  // Every address of this host's interfaces. Asks the kernel: now and then, not for each connect.
  [[nodiscard]] virtual std::vector<IpAddress> LocalAddresses() = 0;
};

}  // namespace postrider::io
