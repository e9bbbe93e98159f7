#include "engine/message/body_compiler.h"

#include <algorithm>

#include <fmt/format.h>

#include "engine/message/charset.h"
#include "engine/message/header_writer.h"
#include "engine/message/transfer_encoding.h"

namespace postrider::message {
namespace {

constexpr std::size_t kQuotedHeadMax = 75;  // a line of quoted-printable, its soft line end left out
// Of a longer line: short enough that it mostly fits behind a field.
constexpr std::size_t kQuotedHeadCut = 36;

bool IsIdentity(TransferEncoding encoding) {
  return encoding == TransferEncoding::kSevenBit || encoding == TransferEncoding::kEightBit ||
         encoding == TransferEncoding::kBinary;
}

// Offset of the first line longer than SMTP carries; kNone if there is none.
std::size_t FindLongLine(std::string_view text) {
  for (std::size_t at = 0; at < text.size();) {
    std::size_t end = text.find('\n', at);
    if (end == std::string_view::npos) end = text.size();
    const std::size_t size = end - at - (end > at && text[end - 1] == '\r' ? 1 : 0);
    if (size > kLineLimit) return at;
    at = end + 1;
  }
  return kNone;
}

// CRLF as LF; a lone CR stays, as an octet.
std::string WithLf(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '\r' && i + 1 < text.size() && text[i + 1] == '\n') continue;
    out += text[i];
  }
  return out;
}

std::string WithCrlf(std::string_view text) {
  std::string out;
  out.reserve(text.size() + text.size() / 32);
  while (!text.empty()) {
    const std::size_t end = text.find('\n');
    if (end == std::string_view::npos) break;
    std::string_view line = text.substr(0, end);
    if (line.ends_with('\r')) line.remove_suffix(1);
    out.append(line).append("\r\n");
    text.remove_prefix(end + 1);
  }
  return out.append(text);
}

bool HasField(const std::vector<MergePiece>& pieces) {
  return std::any_of(pieces.begin(), pieces.end(), [](const MergePiece& piece) { return piece.is_field; });
}

bool IsHtml(std::string_view type) { return type == "text/html" || type == "text/x-amp-html"; }

// Text of quoted-printable from the front of a line, at most max octets; taken says how much of text it is.
std::string EncodeFront(std::string_view text, std::size_t max, std::size_t& taken) {
  std::string encoded;
  for (taken = 0; taken < text.size(); ++taken) {
    const std::string_view c = text.substr(taken, 1);
    std::string one;
    if (encoded.empty() && c == "-") {
      one = "=2D";
    } else {
      QuotedPrintableWriter(one, 1).Append(c);
    }
    if (encoded.size() + one.size() > max) break;
    encoded += one;
  }
  return encoded;
}

// text in lines, after `column` octets; its line ends are hard ones. Returns the column reached.
std::size_t EncodeLines(std::string_view text, std::size_t column, std::string& out) {
  QuotedPrintableWriter writer(out, column);
  while (true) {
    const std::size_t end = text.find('\n');
    writer.Append(text.substr(0, end));
    if (end == std::string_view::npos) return writer.column();
    writer.EndLine();
    text.remove_prefix(end + 1);
  }
}

}  // namespace

// A text part's content, decoded.
struct BodyCompiler::Text {
  std::string utf8;   // lines end with LF
  bool same = false;  // as the bytes were: the charset changes nothing
  Range source;
  TransferEncoding encoding = TransferEncoding::kSevenBit;
  std::vector<std::uint32_t> lines;  // of quoted-printable: DecodedText::lines
};

PartPlan BodyCompiler::Plan(const Entity& entity) {
  if (entity.multipart()) return PlanParts(entity);
  if (entity.type.value.starts_with("text/") && !entity.attachment) return PlanText(entity);
  return PlanOpaque(entity);
}

PartPlan BodyCompiler::PlanParts(const Entity& entity) {
  // What is signed or encrypted as a whole must not be touched (RFC 1847).
  if (entity.type.value == "multipart/signed" || entity.type.value == "multipart/encrypted") {
    CheckNoFields(entity.body, entity.type.value);
    PartPlan plan;
    KeepLines(plan, entity, IsAscii(entity.body.Of(message_)));
    return plan;
  }
  PartPlan plan;
  plan.body = PartPlan::Body::kParts;
  builder_.layout().boundaries.push_back(entity.boundary);
  for (const Entity& part : entity.parts) {
    plan.parts.push_back(Plan(part));
    plan.eight_bit |= plan.parts.back().eight_bit;
  }
  plan.content.encoding = plan.eight_bit ? TransferEncoding::kEightBit : TransferEncoding::kSevenBit;
  return plan;
}

