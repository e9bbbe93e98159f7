#include "engine/observe/event_line.h"

#include <cmath>

#include <fmt/format.h>

#include "engine/observe/json_text.h"

namespace postrider::observe {
namespace {

constexpr std::string_view kRecipientKey = "\"recipient\":";

// Writes `,"key":value` for what is set, nothing for what is empty.
class Fields {
 public:
  explicit Fields(std::string& out) : out_(out) {}

  void Text(std::string_view key, std::string_view value) {
    if (value.empty()) return;
    Key(key);
    AppendJsonString(out_, value);
  }
  // For our own names, which need no escape.
  void Name(std::string_view key, std::string_view value) {
    if (value.empty()) return;
    Key(key);
    out_ += '"';
    out_ += value;
    out_ += '"';
  }
  void Number(std::string_view key, std::uint64_t value) {
    if (value == 0) return;
    Key(key);
    Digits(value);
  }
  void Truth(std::string_view key, bool value) {
    Key(key);
    out_ += value ? "true" : "false";
  }
  // In microseconds' precision, which a loopback round trip needs. What is no time at all (below zero, not a number)
  // is left out.
  void Seconds(std::string_view key, double value) {
    constexpr double kMost = 1e12;  // beyond any real wait; keeps the product below 2^63
    if (!(value >= 0) || value > kMost) return;
    const auto microseconds = static_cast<std::uint64_t>(std::llround(value * 1e6));
    Key(key);
    Digits(microseconds / 1'000'000);
    char fraction[7] = {'.'};
    std::uint64_t rest = microseconds % 1'000'000;
    for (int i = 6; i > 0; --i, rest /= 10) fraction[i] = static_cast<char>('0' + rest % 10);
    out_.append(fraction, sizeof fraction);
  }
  void Time(std::string_view key, Wall value, Rfc3339Writer& writer) {
    Key(key);
    out_ += '"';
    writer.Append(value, out_);
    out_ += '"';
  }
  void Enhanced(std::string_view key, const EnhancedCode& code) {
    Key(key);
    out_ += '"';
    Digits(code.klass);
    out_ += '.';
    Digits(code.subject);
    out_ += '.';
    Digits(code.detail);
    out_ += '"';
  }
  // What ends a job without an attempt (expired, cancelled) has the number of the last one, as that one's deferral has:
  // the mark keeps the two apart.
  void Id(const queue::Event& event, std::uint64_t run) {
    Key("id");
    out_ += '"';
    Digits(event.job.campaign);
    out_ += '-';
    Digits(event.job.row);
    out_ += '-';
    Digits(event.attempt);
    if (event.final) out_ += 'f';
    out_ += '-';
    Digits(run);
    out_ += '"';
  }

 private:
  void Key(std::string_view key) {
    out_ += ",\"";
    out_ += key;
    out_ += "\":";
  }
  void Digits(std::uint64_t value) {
    const fmt::format_int text(value);
    out_.append(text.data(), text.size());
  }

  std::string& out_;
};

bool IsAboutRecipient(queue::EventKind kind) {
  return kind != queue::EventKind::kPath && kind != queue::EventKind::kCampaign;
}

}  // namespace

void EventLine::Append(const queue::Event& event, std::string& out) {
  const bool about_recipient = IsAboutRecipient(event.kind);
  out += "{\"v\":1";
  Fields fields(out);
  if (about_recipient) fields.Id(event, run_);
  fields.Time("time", event.time, time_);
  fields.Name("event", ToString(event.kind));
  if (about_recipient) fields.Truth("final", event.final);
  fields.Text("campaign", event.campaign);
  if (event.kind != queue::EventKind::kPath) fields.Name("class", ToString(event.mail_class));
  fields.Text("row_id", event.row_id);
  fields.Text("recipient", event.recipient);
  fields.Text("domain", event.domain);
  fields.Text("site", event.site);
  fields.Text("provider", event.provider);
  fields.Text("mx_host", event.mx_host);
  fields.Text("mx_address", event.mx_address);
  fields.Text("source", event.source);
  fields.Text("local_address", event.local_address);
  fields.Text("pool", event.pool);
  fields.Text("envelope_from", event.envelope_from);
  fields.Text("message_id", event.message_id);
  fields.Number("connection", event.connection);
  fields.Number("connection_message", event.connection_message);
  fields.Number("attempt", event.attempt);
  fields.Number("code", event.code);
  if (event.enhanced) fields.Enhanced("enhanced", *event.enhanced);
  fields.Text("reply", event.reply);
  if (event.stage != Stage::kNone) fields.Name("stage", ToString(event.stage));
  fields.Name("category", ToString(event.category));
  // Without a reply, or with a good one, nobody is meant but the recipient.
  if (event.kind == queue::EventKind::kPath || (event.code != 0 && event.kind != queue::EventKind::kDelivered)) {
    fields.Name("scope", ToString(event.scope));
  }
  if (event.next_due) fields.Time("next_due", *event.next_due, next_due_);
  fields.Text("tls_version", event.tls_version);
  fields.Text("tls_cipher", event.tls_cipher);
  fields.Number("bytes", event.bytes);
  if (about_recipient) fields.Seconds("queued_seconds", event.queued_seconds);
  if (event.smtp_seconds > 0) fields.Seconds("smtp_seconds", event.smtp_seconds);
  fields.Number("run", run_);
  out += "}\n";
}

std::string RecipientMark(std::string_view recipient) {
  // Inside any value the key's quotes are escaped, so that no hostile text can look like it.
  std::string mark(kRecipientKey);
  AppendJsonString(mark, recipient);
  return mark;
}

}  // namespace postrider::observe
