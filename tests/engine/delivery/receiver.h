#pragma once
// A scripted SMTP server in the virtual network: speaks the protocol over the stand-in for TLS, answers by its script,
// and records what it took. Its sessions are driven by FakeLoop's sockets.

#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/ip_address.h"
#include "config/time.h"
#include "tests/engine/delivery/host.h"

namespace postrider::delivery {

struct ReceivedMessage {
  std::string from;
  std::string to;
  std::string content;
  std::uint64_t session = 0;
  std::uint32_t number = 0;  // on its session, from 1
  std::string client;        // the address it came from
  bool tls = false;
  Monotonic time{};
};

// Instead of a reply.
inline constexpr std::string_view kReset = "!reset";  // the connection breaks
inline constexpr std::string_view kStall = "!stall";  // nothing more is said
// Behind a reply: it is followed, in the same bytes, by what breaks TLS.
inline constexpr std::string_view kThenBrokenTls = "!broken-tls";

struct ReceiverScript {
  bool listening = true;  // false: connection refused
  bool silent = false;    // no answer to the connect at all
  std::chrono::microseconds round_trip{1000};
  std::chrono::microseconds sending{0};  // until the client hears that its bytes have left
  std::string banner = "220 mx ESMTP";
  std::vector<std::string> extensions = {"PIPELINING", "8BITMIME", "SMTPUTF8", "SIZE 50000000", "ENHANCEDSTATUSCODES"};
  std::string ehlo;  // instead of these; HELO is understood in any case
  bool offers_tls = true;
  bool implicit_tls = false;               // from the first byte, as on port 465
  std::string auth;                        // the one AUTH PLAIN argument that is accepted, in base64
  bool tls_broken = false;                 // the handshake fails
  std::uint32_t messages_per_session = 0;  // then 421 to MAIL; 0: no cap
  // Replies; empty: the positive one. The argument is the session's message, as far as it is known.
  std::function<std::string(const ReceivedMessage&)> on_mail;
  std::function<std::string(const ReceivedMessage&)> on_rcpt;
  std::function<std::string(const ReceivedMessage&)> on_content;
};

class Receiver final : public Host {
 public:
  [[nodiscard]] Reach reach() const override {
    return {.listening = script.listening,
            .silent = script.silent,
            .round_trip = script.round_trip,
            .sending = script.sending};
  }
  [[nodiscard]] std::unique_ptr<ServerEnd> Accept(std::string client, const Now& now) override;

  ReceiverScript script;
  bool keep_content = true;

  std::vector<ReceivedMessage> taken;  // 250 was said to them
  std::uint64_t sessions = 0;
  std::uint64_t handshakes = 0;
  std::uint64_t flights = 0;  // MAIL commands that came with more behind them
  std::uint64_t open = 0;
  std::uint64_t most_open = 0;
  std::uint64_t authenticated = 0;
};

class ReceiverSession final : public ServerEnd {
 public:
  ReceiverSession(Receiver& receiver, std::string client);
  ~ReceiverSession() override;

  [[nodiscard]] bool Open(const Now& now, std::string& out) override;
  [[nodiscard]] bool Receive(std::string_view bytes, const Now& now, std::string& out) override;
  [[nodiscard]] bool reset() const override { return reset_; }

 private:
  [[nodiscard]] bool Line(std::string_view line, Monotonic now, std::string& out);
  [[nodiscard]] bool Say(std::string_view scripted, std::string_view usual, std::string& out);
  [[nodiscard]] bool Content(Monotonic now, std::string& out);

  Receiver& receiver_;
  std::string client_;
  std::uint64_t id_;
  std::string in_;
  ReceivedMessage message_;
  std::uint32_t messages_ = 0;
  bool mail_ = false;
  bool rcpt_ = false;
  bool data_ = false;
  bool tls_ = false;
  bool handshaking_ = false;
  bool greeted_ = false;
  bool authenticated_ = false;
  bool stalled_ = false;
  bool reset_ = false;
};

}  // namespace postrider::delivery
