#include "engine/delivery/connection.h"

#include <fmt/format.h>

#include <algorithm>
#include <array>
#include <cstring>
#include <utility>

#include "config/check.h"
#include "engine/delivery/admission.h"
#include "engine/delivery/campaign_cache.h"
#include "engine/delivery/parts.h"
#include "engine/delivery/path.h"
#include "engine/delivery/settlement.h"
#include "engine/delivery/site.h"

namespace postrider::delivery {

Monotonic Connection::now() const { return parts_.now(); }

const smtp::ServerOffer* Connection::offer() const {
  return conversation_ == nullptr ? nullptr : &conversation_->offer();
}

void Connection::SetPhase(Phase phase) {
  if (phase_ == Phase::kIdle && phase != Phase::kIdle) LeaveIdle();
  phase_ = phase;
}

void Connection::Offer() {
  if (phase_ != Phase::kIdle) return;
  asked_ = false;
  Advance();
}

void Connection::Quit() {
  if (quitting_ || phase_ == Phase::kFinished) return;
  quitting_ = true;
  if (conversation_ == nullptr) return Finish();
  conversation_->Quit(now());
  Advance();
}

void Connection::Abort(std::string reason) {
  if (phase_ == Phase::kFinished) return;
  quitting_ = true;
  if (conversation_ == nullptr) return Finish();
  conversation_->ConnectionLost(std::move(reason));
  Advance();
  if (phase_ != Phase::kFinished) Close();
}

// ---- bytes

void Connection::OnReceived(std::span<const std::byte> bytes) {
  if (phase_ == Phase::kFinished) return;
  if (tls_ != nullptr) {
    HandleTls(tls_->Receive(bytes, plain_, buffers_->filling));
    if (!buffers_->filling.empty()) parts_.admission->MarkDirty(*this);
  } else if (conversation_ != nullptr) {
    conversation_->Receive({reinterpret_cast<const char*>(bytes.data()), bytes.size()}, now());
    Advance();
  }
}

void Connection::HandleTls(tls::TlsState state) {
  const bool failed = state == tls::TlsState::kFailed;
  if (failed && !tls_open_) return TlsBroke(tls_->problem());
  if (!tls_open_ && state == tls::TlsState::kOpen) {
    tls_open_ = true;
    const bool resumed = tls_->info().resumed;
    tls_fresh_ = !resumed;
    ++(resumed ? parts_.counts.handshakes_resumed : parts_.counts.handshakes_full);
    parts_.counts.tls_seconds.Observe(std::chrono::duration<double>(now() - tls_began_).count());
    Trace(TraceDirection::kNote, 0,
          fmt::format("{} {}{}", tls_->info().version, tls_->info().cipher, resumed ? ", resumed" : ""));
    parts_.settlement->TlsWorked(*this);
    if (conversation_ == nullptr) {
      BeginConversation();
    } else {
      conversation_->TlsReady(now());
    }
    Advance();
  }
  if (!plain_.empty() && conversation_ != nullptr && phase_ != Phase::kFinished) {
    // What was said before TLS broke was said: a 250 lost here would be a message sent twice. No next message goes.
    quitting_ |= failed && phase_ == Phase::kBusy;
    conversation_->Receive(plain_, now());
    parts_.buffers.Return(plain_);
    if (!failed) Advance();
  }
  if (failed && phase_ != Phase::kFinished) return TlsBroke(tls_->problem());
  if (state == tls::TlsState::kClosed && phase_ != Phase::kFinished) {
    if (conversation_ == nullptr) return TlsBroke("the server closed TLS during the handshake");
    conversation_->ConnectionLost("the server closed TLS");
    Advance();
  }
}

void Connection::TlsBroke(std::string problem) {
  tls_problem_ = std::move(problem);
  if (!tls_open_) ++parts_.counts.handshake_failures;
  if (conversation_ == nullptr) {
    parts_.settlement->TlsFailed(*this);
    HostFailed(Stage::kTls, tls_problem_);
    return Finish();
  }
  if (tls_open_) {
    conversation_->ConnectionLost(tls_problem_);
  } else {
    parts_.settlement->TlsFailed(*this);
    conversation_->TlsFailed(tls_problem_);
  }
  Advance();
}

void Connection::OnSent() {
  sending_ = false;
  parts_.buffers.Return(buffers_->sending);
  if (!buffers_->filling.empty()) return Flush();
  if (conversation_ == nullptr || phase_ == Phase::kFinished) return;
  conversation_->Flushed(now());
  Advance();
}

void Connection::OnClosed(int error) {
  std::string problem = error == 0 ? "the server closed the connection" : std::strerror(error);
  if (conversation_ == nullptr) {
    if (phase_ == Phase::kHandshaking) return TlsBroke(std::move(problem));
    return Finish();
  }
  if (tls_ != nullptr && !tls_open_) return TlsBroke(problem + " during the TLS handshake");
  conversation_->ConnectionLost(std::move(problem));
  Advance();
}

void Connection::TakeOutput() {
  std::string& out = conversation_->out();
  if (out.empty()) return;
  if (tls_ != nullptr) {
    parts_.buffers.Lend(buffers_->filling, out.size());
    tls_->Send(std::as_bytes(std::span(out)), buffers_->filling);
    parts_.buffers.Return(out);
  } else if (buffers_->filling.empty()) {
    std::swap(buffers_->filling, out);
  } else {
    buffers_->filling += out;
    parts_.buffers.Return(out);
  }
  parts_.admission->MarkDirty(*this);
}

void Connection::Flush() {
  if (sending_ || socket_ == nullptr || buffers_->filling.empty() || phase_ == Phase::kConnecting) return;
  std::swap(buffers_->filling, buffers_->sending);
  sending_ = true;
  parts_.counts.bytes_sent += buffers_->sending.size();
  socket_->Send(std::as_bytes(std::span(buffers_->sending)), buffers_);
}

// ---- the conversation

void Connection::Advance() {
  if (advancing_ || conversation_ == nullptr || phase_ == Phase::kFinished) return;
  advancing_ = true;
  for (bool again = true; again;) {
    again = false;
    TakeOutput();
    if (std::exchange(start_tls_, false)) BeginHandshake();
    switch (conversation_->state()) {
      case smtp::ConversationState::kOpening:
        break;
      case smtp::ConversationState::kReady:
        if (!std::exchange(opened_, true)) {
          transcript_.Opened();
          parts_.settlement->Opened(*this);
        }
        if (quitting_ || UsedUp()) {
          quitting_ = true;
          conversation_->Quit(now());
          again = conversation_->state() != smtp::ConversationState::kReady;
        } else if (!std::exchange(asked_, true)) {
          conversation_->Begin(now());
          again = true;
        } else {
          EnterIdle();
        }
        break;
      case smtp::ConversationState::kBusy:
        asked_ = false;
        SetPhase(Phase::kBusy);
        break;
      case smtp::ConversationState::kQuitting:
        SetPhase(Phase::kClosing);
        break;
      case smtp::ConversationState::kClosed:
        Close();
        break;
    }
  }
  advancing_ = false;
  ArmTimer();
}

void Connection::EnterIdle() {
  if (phase_ == Phase::kIdle) return;
  SetPhase(Phase::kIdle);
  idle_until_ = now() + path_.site.rule.idle;
  path_.idle.PushFront(*this);
  // Thousands may be idle at once; what the next message needs is soon made again.
  if (!sending_ && buffers_->filling.empty()) {
    std::string().swap(buffers_->filling);
    std::string().swap(buffers_->sending);
    std::string().swap(conversation_->out());
  }
  parts_.admission->ConnectionIdle(*this);
}

void Connection::LeaveIdle() {
  path_.idle.Remove(*this);
  parts_.admission->ConnectionLeftIdle(*this);
}

std::uint32_t Connection::MessagesMax() const {
  const auto most = static_cast<std::uint32_t>(path_.site.MessagesPerConnection(parts_.loop.now().wall));
  const std::uint32_t mail_max = conversation_ == nullptr ? 0 : conversation_->offer().mail_max;
  return mail_max == 0 ? most : std::min(most, mail_max);
}

std::optional<smtp::Envelope> Connection::NextMessage() {
  if (quitting_ || parts_.draining || UsedUp() || flight_count_ == flights_.size()) return std::nullopt;
  while (WindowJob* job = parts_.admission->Next(*this)) {
    const std::shared_ptr<const CompiledTemplate>& compiled = parts_.campaigns->TemplateOf(*job);
    if (compiled->content == nullptr) {
      parts_.settlement->CannotRender(*job, path_, compiled->problem);
      continue;
    }
    Flight& flight = flights_[(flight_front_ + flight_count_++) % flights_.size()];
    flight.job = job;
    flight.compiled = compiled;
    flight.started = parts_.loop.now();
    flight.number = ++messages_;
    flight.rendered = false;
    flight.render_problem.clear();
    transcript_.MessageBegins();
    ++parts_.counts.attempts;
    if (flight.number > 1) ++parts_.counts.messages_reusing;
    const queue::Job& of = job->job();
    const message::Template& content = *compiled->content;
    return smtp::Envelope{.from = job->lane->campaign->spec().envelope_from,
                          .to = of.address,
                          .size_estimate = SizeOf(flight),
                          .needs_8bit = content.needs_8bit(),
                          .needs_smtputf8 = of.needs_smtputf8 || content.needs_smtputf8()};
  }
  return std::nullopt;
}

// An upper estimate, unless the server's limit lies below it: then the size itself decides.
std::uint64_t Connection::SizeOf(const Flight& flight) const {
  const message::Template& content = *flight.compiled->content;
  const std::uint64_t estimate = content.EstimateSize(flight.job->job().fields);
  const std::uint64_t limit = conversation_->offer().size_limit;
  if (limit == 0 || estimate <= limit) return estimate;
  std::string rendered;
  const Result<void> done = content.Render(parts_.settlement->RenderJobOf(*flight.job, *flight.compiled), rendered);
  return done ? rendered.size() : estimate;
}

bool Connection::RenderContent(std::string& out) {
  for (std::size_t i = 0; i < flight_count_; ++i) {
    Flight& flight = flights_[(flight_front_ + i) % flights_.size()];
    if (flight.rendered) continue;
    flight.rendered = true;
    const message::Template& content = *flight.compiled->content;
    parts_.buffers.Lend(out, content.EstimateSize(flight.job->job().fields));
    const Result<void> rendered = content.Render(parts_.settlement->RenderJobOf(*flight.job, *flight.compiled), out);
    if (rendered) return true;
    ++parts_.counts.render_failures;
    flight.render_problem = rendered.error().message;
    return false;
  }
  return false;
}

void Connection::MessageDone(const smtp::MessageResult& result) {
  CHECK(flight_count_ != 0);
  Flight& flight = flights_[flight_front_];
  if (result.end == smtp::MessageEnd::kReplied && result.reply.code != 421) ++replied_;
  kept_ = false;
  // What speaks about our address or the sender is another's to judge; to MAIL nothing else can be answered.
  if (result.stage == Stage::kMail && result.reply.code >= 400) KeepFailure(result.stage, result.reply);
  // What a reply asks for may end this connection. It is left to whoever called the conversation and advances when that
  // returns: the message that ends here is still among the flights.
  const bool advancing = std::exchange(advancing_, true);
  parts_.settlement->MessageDone(*this, flight, result);
  advancing_ = advancing;
  // Of one that was sent whole and never answered, the end of the connection will tell.
  transcript_.MessageEnds(kept_ || result.end == smtp::MessageEnd::kUnknown ||
                          result.end == smtp::MessageEnd::kNotSent);
  flight.job = nullptr;
  flight.compiled.reset();
  flight_front_ = (flight_front_ + 1) % flights_.size();
  --flight_count_;
}

void Connection::StartTls() { start_tls_ = true; }

// ---- what an operator may see of it

void Connection::SaidContent(std::uint64_t bytes) {
  std::array<char, 64> text;
  const auto end = fmt::format_to_n(text.begin(), text.size(), "(content: {} bytes)", bytes).out;
  Trace(TraceDirection::kSent, 0, std::string_view(text.begin(), end));
}

void Connection::Trace(TraceDirection direction, int code, std::string_view text) {
  transcript_.Add(now(), direction, code, text);
  if (parts_.traces.watching()) parts_.traces.Pass(TracePlaceOf(), parts_.loop.now().wall, direction, code, text);
}

TracePlace Connection::TracePlaceOf() const {
  return {path_.site.name, path_.source.name, path_.site.target.hosts[host_].name, remote_text_, id_};
}

void Connection::KeepFailure(std::string_view problem) {
  kept_ = true;
  parts_.traces.Failed(TracePlaceOf(), parts_.loop.now().wall, problem, transcript_);
}

void Connection::KeepFailure(Stage stage, const Reply& reply) {
  KeepFailure(fmt::format("{}: {} {}", ToString(stage), reply.code, reply.text));
}

// ---- the end

void Connection::Close() {
  // The conversation has ended every message it held; this is for the case that it did not.
  while (flight_count_ != 0) {
    smtp::MessageResult result;
    result.end = flights_[flight_front_].rendered ? smtp::MessageEnd::kUnknown : smtp::MessageEnd::kNotSent;
    MessageDone(result);
  }
  const smtp::ConversationEnd& end = conversation_->end();
  if (!end.problem.empty()) Trace(TraceDirection::kNote, 0, end.problem);
  if (Failed(end)) KeepFailure(end.problem);
  parts_.settlement->ConnectionEnded(*this, end);
  Finish();
}

// Servers may close idle connections as they like, and so may we.
bool Connection::Failed(const smtp::ConversationEnd& end) const {
  using Kind = smtp::ConversationEnd::Kind;
  if (end.kind == Kind::kQuit) return false;
  const bool closed_idle = end.stage == Stage::kIdle && (end.kind == Kind::kServerClosing || end.kind == Kind::kBroken);
  return !(closed_idle && (quitting_ || replied_ > 0));
}

void Connection::Finish() {
  if (phase_ == Phase::kFinished) return;
  // A QUIT, or the notice of a TLS failure, may still stand in the buffer.
  if (!sending_ && socket_ != nullptr && phase_ != Phase::kConnecting) Flush();
  SetPhase(Phase::kFinished);
  timer_.Cancel();
  *alive_ = nullptr;
  socket_.reset();
  parts_.admission->ConnectionFinished(*this);
}

// ---- time

void Connection::ArmTimer() {
  if (phase_ == Phase::kFinished) return;
  if (phase_ == Phase::kIdle) return ArmAt(idle_until_);
  if (conversation_ != nullptr) ArmAt(conversation_->deadline());
}

void Connection::ArmAt(Monotonic due) {
  // A deadline that moves away, as it does with each flight, costs nothing: the timer comes too early once in a while
  // and looks again.
  const bool looks_again = phase_ == Phase::kIdle || conversation_ != nullptr;
  if (due == Monotonic::max() || (looks_again && timer_.set() && timer_due_ <= due)) return;
  timer_due_ = due;
  parts_.loop.timers().Set(timer_, due);
}

void Connection::OnTimer() {
  const Monotonic due = std::exchange(timer_due_, Monotonic::max());
  switch (phase_) {
    case Phase::kResolving:
      if (now() < due) return ArmAt(due);
      HostFailed(Stage::kDns, "the resolver gave no answer");
      return NextHost();
    case Phase::kConnecting:
      return ConnectFailed("no answer", false);
    case Phase::kHandshaking:
      return TlsBroke("no answer during the TLS handshake");
    case Phase::kIdle:
      if (now() >= idle_until_) return Quit();
      return ArmTimer();
    case Phase::kFinished:
      return;
    case Phase::kOpening:
    case Phase::kBusy:
    case Phase::kClosing:
      if (now() >= conversation_->deadline()) {
        conversation_->Tick(now());
        return Advance();
      }
      return ArmTimer();
  }
}

}  // namespace postrider::delivery
