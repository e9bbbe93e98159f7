// sink_load: drives one SMTP receiver as fast as it goes, over engine/io and engine/tls, from one thread, to measure
// the receiver (postrider sink says its own CPU in its summary). No queue, no rendering: the same content each time, a
// new recipient each message.
//
//   sink_load ADDRESS:PORT MESSAGES CONNECTIONS STYLE CONTENT_BYTES [tls]
//
// STYLE: "dot" sends the content of one message with the envelope of the next (RFC 2920, one round trip a message);
// "bdatN" keeps N messages of MAIL, RCPT, BDAT LAST in flight on each connection. Every reply must be positive.

#include <fmt/format.h>
#include <sys/resource.h>

#include <charconv>
#include <chrono>
#include <cstdio>
#include <cstdlib>
#include <iterator>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/options.h"
#include "engine/io/loop.h"
#include "engine/tls/tls.h"

namespace postrider {
namespace {

struct Plan {
  SocketAddress server;
  std::uint64_t messages = 0;
  std::uint32_t connections = 1;
  std::uint32_t in_flight = 0;  // messages by BDAT; 0: the dot style
  std::string content;          // ends in CRLF
  tls::Tls* tls = nullptr;
};

// What all connections share.
struct Progress {
  std::uint64_t begun = 0;
  std::uint64_t done = 0;
};

[[noreturn]] void Die(std::string_view why) {
  fmt::print(stderr, "sink_load: {}\n", why);
  std::exit(1);
}

class LoadConnection final : public io::SocketHandler {
 public:
  LoadConnection(const Plan& plan, Progress& progress, io::Network& network)
      : plan_(plan), progress_(progress), out_(std::make_shared<std::string>()) {
    socket_ = network.Connect(std::nullopt, plan.server, *this);
  }

  // At the end of a turn.
  void Flush() {
    if (open_) FillFlight();
    if (!plain_.empty()) {
      if (tls_) {
        tls_->Send(std::as_bytes(std::span(plain_)), wire_);
      } else {
        wire_ += plain_;
      }
      plain_.clear();
    }
    if (sending_ || wire_.empty()) return;
    sending_ = true;
    out_->swap(wire_);
    wire_.clear();
    socket_->Send(std::as_bytes(std::span(*out_)), out_);
  }

 private:
  enum class Step { kBanner, kEhlo, kStartTls, kHandshake, kMessages };

  void OnConnected(int error) override {
    if (error != 0) Die("cannot connect");
  }
  void OnSent() override { sending_ = false; }
  void OnClosed(int) override {
    if (progress_.done < plan_.messages) Die("the receiver closed a connection");
  }
  void OnReceived(std::span<const std::byte> bytes) override {
    if (!tls_) return Read({reinterpret_cast<const char*>(bytes.data()), bytes.size()});
    replies_.clear();
    const tls::TlsState state = tls_->Receive(bytes, replies_, wire_);
    if (state == tls::TlsState::kFailed) Die(tls_->problem());
    if (step_ == Step::kHandshake && state == tls::TlsState::kOpen) {
      step_ = Step::kEhlo;
      plain_ += "EHLO load.test\r\n";
    }
    Read(replies_);
  }

  void Read(std::string_view bytes) {
    while (!bytes.empty()) {
      const std::size_t newline = bytes.find('\n');
      line_ += bytes.substr(0, newline == std::string_view::npos ? newline : newline + 1);
      if (newline == std::string_view::npos) return;
      bytes.remove_prefix(newline + 1);
      if (line_.size() < 4 || line_[0] > '3') Die(line_);
      if (line_[3] == ' ') OnReply();
      line_.clear();
    }
  }

  void OnReply() {
    switch (step_) {
      case Step::kBanner:
        plain_ += "EHLO load.test\r\n";
        step_ = Step::kEhlo;
        return;
      case Step::kEhlo:
        if (plan_.tls != nullptr && !tls_) {
          plain_ += "STARTTLS\r\n";
          step_ = Step::kStartTls;
          return;
        }
        step_ = Step::kMessages;
        open_ = true;
        return;
      case Step::kStartTls:
        tls_ = plan_.tls->Connect({.host = "localhost", .session_key = "", .verify = false}, wire_);
        step_ = Step::kHandshake;
        return;
      case Step::kHandshake:
        Die("a reply in the middle of the handshake");
      case Step::kMessages:
        return OnMessageReply();
    }
  }

  void OnMessageReply() {
    if (plan_.in_flight != 0) {
      constexpr int kRepliesOfMessage = 3;
      if (++replies_seen_ % kRepliesOfMessage == 0) {
        --in_flight_;
        ++progress_.done;
      }
      return;
    }
    if (line_[0] == '3') content_wanted_ = true;  // the last reply of a flight
    if (content_sent_ && replies_seen_++ == 0) {
      content_sent_ = false;
      in_flight_ = 0;
      ++progress_.done;
    }
  }

