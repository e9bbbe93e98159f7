#include "config/reply.h"

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
