// The flow of a conversation: lines, contents, replies, faults. The commands are in session_commands.cc.

#include "tools/sink/session.h"

#include <fmt/chrono.h>
#include <fmt/format.h>

#include <algorithm>
#include <chrono>
#include <iterator>
#include <utility>

#include "config/check.h"
#include "tools/sink/hash.h"
#include "tools/sink/path.h"

namespace postrider::sink {
namespace {

// RFC 4954 section 4 asks for room for 12288 octets in AUTH; every other line is far shorter.
constexpr std::size_t kLineMax = 12288 + 2;
// Header enough to find a Message-ID in, for records without contents.
constexpr std::size_t kHeadBytes = 16 << 10;
// How far a client may talk past the size limit, waiting for its end, before it is cut off.
constexpr std::uint64_t kOvershootBytes = 64u << 20;
constexpr std::uint32_t kErrorsMax = 20;
// Kept between messages; a larger buffer goes back to the system.
constexpr std::size_t kContentKept = 64 << 10;

enum Salt : std::uint64_t { kFaultSalt = 100 };

std::optional<Fault> PickFault(const Behaviour& behaviour, std::uint64_t seed, std::uint64_t nth_connection) {
  for (std::size_t i = 0; i < behaviour.faults.size(); ++i) {
    const std::uint64_t draw = Draw(Mix(seed ^ kMixA, nth_connection + kMixB), kFaultSalt + i);
    if (Within(draw, behaviour.faults[i].share)) return behaviour.faults[i];
  }
  return std::nullopt;
}

}  // namespace

Session::Session(const Receiver& receiver, Counts& counts, SessionContext& context, std::uint64_t connection,
                 std::string_view client)
    : receiver_(receiver),
      counts_(counts),
      context_(context),
      connection_(connection),
      client_(client),
      fault_(PickFault(receiver.options.behaviour, context.seed + receiver.index, counts.connections)) {
  ++counts_.connections;
  fmt::format_to(std::back_inserter(id_), "{:x}", connection_);
}

Session::~Session() {
  StopCounting();
  DropContent();
}

Session::Step Session::Start(Now now, bool too_many, std::string& out) {
  now_ = now;
  out_ = &out;
  if (too_many) {
    ++counts_.connections_refused;
    return Play(receiver_.personality.too_many_connections);
  }
  if (const ReplyText* refusal = CountConnection()) {
    Play(*refusal);
    return Step::kLinger;  // closed whatever the code is
  }
  if (Hits(Point::kBanner)) return Break();
  date_ = fmt::format(
      "{:%a, %d %b %Y %H:%M:%S +0000}",
      fmt::gmtime(std::chrono::system_clock::to_time_t(std::chrono::floor<std::chrono::seconds>(now.wall))));
  return Play(receiver_.personality.banner);
}

Session::Step Session::Receive(std::string_view input, Now now, std::string& out) {
  input_ = input;
  now_ = now;
  out_ = &out;
  Step step = Step::kGoOn;
  while (step == Step::kGoOn && !input_.empty()) {
    switch (mode_) {
      case Mode::kData:
        step = TakeData();
        break;
      case Mode::kChunk:
        step = TakeChunk();
        break;
      default:
        step = TakeLine();
    }
  }
  input_ = {};
  if (step == Step::kClose || step == Step::kLinger || step == Step::kReset) StopCounting();
  return step;
}

const ReplyText* Session::CountConnection() {
  if (receiver_.limits == nullptr) return nullptr;
  const Personality& personality = receiver_.personality;
  switch (receiver_.limits->Connect(client_, receiver_.index, now_.monotonic)) {
    case Passed::kConnections:
      ++counts_.connections_over_limit;
      return &personality.too_many_connections;
    case Passed::kSiteConnections:
      ++counts_.site_connections_over_limit;
      return &personality.too_many_connections;
    case Passed::kConnects:
      ++counts_.connects_over_limit;
      return &personality.too_many_connects;
    default:
      counted_open_ = true;
      return nullptr;
  }
}

// Where this personality refuses what comes too fast; elsewhere nothing is counted.
const ReplyText* Session::CountMessage(Point point) {
  const Personality& personality = receiver_.personality;
  if (receiver_.limits == nullptr || point != personality.too_many_messages_at) return nullptr;
  const Passed passed = receiver_.limits->Message(client_, now_.monotonic);
  if (passed == Passed::kNothing) return nullptr;
  ++(passed == Passed::kPenalty ? counts_.refused_in_penalty : counts_.messages_over_limit);
  return &personality.too_many_messages;
}

void Session::StopCounting() {
  if (std::exchange(counted_open_, false)) receiver_.limits->Disconnected(client_, receiver_.index);
}

void Session::TlsOpened(bool resumed) {
  tls_ = {true, resumed};
  hello_ = Hello::kNone;  // RFC 3207 section 4.2: what was said before is forgotten
  auth_user_.clear();
  line_.clear();
  ForgetTransaction();
}

void Session::SayGoodbye(std::string& out) const {
  fmt::format_to(std::back_inserter(out), "421 4.3.2 {} shutting down\r\n", receiver_.personality.host);
}

Session::Step Session::TakeLine() {
  const std::size_t newline = input_.find('\n');
  const std::string_view piece = input_.substr(0, newline == std::string_view::npos ? newline : newline + 1);
  if (line_.size() + piece.size() > kLineMax) {
    ++counts_.protocol_errors;
    Say("500 5.5.6 Line too long");
    return Step::kLinger;
  }
  input_.remove_prefix(piece.size());
  if (newline == std::string_view::npos) {
    line_ += piece;
    return Step::kGoOn;
  }
  std::string_view line = piece;
  if (!line_.empty()) {
    line_ += piece;
    line = line_;
  }
  line.remove_suffix(1);
  Step step = Step::kGoOn;
  if (!line.ends_with('\r') || line.find('\r') + 1 != line.size() || line.find('\0') != std::string_view::npos) {
    step = SayError("500 5.5.2 Syntax error: a line ends in CRLF and holds no other CR, LF or NUL");
  } else {
    line.remove_suffix(1);
    step = mode_ == Mode::kCommand ? Command(line) : AuthLine(line);
  }
  line_.clear();
  return step;
}

Session::Step Session::TakeData() {
  if (Hits(Point::kContent)) return Break();
  const DataScanner::Progress progress = scanner_.Feed(input_);
  Capture(input_.substr(0, progress.consumed));
  input_.remove_prefix(progress.consumed);
  // Until its end is known, the last bytes may be those of the terminator.
  constexpr std::uint64_t kTerminator = 5;
  const std::uint64_t limit = receiver_.message_limit_bytes + (progress.done ? 0 : kTerminator);
  if (scanner_.bytes() > limit) content_failed_ = true;
  if (!progress.done) {
    if (scanner_.bytes() <= receiver_.message_limit_bytes + kOvershootBytes) return Step::kGoOn;
    ++counts_.refused_permanent;
    Say("552 5.3.4 Message size exceeds fixed limit");
    return Step::kLinger;
  }
  mode_ = Mode::kCommand;
  if (TalksEarly()) {
    ++counts_.protocol_errors;
    Say("554 5.5.0 SMTP synchronization error: input before the reply to the content");
    return Step::kLinger;
  }
  return EndOfMessage();
}

Session::Step Session::TakeChunk() {
  if (!bdat_failed_ && Hits(Point::kContent)) return Break();
  const std::size_t size = static_cast<std::size_t>(std::min<std::uint64_t>(chunk_left_, input_.size()));
  if (!bdat_failed_) Capture(input_.substr(0, size));
  input_.remove_prefix(size);
  chunk_left_ -= size;
  chunked_bytes_ += size;
  if (chunked_bytes_ > receiver_.message_limit_bytes) content_failed_ = true;
  if (chunk_left_ == 0) return EndOfChunk();
  if (chunked_bytes_ <= receiver_.message_limit_bytes + kOvershootBytes) return Step::kGoOn;
  ++counts_.refused_permanent;
  Say("552 5.3.4 Message size exceeds fixed limit");
  return Step::kLinger;
}

Session::Step Session::EndOfChunk() {
  mode_ = Mode::kCommand;
  if (bdat_failed_) {
    const bool no_recipients = in_transaction_ && recipient_count_ == 0;
    if (chunk_is_last_) ForgetTransaction();
    return Say(no_recipients ? "554 5.5.1 No valid recipients" : "503 5.5.1 Bad sequence of commands");
  }
  if (chunk_is_last_) return EndOfMessage();
  if (content_failed_) {
    bdat_failed_ = true;
    ++counts_.refused_permanent;
    return Say("552 5.3.4 Message size exceeds fixed limit");
  }
  return Say("250 2.0.0 Chunk received");
}

Session::Step Session::EndOfMessage() {
  Step step = Step::kGoOn;
  if (content_failed_) {
    ++counts_.refused_permanent;
    step = Say("552 5.3.4 Message size exceeds fixed limit");
  } else if (no_room_) {
    ++counts_.refused_temporary;
    step = Say("452 4.3.1 Insufficient system storage");
  } else if (const ReplyText* refusal = CountMessage(Point::kFinal)) {
    step = Play(*refusal, recipients_[0].address);
  } else if (ruling_.kind != Ruling::Kind::kAccept) {
    step = Refuse(ruling_, recipients_[ruled_recipient_].address);
  } else {
    step = Accept();
  }
  ForgetTransaction();
  return step;
}

Session::Step Session::Accept() {
  const bool hit = Hits(Point::kFinal);
  const std::uint64_t bytes = by_bdat_ ? chunked_bytes_ : scanner_.bytes();
  if (counts_.messages++ == 0) counts_.first_message = now_.monotonic;
  counts_.last_message = now_.monotonic;
  counts_.recipients += recipient_count_;
  counts_.bytes += bytes;
  if (by_bdat_) ++counts_.messages_by_bdat;
  if (!by_bdat_ && scanner_.has_bare_lf()) ++counts_.messages_with_bare_lf;
  ++messages_;
  const std::span recipients = std::span(recipients_).first(recipient_count_);
  for (AcceptedRecipient& recipient : recipients) {
    recipient.accepted = context_.tally.CountAccepted(recipient.key, receiver_.index);
  }
  if (context_.observer != nullptr) {
    if (!by_bdat_ && context_.whole_content) {
      content_.resize(content_.size() - 3);  // the dot and its CRLF; the CRLF before them is the message's own
      Unstuff(content_);
    }
    context_.observer->OnAccepted({receiver_, connection_, messages_, client_, from_, auth_user_, recipients, bytes,
                                   by_bdat_, tls_, now_.wall, content_});
  }
  if (hit) return Break();
  const Personality& personality = receiver_.personality;
  ReplyFields fields = Fields({});
  fields.bytes = bytes;
  personality.message_accepted.Append(*out_, fields);
  return Step::kGoOn;
}

void Session::Capture(std::string_view bytes) {
  if (context_.observer == nullptr) return;
  if (!context_.whole_content) {
    if (content_.size() < kHeadBytes) content_ += bytes.substr(0, kHeadBytes - content_.size());
    return;
  }
  if (content_failed_ || no_room_) return;
  if (context_.held_bytes + bytes.size() > context_.held_bytes_max) {
    no_room_ = true;
    return;
  }
  context_.held_bytes += bytes.size();
  held_ += bytes.size();
  content_ += bytes;
}

void Session::ForgetTransaction() {
  DropContent();
  in_transaction_ = false;
  utf8_ = false;
  by_bdat_ = false;
  bdat_failed_ = false;
  content_failed_ = false;
  no_room_ = false;
  from_.clear();
  recipient_count_ = 0;
  ruling_ = {};
  chunk_left_ = 0;
  chunked_bytes_ = 0;
}

void Session::DropContent() {
  context_.held_bytes -= held_;
  held_ = 0;
  content_.clear();
  if (content_.capacity() > kContentKept) content_.shrink_to_fit();
}

Session::Step Session::Play(const ReplyText& reply, std::string_view to) {
  reply.Append(*out_, Fields(to));
  constexpr int kClosing = 421;  // RFC 5321 section 4.2.1: the channel closes
  return reply.code() == kClosing ? Step::kLinger : Step::kGoOn;
}

Session::Step Session::Say(std::string_view reply) {
  *out_ += reply;
  *out_ += "\r\n";
  return Step::kGoOn;
}

Session::Step Session::SayError(std::string_view reply) {
  ++counts_.protocol_errors;
  if (++errors_ > kErrorsMax) {
    Say("421 4.7.0 Too many errors, closing connection");
    return Step::kLinger;
  }
  return Say(reply);
}

Session::Step Session::Refuse(const Ruling& ruling, std::string_view to) {
  const Personality& personality = receiver_.personality;
  const bool permanent = ruling.kind == Ruling::Kind::kPermanent;
  ++(permanent ? counts_.refused_permanent : counts_.refused_temporary);
  if (ruling.kind == Ruling::Kind::kGreylist) {
    ++counts_.greylisted;
    return Play(personality.greylisted, to);
  }
  const Personality::Refusals& clear = permanent ? personality.permanent : personality.temporary;
  const Personality::Refusals& wild = permanent ? personality.permanent_wild : personality.temporary_wild;
  const std::vector<ReplyText>& texts = ruling.at_content ? clear.at_content : clear.at_rcpt;
  const std::vector<ReplyText>& more = ruling.at_content ? wild.at_content : wild.at_rcpt;
  const std::size_t choices = texts.size() + (behaviour().wild_replies ? more.size() : 0);
  CHECK(choices != 0);
  const std::size_t choice = ruling.variant % choices;
  return Play(choice < texts.size() ? texts[choice] : more[choice - texts.size()], to);
}

bool Session::Hits(Point point) const {
  if (!fault_ || fault_->point != point) return false;
  return point == Point::kBanner || point == Point::kEhlo || messages_ + 1 == fault_->nth_message;
}

Session::Step Session::Break() {
  ++counts_.faults;
  switch (fault_->kind) {
    case Fault::Kind::kReset:
      return Step::kReset;
    case Fault::Kind::kClose:
      return Step::kClose;
    case Fault::Kind::kStall:
      break;
  }
  return fault_->point == Point::kContent ? Step::kStallUnread : Step::kStall;
}

std::uint32_t Session::SinceEpoch() const {
  // 49 days until it wraps; only differences are used.
  return static_cast<std::uint32_t>(
      std::chrono::duration_cast<std::chrono::milliseconds>(now_.monotonic - context_.epoch).count());
}

ReplyFields Session::Fields(std::string_view to) const {
  return {id_, from_, to, client_, receiver_.personality.host, hello_name_, date_, 0};
}

}  // namespace postrider::sink
