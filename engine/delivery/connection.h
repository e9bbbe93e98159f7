#pragma once
// One SMTP connection of a path: finds an address (MX hosts in order, each one's addresses in order), connects, runs
// TLS and the conversation, and keeps one timer at whatever deadline is next. Bytes collect in one buffer while the
// kernel sends the other, so a turn costs at most one send. It decides nothing about mail: Admission gives it messages,
// Settlement hears what became of them and why the connection ended. Single-threaded.

#include <array>
#include <cstdint>
#include <deque>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/options.h"
#include "config/reply.h"
#include "config/time.h"
#include "engine/delivery/intrusive_list.h"
#include "engine/delivery/trace_book.h"
#include "engine/delivery/transcript.h"
#include "engine/delivery/window.h"
#include "engine/dns/resolver.h"
#include "engine/io/network.h"
#include "engine/smtp/conversation.h"
#include "engine/tls/tls.h"

namespace postrider::delivery {

struct LeaseEntry;
struct Parts;
struct Path;

// A message with the conversation.
struct Flight {
  WindowJob* job = nullptr;
  std::shared_ptr<const CompiledTemplate> compiled;
  Now started{};
  std::uint32_t number = 0;  // on this connection, from 1
  bool rendered = false;
  std::string render_problem;
};

class Connection final : public io::SocketHandler, public smtp::ConversationOwner {
 public:
  enum class Phase : std::uint8_t {
    kResolving,
    kConnecting,
    kHandshaking,  // implicit TLS, before the conversation
    kOpening,      // banner to AUTH
    kIdle,
    kBusy,
    kClosing,
    kFinished,
  };

  Connection(Parts& parts, Path& path, LeaseEntry& pool_lease, std::uint64_t id);
  ~Connection() override;
  Connection(const Connection&) = delete;
  Connection& operator=(const Connection&) = delete;

  void Dial();
  // There may be a message for it.
  void Offer();
  // No further message; closes once what is in flight has ended.
  void Quit();
  // Ends it now; what is in flight ends as the conversation says.
  void Abort(std::string reason);
  // Hands what has collected to the socket; once a turn.
  void Flush();
  // What passed here is kept for `postrider trace --last`: it failed, or was refused for what is no recipient's fault.
  void KeepFailure(Stage stage, const Reply& reply);

  [[nodiscard]] Phase phase() const { return phase_; }
  [[nodiscard]] Path& path() const { return path_; }
  // Of the pool for whose mail it was opened.
  [[nodiscard]] LeaseEntry& pool_lease() const { return pool_lease_; }
  [[nodiscard]] std::uint64_t id() const { return id_; }
  [[nodiscard]] std::size_t host() const { return host_; }
  [[nodiscard]] bool opened() const { return opened_; }
  [[nodiscard]] bool quitting() const { return quitting_; }
  [[nodiscard]] Monotonic dialled_at() const { return dialled_at_; }
  [[nodiscard]] std::uint32_t messages() const { return messages_; }
  [[nodiscard]] std::uint32_t replied() const { return replied_; }
  // Messages that it may still take.
  [[nodiscard]] std::uint32_t remaining() const { return quitting_ || UsedUp() ? 0 : MessagesMax() - messages_; }
  // When it began to be made.
  [[nodiscard]] Monotonic began() const { return round_began_; }
  [[nodiscard]] std::size_t in_flight() const { return flight_count_; }
  [[nodiscard]] const std::string& remote_address() const { return remote_text_; }
  [[nodiscard]] const std::string& local_address() const { return local_text_; }
  [[nodiscard]] const tls::TlsStream* tls() const { return tls_.get(); }
  [[nodiscard]] bool tls_fresh() const { return tls_fresh_; }
  [[nodiscard]] const std::string& tls_problem() const { return tls_problem_; }
  [[nodiscard]] TlsDemand demand() const { return demand_; }
  [[nodiscard]] const smtp::ServerOffer* offer() const;
  // It sends in flights, not in lock-step.
  [[nodiscard]] bool pipelines() const { return pipelining_allowed_ && offer() != nullptr && offer()->pipelining; }

  // io::SocketHandler
  void OnConnected(int error) override;
  void OnReceived(std::span<const std::byte> bytes) override;
  void OnSent() override;
  void OnClosed(int error) override;

