// From the banner to the first message: EHLO or HELO, STARTTLS, AUTH.

#include <fmt/format.h>

#include <utility>

#include "engine/smtp/auth.h"
#include "engine/smtp/ehlo.h"
#include "engine/smtp/machine.h"

namespace postrider::smtp {
namespace {

// RFC 4954 section 4: a longer line must not carry the initial response.
constexpr std::size_t kCommandBytes = 512;

}  // namespace

bool Conversation::Machine::TlsDemanded() const {
  return settings_.tls == TlsDemand::kRequired || settings_.tls == TlsDemand::kVerified;
}

void Conversation::Machine::Refused(Stage stage, const Reply& reply) {
  Close(ConversationEnd::Kind::kRefused, stage, &reply,
        fmt::format("the server refused at the stage {}: {} {}", ToString(stage), reply.code, reply.text));
}

void Conversation::Machine::OnBanner(const Reply& reply, Monotonic now) {
  if (reply.code >= 400) return Refused(Stage::kBanner, reply);
  if (reply.code >= 300) return CloseProtocol(Command::kBanner, reply, "220");
  SayEhlo(now);
}

void Conversation::Machine::SayEhlo(Monotonic now) {
  out_.append("EHLO ").append(settings_.ehlo_name).append("\r\n");
  Expect(Command::kEhlo, now);
}

void Conversation::Machine::OnEhlo(const Reply& reply, Monotonic now) {
  if (reply.Permanent()) {  // RFC 5321 section 3.2: it may be too old for EHLO
    out_.append("HELO ").append(settings_.ehlo_name).append("\r\n");
    return Expect(Command::kHelo, now);
  }
  if (reply.Transient()) return Refused(Stage::kEhlo, reply);
  if (reply.code >= 300) return CloseProtocol(Command::kEhlo, reply, "250");
  offer_ = ReadEhlo(reply);
  ContinueOpening(now);
}

void Conversation::Machine::OnHelo(const Reply& reply, Monotonic now) {
  if (reply.code >= 400) return Refused(Stage::kEhlo, reply);
  if (reply.code >= 300) return CloseProtocol(Command::kHelo, reply, "250");
  offer_ = ReadHelo(reply);
  ContinueOpening(now);
}

void Conversation::Machine::ContinueOpening(Monotonic now) {
  if (!tls_ && settings_.tls != TlsDemand::kNone) {
    if (offer_.start_tls) {
      out_.append("STARTTLS\r\n");
      return Expect(Command::kStartTls, now);
    }
    if (TlsDemanded()) {
      return Close(ConversationEnd::Kind::kTlsUnavailable, Stage::kEhlo, nullptr,
                   fmt::format("TLS is required, but {} does not offer STARTTLS", offer_.host));
    }
  }
  if (!settings_.auth_user.empty()) return Authenticate(now);
  phase_ = Phase::kOpen;
}

void Conversation::Machine::OnStartTls(const Reply& reply, Monotonic /*now*/) {
  if (reply.code >= 400) return Refused(Stage::kStartTls, reply);
  if (reply.code >= 300) return CloseProtocol(Command::kStartTls, reply, "220");
  start_tls_accepted_ = true;  // the handshake begins once all that has come is read, and it was only this
}

void Conversation::Machine::Authenticate(Monotonic now) {
  const auto unavailable = [&](std::string_view why) {
    Close(ConversationEnd::Kind::kAuthUnavailable, Stage::kAuth, nullptr,
          fmt::format("cannot log in to {} as {}: {}", offer_.host, settings_.auth_user, why));
  };
  if (!tls_ && !settings_.auth_without_tls) {
    return unavailable("the connection has no TLS; auth_without_tls would allow that");
  }
  if (!offer_.auth_plain && !offer_.auth_login)
    return unavailable("the server offers neither AUTH PLAIN nor AUTH LOGIN");

  const bool prefers_plain = settings_.auth_mechanism == RouteOptions::AuthMechanism::kPlain;
  const bool plain = prefers_plain ? offer_.auth_plain : !offer_.auth_login;
  settings_.auth_mechanism = plain ? RouteOptions::AuthMechanism::kPlain : RouteOptions::AuthMechanism::kLogin;
  if (!plain) {
    out_.append("AUTH LOGIN\r\n");
    return Expect(Command::kAuth, now);
  }
  out_.append("AUTH PLAIN");
  const std::size_t response = (settings_.auth_user.size() + settings_.auth_secret.size() + 2 + 2) / 3 * 4;
  if (std::string_view("AUTH PLAIN ").size() + response + 2 > kCommandBytes) {
    out_.append("\r\n");
    return Expect(Command::kAuth, now);
  }
  out_.push_back(' ');
  AppendPlainResponse(settings_.auth_user, settings_.auth_secret, out_);
  out_.append("\r\n");
  Expect(Command::kAuthSecret, now);
}

void Conversation::Machine::OnAuth(Command command, const Reply& reply, Monotonic now) {
  if (reply.code >= 400) return Refused(Stage::kAuth, reply);
  if (command == Command::kAuthSecret) {
    if (reply.code >= 300) return CloseProtocol(command, reply, "235");
    Wipe(settings_.auth_secret);
    phase_ = Phase::kOpen;
    return;
  }
  if (reply.code != 334) return CloseProtocol(command, reply, "334");
  if (settings_.auth_mechanism == RouteOptions::AuthMechanism::kPlain) {
    AppendPlainResponse(settings_.auth_user, settings_.auth_secret, out_);
    command = Command::kAuthSecret;
  } else if (command == Command::kAuth) {
    AppendBase64(settings_.auth_user, out_);
    command = Command::kAuthUser;
  } else {
    AppendBase64(settings_.auth_secret, out_);
    command = Command::kAuthSecret;
  }
  out_.append("\r\n");
  Expect(command, now);
}

}  // namespace postrider::smtp
