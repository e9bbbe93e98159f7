#pragma once
// The server's side of one SMTP conversation, sans-io: bytes in, replies and a next step out. Owned by a connection, of
// its core's thread. Plays the personality and the settings of its receiver; keeps to RFC 5321 where a client's mistake
// would show (sequence, synchronisation, line ends). No allocation per message once its strings have grown.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/time.h"
#include "tools/sink/content.h"
#include "tools/sink/counts.h"
#include "tools/sink/receiver.h"
#include "tools/sink/refusals.h"
#include "tools/sink/tally.h"

namespace postrider::sink {

struct TlsFacts {
  bool on = false;
  bool resumed = false;
};

struct AcceptedRecipient {
  std::string address;  // its domain in lower case
  Tally::Key key;
  std::uint32_t attempt = 0;   // the n-th RCPT for this address
  std::uint32_t accepted = 0;  // the n-th message accepted for it
};

// Valid during the call only.
struct AcceptedMessage {
  const Receiver& receiver;
  std::uint64_t connection = 0;
  std::uint32_t nth_on_connection = 0;
  std::string_view client;
  std::string_view from;
  std::string_view auth_user;
  std::span<const AcceptedRecipient> recipients;
  std::uint64_t bytes = 0;
  bool by_bdat = false;
  TlsFacts tls;
  Wall time{};
  std::string_view content;  // the whole message if contents are wanted, else its first 16 KB
};

class MessageObserver {
 public:
  virtual ~MessageObserver() = default;
  virtual void OnAccepted(const AcceptedMessage& message) = 0;
};

// What the sessions of one core share.
struct SessionContext {
  Tally& tally;
  MessageObserver* observer = nullptr;
  bool whole_content = false;  // the observer wants more than the head
  std::size_t held_bytes = 0;  // of contents being received
  std::size_t held_bytes_max = 0;
  std::uint64_t seed = 1;
  Monotonic epoch{};      // times in the tally count from here
  bool draining = false;  // no new transactions
};

class Session {
 public:
  enum class Step : std::uint8_t {
    kGoOn,
    kStartTls,    // send the replies, then speak TLS; call TlsOpened once it stands
    kClose,       // send the replies, close
    kLinger,      // the same, but the client may still be talking: let it finish reading first
    kReset,       // throw the replies away, close with RST
    kStall,       // send the replies, then nothing any more; input is to be read and dropped
    kStallUnread  // the same, but stop to read
  };

  Session(const Receiver& receiver, Counts& counts, SessionContext& context, std::uint64_t connection,
          std::string_view client);
  ~Session();
  Session(const Session&) = delete;
  Session& operator=(const Session&) = delete;

  // The banner. too_many: the receiver's connection cap is passed. With implicit TLS, after TlsOpened. From here on the
  // connection counts for the limits of its client, until a step ends it or the session is destroyed.
  Step Start(Now now, bool too_many, std::string& out);
  // Takes the whole of input; replies are appended to out. Not to be called again after any step but kGoOn, kStartTls.
  Step Receive(std::string_view input, Now now, std::string& out);
  void TlsOpened(bool resumed);

  // Between transactions, so that a shutting-down receiver may close.
  [[nodiscard]] bool idle() const { return mode_ == Mode::kCommand && !in_transaction_; }
  // 421 for a receiver that shuts down.
  void SayGoodbye(std::string& out) const;

 private:
  enum class Mode : std::uint8_t { kCommand, kData, kChunk, kAuthPlain, kAuthLoginUser, kAuthLoginPassword };
  enum class Hello : std::uint8_t { kNone, kHelo, kEhlo };

  Step TakeLine();
  Step TakeData();
  Step TakeChunk();
  Step Command(std::string_view line);
  Step DoHello(std::string_view name, bool extended);
  Step DoMail(std::string_view arguments);
  Step DoRcpt(std::string_view arguments);
  Step DoData();
  Step DoBdat(std::string_view arguments);
  Step DoStartTls(std::string_view arguments);
  Step DoAuth(std::string_view arguments);
  Step AuthLine(std::string_view line);
  Step CheckCredentials(std::string_view user, std::string_view password);
  // Empty: all parameters are known, offered and within limits.
  [[nodiscard]] std::string_view MailParametersProblem(std::string_view parameters);
  [[nodiscard]] bool RcptParametersOffered(std::string_view parameters) const;

  Step EndOfMessage();
  Step Accept();
  Step EndOfChunk();
  void Capture(std::string_view bytes);
  void ForgetTransaction();
  void DropContent();

  // Of the limits of a client: null, or the refusal.
  [[nodiscard]] const ReplyText* CountConnection();
  [[nodiscard]] const ReplyText* CountMessage(Point point);
  void StopCounting();
  Step Play(const ReplyText& reply, std::string_view to = {});  // a 421 ends the conversation
  Step Say(std::string_view reply);
  Step SayError(std::string_view reply);  // counts; too many end the conversation
  Step Refuse(const Ruling& ruling, std::string_view to);
  [[nodiscard]] bool Hits(Point point) const;
  Step Break();

  [[nodiscard]] const Offer& offer() const { return tls_.on ? receiver_.in_tls : receiver_.in_the_clear; }
  [[nodiscard]] const Behaviour& behaviour() const { return receiver_.options.behaviour; }
  // Input that a client may only send after our reply.
  [[nodiscard]] bool TalksEarly() const { return !input_.empty() && !(hello_ == Hello::kEhlo && offer().pipelining); }
  [[nodiscard]] std::uint32_t SinceEpoch() const;
  [[nodiscard]] ReplyFields Fields(std::string_view to) const;

  const Receiver& receiver_;
  Counts& counts_;
  SessionContext& context_;
  const std::uint64_t connection_;
  std::string client_;
  std::optional<Fault> fault_;

  // Of the call in progress.
  std::string_view input_;
  std::string* out_ = nullptr;
  Now now_{};

  Mode mode_ = Mode::kCommand;
  Hello hello_ = Hello::kNone;
  TlsFacts tls_;
  std::string line_;  // the part of a line that came so far
  std::string hello_name_;
  std::string date_;
  std::string login_user_;
  std::string auth_user_;  // empty: not authenticated
  std::uint32_t errors_ = 0;
  std::uint32_t auth_failures_ = 0;
  std::uint32_t messages_ = 0;  // accepted on this connection
  bool counted_open_ = false;   // by the limits of a client

  // The transaction.
  bool in_transaction_ = false;
  bool utf8_ = false;
  bool by_bdat_ = false;
  bool bdat_failed_ = false;     // further chunks are read and refused
  bool content_failed_ = false;  // too large
  bool no_room_ = false;         // contents held in memory at their limit
  std::string id_;
  std::string from_;
  std::vector<AcceptedRecipient> recipients_;  // the first recipient_count_ are of this transaction
  std::size_t recipient_count_ = 0;
  Ruling ruling_;  // of the content
  std::size_t ruled_recipient_ = 0;
  DataScanner scanner_;
  std::uint64_t chunk_left_ = 0;
  bool chunk_is_last_ = false;
  std::uint64_t chunked_bytes_ = 0;
  std::string content_;   // captured for the observer
  std::size_t held_ = 0;  // of context_.held_bytes
};

}  // namespace postrider::sink
