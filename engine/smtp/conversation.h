#pragma once
// One SMTP client conversation, sans-io: bytes and deadlines in, bytes and results out (RFC 5321, 2920, 3207, 4954,
// 1870, 6152, 6531). The owner (engine/delivery's Connection) moves the bytes, runs TLS, and keeps one timer at
// deadline(). Flights are chosen from this connection's own EHLO: with PIPELINING, content and final dot of one message
// go with MAIL, RCPT and DATA of the next in one flight, one round trip a message; without it, lock-step. A reply is
// charged to the command it answers; a reply nobody asked for, or one too long, ends the conversation. Never reads a
// clock. Allocates nothing for a message once its strings have grown.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "config/options.h"
#include "config/reply.h"
#include "config/time.h"

namespace postrider::smtp {

struct Envelope {
  std::string_view from{};          // without angle brackets; empty is the null reverse-path
  std::string_view to{};            // one recipient
  std::uint64_t size_estimate = 0;  // for SIZE (RFC 1870); 0: not known
  bool needs_8bit = false;          // content has octets over 127
  bool needs_smtputf8 = false;      // an address or header does
};

enum class MessageEnd : std::uint8_t {
  kReplied,      // result.reply decides, at result.stage; 2xx at kContent means delivered
  kNotSent,      // the message was not sent whole, and nothing was said about it: the connection's fault, not its own.
                 // reply is empty, or the 421 that ended the connection
  kUnknown,      // sent to the last byte, the final reply never came
  kUnsupported,  // this server cannot take it: SMTPUTF8, 8BITMIME, SIZE, or an address that cannot go on the wire;
                 // result.reply.text says which, in our words; reply.code is 0. Nothing of it was sent
};

struct MessageResult {
  MessageEnd end = MessageEnd::kNotSent;
  Stage stage = Stage::kNone;  // what the reply answers, or where it broke
  Reply reply{};
  std::uint64_t bytes = 0;  // of content, as sent (dot-stuffed, without the final dot)
};

// What the conversation asks of its owner, and tells it. Implemented by delivery's Connection. The calls come from
// inside Receive, Begin, Flushed and Tick, and may not call back into the conversation, but for reading.
class ConversationOwner {
 public:
  virtual ~ConversationOwner() = default;
  // The next admitted message, or nullopt: nothing now. The views stay valid until its MessageDone. At most two are
  // open at once (one whose content is in flight, one whose envelope is); they end in the order they were given.
  virtual std::optional<Envelope> NextMessage() = 0;
  // Appends the content of the oldest open message to content, which is empty but may have capacity: CRLF lines, not
  // dot-stuffed (the conversation does that), without the final dot. False: it cannot be rendered. By then DATA has
  // been accepted, and only closing the connection takes that back: MessageDone(kNotSent) and the end (kAborted)
  // follow.
  virtual bool RenderContent(std::string& content) = 0;
  // In the order of NextMessage, once for each. Asked again at the next chance, without a Begin, until NextMessage says
  // nullopt; after that Begin tells that there may be one.
  virtual void MessageDone(const MessageResult& result) = 0;
  // STARTTLS was accepted: run a handshake, then call TlsReady or TlsFailed. Bytes received so far were plaintext and
  // are all consumed: anything after the reply in the same read has been refused (RFC 3207 section 6, injection).
  virtual void StartTls() = 0;
  // What passes, for who wants to see it; nothing has to be done about it. The views end with the call. Said: a command
  // line, without its end; of AUTH nothing but the mechanism is shown, secrets stand as ***.
  virtual void Said(std::string_view /*line*/) {}
  virtual void SaidContent(std::uint64_t /*bytes*/) {}
  virtual void Heard(const Reply& /*reply*/) {}
};

enum class ConversationState : std::uint8_t {
  kOpening,  // banner, EHLO, STARTTLS, AUTH
  kReady,    // idle: a message may be started with Begin
  kBusy,     // messages in flight
  kQuitting,
  kClosed,  // close the socket; end() says why
};

// Why a conversation closed.
struct ConversationEnd {
  enum class Kind : std::uint8_t {
    kQuit,             // as asked, or after as many messages as the server takes (LIMITS MAILMAX)
    kServerClosing,    // 421, at any stage
    kRefused,          // banner, EHLO, AUTH or STARTTLS answered with a failure
    kTimedOut,         // the deadline of `stage` passed
    kBroken,           // the network or TLS closed under us
    kProtocol,         // a reply that nothing asked for, malformed, or too long
    kTlsUnavailable,   // TLS is demanded and not offered
    kAuthUnavailable,  // no mechanism of ours is offered, or only without TLS
    kAborted,          // we broke off: a message could not be rendered after DATA was accepted, or was refused before
                       // its content had been sent
  };
  Kind kind = Kind::kQuit;
  Stage stage = Stage::kNone;
  Reply reply;          // of the server, where there was one
  std::string problem;  // a sentence for a person
};

struct ServerOffer {  // what the last EHLO offered
  bool esmtp = false;
  bool pipelining = false;
  bool chunking = false;
  bool eight_bit_mime = false;
  bool smtp_utf8 = false;
  bool start_tls = false;
  bool enhanced_codes = false;
  bool auth_plain = false;
  bool auth_login = false;
  bool size = false;             // SIZE, with or without a limit
  std::uint64_t size_limit = 0;  // 0: none given
  std::uint32_t mail_max = 0;    // LIMITS MAILMAX (RFC 9422); 0: none given
  std::string host;              // first word of the EHLO reply
};

struct ConversationSettings {
  std::string ehlo_name;
  // kNone: stay in plaintext. kOpportunistic: STARTTLS if offered. kRequired, kVerified: STARTTLS or end.
  TlsDemand tls = TlsDemand::kOpportunistic;
  bool implicit_tls = false;       // TLS is up before the banner
  bool pipelining_allowed = true;  // false towards a server that broke under it
  std::string auth_user;           // empty: no AUTH
  std::string auth_secret;
  RouteOptions::AuthMechanism auth_mechanism = RouteOptions::AuthMechanism::kPlain;
  bool auth_without_tls = false;
  TimeoutOptions timeouts;
};

class Conversation {
 public:
  // now starts the banner's deadline. settings are copied.
  Conversation(ConversationSettings settings, ConversationOwner& owner, Monotonic now);
  ~Conversation();