  // smtp::ConversationOwner
  std::optional<smtp::Envelope> NextMessage() override;
  bool RenderContent(std::string& out) override;
  void MessageDone(const smtp::MessageResult& result) override;
  void StartTls() override;
  void Said(std::string_view line) override { Trace(TraceDirection::kSent, 0, line); }
  void SaidContent(std::uint64_t bytes) override;
  void Heard(const Reply& reply) override { Trace(TraceDirection::kReceived, reply.code, reply.text); }

  ListLink<Connection> path_link;          // of the path's connections
  ListLink<Connection> idle_link;          // of the path's idle ones
  ListLink<Connection> core_link;          // of all the core's connections
  ListLink<Connection> core_idle_link;     // of the core's idle ones, the one idle longest in front
  ListLink<Connection> account_idle_link;  // of the idle ones of its account
  ListLink<Connection> dirty_link;         // has bytes to send
  ListLink<Connection> finished_link;      // to be destroyed at the end of the turn

 private:
  struct Buffers {
    std::string filling;
    std::string sending;
  };

  void NextHost();
  void OnAddresses(const dns::AddressAnswer& answer);
  void NextAddress();
  void HostFailed(Stage stage, std::string problem);
  void ConnectFailed(std::string problem, bool somebody_is_there);
  void HostWaitsForSource();
  void BeginHandshake();
  void BeginConversation();
  void HandleTls(tls::TlsState state);
  void TlsBroke(std::string problem);
  void Advance();
  void TakeOutput();
  void EnterIdle();
  void LeaveIdle();
  void SetPhase(Phase phase);
  void Close();
  void Finish();
  void OnTimer();
  void ArmTimer();
  void ArmAt(Monotonic due);
  [[nodiscard]] std::uint32_t MessagesMax() const;
  [[nodiscard]] std::uint64_t SizeOf(const Flight& flight) const;
  [[nodiscard]] bool UsedUp() const { return messages_ >= MessagesMax(); }
  void Trace(TraceDirection direction, int code, std::string_view text);
  void KeepFailure(std::string_view problem);
  [[nodiscard]] TracePlace TracePlaceOf() const;
  [[nodiscard]] bool Failed(const smtp::ConversationEnd& end) const;
  [[nodiscard]] Monotonic now() const;

  Parts& parts_;
  Path& path_;
  LeaseEntry& pool_lease_;
  const std::uint64_t id_;
  Phase phase_ = Phase::kResolving;

  // Dialling
  std::vector<std::size_t> host_order_;
  std::size_t host_place_ = 0;  // next in host_order_
  std::size_t host_ = 0;
  std::vector<IpAddress> addresses_;
  std::size_t address_place_ = 0;
  int addresses_tried_ = 0;
  Monotonic round_began_{};
  Monotonic dialled_at_{};  // when this host's turn began
  Monotonic connect_began_{};
  std::string connect_problem_;
  std::shared_ptr<Connection*> alive_;  // what a pending DNS answer looks at

  // Established
  std::unique_ptr<io::Socket> socket_;
  std::unique_ptr<tls::TlsStream> tls_;
  std::unique_ptr<smtp::Conversation> conversation_;
  std::shared_ptr<Buffers> buffers_;
  bool sending_ = false;
  bool start_tls_ = false;
  bool tls_open_ = false;
  bool tls_fresh_ = false;  // its handshake was not a resumption's
  bool opened_ = false;     // the conversation got through
  bool asked_ = false;      // was offered a message since it became ready
  bool quitting_ = false;
  bool advancing_ = false;
  bool pipelining_allowed_ = true;
  TlsDemand demand_ = TlsDemand::kOpportunistic;
  Monotonic tls_began_{};
  std::string tls_problem_;
  std::string plain_;
  std::string remote_text_;
  std::string local_text_;
  Monotonic idle_until_{};

  // The conversation has at most two messages open; there is room for windows to come.
  std::array<Flight, 4> flights_;
  std::size_t flight_front_ = 0;
  std::size_t flight_count_ = 0;
  std::uint32_t messages_ = 0;
  std::uint32_t replied_ = 0;  // messages a reply was given to
  bool kept_ = false;          // what was said of the message that now ends
  Transcript transcript_;

  io::Timer timer_;
  Monotonic timer_due_ = Monotonic::max();
};

}  // namespace postrider::delivery
