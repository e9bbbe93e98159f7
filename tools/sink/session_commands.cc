// The commands of a conversation and what each demands of its place in it.

#include <fmt/format.h>

#include <charconv>
#include <iterator>

#include "tools/sink/auth.h"
#include "tools/sink/path.h"
#include "tools/sink/session.h"

namespace postrider::sink {
namespace {

constexpr std::size_t kHelloNameMax = 255;  // RFC 5321 section 4.5.3.1.2
constexpr std::uint32_t kAuthFailuresMax = 3;

bool IsHelloName(std::string_view name) {
  if (name.empty() || name.size() > kHelloNameMax) return false;
  for (const char c : name) {
    if (c <= ' ' || c == 0x7F) return false;  // beyond ASCII is negative
  }
  return true;
}

// RFC 2920 section 3.1: what must be the last command of a group, apart from QUIT, behind which nothing is read.
bool EndsGroup(std::string_view verb) {
  return EqualsUpper(verb, "DATA") || EqualsUpper(verb, "EHLO") || EqualsUpper(verb, "HELO") ||
         EqualsUpper(verb, "STARTTLS") || EqualsUpper(verb, "AUTH");
}

}  // namespace

Session::Step Session::Command(std::string_view line) {
  const std::string_view verb = line.substr(0, line.find(' '));
  std::string_view arguments = line.substr(verb.size());
  while (arguments.starts_with(' ')) arguments.remove_prefix(1);
  while (arguments.ends_with(' ')) arguments.remove_suffix(1);

  const bool is_bdat = EqualsUpper(verb, "BDAT");  // its chunk follows without waiting: RFC 3030 section 2
  const bool is_quit = EqualsUpper(verb, "QUIT");
  if ((TalksEarly() && !is_bdat && !is_quit) || (!input_.empty() && EndsGroup(verb))) {
    ++counts_.protocol_errors;
    Say("554 5.5.0 SMTP synchronization error: input before the reply to this command");
    return Step::kLinger;
  }
  if (EqualsUpper(verb, "MAIL")) return DoMail(arguments);
  if (EqualsUpper(verb, "RCPT")) return DoRcpt(arguments);
  if (EqualsUpper(verb, "DATA")) return DoData();
  if (is_bdat) return DoBdat(arguments);
  if (EqualsUpper(verb, "EHLO")) return DoHello(arguments, true);
  if (EqualsUpper(verb, "HELO")) return DoHello(arguments, false);
  if (EqualsUpper(verb, "STARTTLS")) return DoStartTls(arguments);
  if (EqualsUpper(verb, "AUTH")) return DoAuth(arguments);
  if (is_quit) {
    Play(receiver_.personality.quit);
    return Step::kClose;
  }
  if (EqualsUpper(verb, "RSET")) {
    ForgetTransaction();
    return Say("250 2.0.0 Ok");
  }
  if (EqualsUpper(verb, "NOOP")) return Say("250 2.0.0 Ok");
  if (EqualsUpper(verb, "HELP")) return Say("214 2.0.0 This server takes mail and throws it away");
  if (EqualsUpper(verb, "VRFY")) return Say("252 2.5.2 Cannot VRFY user, but will take messages");
  return SayError("500 5.5.1 Command not recognized");
}

Session::Step Session::DoHello(std::string_view name, bool extended) {
  if (!IsHelloName(name)) return SayError("501 5.5.2 Syntax: EHLO hostname");
  if (Hits(Point::kEhlo)) return Break();
  ForgetTransaction();
  hello_ = extended ? Hello::kEhlo : Hello::kHelo;
  hello_name_ = name;
  const std::size_t start = out_->size();
  Play(receiver_.personality.hello);
  if (!extended || offer().lines.empty()) return Step::kGoOn;
  (*out_)[start + 3] = '-';
  *out_ += offer().lines;
  return Step::kGoOn;
}

Session::Step Session::DoMail(std::string_view arguments) {
  if (hello_ == Hello::kNone) return Say("503 5.5.1 EHLO or HELO first");
  if (context_.draining) {
    SayGoodbye(*out_);
    return Step::kLinger;
  }
  if (behaviour().tls == TlsMode::kRequired && !tls_.on) return Play(receiver_.personality.tls_required);
  if (behaviour().auth_required && auth_user_.empty()) return Say("530 5.7.0 Authentication required");
  if (in_transaction_) return Say("503 5.5.1 Nested MAIL command");
  if (behaviour().message_cap != 0 && messages_ >= behaviour().message_cap) {
    ++counts_.caps_reached;
    return Play(receiver_.personality.message_cap);
  }
  const std::optional<PathArgument> argument = ParsePathArgument(arguments, "FROM:");
  if (!argument) return SayError("501 5.5.4 Syntax: MAIL FROM:<address>");
  if (const std::string_view problem = MailParametersProblem(argument->parameters); !problem.empty()) {
    ForgetTransaction();
    return problem.starts_with("552") ? Say(problem) : SayError(problem);
  }
  if (!argument->path.empty() && !IsMailbox(argument->path, utf8_)) {
    ForgetTransaction();
    return SayError("553 5.1.7 The sender's address is not a valid mailbox");
  }
  if (Hits(Point::kMail)) return Break();
  if (const ReplyText* refusal = CountMessage(Point::kMail)) return Play(*refusal);
  in_transaction_ = true;
  from_ = argument->path;
  id_.clear();
  fmt::format_to(std::back_inserter(id_), "{:x}.{}", connection_, messages_ + 1);
  return Play(receiver_.personality.mail_accepted);
}

std::string_view Session::MailParametersProblem(std::string_view parameters) {
  constexpr std::string_view kUnknown = "555 5.5.4 A parameter of MAIL is not known here or was not offered";
  if (!parameters.empty() && hello_ != Hello::kEhlo) return kUnknown;
  while (!parameters.empty()) {
    const auto [key, value] = TakeParameter(parameters);
    if (EqualsUpper(key, "SIZE") && offer().size) {
      std::uint64_t size = 0;
      const auto [end, error] = std::from_chars(value.data(), value.data() + value.size(), size);
      if (error != std::errc{} || end != value.data() + value.size()) return "501 5.5.4 SIZE needs a number of bytes";
      if (size > receiver_.message_limit_bytes) {
        ++counts_.refused_permanent;
        return "552 5.3.4 Message size exceeds fixed limit";
      }
    } else if (EqualsUpper(key, "BODY") && offer().eight_bit_mime) {
      const bool binary = EqualsUpper(value, "BINARYMIME") && offer().binary_mime;
      if (!binary && !EqualsUpper(value, "7BIT") && !EqualsUpper(value, "8BITMIME")) return "501 5.5.4 Unknown BODY";
    } else if (EqualsUpper(key, "SMTPUTF8") && value.empty() && offer().smtputf8) {
      utf8_ = true;
    } else if (EqualsUpper(key, "AUTH") && offer().auth) {
    } else if ((EqualsUpper(key, "RET") || EqualsUpper(key, "ENVID")) && offer().dsn) {
    } else {
      return kUnknown;
    }
  }
  return {};
}

Session::Step Session::DoRcpt(std::string_view arguments) {
  if (!in_transaction_) return Say("503 5.5.1 Need MAIL command");
  const std::optional<PathArgument> argument = ParsePathArgument(arguments, "TO:");
  if (!argument) return SayError("501 5.5.4 Syntax: RCPT TO:<address>");
  if (!RcptParametersOffered(argument->parameters)) {
    return SayError("555 5.5.4 A parameter of RCPT is not known here or was not offered");
  }
  if (!IsMailbox(argument->path, utf8_)) return SayError("553 5.1.3 The recipient's address is not a valid mailbox");
  if (by_bdat_) return Say("503 5.5.1 RCPT after BDAT");
  if (recipient_count_ >= receiver_.recipients_max) return Say("452 4.5.3 Too many recipients");
  if (Hits(Point::kRcpt)) return Break();
  if (const ReplyText* refusal = CountMessage(Point::kRcpt)) return Play(*refusal, argument->path);

  if (recipient_count_ == recipients_.size()) recipients_.emplace_back();
  AcceptedRecipient& recipient = recipients_[recipient_count_];
  recipient.address = argument->path;
  LowerDomain(recipient.address);
  recipient.key = context_.tally.KeyOf(recipient.address);
  const Tally::Attempt attempt = context_.tally.CountAttempt(recipient.key, SinceEpoch());
  recipient.attempt = attempt.number;
  recipient.accepted = 0;

  const Ruling ruling = Rule(behaviour(), context_.seed, recipient.address, attempt.number, attempt.ms_since_first);
  if (ruling.kind != Ruling::Kind::kAccept && !ruling.at_content) return Refuse(ruling, recipient.address);
  if (ruling.kind != Ruling::Kind::kAccept && ruling_.kind == Ruling::Kind::kAccept) {
    ruling_ = ruling;
    ruled_recipient_ = recipient_count_;
  }
  ++recipient_count_;
  return Play(receiver_.personality.rcpt_accepted, recipient.address);
}

bool Session::RcptParametersOffered(std::string_view parameters) const {
  while (!parameters.empty()) {
    const auto [key, value] = TakeParameter(parameters);
    const bool dsn = EqualsUpper(key, "NOTIFY") || EqualsUpper(key, "ORCPT");
    if (!dsn || !offer().dsn || hello_ != Hello::kEhlo || value.empty()) return false;
  }
  return true;
}

Session::Step Session::DoData() {
  if (!in_transaction_ || by_bdat_) return Say("503 5.5.1 Bad sequence of commands");
  if (recipient_count_ == 0) return Say("554 5.5.1 No valid recipients");
  if (Hits(Point::kData)) return Break();
  mode_ = Mode::kData;
  scanner_.Start();
  return Play(receiver_.personality.data_go_ahead);
}

Session::Step Session::DoBdat(std::string_view arguments) {
  const std::string_view size = arguments.substr(0, arguments.find(' '));
  std::string_view last = arguments.substr(size.size());
  while (last.starts_with(' ')) last.remove_prefix(1);
  std::uint64_t bytes = 0;
  const auto [end, error] = std::from_chars(size.data(), size.data() + size.size(), bytes);
  const bool well_formed = !size.empty() && error == std::errc{} && end == size.data() + size.size() &&
                           (last.empty() || EqualsUpper(last, "LAST"));
  if (!well_formed || !offer().chunking) {
    // How many bytes of content follow is not known, so nothing behind this can be read as commands.
    ++counts_.protocol_errors;
    Say(well_formed ? "502 5.5.1 BDAT is not offered here" : "501 5.5.4 Syntax: BDAT size [LAST]");
    return Step::kLinger;
  }
  chunk_left_ = bytes;
  chunk_is_last_ = !last.empty();
  if (!in_transaction_ || recipient_count_ == 0) {
    bdat_failed_ = true;
  } else if (!by_bdat_ && !bdat_failed_) {
    if (Hits(Point::kData)) return Break();
    by_bdat_ = true;
    chunked_bytes_ = 0;
  }
  if (bytes == 0) return EndOfChunk();
  mode_ = Mode::kChunk;
  return Step::kGoOn;
}

Session::Step Session::DoStartTls(std::string_view arguments) {
  if (!arguments.empty()) return SayError("501 5.5.4 STARTTLS takes no argument");
  if (tls_.on || !offer().start_tls) return SayError("503 5.5.1 STARTTLS is not offered here");
  Say("220 2.0.0 Ready to start TLS");
  return Step::kStartTls;
}

Session::Step Session::DoAuth(std::string_view arguments) {
  if (!offer().auth || hello_ != Hello::kEhlo) return SayError("503 5.5.1 AUTH is not offered here");
  if (!auth_user_.empty()) return SayError("503 5.5.1 Already authenticated");
  if (in_transaction_) return SayError("503 5.5.1 AUTH inside a mail transaction");
  const std::string_view mechanism = arguments.substr(0, arguments.find(' '));
  std::string_view initial = arguments.substr(mechanism.size());
  while (initial.starts_with(' ')) initial.remove_prefix(1);
  if (EqualsUpper(mechanism, "PLAIN")) {
    mode_ = Mode::kAuthPlain;
    return initial.empty() ? Say("334 ") : AuthLine(initial);
  }
  if (EqualsUpper(mechanism, "LOGIN")) {
    mode_ = Mode::kAuthLoginUser;
    return initial.empty() ? Say("334 VXNlcm5hbWU6") : AuthLine(initial);
  }
  return SayError("504 5.5.4 Only AUTH PLAIN and AUTH LOGIN are known here");
}

Session::Step Session::AuthLine(std::string_view line) {
  const Mode mode = mode_;
  mode_ = Mode::kCommand;
  if (TalksEarly()) {
    ++counts_.protocol_errors;
    Say("554 5.5.0 SMTP synchronization error: input before the reply to AUTH");
    return Step::kLinger;
  }
  if (line == "*") return Say("501 5.7.0 Authentication cancelled");
  if (mode == Mode::kAuthPlain) {
    const std::optional<Credentials> credentials = ReadPlainResponse(line);
    if (!credentials) return SayError("501 5.5.2 Cannot decode the response");
    return CheckCredentials(credentials->user, credentials->password);
  }
  std::optional<std::string> text = DecodeBase64(line);
  if (!text) return SayError("501 5.5.2 Cannot decode the response");
  if (mode == Mode::kAuthLoginPassword) return CheckCredentials(login_user_, *text);
  login_user_ = std::move(*text);
  mode_ = Mode::kAuthLoginPassword;
  return Say("334 UGFzc3dvcmQ6");
}

Session::Step Session::CheckCredentials(std::string_view user, std::string_view password) {
  if (user == behaviour().auth_user && password == behaviour().auth_password) {
    auth_user_ = user;
    return Say("235 2.7.0 Authentication successful");
  }
  if (++auth_failures_ >= kAuthFailuresMax) {
    Say("421 4.7.0 Too many failed logins, closing connection");
    return Step::kLinger;
  }
  return Say("535 5.7.8 Authentication credentials invalid");
}

}  // namespace postrider::sink
