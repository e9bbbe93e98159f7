#include "tests/tools/sink/dialog.h"

#include <fmt/format.h>

#include <array>
#include <chrono>
#include <fstream>
#include <memory>
#include <optional>
#include <span>
#include <string_view>

#include "tools/sink/session.h"
#include "tools/sink/settings.h"

namespace postrider::sink {
namespace {

std::string Unescape(std::string_view text) {
  std::string raw;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] != '\\' || i + 1 == text.size()) {
      raw += text[i];
      continue;
    }
    const char c = text[++i];
    if (c == 'x') {
      raw += static_cast<char>(std::stoi(std::string(text.substr(i + 1, 2)), nullptr, 16));
      i += 2;
    } else {
      raw += c == 'r' ? '\r' : c == 'n' ? '\n' : c == '0' ? '\0' : c;
    }
  }
  return raw;
}

std::string_view NameOf(Session::Step step) {
  switch (step) {
    case Session::Step::kGoOn:
      return "kGoOn";
    case Session::Step::kStartTls:
      return "kStartTls";
    case Session::Step::kClose:
      return "kClose";
    case Session::Step::kLinger:
      return "kLinger";
    case Session::Step::kReset:
      return "kReset";
    case Session::Step::kStall:
      return "kStall";
    case Session::Step::kStallUnread:
      return "kStallUnread";
  }
  return "?";
}

class Runner {
 public:
  explicit Runner(Pieces pieces) : pieces_(pieces) {}

  std::string Line(std::string_view line) {
    const bool client = line.starts_with("C: ") || line.starts_with("C~ ");
    if (client) {
      input_ += line[1] == ':' ? std::string(line.substr(3)) + "\r\n" : Unescape(line.substr(3));
      return {};
    }
    if (line == "C:") {
      input_ += "\r\n";
      return {};
    }
    Send();
    if (line.starts_with("listen ")) return Listen(line.substr(7));
    if (line.starts_with("S: ")) return Expect(line.substr(3));
    if (line.starts_with("END ")) return ExpectEnd(line.substr(4));
    if (line.starts_with("wait ")) {
      now_.monotonic += ParseDuration(line.substr(5)).value();
      return {};
    }
    if (line == "TLS") {
      if (step_ != Session::Step::kStartTls) return "no STARTTLS was accepted before";
      step_ = Session::Step::kGoOn;
      session_->TlsOpened(false);
      return {};
    }
    return "not a line of a dialog";
  }

  std::string Finish() {
    Send();
    if (!output_.empty()) return fmt::format("said more than expected: {}", output_);
    if (!end_expected_ && step_ != Session::Step::kGoOn) return fmt::format("ended with {}", NameOf(step_));
    return {};
  }

 private:
  std::string Listen(std::string_view text) {
    Result<ListenOptions> listen = ParseListen(text, {});
    if (!listen) return listen.error().message;
    Result<Receiver> receiver = MakeReceiver(0, *listen, {});
    if (!receiver) return receiver.error().message;
    session_.reset();
    receiver_ = std::move(*receiver);
    Result<ClientLimitsList> limits = ShareLimits(std::span(&receiver_, 1));
    if (!limits) return limits.error().message;
    limits_ = std::move(*limits);
    session_ = std::make_unique<Session>(receiver_, counts_, context_, 7, "192.0.2.1");
    step_ = session_->Start(now_, false, output_);
    return {};
  }

  void Send() {
    std::string_view rest = input_;
    while (!rest.empty() && step_ == Session::Step::kGoOn) {
      const std::string_view piece = rest.substr(0, pieces_ == Pieces::kWhole ? rest.size() : 1);
      // A copy of its own, so that a read past the piece's end is a sanitizer's find.
      const std::unique_ptr<char[]> copy(new char[piece.size()]);
      piece.copy(copy.get(), piece.size());
      step_ = session_->Receive({copy.get(), piece.size()}, now_, output_);
      rest.remove_prefix(piece.size());
    }
    input_.clear();
  }

  std::string Expect(std::string_view pattern) {
    const std::size_t end = output_.find("\r\n");
    if (end == std::string::npos) return fmt::format("expected a reply, found \"{}\" and {}", output_, NameOf(step_));
    const std::string line = output_.substr(0, end);
    output_.erase(0, end + 2);
    if (!Matches(pattern, line)) return fmt::format("expected \"{}\", found \"{}\"", pattern, line);
    return {};
  }

  std::string ExpectEnd(std::string_view name) {
    end_expected_ = true;
    if (name != NameOf(step_)) return fmt::format("expected {}, found {}", name, NameOf(step_));
    if (step_ == Session::Step::kReset) output_.clear();
    return {};
  }

  Pieces pieces_;
  Receiver receiver_;
  Counts counts_;
  Tally tally_{1, 1000};
  SessionContext context_{tally_};
  ClientLimitsList limits_;
  std::unique_ptr<Session> session_;
  Now now_{Monotonic(std::chrono::hours(1)), Wall(std::chrono::hours(24 * 365 * 56))};
  Session::Step step_ = Session::Step::kGoOn;
  std::string input_, output_;
  bool end_expected_ = false;
};

}  // namespace

std::string RunDialog(const std::filesystem::path& file, Pieces pieces) {
  std::ifstream stream(file);
  if (!stream) return "cannot read " + file.string();
  Runner runner(pieces);
  std::string line;
  for (int number = 1; std::getline(stream, line); ++number) {
    if (line.empty() || line.starts_with('#')) continue;
    if (const std::string problem = runner.Line(line); !problem.empty()) return fmt::format("{}: {}", number, problem);
  }
  return runner.Finish();
}

bool Matches(std::string_view pattern, std::string_view text) {
  const std::size_t star = pattern.find('*');
  if (star == std::string_view::npos) return pattern == text;
  if (!text.starts_with(pattern.substr(0, star))) return false;
  pattern.remove_prefix(star + 1);
  text.remove_prefix(star);
  for (std::size_t skip = 0; skip <= text.size(); ++skip) {
    if (Matches(pattern, text.substr(skip))) return true;
  }
  return false;
}

}  // namespace postrider::sink
