#pragma once
// One accepted connection: socket, TLS and session put together. Owned by its core (core.h), of its thread. Replies
// gather while input is read and leave in one Send at the end of the loop's turn, or after the receiver's delay.

#include <cstddef>
#include <deque>
#include <memory>
#include <optional>
#include <span>
#include <string>

#include "engine/io/network.h"
#include "engine/io/timer_wheel.h"
#include "engine/tls/tls.h"
#include "tools/sink/counts.h"
#include "tools/sink/receiver.h"
#include "tools/sink/session.h"

namespace postrider::sink {

class Connection;

// What a core does for its connections.
class ConnectionHost {
 public:
  virtual ~ConnectionHost() = default;
  [[nodiscard]] virtual Now now() const = 0;
  [[nodiscard]] virtual io::TimerWheel& timers() = 0;
  [[nodiscard]] virtual std::unique_ptr<tls::TlsStream> AcceptTls() = 0;
  // Calls Flush at the end of this turn.
  virtual void FlushLater(Connection& connection) = 0;
  // The connection has ended; it is destroyed at the end of this turn.
  virtual void Ended(Connection& connection) = 0;
  // Scratch of the core, empty when handed out: decrypted input, and replies.
  [[nodiscard]] virtual std::string& plain() = 0;
  [[nodiscard]] virtual std::string& replies() = 0;
};

class Connection final : public io::SocketHandler {
 public:
  Connection(ConnectionHost& host, const Receiver& receiver, Counts& counts, SessionContext& context,
             std::uint64_t number, std::unique_ptr<io::AcceptedSocket> socket, bool too_many);

  // Once the host knows it: the banner, or the first step of TLS.
  void Start();
  void Flush();
  // The receiver shuts down: 421 if between transactions.
  void Goodbye();

  [[nodiscard]] const Receiver& receiver() const { return receiver_; }

 private:
  friend class Core;

  void OnConnected(int error) override;
  void OnReceived(std::span<const std::byte> bytes) override;
  void OnSent() override;
  void OnClosed(int error) override;

  enum class Ending : std::uint8_t {
    kNone,
    kWhenSent,
    kLinger,  // when sent, and the client has read it, or a second has passed
    kStalled  // only the client or the deadline ends it
  };

  void OnPlain(std::string_view bytes);
  void Obey(Session::Step step, std::string& replies);
  void Put(std::string_view replies);
  void ScheduleReplies();
  void OnDelayOver();
  void OnDeadline();
  void StartEnding(Ending ending);
  void SendReady(std::size_t bytes);
  void ResumeReading();
  void End();

  ConnectionHost& host_;
  const Receiver& receiver_;
  Counts& counts_;
  std::unique_ptr<io::AcceptedSocket> socket_;
  Session session_;
  std::unique_ptr<tls::TlsStream> tls_;
  const bool too_many_;

  std::string wire_;                        // to be sent, as it goes over the network
  std::shared_ptr<std::string> in_flight_;  // with the kernel
  bool sending_ = false;
  bool flush_pending_ = false;
  bool reading_paused_ = false;
  Ending ending_ = Ending::kNone;

  struct Held {
    Monotonic due;
    std::size_t bytes;
  };
  std::deque<Held> held_;                 // parts of wire_ that the delay holds back, oldest first
  std::size_t held_bytes_ = 0;            // their sum; they are the end of wire_ ...
  std::size_t scheduled_ = 0;             // ... up to this size of it
  std::optional<io::Timer> delay_timer_;  // only where there is a delay
  io::Timer deadline_;
  Monotonic last_activity_{};
  std::size_t place_ = 0;  // in the core's list
};

}  // namespace postrider::sink