  // Plaintext from the server. What is to be sent is appended to out().
  void Receive(std::string_view bytes, Monotonic now);
  // There may be a message. In kReady: asks the owner for it and starts it. In kBusy: at the next chance, which may be
  // now. In kOpening: once open.
  void Begin(Monotonic now);
  void TlsReady(Monotonic now);
  void TlsFailed(std::string problem);
  // The socket broke or was closed by the peer.
  void ConnectionLost(std::string problem);
  // Everything in out() has been taken by the socket, so the block deadline becomes the reply deadline, and an answer
  // to the content is no longer early. May append to out(): an envelope waits for large content to leave.
  void Flushed(Monotonic now);
  // Call when deadline() has passed.
  void Tick(Monotonic now);
  // QUIT once idle; with messages in flight, after them; while opening, closes at once.
  void Quit(Monotonic now);

  [[nodiscard]] ConversationState state() const;
  [[nodiscard]] const ConversationEnd& end() const;  // once closed
  [[nodiscard]] const ServerOffer& offer() const;
  [[nodiscard]] Monotonic deadline() const;      // Monotonic::max() if nothing is awaited
  [[nodiscard]] bool tls() const;                // over TLS now
  [[nodiscard]] std::uint64_t messages() const;  // transactions begun
  // Plaintext to send; the owner takes it (and encrypts it), leaving it empty with its capacity. Empty once closed.
  [[nodiscard]] std::string& out();

 private:
  class Machine;
  std::unique_ptr<Machine> machine_;
};

}  // namespace postrider::smtp
