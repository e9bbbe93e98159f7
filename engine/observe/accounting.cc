#include "engine/observe/accounting.h"

#include <algorithm>
#include <array>
#include <chrono>
#include <cmath>

#include <fmt/format.h>

#include "engine/observe/utf8_text.h"

namespace postrider::observe {
namespace {

using queue::Event;
using queue::EventKind;

enum class RecordType { kNone, kDelivered, kBounced, kTransient };

RecordType TypeOf(const Event& event, bool deferrals) {
  if (event.kind == EventKind::kPath || event.kind == EventKind::kCampaign) return RecordType::kNone;
  if (event.kind == EventKind::kDelivered) return RecordType::kDelivered;
  if (event.final) return RecordType::kBounced;
  return deferrals ? RecordType::kTransient : RecordType::kNone;
}

// Octets that need no quotes: printable ASCII but the comma and the quote.
constexpr std::array<bool, 256> MakePlain() {
  std::array<bool, 256> plain{};
  for (std::size_t octet = 0x20; octet < 0x7f; ++octet) plain[octet] = octet != ',' && octet != '"';
  return plain;
}
constexpr std::array<bool, 256> kPlain = MakePlain();

bool IsPlain(std::string_view text) {
  return std::ranges::all_of(text, [](char c) { return kPlain[static_cast<std::uint8_t>(c)]; });
}

// Line breaks beyond ASCII (U+0085, U+2028, U+2029) and the other C1 controls; some parsers and all terminals act on
// them.
bool IsControl(std::string_view sequence) {
  return (sequence.size() == 2 && sequence[0] == '\xc2' && static_cast<std::uint8_t>(sequence[1]) < 0xa0) ||
         sequence == "\xe2\x80\xa8" || sequence == "\xe2\x80\xa9";
}

// What stands inside quotes: one line of valid UTF-8.
void AppendQuoted(std::string& out, std::string_view text) {
  while (!text.empty()) {
    const auto first = static_cast<std::uint8_t>(text[0]);
    std::size_t length = 1;
    if (first == '"') {
      out += "\"\"";
    } else if (first < 0x20 || first == 0x7f) {
      out += ' ';
    } else if (first < 0x80) {
      out += text[0];
    } else if (const std::size_t sequence = SequenceLength(text); sequence > 0) {
      length = sequence;
      out += IsControl(text.substr(0, length)) ? std::string_view(" ") : text.substr(0, length);
    } else {
      out += kReplacement;
    }
    text.remove_prefix(length);
  }
}

void AppendNumber(std::string& out, std::uint64_t value) {
  const fmt::format_int text(value);
  out.append(text.data(), text.size());
}

// "2026-11-24 05:44:05+0000", as PowerMTA writes times; years beyond four digits do not come from a clock.
void AppendTime(std::string& out, Wall time) {
  const auto day = std::chrono::floor<std::chrono::days>(time);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(std::chrono::floor<std::chrono::seconds>(time - day));
  const auto digits = [&out](unsigned value, std::size_t width) {
    char text[4];
    for (std::size_t i = width; i > 0; --i, value /= 10) text[i - 1] = static_cast<char>('0' + value % 10);
    out.append(text, width);
  };
  digits(static_cast<unsigned>(std::clamp(static_cast<int>(date.year()), 0, 9999)), 4);
  out += '-';
  digits(static_cast<unsigned>(date.month()), 2);
  out += '-';
  digits(static_cast<unsigned>(date.day()), 2);
  out += ' ';
  digits(static_cast<unsigned>(clock.hours().count()), 2);
  out += ':';
  digits(static_cast<unsigned>(clock.minutes().count()), 2);
  out += ':';
  digits(static_cast<unsigned>(clock.seconds().count()), 2);
  out += "+0000";
}

// Writes fields with a comma before all but the first.
class Fields {
 public:
  explicit Fields(std::string& out) : out_(out) {}

  // Nothing in our own words needs quotes.
  void Word(std::string_view word) {
    Next();
    out_ += word;
  }
  void Text(std::string_view text) { Text({text}); }
  // Several pieces make one field.
  void Text(std::initializer_list<std::string_view> pieces) {
    Next();
    if (std::ranges::all_of(pieces, IsPlain)) {
      for (const std::string_view piece : pieces) out_ += piece;
      return;
    }
    out_ += '"';
    for (const std::string_view piece : pieces) AppendQuoted(out_, piece);
    out_ += '"';
  }
  void Time(Wall time) {
    Next();
    AppendTime(out_, time);
  }
  void Number(std::uint64_t value) {
    Next();
    AppendNumber(out_, value);
  }
  // The field is written by the caller, in words that need no quotes.
  std::string& Own() {
    Next();
    return out_;
  }

