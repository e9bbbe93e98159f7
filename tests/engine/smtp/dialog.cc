#include "tests/engine/smtp/dialog.h"

#include <fmt/format.h>

#include <algorithm>
#include <charconv>
#include <fstream>
#include <map>
#include <utility>

namespace postrider::smtp {
namespace {

std::string_view TakeWord(std::string_view& rest) {
  rest.remove_prefix(std::min(rest.find_first_not_of(' '), rest.size()));
  const std::string_view word = rest.substr(0, rest.find(' '));
  rest.remove_prefix(word.size());
  if (!rest.empty()) rest.remove_prefix(1);
  return word;
}

int Number(std::string_view text) {
  int number = 0;
  std::from_chars(text.data(), text.data() + text.size(), number);
  return number;
}

std::string Unescape(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '{' && text.find('*', i) != std::string_view::npos && text.find('}', i) != std::string_view::npos) {
      const std::size_t star = text.find('*', i);
      const std::size_t end = text.find('}', i);
      const std::string repeated = Unescape(text.substr(star + 1, end - star - 1));
      for (int n = Number(text.substr(i + 1, star - i - 1)); n > 0; --n) out += repeated;
      i = end;
    } else if (text[i] == '\\' && i + 1 < text.size()) {
      switch (text[++i]) {
        case 'r':
          out += '\r';
          break;
        case 'n':
          out += '\n';
          break;
        case 't':
          out += '\t';
          break;
        case '0':
          out += '\0';
          break;
        case 'x': {
          int octet = 0;
          std::from_chars(text.data() + i + 1, text.data() + std::min(i + 3, text.size()), octet, 16);
          out += static_cast<char>(octet);
          i += 2;
          break;
        }
        default:
          out += text[i];
      }
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string_view NameOf(MessageEnd end) {
  switch (end) {
    case MessageEnd::kReplied:
      return "replied";
    case MessageEnd::kNotSent:
      return "not-sent";
    case MessageEnd::kUnknown:
      return "unknown";
    case MessageEnd::kUnsupported:
      return "unsupported";
  }
  return "?";
}

std::string_view NameOf(ConversationEnd::Kind kind) {
  using enum ConversationEnd::Kind;
  switch (kind) {
    case kQuit:
      return "quit";
    case kServerClosing:
      return "server-closing";
    case kRefused:
      return "refused";
    case kTimedOut:
      return "timed-out";
    case kBroken:
      return "broken";
    case kProtocol:
      return "protocol";
    case kTlsUnavailable:
      return "tls-unavailable";
    case kAuthUnavailable:
      return "auth-unavailable";
    case kAborted:
      return "aborted";
  }
  return "?";
}

std::string_view NameOf(ConversationState state) {
  switch (state) {
    case ConversationState::kOpening:
      return "opening";
    case ConversationState::kReady:
      return "ready";
    case ConversationState::kBusy:
      return "busy";
    case ConversationState::kQuitting:
      return "quitting";
    case ConversationState::kClosed:
      return "closed";
  }
  return "?";
}

std::string_view NameOf(Stage stage) {
  static const std::map<Stage, std::string_view> kNames = {
      {Stage::kNone, "none"}, {Stage::kBanner, "banner"},   {Stage::kEhlo, "ehlo"}, {Stage::kStartTls, "starttls"},
      {Stage::kTls, "tls"},   {Stage::kAuth, "auth"},       {Stage::kMail, "mail"}, {Stage::kRcpt, "rcpt"},
      {Stage::kData, "data"}, {Stage::kContent, "content"}, {Stage::kIdle, "idle"}, {Stage::kQuit, "quit"}};
  const auto found = kNames.find(stage);
  return found == kNames.end() ? "?" : found->second;
}

std::optional<std::string> Mismatch(std::string_view what, std::string_view expected, std::string_view found) {
  if (expected == found) return std::nullopt;
  return fmt::format("{}: expected \"{}\", found \"{}\"", what, expected, found.substr(0, 300));
}

}  // namespace

std::vector<DialogCase> LoadDialogs(const std::filesystem::path& directory) {
  std::vector<std::filesystem::path> files;
  for (const auto& entry : std::filesystem::directory_iterator(directory)) {
    if (entry.path().extension() == ".dialog") files.push_back(entry.path());
  }
  std::ranges::sort(files);
  std::vector<DialogCase> cases;
  for (const auto& path : files) {
    std::ifstream file(path);
    int number = 0;
    bool in_case = false;
    for (std::string line; std::getline(file, line);) {
      ++number;
      if (line.empty() || line.starts_with('#')) continue;
      if (line.starts_with("== ")) {
        cases.push_back({path.stem().string(), line.substr(3), {}});
        in_case = true;
      } else if (in_case) {
        cases.back().lines.push_back({number, line});
      }
    }
  }
  return cases;
}

std::optional<std::string> DialogRunner::Run(const DialogCase& dialog) {
  DialogRunner runner;
  const auto at = [&](int line, const std::string& problem) {
    return fmt::format("{}.dialog:{}: {}", dialog.file, line, problem);
  };
  for (const DialogLine& line : dialog.lines) {
    if (auto problem = runner.Step(line.text)) return at(line.number, *problem);
  }
  const int last = dialog.lines.empty() ? 0 : dialog.lines.back().number;
  for (int i = 0; i < 2; ++i) {  // what the last S lines brought about must have been expected too
    if (auto problem = runner.Settle()) return at(last, *problem);
  }
  if (!runner.results_.empty()) {
    return at(last, fmt::format("a result nobody expected: {}", NameOf(runner.results_.front().end)));
  }
  return std::nullopt;
}

std::optional<Envelope> DialogRunner::NextMessage() {
  if (queued_.empty()) return std::nullopt;
  open_.push_back(std::move(queued_.front()));
  queued_.pop_front();
  Message& message = open_.back();
  message.envelope.from = message.from;
  message.envelope.to = message.to;
  return message.envelope;
}

bool DialogRunner::RenderContent(std::string& content) {
  if (rendered_ >= open_.size() || !content.empty()) return false;
  const Message& message = open_[rendered_++];
  content += message.content;
  return message.renders;
}

void DialogRunner::MessageDone(const MessageResult& result) {
  results_.push_back(result);
  if (open_.empty()) return;
  open_.pop_front();
  if (rendered_ > 0) --rendered_;
}

Conversation& DialogRunner::conversation() {
  if (!conversation_) conversation_ = std::make_unique<Conversation>(settings_, *this, now_);
  return *conversation_;
}

void DialogRunner::Collect() {
  if (!flushes_) return;
  while (Take() || std::exchange(unflushed_, false)) conversation().Flushed(now_);
}

bool DialogRunner::Take() {
  std::string& out = conversation().out();
  if (out.empty()) return false;
  client_said_ += out;
  out.clear();
  unflushed_ = !flushes_;
  return true;
}

std::optional<std::string> DialogRunner::Settle() {
  if (!client_said_.empty()) {
    return fmt::format("the client also said \"{}\"", client_said_.substr(0, 300));
  }
  if (server_says_.empty()) return std::nullopt;
  std::string bytes;
  bytes.swap(server_says_);
  conversation().Receive(bytes, now_);
  Collect();
  return std::nullopt;
}

std::optional<std::string> DialogRunner::Step(std::string_view line) {
  if (line.starts_with("S: ")) {
    if (!client_said_.empty()) return Settle();
    server_says_ += Unescape(line.substr(3)) + "\r\n";
    return std::nullopt;
  }
  if (line.starts_with("S| ")) {
    if (!client_said_.empty()) return Settle();
    server_says_ += Unescape(line.substr(3));
    return std::nullopt;
  }
  if (line.starts_with("C: ")) return ClientSays(line.substr(3));
  const std::string_view word = TakeWord(line);
  if (word == "settings") {
    Configure(line);
    return std::nullopt;
  }
  if (word == "message") {
    AddMessage(line);
    return std::nullopt;
  }
  if (auto problem = Settle()) return problem;
  if (word == "expect") return Expectation(line);
  return Event(word, line);
}

std::optional<std::string> DialogRunner::ClientSays(std::string_view expected) {
  if (client_said_.empty()) {
    if (auto problem = Settle()) return problem;
    Collect();
  }
  const std::string wanted = Unescape(expected) + "\r\n";
  if (!client_said_.starts_with(wanted)) {
    return Mismatch("client", wanted, client_said_.substr(0, client_said_.find('\n') + 1));
  }
  client_said_.erase(0, wanted.size());
  return std::nullopt;
}

std::optional<std::string> DialogRunner::Event(std::string_view word, std::string_view rest) {
  Conversation& conversation = this->conversation();
  if (word == "pause") {
  } else if (word == "begin") {
    conversation.Begin(now_);
  } else if (word == "quit") {
    conversation.Quit(now_);
  } else if (word == "stuck") {
    flushes_ = false;
  } else if (word == "take") {
    (void)Take();
  } else if (word == "flush") {
    flushes_ = true;
  } else if (word == "close") {
    conversation.ConnectionLost("the peer closed the connection");
  } else if (word == "tls" && rest == "ready") {
    conversation.TlsReady(now_);
  } else if (word == "tls" && rest == "failed") {
    conversation.TlsFailed("the handshake failed");
  } else if (word == "tick") {
    now_ += seconds(Number(rest));
    conversation.Tick(now_);
  } else {
    return fmt::format("unknown word \"{}\"", word);
  }
  Collect();
  return std::nullopt;
}

std::optional<std::string> DialogRunner::Expectation(std::string_view rest) {
  const std::string_view what = TakeWord(rest);
  if (what == "nothing") return std::nullopt;  // Settle has seen to it
  if (what == "starttls") {
    const bool asked = tls_asked_ == 1;
    tls_asked_ = 0;
    return asked ? std::nullopt : std::optional<std::string>("StartTls was not asked for");
  }
  if (what == "state") return Mismatch("state", rest, NameOf(conversation().state()));
  if (what == "messages") return Mismatch("messages", rest, std::to_string(conversation().messages()));
  if (what == "tls") return conversation().tls() ? std::nullopt : std::optional<std::string>("not over TLS");
  if (what == "deadline") {
    const Monotonic deadline = conversation().deadline();
    const std::string found = deadline == Monotonic::max()
                                  ? "none"
                                  : fmt::format("{}s", std::chrono::duration_cast<seconds>(deadline - now_).count());
    return Mismatch("deadline", rest, found);
  }
  if (what == "result") return ExpectResult(rest);
  if (what == "end") return ExpectEnd(rest);
  return fmt::format("unknown expectation \"{}\"", what);
}

std::optional<std::string> DialogRunner::ExpectResult(std::string_view rest) {
  if (results_.empty()) return "no result has come";
  const MessageResult result = results_.front();
  results_.pop_front();
  const std::string_view end = TakeWord(rest);
  const std::string_view stage = TakeWord(rest);
  const std::string_view code = TakeWord(rest);
  const std::string expected = fmt::format("{} {} {}", end, stage, code);
  const std::string found = fmt::format("{} {} {}", NameOf(result.end), NameOf(result.stage), result.reply.code);
  if (auto problem = Mismatch("result", expected, found)) return problem;
  if (result.reply.text.find(Unescape(rest)) == std::string::npos) return Mismatch("reply", rest, result.reply.text);
  return std::nullopt;
}

std::optional<std::string> DialogRunner::ExpectEnd(std::string_view rest) {
  if (conversation().state() != ConversationState::kClosed) return "not closed";
  if (!conversation().out().empty()) return "bytes stand in out() after the end";
  if (conversation().deadline() != Monotonic::max()) return "a deadline after the end";
  const ConversationEnd& end = conversation().end();
  const std::string_view kind = TakeWord(rest);
  const std::string_view stage = TakeWord(rest);
  if (auto problem = Mismatch("end", fmt::format("{} {}", kind, stage),
                              fmt::format("{} {}", NameOf(end.kind), NameOf(end.stage)))) {
    return *problem + " (" + end.problem + ")";
  }
  if (end.problem.empty()) return "an end without a problem text";
  if (end.problem.find(Unescape(rest)) == std::string::npos) return Mismatch("problem", rest, end.problem);
  return std::nullopt;
}

void DialogRunner::Configure(std::string_view rest) {
  while (!rest.empty()) {
    std::string_view word = TakeWord(rest);
    const std::string_view name = word.substr(0, word.find('='));
    const std::string value = name.size() < word.size() ? Unescape(word.substr(name.size() + 1)) : std::string();
    if (name == "ehlo") settings_.ehlo_name = value;
    if (name == "tls" && value == "none") settings_.tls = TlsDemand::kNone;
    if (name == "tls" && value == "required") settings_.tls = TlsDemand::kRequired;
    if (name == "tls" && value == "verified") settings_.tls = TlsDemand::kVerified;
    if (name == "pipelining") settings_.pipelining_allowed = value != "no";
    if (name == "implicit_tls") settings_.implicit_tls = true;
    if (name == "user") settings_.auth_user = value;
    if (name == "secret") settings_.auth_secret = value;
    if (name == "mechanism" && value == "login") settings_.auth_mechanism = RouteOptions::AuthMechanism::kLogin;
    if (name == "auth_without_tls") settings_.auth_without_tls = true;
  }
}

void DialogRunner::AddMessage(std::string_view rest) {
  Message message;
  message.from = Unescape(TakeWord(rest));
  if (message.from == "<>") message.from.clear();
  message.to = Unescape(TakeWord(rest));
  message.content = "Hello\r\n";
  while (!rest.empty()) {
    if (rest.starts_with("content=")) {
      message.content = Unescape(rest.substr(8));
      break;
    }
    const std::string_view word = TakeWord(rest);
    if (word.starts_with("size=")) message.envelope.size_estimate = static_cast<std::uint64_t>(Number(word.substr(5)));
    if (word == "8bit") message.envelope.needs_8bit = true;
    if (word == "utf8") message.envelope.needs_smtputf8 = true;
    if (word == "broken") message.renders = false;
  }
  queued_.push_back(std::move(message));
}

}  // namespace postrider::smtp