void BodyCompiler::CheckNoFields(Range body, std::string_view why) {
  const std::string_view text = body.Of(message_);
  if (HasMerge(text)) findings_.Add(body.begin + text.find("{{"), fmt::format("merge fields cannot stand in {}", why));
}

// As written, in an identity encoding: it must be what SMTP can carry.
void BodyCompiler::KeepLines(PartPlan& plan, const Entity& entity, bool ascii) {
  const std::string_view text = entity.body.Of(message_);
  if (const std::size_t at = FindLongLine(text); at != kNone) {
    findings_.Add(entity.body.begin + at,
                  fmt::format("a line is longer than {} octets; send the part in base64", kLineLimit));
  }
  if (!ascii && !options_.eight_bit) {
    const auto high =
        std::find_if(text.begin(), text.end(), [](char c) { return static_cast<unsigned char>(c) > 127; });
    findings_.Add(entity.body.begin + static_cast<std::size_t>(high - text.begin()),
                  fmt::format("{} holds octets outside ASCII and cannot be encoded anew; set eight_bit = true",
                              entity.type.value));
  }
  plan.eight_bit = !ascii;
  plan.content.encoding = ascii ? TransferEncoding::kSevenBit : TransferEncoding::kEightBit;
}

PartPlan BodyCompiler::PlanOpaque(const Entity& entity) {
  PartPlan plan;
  const std::string_view text = entity.body.Of(message_);
  const bool ascii = IsAscii(text);
  if (!IsIdentity(entity.encoding)) {
    if (!ascii) {
      findings_.Add(entity.body.begin,
                    fmt::format("a part in {} holds octets outside ASCII", ToString(entity.encoding)));
    }
    if (const std::size_t at = FindLongLine(text); at != kNone) {
      findings_.Add(entity.body.begin + at, fmt::format("a line is longer than {} octets", kLineLimit));
    }
    return plan;
  }
  if (entity.type.value.starts_with("message/")) {
    KeepLines(plan, entity, ascii);
    return plan;
  }
  const bool carried = FindLongLine(text) == kNone && (ascii || options_.eight_bit);
  if (carried) {
    KeepLines(plan, entity, ascii);
    return plan;
  }
  plan.body = PartPlan::Body::kBase64Octets;
  plan.content.encoding = TransferEncoding::kBase64;
  return plan;
}

bool BodyCompiler::DecodeText(const Entity& entity, Text& text) {
  text.source = entity.body;
  text.encoding = entity.encoding;
  const std::string_view source = entity.body.Of(message_);
  std::string bytes;
  if (entity.encoding == TransferEncoding::kQuotedPrintable) {
    DecodedText decoded = DecodeQuotedPrintable(source);
    for (const DecodeProblem& problem : decoded.problems) {
      findings_.Add(entity.body.begin + problem.offset, problem.message);
    }
    if (!decoded.problems.empty()) return false;
    bytes = std::move(decoded.bytes);
    text.lines = std::move(decoded.lines);
  } else if (entity.encoding == TransferEncoding::kBase64) {
    if (const std::optional<DecodeProblem> problem = DecodeBase64(source, bytes)) {
      findings_.Add(entity.body.begin + problem->offset, problem->message);
      return false;
    }
  } else {
    bytes = source;
  }
  const std::string* charset = entity.type.Find("charset");
  const std::string name = charset == nullptr ? "us-ascii" : LowerCase(Trim(*charset));
  if (name == "us-ascii" && !IsAscii(bytes)) {
    // Mislabelled, as much mail is.
    text.utf8 = WithLf(GuessUtf8(bytes));
    return RefuseNul(entity, text.utf8);
  }
  Result<std::string> converted = ToUtf8(name, bytes);
  if (!converted) {
    findings_.Add(entity.body.begin,
                  fmt::format("the {} part that begins here: {}", entity.type.value, converted.error().message));
    return false;
  }
  const bool labelled = IsAscii(bytes) || name == "utf-8" || name == "utf8";
  text.same = *converted == bytes && labelled;
  text.utf8 = WithLf(*converted);
  return RefuseNul(entity, text.utf8);
}

bool BodyCompiler::RefuseNul(const Entity& entity, std::string_view text) {
  if (text.find('\0') == std::string_view::npos) return true;
  findings_.Add(entity.body.begin, fmt::format("the {} part that begins here holds a NUL, decoded", entity.type.value));
  return false;
}

