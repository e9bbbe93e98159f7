#include "engine/smtp/machine.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "engine/smtp/auth.h"

namespace postrider::smtp {
namespace {

// A string this large is given back once its content has left, so that one big message does not hold its memory for
// the life of the connection.
constexpr std::size_t kKeptCapacity = 256 << 10;

// The time-out for a block of content holds for so much of it: about 23 KB/s, the slowest peer worth a connection.
constexpr std::size_t kBlockBytes = 4 << 20;

}  // namespace

Stage StageOf(Command command) {
  switch (command) {
    case Command::kBanner:
      return Stage::kBanner;
    case Command::kEhlo:
    case Command::kHelo:
      return Stage::kEhlo;
    case Command::kStartTls:
      return Stage::kStartTls;
    case Command::kAuth:
    case Command::kAuthUser:
    case Command::kAuthSecret:
      return Stage::kAuth;
    case Command::kRset:
      return Stage::kIdle;
    case Command::kMail:
      return Stage::kMail;
    case Command::kRcpt:
      return Stage::kRcpt;
    case Command::kData:
      return Stage::kData;
    case Command::kContent:
    case Command::kEmptyContent:
      return Stage::kContent;
    case Command::kQuit:
      return Stage::kQuit;
  }
  return Stage::kNone;
}

Conversation::Machine::Machine(ConversationSettings settings, ConversationOwner& owner, Monotonic now)
    : settings_(std::move(settings)), owner_(owner), tls_(settings_.implicit_tls) {
  Expect(Command::kBanner, now);
}

Conversation::Machine::~Machine() { Wipe(settings_.auth_secret); }

ConversationState Conversation::Machine::state() const {
  switch (phase_) {
    case Phase::kOpening:
    case Phase::kTlsHandshake:
      return ConversationState::kOpening;
    case Phase::kOpen:
      return transactions_.empty() ? ConversationState::kReady : ConversationState::kBusy;
    case Phase::kQuitting:
      return ConversationState::kQuitting;
    case Phase::kClosed:
      break;
  }
  return ConversationState::kClosed;
}

void Conversation::Machine::Receive(std::string_view bytes, Monotonic now) {
  if (phase_ == Phase::kClosed || bytes.empty()) return;
  if (phase_ == Phase::kTlsHandshake) {
    return Close(ConversationEnd::Kind::kProtocol, Stage::kTls, nullptr,
                 "the server sent plaintext between its answer to STARTTLS and the TLS handshake");
  }
  std::size_t answerable = expected_.size();
  while (!bytes.empty()) {
    const ReplyParser::Progress progress = parser_.Feed(bytes);
    if (progress == ReplyParser::Progress::kMore) break;
    if (progress == ReplyParser::Progress::kBroken) {
      return Close(ConversationEnd::Kind::kProtocol, CurrentStage(), nullptr,
                   fmt::format("expected a reply, but the server sent {}", parser_.problem()));
    }
    const bool answers_auth = !expected_.empty() && StageOf(expected_.front()) == Stage::kAuth;
    const Reply hidden = answers_auth ? WithoutSecret(parser_.reply()) : Reply();
    const Reply& reply = answers_auth ? hidden : parser_.reply();
    owner_.Heard(reply);
    if (reply.code == 421 && phase_ != Phase::kQuitting) return OnServerClosing(reply);
    if (answerable == 0) {
      return Close(ConversationEnd::Kind::kProtocol, CurrentStage(), &reply,
                   fmt::format("the server sent a reply that no command asked for: {}", reply.code));
    }
    --answerable;
    const Command command = expected_.front();
    expected_.Pop();
    deadline_ = expected_.empty() ? Monotonic::max() : DeadlineOf(expected_.front(), now);
    OnReply(command, reply, now);
    if (phase_ == Phase::kClosed) return;
  }
  if (start_tls_accepted_) {
    start_tls_accepted_ = false;
    if (parser_.InReply()) {  // RFC 3207 section 6: somebody in between may have put it there
      return Close(ConversationEnd::Kind::kProtocol, Stage::kStartTls, nullptr,
                   "the server sent more plaintext behind its answer to STARTTLS");
    }
    phase_ = Phase::kTlsHandshake;
    deadline_ = now + settings_.timeouts.tls;
    return owner_.StartTls();
  }
  Advance(now);
  // Part of a reply that nothing asked for, most likely a 421: its rest must come in time.
  if (phase_ != Phase::kClosed && expected_.empty() && parser_.InReply()) deadline_ = now + settings_.timeouts.mail;
}

void Conversation::Machine::OnReply(Command command, const Reply& reply, Monotonic now) {
  switch (command) {
    case Command::kBanner:
      return OnBanner(reply, now);
    case Command::kEhlo:
      return OnEhlo(reply, now);
    case Command::kHelo:
      return OnHelo(reply, now);
    case Command::kStartTls:
      return OnStartTls(reply, now);
    case Command::kAuth:
    case Command::kAuthUser:
    case Command::kAuthSecret:
      return OnAuth(command, reply, now);
    case Command::kRset:
      return OnRset(reply);
    case Command::kMail:
      return OnMail(reply);
    case Command::kRcpt:
      return OnRcpt(reply);
    case Command::kData:
      return OnData(reply);
    case Command::kContent:
      return OnContent(reply);
    case Command::kEmptyContent:
      return OnEmptyContent(reply);
    case Command::kQuit:
      return Close(ConversationEnd::Kind::kQuit, Stage::kQuit, &reply, "closed by QUIT");
  }
}

// 421 speaks about the connection, whatever it answers (RFC 5321 section 4.2.3); only when it answers the content
// itself is it also the final word on the message.
void Conversation::Machine::OnServerClosing(const Reply& reply) {
  const Stage stage = CurrentStage();
  if (!transactions_.empty() && !transactions_.front().decided) {
    Transaction& oldest = transactions_.front();
    Decide(oldest, oldest.content_sent ? MessageEnd::kReplied : MessageEnd::kNotSent, stage, &reply);
  }
  Close(ConversationEnd::Kind::kServerClosing, stage, &reply,
        fmt::format("the server closes the connection: 421 {}", reply.text));
}

void Conversation::Machine::TlsReady(Monotonic now) {
  if (phase_ != Phase::kTlsHandshake) return;  // with implicit TLS the banner comes next in any case
  tls_ = true;
  phase_ = Phase::kOpening;
  offer_ = {};  // what was said in plaintext does not count (RFC 3207 section 4.2)
  SayEhlo(now);
}

void Conversation::Machine::TlsFailed(std::string problem) {
  if (phase_ == Phase::kClosed) return;
  Close(ConversationEnd::Kind::kBroken, Stage::kTls, nullptr, std::move(problem));
}

void Conversation::Machine::ConnectionLost(std::string problem) {
  if (phase_ == Phase::kClosed) return;
  if (phase_ == Phase::kQuitting) {
    return Close(ConversationEnd::Kind::kQuit, Stage::kQuit, nullptr, "closed by QUIT");
  }
  Close(ConversationEnd::Kind::kBroken, CurrentStage(), nullptr, std::move(problem));
}

void Conversation::Machine::Flushed(Monotonic now) {
  if (!out_.empty() || !std::exchange(content_unsent_, false)) return;
  if (out_.capacity() > kKeptCapacity) std::string().swap(out_);
  if (!expected_.empty() && StageOf(expected_.front()) == Stage::kContent) {
    deadline_ = DeadlineOf(expected_.front(), now);
  }
  Advance(now);  // an envelope may have waited for the content to leave
}

void Conversation::Machine::Tick(Monotonic now) {
  if (phase_ == Phase::kClosed || now < deadline_) return;
  if (phase_ == Phase::kQuitting) {
    return Close(ConversationEnd::Kind::kQuit, Stage::kQuit, nullptr,
                 "closed by QUIT, which the server did not answer");
  }
  const Stage stage = CurrentStage();
  Close(ConversationEnd::Kind::kTimedOut, stage, nullptr,
        content_unsent_ ? std::string("the server did not take the content in time")
                        : fmt::format("no answer in time at the stage {}", ToString(stage)));
}

void Conversation::Machine::Quit(Monotonic now) {
  switch (phase_) {
    case Phase::kOpening:
    case Phase::kTlsHandshake:
      return Close(ConversationEnd::Kind::kQuit, CurrentStage(), nullptr, "closed by us while opening");
    case Phase::kOpen:
      quit_wanted_ = true;
      return Advance(now);
    case Phase::kQuitting:
    case Phase::kClosed:
      return;
  }
}

void Conversation::Machine::Expect(Command command, Monotonic now) {
  if (expected_.empty()) deadline_ = DeadlineOf(command, now);
  expected_.Push() = command;
  TellSaid(command);
}

// The command has just been appended to out_.
void Conversation::Machine::TellSaid(Command command) {
  switch (command) {
    case Command::kBanner:
      return;
    case Command::kContent:
      return owner_.SaidContent(content_bytes_);
    case Command::kEmptyContent:
      return owner_.Said(".");
    case Command::kAuthUser:
      return owner_.Said("***");
    default:
      break;
  }
  std::string_view line = out_;
  line.remove_suffix(std::min<std::size_t>(line.size(), 2));
  line.remove_prefix(line.rfind('\n') + 1);  // npos + 1 is 0
  if (command == Command::kAuthSecret) return owner_.Said(line.starts_with("AUTH PLAIN ") ? "AUTH PLAIN ***" : "***");
  owner_.Said(line);
}

// What answers AUTH may repeat what was sent; nobody is to read it in a log.
Reply Conversation::Machine::WithoutSecret(Reply reply) const {
  const auto hide = [&reply](std::string_view secret) {
    if (secret.empty()) return;
    for (std::size_t at = 0; (at = reply.text.find(secret, at)) != std::string::npos; at += 3) {
      reply.text.replace(at, secret.size(), "***");
    }
  };
  std::string encoded;
  AppendPlainResponse(settings_.auth_user, settings_.auth_secret, encoded);
  hide(encoded);
  Wipe(encoded);
  AppendBase64(settings_.auth_secret, encoded);
  hide(encoded);
  Wipe(encoded);
  hide(settings_.auth_secret);
  return reply;
}

Monotonic Conversation::Machine::DeadlineOf(Command command, Monotonic now) const {
  const TimeoutOptions& timeouts = settings_.timeouts;
  switch (StageOf(command)) {
    case Stage::kBanner:
      return now + timeouts.banner;
    case Stage::kEhlo:
      return now + timeouts.ehlo;
    case Stage::kStartTls:
      return now + timeouts.tls;
    case Stage::kAuth:
      return now + timeouts.auth;
    case Stage::kData:
      return now + timeouts.data;
    case Stage::kContent:
      if (!content_unsent_) return now + timeouts.final_reply;
      return now + timeouts.block * static_cast<int>(1 + content_bytes_ / kBlockBytes);
    case Stage::kQuit:
      return now + timeouts.quit;
    default:
      return now + timeouts.mail;
  }
}

Stage Conversation::Machine::CurrentStage() const {
  if (phase_ == Phase::kTlsHandshake) return Stage::kTls;
  return expected_.empty() ? Stage::kIdle : StageOf(expected_.front());
}

void Conversation::Machine::CloseProtocol(Command command, const Reply& reply, std::string_view expected) {
  const Stage stage = StageOf(command);
  Close(ConversationEnd::Kind::kProtocol, stage, &reply,
        fmt::format("expected {} at the stage {}, but the server answered {} {}", expected, ToString(stage), reply.code,
                    reply.text));
}

void Conversation::Machine::Close(ConversationEnd::Kind kind, Stage stage, const Reply* reply, std::string problem) {
  phase_ = Phase::kClosed;
  end_.kind = kind;
  end_.stage = stage;
  if (reply != nullptr) end_.reply = *reply;
  end_.problem = std::move(problem);
  deadline_ = Monotonic::max();
  out_.clear();
  Wipe(settings_.auth_secret);

  Stage broke_at = stage;
  while (!transactions_.empty()) {
    Transaction& transaction = transactions_.front();
    if (!transaction.decided) {
      // Handed out is as good as sent: whether the last octet left, nobody can say.
      if (transaction.content_sent) {
        Decide(transaction, MessageEnd::kUnknown, Stage::kContent, nullptr);
      } else {
        Decide(transaction, MessageEnd::kNotSent, broke_at, nullptr);
      }
    }
    owner_.MessageDone(transaction.result);
    transactions_.Pop();
    broke_at = Stage::kMail;  // of the next one no reply has come yet
  }
}

}  // namespace postrider::smtp