 private:
  void Next() {
    if (!first_) out_ += ',';
    first_ = false;
  }

  std::string& out_;
  bool first_ = true;
};

// What RFC 3463 calls a status, without its class.
std::string_view StatusWords(unsigned subject, unsigned detail) {
  struct Name {
    unsigned subject, detail;
    std::string_view words;
  };
  static constexpr Name kNames[] = {
      {0, 0, "undefined status"},
      {1, 0, "other address status"},
      {1, 1, "bad destination mailbox address"},
      {1, 2, "bad destination system address"},
      {1, 3, "bad destination mailbox address syntax"},
      {1, 4, "destination mailbox address ambiguous"},
      {1, 5, "destination address valid"},
      {1, 6, "mailbox has moved"},
      {1, 7, "bad sender's mailbox address syntax"},
      {1, 8, "bad sender's system address"},
      {1, 10, "recipient address has null MX"},
      {2, 0, "other or undefined mailbox status"},
      {2, 1, "mailbox disabled not accepting messages"},
      {2, 2, "mailbox full"},
      {2, 3, "message length exceeds administrative limit"},
      {2, 4, "mailing list expansion problem"},
      {3, 0, "other or undefined mail system status"},
      {3, 1, "mail system full"},
      {3, 2, "system not accepting network messages"},
      {3, 3, "system not capable of selected features"},
      {3, 4, "message too big for system"},
      {3, 5, "system incorrectly configured"},
      {4, 0, "other or undefined network or routing status"},
      {4, 1, "no answer from host"},
      {4, 2, "bad connection"},
      {4, 3, "directory server failure"},
      {4, 4, "unable to route"},
      {4, 5, "mail system congestion"},
      {4, 6, "routing loop detected"},
      {4, 7, "delivery time expired"},
      {5, 0, "other or undefined protocol status"},
      {5, 1, "invalid command"},
      {5, 2, "syntax error"},
      {5, 3, "too many recipients"},
      {5, 4, "invalid command arguments"},
      {5, 5, "wrong protocol version"},
      {6, 0, "other or undefined media error"},
      {6, 1, "media not supported"},
      {6, 2, "conversion required and prohibited"},
      {6, 3, "conversion required but not supported"},
      {6, 4, "conversion with loss performed"},
      {6, 5, "conversion failed"},
      {7, 0, "other or undefined security status"},
      {7, 1, "delivery not authorized"},
      {7, 2, "mailing list expansion prohibited"},
      {7, 3, "security conversion required but not possible"},
      {7, 4, "security features not supported"},
      {7, 5, "cryptographic failure"},
      {7, 6, "cryptographic algorithm not supported"},
      {7, 7, "message integrity failure"},
  };
  std::string_view of_subject;
  for (const Name& name : kNames) {
    if (name.subject != subject) continue;
    if (name.detail == detail) return name.words;
    if (name.detail == 0) of_subject = name.words;
  }
  return of_subject.empty() ? kNames[0].words : of_subject;
}

// The status of an end without the receiver's own.
EnhancedCode StatusOf(const Event& event, RecordType type) {
  const std::uint8_t klass = event.code >= 500 ? 5 : event.code >= 400 ? 4 : type == RecordType::kTransient ? 4 : 5;
  if (event.kind == EventKind::kExpired) return {4, 4, 7};
  if (event.enhanced) return *event.enhanced;
  if (event.kind == EventKind::kUnknown) return {4, 4, 2};
  if (event.code != 0) return {klass, 0, 0};
  switch (event.category) {
    case Category::kNoAnswerFromHost:
      return {klass, 4, 1};
    case Category::kBadConnection:
      return {klass, 4, 2};
    case Category::kDnsFailure:
    case Category::kRoutingErrors:
      return {klass, 4, 4};
    default:
      return {klass, 0, 0};
  }
}

void AppendStatus(Fields& fields, const Event& event, RecordType type) {
  // A delivery has one status, whatever the receiver's own: scripts compare the whole field.
  if (type == RecordType::kDelivered) return fields.Word("2.0.0 (success)");
  if (event.code == 0 && event.category == Category::kBadDomain) {
    return fields.Word("5.1.2 (bad destination system: no such domain)");
  }
  std::string& out = fields.Own();
  const EnhancedCode code = StatusOf(event, type);
  AppendNumber(out, code.klass);
  out += '.';
  AppendNumber(out, code.subject);
  out += '.';
  AppendNumber(out, code.detail);
  out += " (";
  out += StatusWords(code.subject, code.detail);
  out += ')';
}

void AppendDiagnostic(Fields& fields, const Event& event) {
  if (event.reply.empty()) return fields.Word("");
  // The sentence of an expiry is ours, though it quotes the last reply.
  if (event.code == 0 || event.kind == EventKind::kExpired) return fields.Text({"x-postrider;", event.reply});
  const fmt::format_int code(event.code);
  fields.Text({"smtp;", std::string_view(code.data(), code.size()), " ", event.reply});
}

// "192.0.2.7" of "192.0.2.7:25" or "192.0.2.7", "2001:db8::1" of "[2001:db8::1]:25".
std::string_view WithoutPort(std::string_view address) {
  if (address.starts_with('[')) return address.substr(1, address.find(']') - 1);
  const std::size_t colon = address.find(':');
  const bool one = colon != address.npos && address.find(':', colon + 1) == address.npos;
  return one ? address.substr(0, colon) : address;
}

// When it was released or, of transactional mail, accepted.
Wall QueuedAt(const Event& event) {
  constexpr double kMost = 1e9;  // thirty years: beyond any wait, and the conversion stays defined
  const double waited = event.queued_seconds + event.smtp_seconds;
  if (!(waited > 0) || waited > kMost) return event.time;
  return event.time - std::chrono::milliseconds(std::llround(waited * 1000));
}

std::string_view CategoryOf(const Event& event, RecordType type) {
  if (type == RecordType::kDelivered) return "success";
  if (event.kind == EventKind::kExpired) return BounceCategory(Category::kMessageExpired);
  return BounceCategory(event.category);
}

}  // namespace

std::string_view BounceCategory(Category category) {
  switch (category) {
    case Category::kSpamBlock:
      return ToString(Category::kSpamRelated);
    case Category::kDnsFailure:
      return ToString(Category::kRoutingErrors);
    case Category::kThrottled:
    case Category::kAuthFailure:
      return ToString(Category::kPolicyRelated);
    case Category::kTlsFailure:
      return ToString(Category::kBadConnection);
    case Category::kNone:
      return ToString(Category::kOther);
    default:
      return ToString(category);
  }
}

void AccountingLine::Append(const Event& event, std::string& out) {
  const RecordType type = TypeOf(event, deferrals_);
  if (type == RecordType::kNone) return;
  const bool delivered = type == RecordType::kDelivered;
  const std::string_view mx_address = WithoutPort(event.mx_address);
  Fields fields(out);
  fields.Word(delivered ? "d" : type == RecordType::kBounced ? "b" : "t");
  fields.Time(event.time);
  fields.Time(QueuedAt(event));
  fields.Text(event.envelope_from);
  fields.Text(event.recipient);
  fields.Word("");  // orcpt: nobody gave us one
  fields.Word(delivered ? "relayed" : type == RecordType::kBounced ? "failed" : "delayed");
  AppendStatus(fields, event, type);
  AppendDiagnostic(fields, event);
  if (event.mx_host.empty()) {
    fields.Text(mx_address);
  } else if (mx_address.empty()) {
    fields.Text(event.mx_host);
  } else {
    fields.Text({event.mx_host, " (", mx_address, ")"});
  }
  fields.Word(CategoryOf(event, type));
  fields.Word("api");  // srcType: the spool is our programming interface
  fields.Word("");     // srcMta: it did not come by SMTP
  fields.Word("smtp");
  fields.Text(event.local_address);
  fields.Text(mx_address);
  fields.Word("");  // dlvEsmtpAvailable
  fields.Number(event.bytes);
  fields.Text(event.source);
  fields.Text(event.campaign);
  fields.Text(event.row_id);
  fields.Text({event.domain, "/", event.source});
  fields.Text(event.pool);
  out += "\r\n";
}

}  // namespace postrider::observe
