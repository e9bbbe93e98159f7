#pragma once
// The state behind a Conversation. Its methods stand in three files: machine.cc (bytes, deadlines, the end),
// opening.cc (banner to AUTH) and transactions.cc (messages).
//
// Every command written goes into `expected_`, and a reply answers the oldest one there. Replies that arrive in one
// Receive can only answer commands written before it; so what they lead to is written after all of them have been
// read, and one reply too many is noticed even if it came in the same packet.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "config/check.h"
#include "engine/smtp/conversation.h"
#include "engine/smtp/reply_parser.h"

namespace postrider::smtp {

// First in, first out, of at most N.
template <typename T, std::size_t N>
class SmallQueue {
 public:
  [[nodiscard]] bool empty() const { return size_ == 0; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] bool full() const { return size_ == N; }
  [[nodiscard]] T& front() { return items_[head_]; }
  [[nodiscard]] const T& front() const { return items_[head_]; }
  [[nodiscard]] T& back() { return items_[(head_ + size_ - 1) % N]; }
  // The new last item, as it was left by its last user: its strings keep their capacity.
  T& Push() {
    CHECK(size_ < N);
    ++size_;
    return back();
  }
  void Pop() {
    CHECK(size_ > 0);
    head_ = (head_ + 1) % N;
    --size_;
  }

 private:
  std::array<T, N> items_{};
  std::size_t head_ = 0;
  std::size_t size_ = 0;
};

enum class Command : std::uint8_t {
  kBanner,  // none of ours: the server speaks first
  kEhlo,
  kHelo,
  kStartTls,
  kAuth,
  kAuthUser,    // the answer to LOGIN's first challenge is outstanding
  kAuthSecret,  // the last line of AUTH has been sent
  kRset,
  kMail,
  kRcpt,
  kData,
  kContent,
  kEmptyContent,  // the lone dot that DATA's 354 demands when no recipient was accepted (RFC 2920 section 3.1)
  kQuit,
};

[[nodiscard]] Stage StageOf(Command command);

// A message between NextMessage and MessageDone.
struct Transaction {
  enum class Due : std::uint8_t { kNothing, kMail, kRcpt, kData, kContent, kEmptyContent };

  Envelope envelope;
  MessageResult result;
  bool decided = false;  // result is final, though replies may be outstanding
  bool mail_accepted = false;
  bool rcpt_accepted = false;
  bool content_sent = false;  // its final dot has been handed out
  int awaited = 0;            // replies outstanding
  Due due = Due::kNothing;    // what is to be written next
};

class Conversation::Machine {
 public:
  Machine(ConversationSettings settings, ConversationOwner& owner, Monotonic now);
  ~Machine();

  void Receive(std::string_view bytes, Monotonic now);
  void Begin(Monotonic now);
  void TlsReady(Monotonic now);
  void TlsFailed(std::string problem);
  void ConnectionLost(std::string problem);
  void Flushed(Monotonic now);
  void Tick(Monotonic now);
  void Quit(Monotonic now);

  [[nodiscard]] ConversationState state() const;
  [[nodiscard]] const ConversationEnd& end() const { return end_; }
  [[nodiscard]] const ServerOffer& offer() const { return offer_; }
  [[nodiscard]] Monotonic deadline() const { return deadline_; }
  [[nodiscard]] bool tls() const { return tls_; }
  [[nodiscard]] std::uint64_t messages() const { return messages_; }
  [[nodiscard]] std::string& out() { return out_; }

 private:
  enum class Phase : std::uint8_t { kOpening, kTlsHandshake, kOpen, kQuitting, kClosed };

  // machine.cc
  void OnReply(Command command, const Reply& reply, Monotonic now);
  void OnServerClosing(const Reply& reply);
  void Expect(Command command, Monotonic now);
  void TellSaid(Command command);
  [[nodiscard]] Reply WithoutSecret(Reply reply) const;
  [[nodiscard]] Monotonic DeadlineOf(Command command, Monotonic now) const;
  [[nodiscard]] Stage CurrentStage() const;
  void Close(ConversationEnd::Kind kind, Stage stage, const Reply* reply, std::string problem);
  void CloseProtocol(Command command, const Reply& reply, std::string_view expected);

  // opening.cc
  void OnBanner(const Reply& reply, Monotonic now);
  void OnEhlo(const Reply& reply, Monotonic now);
  void OnHelo(const Reply& reply, Monotonic now);
  void OnStartTls(const Reply& reply, Monotonic now);
  void OnAuth(Command command, const Reply& reply, Monotonic now);
  void SayEhlo(Monotonic now);
  void ContinueOpening(Monotonic now);
  void Authenticate(Monotonic now);
  void Refused(Stage stage, const Reply& reply);
  [[nodiscard]] bool TlsDemanded() const;

  // transactions.cc
  void OnRset(const Reply& reply);
  void OnMail(const Reply& reply);
  void OnRcpt(const Reply& reply);
  void OnData(const Reply& reply);
  void OnContent(const Reply& reply);
  void OnEmptyContent(const Reply& reply);
  void AnsweredEarly(ConversationEnd::Kind kind, const Reply& reply);
  void Advance(Monotonic now);
  void WriteDue(Monotonic now);
  void WriteEnvelope(Transaction& transaction, Monotonic now);
  void WriteMail(Transaction& transaction, Monotonic now);
  void WriteContent(Monotonic now);
  void WriteFinalDot(Command command, Monotonic now);
  [[nodiscard]] bool StartNext(Monotonic now);
  [[nodiscard]] bool MayStartNext() const;
  void Decide(Transaction& transaction, MessageEnd end, Stage stage, const Reply* reply);
  void FinishDecided();
  void SayQuit(Monotonic now);
  [[nodiscard]] bool Pipelining() const { return offer_.pipelining && settings_.pipelining_allowed; }

  ConversationSettings settings_;
  ConversationOwner& owner_;
  Phase phase_ = Phase::kOpening;
  bool tls_ = false;
  bool start_tls_accepted_ = false;
  bool may_have_next_ = false;  // the owner has not said nullopt since the last Begin
  bool quit_wanted_ = false;
  bool needs_rset_ = false;      // a transaction was begun and neither ended nor reset
  bool content_unsent_ = false;  // content stands in out_, or did and Flushed has not come
  ReplyParser parser_;
  ServerOffer offer_;
  // At most: content of one message; RSET, MAIL, RCPT and DATA of the next.
  SmallQueue<Command, 8> expected_;
  SmallQueue<Transaction, 2> transactions_;
  std::uint64_t messages_ = 0;
  std::size_t content_bytes_ = 0;  // of the content in flight
  Monotonic deadline_ = Monotonic::max();
  std::string out_;
  ConversationEnd end_;
};

}  // namespace postrider::smtp