void BodyCompiler::ReportMerge(const Text& text, const std::vector<MergeProblem>& problems) {
  const LineColumn begin = Locate(message_, text.source.begin);
  for (const MergeProblem& problem : problems) {
    const LineColumn inside = Locate(text.utf8, problem.offset);
    if (IsIdentity(text.encoding)) {
      const int column = inside.line == 1 ? begin.column + inside.column - 1 : inside.column;
      findings_.AddAt(begin.line + inside.line - 1, column, problem.message);
    } else if (text.encoding == TransferEncoding::kQuotedPrintable) {
      // A charset may hold line ends that are none in its octets: then the last one known is as near as it gets.
      const std::size_t known = std::min(static_cast<std::size_t>(inside.line), text.lines.size()) - 1;
      findings_.AddAt(begin.line + static_cast<int>(text.lines[known]), 0, problem.message);
    } else {
      findings_.AddAt(
          begin.line, 0,
          fmt::format("{} (line {}, column {} of the decoded text)", problem.message, inside.line, inside.column));
    }
  }
}

PartPlan BodyCompiler::PlanText(const Entity& entity) {
  PartPlan plan;
  plan.html = IsHtml(entity.type.value);
  Text text;
  if (!DecodeText(entity, text)) return plan;

  const std::string_view source = entity.body.Of(message_);
  const bool identity = IsIdentity(entity.encoding);
  const bool lines_fit = FindLongLine(source) == kNone;
  const bool merges = HasMerge(text.utf8);
  const bool carried = lines_fit && (IsAscii(source) || (identity && options_.eight_bit));
  if (!merges && text.same && carried) {
    plan.eight_bit = !IsAscii(source);
    if (identity) plan.content.encoding = plan.eight_bit ? TransferEncoding::kEightBit : TransferEncoding::kSevenBit;
    return plan;
  }

  std::vector<MergeProblem> problems;
  plan.body = PartPlan::Body::kText;
  plan.pieces = ParseMerge(text.utf8, problems);
  ReportMerge(text, problems);
  plan.content.type = entity.type;
  plan.content.type->Set("charset", "utf-8");
  const bool lone_cr = text.utf8.find('\r') != std::string::npos;
  if (options_.eight_bit && identity && lines_fit && !lone_cr) {
    plan.eight_bit = true;
    plan.content.encoding = TransferEncoding::kEightBit;
    return plan;
  }
  std::size_t quoted = 0;
  std::size_t octets = 0;
  for (const MergePiece& piece : plan.pieces) {
    if (piece.is_field) continue;
    quoted += QuotedPrintableSize(piece.text);
    octets += piece.text.size();
  }
  plan.content.encoding = quoted <= Base64Size(octets) ? TransferEncoding::kQuotedPrintable : TransferEncoding::kBase64;
  return plan;
}

void BodyCompiler::CompileBody(const Entity& entity, const PartPlan& plan, HeaderCompiler& headers, bool outermost) {
  switch (plan.body) {
    case PartPlan::Body::kAsWritten:
      EmitAsWritten(entity.body, !outermost);
      return;
    case PartPlan::Body::kBase64Octets: {
      std::string encoded;
      Base64Writer writer(encoded);
      writer.Append(WithCrlf(entity.body.Of(message_)));
      writer.Finish();
      builder_.Literal(encoded.empty() ? "\r\n" : encoded);
      return;
    }
    case PartPlan::Body::kText:
      if (plan.content.encoding == TransferEncoding::kQuotedPrintable) {
        EmitQuotedPrintable(plan, outermost);
      } else if (plan.content.encoding == TransferEncoding::kBase64) {
        EmitBase64(plan);
      } else {
        EmitPlain(plan, outermost);
      }
      return;
    case PartPlan::Body::kParts:
      break;
  }
  // Text before the first boundary is for readers without MIME; what cannot be sent as it is may go.
  const std::string_view preamble = entity.preamble.Of(message_);
  if (IsAscii(preamble) && FindLongLine(preamble) == kNone) builder_.Literal(WithCrlf(preamble));
  for (std::size_t i = 0; i < plan.parts.size(); ++i) {
    builder_.Literal(fmt::format("--{}\r\n", entity.boundary));
    headers.CompilePartHeaders(entity.parts[i], plan.parts[i].content);
    builder_.Literal("\r\n");
    CompileBody(entity.parts[i], plan.parts[i], headers, false);
  }
  builder_.Literal(fmt::format("--{}--\r\n", entity.boundary));
}

