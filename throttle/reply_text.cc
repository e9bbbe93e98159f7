#include "throttle/reply_text.h"

#include <algorithm>
#include <optional>

#include "config/reply.h"

namespace postrider {
namespace {

// More than any server has to say, and a bound to what one reply can cost.
constexpr std::size_t kTextBytesMax = 4096;

// The length of the well-formed UTF-8 sequence (RFC 3629 section 4) that text begins with; 0: there is none.
std::size_t Utf8Length(std::string_view text) {
  const auto octet = [&](std::size_t i) { return static_cast<unsigned char>(text[i]); };
  const unsigned char first = octet(0);
  if (first < 0x80) return 1;
  const std::size_t length = first >= 0xf0 ? 4 : first >= 0xe0 ? 3 : 2;
  if (first < 0xc2 || first > 0xf4 || text.size() < length) return 0;
  for (std::size_t i = 1; i < length; ++i) {
    if ((octet(i) & 0xc0) != 0x80) return 0;
  }
  const bool overlong = (first == 0xe0 && octet(1) < 0xa0) || (first == 0xf0 && octet(1) < 0x90);
  const bool beyond = (first == 0xed && octet(1) > 0x9f) || (first == 0xf4 && octet(1) > 0x8f);
  return overlong || beyond ? 0 : length;
}

void AppendSqueezed(std::string_view line, std::string& joined) {
  while (!line.empty()) {
    const auto first = static_cast<unsigned char>(line.front());
    const std::size_t length = Utf8Length(line);
    if (first <= 0x20 || first == 0x7f) {
      if (!joined.empty() && joined.back() != ' ') joined += ' ';
    } else if (length == 0) {
      joined += '?';
    } else {
      joined += line.substr(0, length);
    }
    line.remove_prefix(std::max<std::size_t>(length, 1));
  }
}

std::size_t CodeLength(std::string_view line) { return std::min(line.find_first_not_of("0123456789."), line.size()); }

}  // namespace

void JoinReplyText(std::string_view text, std::string& joined) {
  joined.clear();
  text = text.substr(0, kTextBytesMax);
  const std::optional<EnhancedCode> own = ParseEnhancedCode(text);
  for (bool first = true; first || !text.empty(); first = false) {
    const std::size_t end = std::min(text.find('\n'), text.size());
    std::string_view line = text.substr(0, end);
    text.remove_prefix(std::min(end + 1, text.size()));
    if (!first) {
      line.remove_prefix(std::min(line.find_first_not_of(" \t"), line.size()));
      if (own && ParseEnhancedCode(line) == own) line.remove_prefix(CodeLength(line));
      AppendSqueezed(" ", joined);
    }
    AppendSqueezed(line, joined);
  }
  if (!joined.empty() && joined.back() == ' ') joined.pop_back();
}

}  // namespace postrider
