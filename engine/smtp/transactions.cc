// Messages: which commands of which message go into the next flight, and what their replies decide.

#include <algorithm>
#include <string>
#include <utility>

#include <fmt/format.h>

#include "engine/smtp/dot_stuff.h"
#include "engine/smtp/envelope.h"
#include "engine/smtp/machine.h"

namespace postrider::smtp {
namespace {

// A fresh socket takes so much at once (twice the initial window of ten segments, and change). Behind more than that
// the next envelope waits until the content has left; else its few bytes could be what the socket still holds when the
// answer to the content comes, which would look early.
constexpr std::size_t kOneFlightBytes = 64 << 10;

}  // namespace

void Conversation::Machine::Begin(Monotonic now) {
  if (phase_ == Phase::kClosed || phase_ == Phase::kQuitting) return;
  may_have_next_ = true;
  Advance(now);
}

// ---- replies

void Conversation::Machine::OnRset(const Reply& reply) {
  if (reply.code >= 300) return CloseProtocol(Command::kRset, reply, "250 to RSET");
  needs_rset_ = false;
}

void Conversation::Machine::OnMail(const Reply& reply) {
  Transaction& message = transactions_.front();
  --message.awaited;
  if (reply.code >= 400) {
    Decide(message, MessageEnd::kReplied, Stage::kMail, &reply);
  } else if (reply.code >= 300) {
    return CloseProtocol(Command::kMail, reply, "250");
  } else {
    message.mail_accepted = true;
    needs_rset_ = true;
    if (message.awaited == 0) message.due = Transaction::Due::kRcpt;
  }
  FinishDecided();
}

void Conversation::Machine::OnRcpt(const Reply& reply) {
  Transaction& message = transactions_.front();
  --message.awaited;
  if (reply.code >= 300 && reply.code < 400) return CloseProtocol(Command::kRcpt, reply, "250");
  if (!message.decided) {
    if (reply.code >= 400) {
      Decide(message, MessageEnd::kReplied, Stage::kRcpt, &reply);
    } else {
      message.rcpt_accepted = true;
      if (message.awaited == 0) message.due = Transaction::Due::kData;
    }
  }
  FinishDecided();
}

void Conversation::Machine::OnData(const Reply& reply) {
  Transaction& message = transactions_.front();
  --message.awaited;
  if (reply.code == 354) {
    // Even with no recipient accepted, the server now reads content up to a dot (RFC 2920 section 3.1).
    message.due = message.decided ? Transaction::Due::kEmptyContent : Transaction::Due::kContent;
    return;
  }
  if (reply.code < 400) return CloseProtocol(Command::kData, reply, "354");
  if (!message.decided) Decide(message, MessageEnd::kReplied, Stage::kData, &reply);
  FinishDecided();
}

void Conversation::Machine::OnContent(const Reply& reply) {
  Transaction& message = transactions_.front();
  --message.awaited;
  if (reply.code >= 300 && reply.code < 400) return CloseProtocol(Command::kContent, reply, "250");
  // Nobody takes what has not come: a delivery it cannot be.
  if (content_unsent_ && reply.code < 300) return AnsweredEarly(ConversationEnd::Kind::kProtocol, reply);
  Decide(message, MessageEnd::kReplied, Stage::kContent, &reply);
  if (content_unsent_) return AnsweredEarly(ConversationEnd::Kind::kAborted, reply);
  needs_rset_ = false;
  FinishDecided();
}

void Conversation::Machine::OnEmptyContent(const Reply& reply) {
  Transaction& message = transactions_.front();
  --message.awaited;
  if (reply.code >= 300 && reply.code < 400) return CloseProtocol(Command::kEmptyContent, reply, "a reply to the dot");
  if (content_unsent_) return AnsweredEarly(ConversationEnd::Kind::kProtocol, reply);
  needs_rset_ = false;
  FinishDecided();
}

// Whether the server reads the rest as content or as commands, nobody can say; in the second case its replies to them
// would be charged to the next message. So there is none.
void Conversation::Machine::AnsweredEarly(ConversationEnd::Kind kind, const Reply& reply) {
  Close(kind, Stage::kContent, &reply,
        fmt::format("the server answered before the content had been sent: {} {}", reply.code, reply.text));
}

void Conversation::Machine::Decide(Transaction& transaction, MessageEnd end, Stage stage, const Reply* reply) {
  transaction.decided = true;
  transaction.result.end = end;
  transaction.result.stage = stage;
  if (reply != nullptr) {
    transaction.result.reply = *reply;
  } else {
    transaction.result.reply.code = 0;
    transaction.result.reply.enhanced.reset();
    transaction.result.reply.text.clear();
  }
}

// The oldest first: one that was decided without a word on the wire waits for those before it.
void Conversation::Machine::FinishDecided() {
  while (!transactions_.empty()) {
    const Transaction& oldest = transactions_.front();
    if (!oldest.decided || oldest.awaited > 0 || oldest.due != Transaction::Due::kNothing) return;
    owner_.MessageDone(oldest.result);
    transactions_.Pop();
  }
}

// ---- flights

void Conversation::Machine::Advance(Monotonic now) {
  if (phase_ != Phase::kOpen) return;
  // Half a reply stands there that no command asked for. Whatever it becomes, the connection ends with it.
  if (expected_.empty() && parser_.InReply()) return;
  WriteDue(now);
  while (phase_ == Phase::kOpen && MayStartNext()) {
    if (!StartNext(now)) break;
  }
  if (phase_ != Phase::kOpen || !transactions_.empty()) return;
  const bool used_up = offer_.mail_max > 0 && messages_ >= offer_.mail_max;
  if (quit_wanted_ || used_up) SayQuit(now);
}

bool Conversation::Machine::MayStartNext() const {
  if (!may_have_next_ || quit_wanted_ || (offer_.mail_max > 0 && messages_ >= offer_.mail_max)) return false;
  if (transactions_.empty()) return true;
  // Behind content that has left, or leaves in one piece with it.
  if (content_unsent_ && (out_.empty() || content_bytes_ > kOneFlightBytes)) return false;
  const bool behind_content =
      !expected_.empty() && (expected_.front() == Command::kContent || expected_.front() == Command::kEmptyContent);
  return Pipelining() && !transactions_.full() && behind_content && expected_.size() == 1;
}

// Asks the owner once. True: it gave a message, which may have ended at once as unsupported.
bool Conversation::Machine::StartNext(Monotonic now) {
  const std::optional<Envelope> envelope = owner_.NextMessage();
  if (!envelope) {
    may_have_next_ = false;
    return false;
  }
  Transaction& message = transactions_.Push();
  message.envelope = *envelope;
  message.result.bytes = 0;
  message.decided = false;
  message.mail_accepted = false;
  message.rcpt_accepted = false;
  message.content_sent = false;
  message.awaited = 0;
  message.due = Transaction::Due::kNothing;
  if (std::optional<std::string> why = WhyUnsupported(*envelope, offer_)) {
    Decide(message, MessageEnd::kUnsupported, Stage::kMail, nullptr);
    message.result.reply.text = std::move(*why);
    FinishDecided();
    return true;
  }
  ++messages_;
  WriteEnvelope(message, now);
  return true;
}

void Conversation::Machine::WriteEnvelope(Transaction& message, Monotonic now) {
  if (needs_rset_ && transactions_.size() == 1) {
    out_.append("RSET\r\n");
    Expect(Command::kRset, now);
    if (!Pipelining()) {
      message.due = Transaction::Due::kMail;
      return;
    }
  }
  WriteMail(message, now);
  if (!Pipelining()) return;
  AppendRcpt(message.envelope, out_);
  Expect(Command::kRcpt, now);
  out_.append("DATA\r\n");
  Expect(Command::kData, now);
  message.awaited += 2;
}

void Conversation::Machine::WriteMail(Transaction& message, Monotonic now) {
  AppendMail(message.envelope, offer_, out_);
  Expect(Command::kMail, now);
  ++message.awaited;
}

void Conversation::Machine::WriteDue(Monotonic now) {
  if (transactions_.empty() || !expected_.empty()) return;
  Transaction& message = transactions_.front();
  switch (std::exchange(message.due, Transaction::Due::kNothing)) {
    case Transaction::Due::kNothing:
      return;
    case Transaction::Due::kMail:
      return WriteMail(message, now);
    case Transaction::Due::kRcpt:
      AppendRcpt(message.envelope, out_);
      ++message.awaited;
      return Expect(Command::kRcpt, now);
    case Transaction::Due::kData:
      out_.append("DATA\r\n");
      ++message.awaited;
      return Expect(Command::kData, now);
    case Transaction::Due::kContent:
      return WriteContent(now);
    case Transaction::Due::kEmptyContent:
      content_bytes_ = 0;
      return WriteFinalDot(Command::kEmptyContent, now);
  }
}

void Conversation::Machine::WriteContent(Monotonic now) {
  Transaction& message = transactions_.front();
  // All that was written before has been answered, so out_ is empty unless its owner never took it; then the content
  // is made apart.
  std::string apart;
  std::string& content = out_.empty() ? out_ : apart;
  if (!owner_.RenderContent(content)) {
    return Close(ConversationEnd::Kind::kAborted, Stage::kContent, nullptr,
                 "closed by us: a message could not be rendered after DATA was accepted");
  }
  DotStuff(content);
  if (!content.empty() && !content.ends_with('\n')) content.append("\r\n");
  message.result.bytes = content.size();
  message.content_sent = true;
  content_bytes_ = content.size();
  if (&content != &out_) out_.append(content);
  WriteFinalDot(Command::kContent, now);
}

void Conversation::Machine::WriteFinalDot(Command command, Monotonic now) {
  out_.append(".\r\n");
  ++transactions_.front().awaited;
  content_unsent_ = true;
  Expect(command, now);
}

void Conversation::Machine::SayQuit(Monotonic now) {
  out_.append("QUIT\r\n");
  phase_ = Phase::kQuitting;
  Expect(Command::kQuit, now);
}

}  // namespace postrider::smtp
