#include "tests/engine/delivery/receiver.h"

#include <algorithm>
#include <utility>

#include "tests/engine/delivery/fake_tls.h"

namespace postrider::delivery {

ReceiverSession::ReceiverSession(Receiver& receiver, std::string client)
    : receiver_(receiver), client_(std::move(client)), id_(++receiver.sessions) {
  receiver_.most_open = std::max(receiver_.most_open, ++receiver_.open);
}

ReceiverSession::~ReceiverSession() { --receiver_.open; }

bool ReceiverSession::Say(std::string_view scripted, std::string_view usual, std::string& out) {
  if (scripted == kReset) {
    reset_ = true;
    return false;
  }
  if (scripted == kStall) {
    stalled_ = true;
    return true;
  }
  const bool breaks = scripted.ends_with(kThenBrokenTls);
  if (breaks) scripted.remove_suffix(kThenBrokenTls.size());
  std::string reply(scripted.empty() ? usual : scripted);
  reply += "\r\n";
  out += tls_ ? Scramble(reply) : reply;
  if (breaks) out += kBrokenRecord;
  return !breaks && !reply.starts_with("421");
}

std::unique_ptr<ServerEnd> Receiver::Accept(std::string client, const Now&) {
  return std::make_unique<ReceiverSession>(*this, std::move(client));
}

bool ReceiverSession::Open(const Now&, std::string& out) {
  handshaking_ = receiver_.script.implicit_tls;
  if (handshaking_) return true;
  greeted_ = true;
  return Say(receiver_.script.banner, "", out);
}

bool ReceiverSession::Receive(std::string_view bytes, const Now& now, std::string& out) {
  in_ += tls_ ? Scramble(bytes) : std::string(bytes);
  while (!stalled_) {
    if (data_) {
      const bool empty = in_.starts_with(".\r\n");
      const std::size_t end = empty ? 0 : in_.find("\r\n.\r\n");
      if (end == std::string::npos) return true;
      message_.content.clear();
      if (receiver_.keep_content) message_.content = in_.substr(0, empty ? 0 : end + 2);
      in_.erase(0, empty ? 3 : end + 5);
      data_ = false;
      if (!Content(now.monotonic, out)) return false;
      continue;
    }
    const std::size_t end = in_.find('\n');
    if (end == std::string::npos) return true;
    std::string line = in_.substr(0, end);
    in_.erase(0, end + 1);
    if (line.ends_with('\r')) line.pop_back();
    if (!Line(line, now.monotonic, out)) return false;
  }
  return true;
}

bool ReceiverSession::Content(Monotonic now, std::string& out) {
  message_.time = now;
  const std::string scripted = receiver_.script.on_content ? receiver_.script.on_content(message_) : std::string();
  const bool refused = scripted.starts_with('4') || scripted.starts_with('5') || scripted == kStall;
  // A reset after the dot: the message was taken, only the word of it is lost.
  if (!refused) receiver_.taken.push_back(message_);
  mail_ = rcpt_ = false;
  return Say(scripted, "250 2.0.0 taken", out);
}

bool ReceiverSession::Line(std::string_view line, Monotonic now, std::string& out) {
  const ReceiverScript& script = receiver_.script;
  if (handshaking_) {
    handshaking_ = false;
    if (script.tls_broken || !line.starts_with(kClientHello)) {
      out += "garbage\n";
      return false;
    }
    ++receiver_.handshakes;
    out += kServerHello;
    out += '\n';
    tls_ = true;
    in_ = Scramble(in_);
    return std::exchange(greeted_, true) || Say(script.banner, "", out);
  }
  if (line.starts_with("HELO")) return Say("", "250 mx greets you", out);
  if (line.starts_with("EHLO")) {
    if (!script.ehlo.empty()) return Say(script.ehlo, "", out);
    std::string reply = "250-mx greets you\r\n";
    for (const std::string& extension : script.extensions) reply += "250-" + extension + "\r\n";
    if (script.offers_tls && !tls_) reply += "250-STARTTLS\r\n";
    return Say(reply + "250 HELP", "", out);
  }
  if (line.starts_with("AUTH PLAIN ")) {
    authenticated_ = line.substr(11) == script.auth;
    receiver_.authenticated += authenticated_ ? 1 : 0;
    return Say("", authenticated_ ? "235 2.7.0 welcome" : "535 5.7.8 wrong", out);
  }
  if (line == "STARTTLS") {
    const bool open = Say("", "220 go ahead", out);
    handshaking_ = true;
    return open;
  }
  if (line == "RSET") {
    mail_ = rcpt_ = false;
    return Say("", "250 2.0.0 reset", out);
  }
  if (line == "QUIT") {
    (void)Say("", "221 2.0.0 bye", out);
    return false;
  }
  if (line.starts_with("MAIL FROM:<")) {
    if (!script.auth.empty() && !authenticated_) return Say("530 5.7.0 authenticate first", "", out);
    if (script.messages_per_session != 0 && messages_ >= script.messages_per_session) {
      return Say("421 4.7.0 Max message per connection reached", "", out);
    }
    receiver_.flights += in_.empty() ? 0 : 1;
    message_ = {};
    message_.session = id_;
    message_.number = ++messages_;
    message_.client = client_;
    message_.tls = tls_;
    message_.time = now;
    message_.from = line.substr(11, line.find('>') - 11);
    const std::string scripted = script.on_mail ? script.on_mail(message_) : std::string();
    mail_ = scripted.empty() || scripted.starts_with('2');
    return Say(scripted, "250 2.1.0 sender ok", out);
  }
  if (line.starts_with("RCPT TO:<")) {
    if (!mail_) return Say("503 5.5.1 MAIL first", "", out);
    message_.to = line.substr(9, line.find('>') - 9);
    const std::string scripted = script.on_rcpt ? script.on_rcpt(message_) : std::string();
    rcpt_ = scripted.empty() || scripted.starts_with('2');
    return Say(scripted, "250 2.1.5 recipient ok", out);
  }
  if (line == "DATA") {
    if (!mail_ || !rcpt_) return Say("503 5.5.1 no valid recipient", "", out);
    data_ = true;
    return Say("", "354 go on", out);
  }
  return Say("500 5.5.2 what?", "", out);
}

}  // namespace postrider::delivery