  void FillFlight() {
    if (plan_.in_flight != 0) {
      while (in_flight_ < plan_.in_flight && Begin()) {
        fmt::format_to(std::back_inserter(plain_), "BDAT {} LAST\r\n", plan_.content.size());
        plain_ += plan_.content;
        ++in_flight_;
      }
      return;
    }
    if (!content_wanted_ && envelope_sent_) return;
    if (content_wanted_) {
      plain_ += plan_.content;
      plain_ += ".\r\n";
      content_wanted_ = false;
      content_sent_ = true;
      replies_seen_ = 0;
    }
    envelope_sent_ = true;
    if (Begin()) plain_ += "DATA\r\n";
  }

  // The envelope of the next message, if there is one.
  bool Begin() {
    if (progress_.begun == plan_.messages) return false;
    const std::uint64_t number = progress_.begun++;
    fmt::format_to(std::back_inserter(plain_),
                   "MAIL FROM:<bounces@sender.example>\r\nRCPT TO:<user{}@domain{}.example>\r\n", number, number % 20);
    return true;
  }

  const Plan& plan_;
  Progress& progress_;
  std::unique_ptr<io::Socket> socket_;
  std::unique_ptr<tls::TlsStream> tls_;
  Step step_ = Step::kBanner;
  bool open_ = false;
  bool sending_ = false;
  bool envelope_sent_ = false, content_wanted_ = false, content_sent_ = false;
  std::uint32_t in_flight_ = 0;
  std::uint64_t replies_seen_ = 0;
  std::string plain_, wire_, replies_, line_;
  std::shared_ptr<std::string> out_;
};

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  return static_cast<double>(usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) +
         static_cast<double>(usage.ru_utime.tv_usec + usage.ru_stime.tv_usec) / 1e6;
}

std::string Content(std::size_t bytes) {
  std::string content =
      "From: <news@sender.example>\r\nSubject: load\r\nMessage-ID: <load@sender.example>\r\n"
      "MIME-Version: 1.0\r\nContent-Type: text/plain\r\n\r\n";
  constexpr std::string_view kLine =
      "Nor again is there anyone who loves pain of itself. But sometimes toil, and so.\r\n";
  while (content.size() < bytes) content += kLine;
  return content;
}

template <typename Number>
Number Read(std::string_view text) {
  Number number = 0;
  const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc{} || end != text.data() + text.size()) Die(fmt::format("expected a number, found {}", text));
  return number;
}

int Run(const std::vector<std::string_view>& arguments) {
  if (arguments.size() < 5) Die("usage: sink_load ADDRESS:PORT MESSAGES CONNECTIONS dot|bdatN CONTENT_BYTES [tls]");
  Plan plan;
  const Result<SocketAddress> server = SocketAddress::Parse(arguments[0]);
  if (!server) Die(server.error().message);
  plan.server = *server;
  plan.messages = Read<std::uint64_t>(arguments[1]);
  plan.connections = Read<std::uint32_t>(arguments[2]);
  if (arguments[3] != "dot") plan.in_flight = Read<std::uint32_t>(arguments[3].substr(4));
  plan.content = Content(Read<std::size_t>(arguments[4]));
  std::unique_ptr<tls::Tls> tls;
  if (arguments.size() > 5) {
    Result<std::unique_ptr<tls::Tls>> made = tls::MakeTls(TlsOptions{});
    if (!made) Die(made.error().message);
    tls = std::move(*made);
    plan.tls = tls.get();
  }

  const auto clock = io::MakeSystemClock();
  Result<std::unique_ptr<io::Loop>> loop = io::MakeLoop({}, *clock);
  if (!loop) Die(loop.error().message);
  Progress progress;
  std::vector<std::unique_ptr<LoadConnection>> connections;
  for (std::uint32_t i = 0; i < plan.connections; ++i) {
    connections.push_back(std::make_unique<LoadConnection>(plan, progress, (*loop)->network()));
  }
  const auto start = std::chrono::steady_clock::now();
  const double cpu = CpuSeconds();
  while (progress.done < plan.messages) {
    (*loop)->RunOnce(std::chrono::seconds(1));
    for (const auto& connection : connections) connection->Flush();
  }
  const double seconds = std::chrono::duration<double>(std::chrono::steady_clock::now() - start).count();
  fmt::print("{} messages of {} bytes, {:.0f}/s, sender CPU {:.1f} us/message\n", plan.messages, plan.content.size(),
             static_cast<double>(plan.messages) / seconds,
             (CpuSeconds() - cpu) * 1e6 / static_cast<double>(plan.messages));
  return 0;
}

}  // namespace
}  // namespace postrider

int main(int argc, char** argv) { return postrider::Run(std::vector<std::string_view>(argv + 1, argv + argc)); }
