#include "config/reply.h"

#include <algorithm>

#include <fmt/format.h>

namespace postrider {
namespace {

// RFC 3463 section 2: one to three digits, no leading zero. Takes them off the front of text.
std::optional<std::uint16_t> TakeNumber(std::string_view& text) {
  std::uint16_t value = 0;
  std::size_t digits = 0;
  while (digits < text.size() && text[digits] >= '0' && text[digits] <= '9') {
    if (digits == 3) return std::nullopt;
    value = static_cast<std::uint16_t>(value * 10 + (text[digits] - '0'));
    ++digits;
  }
  if (digits == 0 || (digits > 1 && text[0] == '0')) return std::nullopt;
  text.remove_prefix(digits);
  return value;
}

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsAlphanumeric(char c) { return IsDigit(c) || (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || c == '_'; }
bool IsBlank(char c) { return c == ' ' || c == '\t' || c == '\n' || c == '\r'; }

bool EndsWithWord(std::string_view text, std::string_view word) {
  if (text.size() < word.size()) return false;
  const std::string_view end = text.substr(text.size() - word.size());
  const bool same =
      std::ranges::equal(end, word, [](char a, char b) { return (a >= 'A' && a <= 'Z' ? a | 0x20 : a) == b; });
  return same && (text.size() == word.size() || !IsAlphanumeric(text[text.size() - word.size() - 1]));
}

// Whether a code may begin behind this: not inside a number, address, name or path, and not as a version.
bool MayPrecede(std::string_view before) {
  if (before.empty()) return true;
  const char last = before.back();
  if (last == '-') {
    // "550-5.1.1"
    const std::string_view code = before.substr(0, before.size() - 1);
    return code.size() >= 3 && std::ranges::all_of(code.substr(code.size() - 3), IsDigit) &&
           (code.size() == 3 || !IsAlphanumeric(code[code.size() - 4]));
  }
  constexpr std::string_view kOpeners = " \t\n\r([{<#:;,=\"'";
  if (kOpeners.find(last) == kOpeners.npos) return false;
  if (!IsBlank(last)) return true;
  const std::string_view word = before.substr(0, before.find_last_not_of(" \t") + 1);
  return !EndsWithWord(word, "version") && !EndsWithWord(word, "release");
}

bool MayFollow(std::string_view after) {
  if (after.empty()) return true;
  const char first = after.front();
  if (IsAlphanumeric(first) || first == '/' || first == '@') return false;
  // "5.7.1.33" and "5.1.1-pool.example" go on; "5.1.1." and "5.1.1 -" do not.
  return (first != '.' && first != '-') || after.size() == 1 || !IsAlphanumeric(after[1]);
}

// RFC 3463 section 3 and RFC 7372 know subjects 0 to 7; "4.92.3" is a version of Exim.
constexpr std::uint16_t kSubjectMax = 7;

// Replaces what cannot be printed, and ends a line at "\n" or where a log wrote the two characters for it.
std::string Cleaned(std::string_view text) {
  std::string out;
  out.reserve(text.size());
  for (std::size_t i = 0; i < text.size(); ++i) {
    const auto octet = static_cast<unsigned char>(text[i]);
    const std::string_view rest = text.substr(i);
    if (text[i] == '\n') {
      out += '\n';
    } else if (rest.starts_with("\\r\\n") || rest.starts_with("\\n")) {
      out += '\n';
      i += rest[1] == 'r' ? 3 : 1;
    } else if (text[i] == '\t' || text[i] == '\r') {
      out += ' ';
    } else {
      out += octet < 0x20 || octet == 0x7f ? '?' : text[i];
    }
  }
  return out;
}

std::string_view Trimmed(std::string_view text) {
  const std::size_t first = text.find_first_not_of(" \t\r\n");
  return first == text.npos ? std::string_view() : text.substr(first, text.find_last_not_of(" \t\r\n") - first + 1);
}

// Takes "550 ", "550-" or "550" off the front of a line that begins so.
bool TakeCode(std::string_view code, std::string_view& line) {
  if (!line.starts_with(code)) return false;
  const std::string_view rest = line.substr(code.size());
  constexpr std::string_view kSeparators = " -:,;#(";
  if (!rest.empty() && kSeparators.find(rest.front()) == kSeparators.npos) return false;
  const bool separator = !rest.empty() && (rest.front() == ' ' || rest.front() == '-' || rest.front() == ':');
  line = Trimmed(rest.substr(separator ? 1 : 0));
  return true;
}

// A log that joined the lines by blanks repeats "550-5.1.1" or "550-" inside: there a line began.
void BreakJoinedLines(std::string_view code, bool continued, std::string& text) {
  const std::optional<EnhancedCode> enhanced = ParseEnhancedCode(text);
  const std::string shown = enhanced ? ToString(*enhanced) + " " : "";
  if (!continued && shown.empty()) return;
  const std::string inner = " " + std::string(code);
  for (std::size_t at = text.find(inner); at != text.npos; at = text.find(inner, at + 1)) {
    const std::string_view rest = std::string_view(text).substr(at + inner.size());
    const bool separated = rest.starts_with("-") || rest.starts_with(" ");
    if (!separated || !rest.substr(1).starts_with(shown)) continue;
    text.replace(at, inner.size() + 1, "\n");
  }
}

constexpr std::size_t kReplyTextMax = 64 << 10;  // of what a person or log shows; servers' own are cut far earlier

}  // namespace

std::string ToString(EnhancedCode code) { return fmt::format("{}.{}.{}", code.klass, code.subject, code.detail); }

std::optional<EnhancedCode> ParseEnhancedCode(std::string_view text) {
  if (text.size() < 5 || (text[0] != '2' && text[0] != '4' && text[0] != '5') || text[1] != '.') return std::nullopt;
  EnhancedCode code;
  code.klass = static_cast<std::uint8_t>(text[0] - '0');
  text.remove_prefix(2);
  const std::optional<std::uint16_t> subject = TakeNumber(text);
  if (!subject || text.empty() || text[0] != '.') return std::nullopt;
  text.remove_prefix(1);
  const std::optional<std::uint16_t> detail = TakeNumber(text);
  // What follows must end it: "5.7.1.33" is part of an address, not a code. Some servers set a comma or colon there.
  constexpr std::string_view kEnds = " \t\n,:;";
  if (!detail || (!text.empty() && kEnds.find(text[0]) == kEnds.npos)) return std::nullopt;
  code.subject = *subject;
  code.detail = *detail;
  return code;
}

std::optional<EnhancedCode> FindEnhancedCode(int code, std::string_view text) {
  if (std::optional<EnhancedCode> first = ParseEnhancedCode(text)) return first;
  const char klass = static_cast<char>('0' + code / 100);
  for (std::size_t at = text.find(klass); at != text.npos; at = text.find(klass, at + 1)) {
    std::string_view rest = text.substr(at + 1);
    if (!rest.starts_with('.') || !MayPrecede(text.substr(0, at))) continue;
    rest.remove_prefix(1);
    const std::optional<std::uint16_t> subject = TakeNumber(rest);
    if (!subject || *subject > kSubjectMax || !rest.starts_with('.')) continue;
    rest.remove_prefix(1);
    const std::optional<std::uint16_t> detail = TakeNumber(rest);
    if (!detail || !MayFollow(rest)) continue;
    return EnhancedCode{static_cast<std::uint8_t>(code / 100), *subject, *detail};
  }
  return std::nullopt;
}

std::optional<Reply> ParseReplyText(std::string_view text) {
  text = Trimmed(text.substr(0, kReplyTextMax));
  if (text.starts_with("smtp;")) text = Trimmed(text.substr(5));
  const std::string_view code = text.substr(0, 3);
  if (code.size() < 3 || !std::ranges::all_of(code, IsDigit) || code[0] < '2' || code[0] > '5') return std::nullopt;
  const std::string cleaned = Cleaned(text);
  const bool continued = cleaned.size() > 3 && cleaned[3] == '-';
  Reply reply;
  reply.code = (code[0] - '0') * 100 + (code[1] - '0') * 10 + (code[2] - '0');
  std::string_view rest = cleaned;
  for (bool first = true; first || !rest.empty(); first = false) {
    const std::size_t end = rest.find('\n');
    std::string_view line = Trimmed(rest.substr(0, end));
    rest = end == rest.npos ? std::string_view() : rest.substr(end + 1);
    if (!TakeCode(code, line) && first) return std::nullopt;
    if (!first) reply.text += '\n';
    reply.text += line;
  }
  BreakJoinedLines(code, continued, reply.text);
  reply.enhanced = FindEnhancedCode(reply.code, reply.text);
  return reply;
}

std::optional<Stage> ParseStage(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(Stage::kQuit); ++i) {
    if (ToString(static_cast<Stage>(i)) == name) return static_cast<Stage>(i);
  }
  return std::nullopt;
}

std::string_view ToString(Stage stage) {
  switch (stage) {
    case Stage::kNone:
      return "none";
    case Stage::kDns:
      return "dns";
    case Stage::kConnect:
      return "connect";
    case Stage::kBanner:
      return "banner";
    case Stage::kEhlo:
      return "ehlo";
    case Stage::kStartTls:
      return "starttls";
    case Stage::kTls:
      return "tls";
    case Stage::kAuth:
      return "auth";
    case Stage::kMail:
      return "mail";
    case Stage::kRcpt:
      return "rcpt";
    case Stage::kData:
      return "data";
    case Stage::kContent:
      return "content";
    case Stage::kIdle:
      return "idle";
    case Stage::kQuit:
      return "quit";
  }
  return "none";
}

}  // namespace postrider
