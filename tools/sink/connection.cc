#include "tools/sink/connection.h"

#include <chrono>
#include <utility>

#include "config/check.h"
#include "tools/sink/hard_reset.h"

namespace postrider::sink {
namespace {

using std::chrono::milliseconds;
using std::chrono::minutes;
using std::chrono::seconds;

constexpr minutes kIdle{5};      // RFC 5321 section 4.5.3.2.7
constexpr minutes kStalled{20};  // longer than any client waits: the final reply's ten minutes, doubled
constexpr seconds kLinger{1};
// A client that sends commands and reads no replies meets its own back-pressure here.
constexpr std::size_t kUnsentMax = 256 << 10;
constexpr std::size_t kWireKept = 64 << 10;

std::string_view AsText(std::span<const std::byte> bytes) {
  return {reinterpret_cast<const char*>(bytes.data()), bytes.size()};
}

}  // namespace

Connection::Connection(ConnectionHost& host, const Receiver& receiver, Counts& counts, SessionContext& context,
                       std::uint64_t number, std::unique_ptr<io::AcceptedSocket> socket, bool too_many)
    : host_(host),
      receiver_(receiver),
      counts_(counts),
      socket_(std::move(socket)),
      session_(receiver, counts, context, number, ToString(socket_->remote().ip)),
      too_many_(too_many),
      in_flight_(std::make_shared<std::string>()),
      deadline_([this] { OnDeadline(); }),
      last_activity_(host.now().monotonic) {
  if (receiver.options.behaviour.delay.count() > 0) delay_timer_.emplace([this] { OnDelayOver(); });
  socket_->Attach(*this);
}

void Connection::Start() {
  host_.timers().Set(deadline_, last_activity_ + kIdle);
  if (receiver_.options.behaviour.tls == TlsMode::kImplicit) {
    tls_ = host_.AcceptTls();
    return;
  }
  std::string& replies = host_.replies();
  const Session::Step step = session_.Start(host_.now(), too_many_, replies);
  Obey(step, replies);
}

void Connection::OnConnected(int /*error*/) { CHECK(false); }

void Connection::OnReceived(std::span<const std::byte> bytes) {
  if (ending_ != Ending::kNone || !socket_) return;
  last_activity_ = host_.now().monotonic;
  if (!tls_) return OnPlain(AsText(bytes));

  const bool was_open = tls_->state() == tls::TlsState::kOpen;
  std::string& plain = host_.plain();
  const std::size_t unsent = wire_.size();
  const tls::TlsState state = tls_->Receive(bytes, plain, wire_);
  if (wire_.size() != unsent) ScheduleReplies();
  if (!was_open && (state == tls::TlsState::kOpen || state == tls::TlsState::kClosed)) {
    const bool resumed = tls_->info().resumed;
    ++(resumed ? counts_.handshakes_resumed : counts_.handshakes_full);
    session_.TlsOpened(resumed);
    if (receiver_.options.behaviour.tls == TlsMode::kImplicit) {
      std::string& replies = host_.replies();
      const Session::Step step = session_.Start(host_.now(), too_many_, replies);
      Obey(step, replies);
    }
  }
  if (!plain.empty() && ending_ == Ending::kNone && socket_) OnPlain(plain);
  if (state == tls::TlsState::kOpen || state == tls::TlsState::kHandshaking) return;
  if (state == tls::TlsState::kFailed && !was_open) ++counts_.handshakes_failed;
  if (socket_ && ending_ == Ending::kNone) StartEnding(Ending::kWhenSent);
}

void Connection::OnPlain(std::string_view bytes) {
  std::string& replies = host_.replies();
  const Session::Step step = session_.Receive(bytes, host_.now(), replies);
  Obey(step, replies);
}

void Connection::Obey(Session::Step step, std::string& replies) {
  if (step == Session::Step::kReset) {
    CloseWithReset(*socket_);
    return End();
  }
  Put(replies);
  switch (step) {
    case Session::Step::kGoOn:
    case Session::Step::kReset:
      break;
    case Session::Step::kStartTls:
      tls_ = host_.AcceptTls();
      break;
    case Session::Step::kClose:
      StartEnding(Ending::kWhenSent);
      break;
    case Session::Step::kLinger:
      StartEnding(Ending::kLinger);
      break;
    case Session::Step::kStallUnread:
      socket_->PauseReading(true);
      reading_paused_ = true;
      [[fallthrough]];
    case Session::Step::kStall:
      ending_ = Ending::kStalled;
      host_.timers().Set(deadline_, host_.now().monotonic + kStalled);
      break;
  }
}

void Connection::Put(std::string_view replies) {
  if (replies.empty()) return;
  if (tls_) {
    tls_->Send(std::as_bytes(std::span(replies)), wire_);
  } else {
    wire_ += replies;
  }
  ScheduleReplies();
}

void Connection::StartEnding(Ending ending) {
  ending_ = ending;
  if (tls_) tls_->Close(wire_);
  ScheduleReplies();
}

// What has been appended to wire_ since the last call goes at the end of the turn, or when the delay is over.
void Connection::ScheduleReplies() {
  if (!delay_timer_) return host_.FlushLater(*this);
  if (wire_.size() == scheduled_) return host_.FlushLater(*this);
  const Monotonic due = host_.now().monotonic + receiver_.options.behaviour.delay;
  if (held_.empty() || held_.back().due != due) held_.push_back({due, 0});
  held_.back().bytes += wire_.size() - scheduled_;
  held_bytes_ += wire_.size() - scheduled_;
  scheduled_ = wire_.size();
  if (!delay_timer_->set()) host_.timers().Set(*delay_timer_, held_.front().due);
}

void Connection::OnDelayOver() {
  while (!held_.empty() && held_.front().due <= host_.now().monotonic) {
    held_bytes_ -= held_.front().bytes;
    held_.pop_front();
  }
  if (!held_.empty()) host_.timers().Set(*delay_timer_, held_.front().due);
  host_.FlushLater(*this);
}

void Connection::Flush() {
  flush_pending_ = false;
  if (!socket_) return;
  if (wire_.size() > kUnsentMax && !reading_paused_) {
    socket_->PauseReading(true);
    reading_paused_ = true;
  }
  if (sending_) return;
  if (const std::size_t ready = wire_.size() - held_bytes_; ready != 0) return SendReady(ready);
  if (!wire_.empty()) return;
  if (ending_ == Ending::kWhenSent) return End();
  if (ending_ == Ending::kLinger) return host_.timers().Set(deadline_, host_.now().monotonic + kLinger);
  if (reading_paused_ && ending_ == Ending::kNone) ResumeReading();
}

void Connection::SendReady(std::size_t bytes) {
  if (bytes == wire_.size()) {
    wire_.swap(*in_flight_);
  } else {
    in_flight_->assign(wire_, 0, bytes);
    wire_.erase(0, bytes);
  }
  scheduled_ = wire_.size();
  sending_ = true;
  socket_->Send(std::as_bytes(std::span(*in_flight_)), in_flight_);
}

void Connection::ResumeReading() {
  socket_->PauseReading(false);
  reading_paused_ = false;
}

void Connection::OnSent() {
  sending_ = false;
  in_flight_->clear();
  if (in_flight_->capacity() > kWireKept) in_flight_->shrink_to_fit();
  Flush();
}

void Connection::OnClosed(int /*error*/) { End(); }

void Connection::Goodbye() {
  if (ending_ != Ending::kNone || !session_.idle()) return;
  if (tls_ && tls_->state() != tls::TlsState::kOpen) return End();
  std::string& replies = host_.replies();
  session_.SayGoodbye(replies);
  Put(replies);
  StartEnding(Ending::kLinger);
}

void Connection::OnDeadline() {
  const Monotonic now = host_.now().monotonic;
  if (ending_ != Ending::kNone || (tls_ && tls_->state() != tls::TlsState::kOpen)) return End();
  if (now - last_activity_ < kIdle) return host_.timers().Set(deadline_, last_activity_ + kIdle);
  Put("421 4.4.2 Timeout, closing connection\r\n");
  StartEnding(Ending::kLinger);
}

void Connection::End() {
  if (!socket_) return;
  socket_.reset();
  deadline_.Cancel();
  if (delay_timer_) delay_timer_->Cancel();
  host_.Ended(*this);
}

}  // namespace postrider::sink