void BodyCompiler::EmitAsWritten(Range range, bool end_line) {
  const std::string text = WithCrlf(range.Of(message_));
  builder_.Literal(text);
  if (end_line || (!text.empty() && !text.ends_with('\n'))) builder_.Literal("\r\n");
}

// Text behind a field, whose column nobody knows yet: its beginning is moved to a new line if it does not fit, all that
// follows is encoded now.
void BodyCompiler::EmitTextAfterField(std::string_view text) {
  const std::size_t line_end = text.find('\n');
  const std::string_view line = text.substr(0, line_end);
  const bool ended = line_end != std::string_view::npos;
  std::size_t taken = 0;
  std::string head = EncodeFront(line, kQuotedHeadMax, taken);
  std::string rest;
  if (taken < line.size()) {
    head = EncodeFront(line, kQuotedHeadCut, taken);
    rest = "=\r\n";
    text.remove_prefix(taken);
  } else if (!ended) {
    if (!head.empty()) builder_.StepWithText(StepKind::kQuotedHead, head);
    return;
  } else if (head.empty() || head.ends_with(' ') || head.ends_with('\t')) {
    // The line end has to encode a blank before it.
    if (!head.empty()) builder_.StepWithText(StepKind::kQuotedHead, head);
    builder_.AddStep(StepKind::kQuotedEnd);
    head.clear();
    text.remove_prefix(line_end + 1);
    if (text.empty()) return;
  } else {
    rest = "\r\n";
    text.remove_prefix(line_end + 1);
  }
  if (!head.empty()) builder_.StepWithText(StepKind::kQuotedHead, head);
  const std::size_t column = EncodeLines(text, 0, rest);
  if (rest.empty()) return;
  builder_.Literal(rest);
  builder_.SetColumn(column);
}

void BodyCompiler::EmitQuotedPrintable(const PartPlan& plan, bool outermost) {
  if (!HasField(plan.pieces)) {
    std::string encoded;
    QuotedPrintableWriter writer(encoded, 0);
    for (const MergePiece& piece : plan.pieces) writer.set_column(EncodeLines(piece.text, writer.column(), encoded));
    if (!outermost || writer.column() > 0) writer.EndLine();
    builder_.Literal(encoded);
    return;
  }
  // The empty line before the body is the last literal.
  builder_.SetColumn(0);
  bool column_known = true;
  for (std::size_t i = 0; i < plan.pieces.size(); ++i) {
    const MergePiece& piece = plan.pieces[i];
    if (piece.is_field) {
      builder_.Field(StepKind::kQuotedField, piece, UsePlace::kQuotedPrintable, plan.html);
      column_known = false;
      continue;
    }
    if (!column_known) {
      EmitTextAfterField(piece.text);
      continue;
    }
    std::string encoded;
    const std::size_t column = EncodeLines(piece.text, 0, encoded);
    builder_.Literal(encoded);
    builder_.SetColumn(column);
  }
  // The line end of an inner part belongs to the boundary that follows it, and is always there.
  builder_.AddStep(outermost ? StepKind::kQuotedClose : StepKind::kQuotedEnd);
}

void BodyCompiler::EmitBase64(const PartPlan& plan) {
  if (!HasField(plan.pieces)) {
    std::string encoded;
    Base64Writer writer(encoded);
    for (const MergePiece& piece : plan.pieces) writer.Append(WithCrlf(piece.text));
    writer.Finish();
    builder_.Literal(encoded.empty() ? "\r\n" : encoded);
    return;
  }
  for (const MergePiece& piece : plan.pieces) {
    if (piece.is_field) {
      builder_.Field(StepKind::kBase64Field, piece, UsePlace::kBase64, plan.html);
    } else {
      builder_.StepWithText(StepKind::kBase64Text, WithCrlf(piece.text));
    }
  }
  builder_.AddStep(StepKind::kBase64Close);
}

void BodyCompiler::EmitPlain(const PartPlan& plan, bool outermost) {
  const bool merges = HasField(plan.pieces);
  if (merges) builder_.AddStep(StepKind::kPlainOpen);
  for (const MergePiece& piece : plan.pieces) {
    if (piece.is_field) {
      builder_.Field(StepKind::kPlainField, piece, UsePlace::kPlain, plan.html);
    } else {
      builder_.Literal(WithCrlf(piece.text));
    }
  }
  const bool ended = !plan.pieces.empty() && !plan.pieces.back().is_field && plan.pieces.back().text.ends_with('\n');
  if (!outermost || !ended) builder_.Literal("\r\n");
  if (merges) builder_.AddStep(StepKind::kPlainClose);
  builder_.layout().has_plain_fields |= merges;
}

}  // namespace postrider::message
