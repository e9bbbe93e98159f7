#include "engine/message/render.h"

#include <algorithm>
#include <charconv>
#include <cstring>

#include <fmt/format.h>

#include "config/email_address.h"
#include "engine/message/charset.h"
#include "engine/message/header_writer.h"
#include "engine/message/transfer_encoding.h"

namespace postrider::message {
namespace {

constexpr std::size_t kShortLine = 78;
constexpr std::string_view kHex = "0123456789ABCDEF";

// A value under construction: on the stack up to a kilobyte, which headers rarely pass.
class Scratch {
 public:
  void Append(std::string_view text) {
    if (size_ + text.size() <= small_.size() && large_.empty()) {
      std::memcpy(small_.data() + size_, text.data(), text.size());
      size_ += text.size();
      return;
    }
    if (large_.empty()) large_.assign(small_.data(), size_);
    large_.append(text);
  }
  void Append(char c) { Append(std::string_view(&c, 1)); }
  void Clear() {
    size_ = 0;
    large_.clear();
  }
  [[nodiscard]] std::string_view view() const {
    return large_.empty() ? std::string_view(small_.data(), size_) : std::string_view(large_);
  }

 private:
  std::array<char, 1024> small_;
  std::size_t size_ = 0;
  std::string large_;
};

enum CharacterClass : std::uint8_t {
  kUriCharacter = 1,      // RFC 3986: unreserved, reserved or "%"
  kTokenCharacter = 2,    // of a msg-id: atext, "." and "@"
  kAddressCharacter = 4,  // of a plain address: atext and "."
  kPartCharacter = 8,     // of any part of a URI without a meaning of its own there: RFC 3986's unreserved, and "@"
};
constexpr std::array<std::uint8_t, 256> MakeClasses() {
  std::array<std::uint8_t, 256> classes{};
  constexpr std::uint8_t kAll = kUriCharacter | kTokenCharacter | kAddressCharacter | kPartCharacter;
  for (std::size_t c = '0'; c <= '9'; ++c) classes[c] = kAll;
  for (std::size_t c = 'a'; c <= 'z'; ++c) classes[c] = kAll;
  for (std::size_t c = 'A'; c <= 'Z'; ++c) classes[c] = kAll;
  for (const unsigned char c : std::string_view("-._~:/?#[]@!$&'()*+,;=%")) classes[c] |= kUriCharacter;
  for (const unsigned char c : std::string_view("!#$%&'*+-/=?^_`{|}~."))
    classes[c] |= kTokenCharacter | kAddressCharacter;
  for (const unsigned char c : std::string_view("-._~@")) classes[c] |= kPartCharacter;
  classes['@'] |= kTokenCharacter;
  return classes;
}
constexpr std::array<std::uint8_t, 256> kClasses = MakeClasses();
bool Is(CharacterClass wanted, char c) { return (kClasses[static_cast<unsigned char>(c)] & wanted) != 0; }

std::unexpected<Error> NoValue(const MessageLayout& layout, const FieldUse& use) {
  const std::string_view name =
      use.source == FieldSource::kRow ? std::string_view(layout.field_names[use.row_field]) : std::string_view("id");
  return Fail(ErrorCode::kInvalid,
              fmt::format("field \"{}\" has no value in this row and no default in the message", name));
}

std::unexpected<Error> BadHeader(const MessageLayout& layout, const HeaderLayout& header, std::string_view reason) {
  return Fail(ErrorCode::kInvalid, fmt::format("header {}: {}", layout.View(header.name), reason));
}

// as_it_stands: what needs no percent-encoding.
void AppendUriText(std::string_view text, CharacterClass as_it_stands, bool literal, Scratch& to) {
  for (const char c : text) {
    // The template's own "<", ">" and blanks are the header's syntax.
    if (Is(as_it_stands, c) || (literal && (c == '<' || c == '>' || c == ' ' || c == '\t'))) {
      to.Append(c);
      continue;
    }
    const auto octet = static_cast<unsigned char>(c);
    const char encoded[3] = {'%', kHex[octet >> 4], kHex[octet & 15]};
    to.Append(std::string_view(encoded, 3));
  }
}

// local@domain in plain characters: what nearly every address is, told without taking it apart.
bool IsPlainAddress(std::string_view address) {
  const std::size_t at = address.find('@');
  constexpr std::size_t kLocalMax = 64;
  constexpr std::size_t kAddressMax = 254;
  if (at == std::string_view::npos || at == 0 || at > kLocalMax || address.size() > kAddressMax) return false;
  const std::string_view local = address.substr(0, at);
  const std::string_view domain = address.substr(at + 1);
  if (local.front() == '.' || local.back() == '.' || local.find("..") != std::string_view::npos) return false;
  if (!std::all_of(local.begin(), local.end(), [](char c) { return Is(kAddressCharacter, c); })) return false;
  constexpr std::size_t kLabelMax = 63;
  std::size_t label = 0;
  char before = '.';
  for (const char c : domain) {
    const bool alphanumeric = (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9');
    if (c == '.') {
      if (label == 0 || before == '-') return false;
      label = 0;
    } else if (alphanumeric || (c == '-' && label > 0)) {
      if (++label > kLabelMax) return false;
    } else {
      return false;
    }
    before = c;
  }
  // A last label of digits only would be an IP address: left to the full parser.
  const bool letter_last = (before >= 'a' && before <= 'z') || (before >= 'A' && before <= 'Z');
  return label > 0 && letter_last && domain.find("--") == std::string_view::npos;
}

class HeaderRenderer {
 public:
  HeaderRenderer(const MessageLayout& layout, const HeaderLayout& header, const Values& values, std::string& out)
      : layout_(layout), header_(header), values_(values), out_(out) {}

  Result<void> Run() {
    const std::string_view name = layout_.View(header_.name);
    switch (header_.kind) {
      case HeaderKind::kAddress:
        return Addresses(name);
      case HeaderKind::kUri:
      case HeaderKind::kToken:
        return Structured(name);
      case HeaderKind::kUnstructured:
      case HeaderKind::kFixed:
        return Unstructured(name);
    }
    return {};
  }

  // The pieces' text, values as they are.
  Result<void> Assemble(PieceRange range, Scratch& to) const {
    for (std::uint32_t i = range.begin; i < range.end; ++i) {
      const Piece& piece = layout_.pieces[i];
      std::string_view text;
      if (!piece.is_field) {
        text = layout_.View(piece.literal);
      } else if (!values_.Find(layout_.uses[piece.use], text)) {
        return NoValue(layout_, layout_.uses[piece.use]);
      }
      to.Append(text);
    }
    return {};
  }

  Result<void> AssembleStructured(Scratch& to) const {
    for (std::uint32_t i = header_.text.begin; i < header_.text.end; ++i) {
      const Piece& piece = layout_.pieces[i];
      std::string_view text = layout_.View(piece.literal);
      if (piece.is_field && !values_.Find(layout_.uses[piece.use], text)) {
        return NoValue(layout_, layout_.uses[piece.use]);
      }
      if (header_.kind == HeaderKind::kUri) {
        AppendUriText(text, IsPartOfUri(piece, text, to.view()) ? kPartCharacter : kUriCharacter, !piece.is_field, to);
        continue;
      }
      if (piece.is_field && !std::all_of(text.begin(), text.end(), [](char c) { return Is(kTokenCharacter, c); })) {
        return BadHeader(layout_, header_, "only letters, digits and !#$%&'*+-/=?^_`{|}~.@ may be merged into it");
      }
      to.Append(text);
    }
    return {};
  }

 private:
  // A value that is put into a URI must not be read as more than one part of it ("&" and "#" would cut it, "+" reads as
  // a blank). What begins the URI is the whole of it or its front; a default is the template's own text.
  bool IsPartOfUri(const Piece& piece, std::string_view text, std::string_view before) const {
    if (!piece.is_field) return false;
    const FieldUse& use = layout_.uses[piece.use];
    return use.escape && text.data() != layout_.View(use.default_text).data() && !Trim(before).ends_with('<');
  }

  Result<void> Unstructured(std::string_view name) {
    Scratch line;
    line.Append(name);
    line.Append(": ");
    if (Result<void> assembled = Assemble(header_.text, line); !assembled) return assembled;
    const std::string_view whole = line.view();
    const std::string_view value = whole.substr(name.size() + 2);
    const bool plain = whole.size() <= kShortLine && value == Trim(value) &&
                       value.find("=?") == std::string_view::npos &&
                       std::all_of(whole.begin(), whole.end(), [](char c) { return c >= 32 && c < 127; });
    if (plain) {
      out_.append(whole);
    } else {
      out_.append(whole.substr(0, name.size() + 2));
      AppendUnstructured(value, name.size() + 2, out_);
    }
    out_.append("\r\n");
    return {};
  }

  Result<void> Structured(std::string_view name) {
    Scratch value;
    if (Result<void> assembled = AssembleStructured(value); !assembled) return assembled;
    out_.append(name).append(": ");
    if (!AppendFolded(value.view(), name.size() + 2, out_)) {
      return BadHeader(layout_, header_, "with this row's values it passes 998 octets on a line");
    }
    out_.append("\r\n");
    return {};
  }

  Result<void> Addresses(std::string_view name) {
    out_.append(name).append(": ");
    std::size_t column = name.size() + 2;
    for (std::uint32_t i = header_.mailbox_begin; i < header_.mailbox_end; ++i) {
      if (i > header_.mailbox_begin) Put(",", column);
      if (Result<void> put = PutMailbox(layout_.mailboxes[i], i > header_.mailbox_begin, column); !put) return put;
    }
    out_.append("\r\n");
    return {};
  }

  Result<void> PutMailbox(const Mailbox& mailbox, bool follows, std::size_t& column) {
    Scratch name;
    Scratch assembled;
    if (Result<void> done = Assemble(mailbox.name, name); !done) return done;
    if (Result<void> done = Assemble(mailbox.address, assembled); !done) return done;
    std::string canonical;
    std::string_view address = assembled.view();
    if (mailbox.check_address && !IsPlainAddress(address)) {
      const Result<EmailAddress> parsed = EmailAddress::Parse(address);
      if (!parsed) return BadHeader(layout_, header_, parsed.error().message);
      if (parsed->needs_smtputf8) {
        return BadHeader(layout_, header_, "a merged address outside ASCII before its \"@\" cannot be used here");
      }
      canonical = ToString(*parsed);
      address = canonical;
    }
    const std::string_view display = Trim(name.view());
    constexpr std::size_t kNameBeginning = 20;
    if (follows) PutBlank(display.empty() ? address.size() : std::min(display.size(), kNameBeginning), column);
    if (display.empty()) {
      Put(address, column);
      return {};
    }
    AppendDisplayName(display, column, out_);
    PutBlank(address.size() + 2, column);
    Put("<", column);
    Put(address, column);
    Put(">", column);
    return {};
  }

  void Put(std::string_view text, std::size_t& column) {
    out_.append(text);
    column += text.size();
  }
  // A blank, on a new line if what follows would not fit.
  void PutBlank(std::size_t following, std::size_t& column) {
    if (column + 1 + following > kShortLine) {
      out_.append("\r\n");
      column = 0;
    }
    Put(" ", column);
  }

  const MessageLayout& layout_;
  const HeaderLayout& header_;
  const Values& values_;
  std::string& out_;
};

// Lines of an 8-bit part with merged values: short enough, and none that reads as a boundary.
Result<void> CheckPlainLines(const MessageLayout& layout, std::string_view part) {
  while (!part.empty()) {
    const std::size_t end = part.find("\r\n");
    const std::string_view line = part.substr(0, end);
    part.remove_prefix(end == std::string_view::npos ? part.size() : end + 2);
    if (line.size() > kLineLimit) {
      return Fail(ErrorCode::kTooLarge,
                  fmt::format("with this row's values a line has {} octets; at most {} may be sent "
                              "(eight_bit = false encodes longer ones)",
                              line.size(), kLineLimit));
    }
    if (!line.starts_with("--")) continue;
    for (const std::string& boundary : layout.boundaries) {
      if (line.substr(2).starts_with(boundary)) {
        return Fail(ErrorCode::kInvalid, "with this row's values a line of the text reads as a MIME boundary");
      }
    }
  }
  return {};
}

void AppendEscaped(std::string_view text, bool escape, std::string& out) {
  if (!escape) {
    out.append(text);
    return;
  }
  for (const char c : text) {
    const std::string_view reference = HtmlReference(c);
    if (reference.empty()) {
      out += c;
    } else {
      out.append(reference);
    }
  }
}

class MessageRenderer {
 public:
  MessageRenderer(const MessageLayout& layout, const Values& values, std::string& out)
      : layout_(layout), values_(values), out_(out), quoted_(out, 0), base64_(out) {}

  Result<void> Run() {
    for (const Step& step : layout_.steps) {
      if (step.kind == StepKind::kLiteral) {
        out_.append(layout_.View(step.stretch));
        quoted_.set_column(step.column);
        continue;
      }
      if (Result<void> done = Do(step); !done) return done;
    }
    return {};
  }

 private:
  Result<void> Do(const Step& step) {
    switch (step.kind) {
      case StepKind::kLiteral:
        break;
      case StepKind::kHeader:
        return RenderHeader(layout_, layout_.headers[step.index], values_, out_);
      case StepKind::kToAddress:
        out_.append("To: ").append(values_.job().to).append("\r\n");
        break;
      case StepKind::kDate:
        out_.append("Date: ");
        AppendDate(values_.job().accepted_at, out_);
        out_.append("\r\n");
        break;
      case StepKind::kMessageId:
        out_.append("Message-ID: ");
        AppendMessageIdOf(layout_, values_.job(), out_);
        out_.append("\r\n");
        break;
      case StepKind::kQuotedHead:
        quoted_.AppendEncoded(layout_.View(step.stretch));
        break;
      case StepKind::kQuotedEnd:
        quoted_.EndLine();
        break;
      case StepKind::kQuotedClose:
        if (quoted_.column() > 0) quoted_.EndLine();
        break;
      case StepKind::kBase64Text:
        base64_.Append(layout_.View(step.stretch));
        break;
      case StepKind::kBase64Close:
        base64_.Finish();
        break;
      case StepKind::kPlainOpen:
        plain_begin_ = out_.size();
        break;
      case StepKind::kPlainClose:
        return CheckPlainLines(layout_, std::string_view(out_).substr(plain_begin_));
      case StepKind::kQuotedField:
      case StepKind::kBase64Field:
      case StepKind::kPlainField:
        return DoField(step);
    }
    return {};
  }

  Result<void> DoField(const Step& step) {
    const FieldUse& use = layout_.uses[step.index];
    std::string_view text;
    if (!values_.Find(use, text)) return NoValue(layout_, use);
    // A default is the template's own text, written as its place demands.
    const bool escape = use.escape && text.data() != layout_.View(use.default_text).data();
    if (step.kind == StepKind::kPlainField) {
      AppendEscaped(text, escape, out_);
    } else if (step.kind == StepKind::kBase64Field) {
      escape ? base64_.AppendHtml(text) : base64_.Append(text);
    } else {
      escape ? quoted_.AppendHtml(text) : quoted_.Append(text);
    }
    return {};
  }

  const MessageLayout& layout_;
  const Values& values_;
  std::string& out_;
  QuotedPrintableWriter quoted_;
  Base64Writer base64_;
  std::size_t plain_begin_ = 0;
};

enum class ValueProblem { kNone, kLineEnd, kNul, kControl, kMalformed };

// What a value may not hold. Nearly all are a few ASCII letters: eight at a time.
ValueProblem Inspect(std::string_view value, bool in_header) {
  constexpr std::uint64_t kHighBits = 0x8080808080808080u;
  constexpr std::uint64_t kOnes = 0x0101010101010101u;
  while (!value.empty()) {
    if (value.size() >= 8) {
      std::uint64_t word;
      std::memcpy(&word, value.data(), 8);
      // A borrow reaches the high bit of a byte below 0x20; 0x7f + 1 reaches it too.
      const std::uint64_t suspicious = (word | (word - kOnes * 0x20) | (word + kOnes)) & kHighBits;
      if (suspicious == 0) {
        value.remove_prefix(8);
        continue;
      }
    }
    const auto octet = static_cast<unsigned char>(value.front());
    if (octet == '\r' || octet == '\n') return ValueProblem::kLineEnd;
    if (octet == 0) return ValueProblem::kNul;
    if (in_header && octet != '\t' && (octet < 32 || octet == 127)) return ValueProblem::kControl;
    const std::size_t length = Utf8Length(value);
    if (length == 0) return ValueProblem::kMalformed;
    value.remove_prefix(length);
  }
  return ValueProblem::kNone;
}

std::string_view Describe(ValueProblem problem) {
  switch (problem) {
    case ValueProblem::kNone:
      return "";
    case ValueProblem::kLineEnd:
      return "holds a line end (CR or LF)";
    case ValueProblem::kNul:
      return "holds a NUL";
    case ValueProblem::kControl:
      return "holds a control character, and stands in a header";
    case ValueProblem::kMalformed:
      return "is not valid UTF-8";
  }
  return "";
}

Result<void> InspectNamed(std::string_view name, std::string_view value, bool in_header) {
  const ValueProblem problem = Inspect(value, in_header);
  if (problem == ValueProblem::kNone) return {};
  return Fail(ErrorCode::kInvalid, fmt::format("field \"{}\" {}", name, Describe(problem)));
}

void AppendNumber(std::uint64_t number, std::string& out) {
  std::array<char, 20> digits;
  const auto result = std::to_chars(digits.data(), digits.data() + digits.size(), number);
  out.append(digits.data(), static_cast<std::size_t>(result.ptr - digits.data()));
}

void AppendTwoDigits(unsigned number, std::string& out) {
  out += static_cast<char>('0' + number / 10);
  out += static_cast<char>('0' + number % 10);
}

// The finaliser of SplitMix64: every bit of the input reaches every bit of the output.
std::uint64_t Mix(std::uint64_t value) {
  value += 0x9e3779b97f4a7c15u;
  value = (value ^ (value >> 30)) * 0xbf58476d1ce4e5b9u;
  value = (value ^ (value >> 27)) * 0x94d049bb133111ebu;
  return value ^ (value >> 31);
}

std::uint64_t HashOf(const RenderJob& job) {
  std::uint64_t hash = Mix(job.campaign_id);
  for (const char c : job.campaign) hash = (hash ^ static_cast<unsigned char>(c)) * 0x100000001b3u;
  // The moment keeps two queues apart that number their campaigns alike.
  return Mix(hash ^ Mix(static_cast<std::uint64_t>(job.accepted_at.time_since_epoch().count())) ^ Mix(~job.row));
}

}  // namespace

Result<void> Values::Unpack() {
  FieldUnpacker unpacker(job_.fields);
  for (std::size_t i = 0; i < layout_.field_names.size(); ++i) {
    const auto value = unpacker.Next();
    if (!value) return std::unexpected(value.error());
    rows_[i] = *value ? Value{(*value)->data(), (*value)->size()} : Value{nullptr, 0};
  }
  if (!unpacker.at_end()) return DamagedFields();
  return {};
}

bool Values::Find(const FieldUse& use, std::string_view& text) const {
  switch (use.source) {
    case FieldSource::kRow:
      text = Row(use.row_field);
      break;
    case FieldSource::kTo:
      text = job_.to;
      break;
    case FieldSource::kId:
      text = job_.row_id.empty() ? std::string_view() : job_.row_id;
      break;
    case FieldSource::kDomain:
      text = job_.to.substr(job_.to.rfind('@') + 1);
      break;
    case FieldSource::kCampaign:
      text = job_.campaign;
      break;
  }
  // An empty cell of a list means the same as none to whoever wrote a default.
  if (text.empty() && use.has_default) {
    text = layout_.View(use.default_text);
    return true;
  }
  return text.data() != nullptr;
}

Result<void> RenderHeader(const MessageLayout& layout, const HeaderLayout& header, const Values& values,
                          std::string& out) {
  return HeaderRenderer(layout, header, values, out).Run();
}

Result<void> RenderMessage(const MessageLayout& layout, const RenderJob& job, std::string& out) {
  Values values(layout, job);
  if (Result<void> unpacked = values.Unpack(); !unpacked) return unpacked;
  return MessageRenderer(layout, values, out).Run();
}

Result<void> CheckJob(const MessageLayout& layout, const RenderJob& job) {
  Values values(layout, job);
  if (Result<void> unpacked = values.Unpack(); !unpacked) return unpacked;
  if (layout.id_required && job.row_id.empty()) {
    return Fail(ErrorCode::kInvalid, "field \"id\" has no value in this row and no default in the message");
  }
  if (Result<void> fine = InspectNamed("to", job.to, true); !fine) return fine;
  if (Result<void> fine = InspectNamed("id", job.row_id, true); !fine) return fine;
  std::uint64_t size = layout.fixed_size;
  for (std::size_t i = 0; i < layout.row_fields.size(); ++i) {
    const RowField& field = layout.row_fields[i];
    const std::string_view value = values.Row(i);
    if (value.data() == nullptr) {
      if (!field.required) continue;
      return Fail(
          ErrorCode::kInvalid,
          fmt::format("field \"{}\" has no value in this row and no default in the message", layout.field_names[i]));
    }
    if (Result<void> fine = InspectNamed(layout.field_names[i], value, field.in_header); !fine) return fine;
    size += field.growth * static_cast<std::uint64_t>(value.size());
  }
  if (size > layout.size_max) {
    return Fail(ErrorCode::kTooLarge,
                fmt::format("with this row's values the message may take {} octets; at most {} are allowed", size,
                            layout.size_max));
  }
  if (layout.has_plain_fields) {
    std::string rendered;
    rendered.reserve(size);
    return MessageRenderer(layout, values, rendered).Run();
  }
  std::string rendered;
  for (const std::uint32_t header : layout.checked_headers) {
    rendered.clear();
    if (Result<void> fine = RenderHeader(layout, layout.headers[header], values, rendered); !fine) return fine;
  }
  return {};
}

void AppendMessageIdOf(const MessageLayout& layout, const RenderJob& job, std::string& out) {
  if (!layout.literal_message_id.empty()) {
    out.append(layout.literal_message_id);
    return;
  }
  if (layout.own_message_id != kNone) {
    Values values(layout, job);
    Scratch text;
    if (values.Unpack() &&
        HeaderRenderer(layout, layout.headers[layout.own_message_id], values, out).AssembleStructured(text)) {
      out.append(Trim(text.view()));
      return;
    }
  }
  out += '<';
  const std::uint64_t hash = HashOf(job);
  for (int shift = 60; shift >= 0; shift -= 4) out += "0123456789abcdef"[(hash >> shift) & 15];
  out += '.';
  AppendNumber(job.row, out);
  out += '@';
  out.append(job.host_name.empty() ? std::string_view("localhost") : job.host_name);
  out += '>';
}

void AppendDate(Wall moment, std::string& out) {
  constexpr std::string_view kDays = "SunMonTueWedThuFriSat";
  constexpr std::string_view kMonths = "JanFebMarAprMayJunJulAugSepOctNovDec";
  const auto days = std::chrono::floor<std::chrono::days>(moment);
  const std::chrono::year_month_day date(days);
  const std::chrono::hh_mm_ss time(std::chrono::floor<std::chrono::seconds>(moment - days));
  out.append(kDays.substr(3 * std::chrono::weekday(days).c_encoding(), 3)).append(", ");
  AppendTwoDigits(static_cast<unsigned>(date.day()), out);
  out += ' ';
  out.append(kMonths.substr(3 * (static_cast<unsigned>(date.month()) - 1), 3)).append(" ");
  AppendNumber(static_cast<std::uint64_t>(static_cast<int>(date.year())), out);
  out += ' ';
  AppendTwoDigits(static_cast<unsigned>(time.hours().count()), out);
  out += ':';
  AppendTwoDigits(static_cast<unsigned>(time.minutes().count()), out);
  out += ':';
  AppendTwoDigits(static_cast<unsigned>(time.seconds().count()), out);
  out.append(" +0000");
}

}  // namespace postrider::message
