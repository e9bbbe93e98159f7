#include "tools/sink/path.h"

#include <algorithm>
#include <cstdint>

namespace postrider::sink {
namespace {

std::string_view TrimSpaces(std::string_view text) {
  while (!text.empty() && text.front() == ' ') text.remove_prefix(1);
  while (!text.empty() && text.back() == ' ') text.remove_suffix(1);
  return text;
}

// The ">" that closes the path: none inside a quoted string counts.
std::size_t FindClosingBracket(std::string_view text) {
  bool quoted = false;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (quoted && text[i] == '\\') {
      ++i;
    } else if (text[i] == '"') {
      quoted = !quoted;
    } else if (text[i] == '>' && !quoted) {
      return i;
    }
  }
  return std::string_view::npos;
}

}  // namespace

std::optional<PathArgument> ParsePathArgument(std::string_view arguments, std::string_view keyword) {
  if (!EqualsUpper(arguments.substr(0, keyword.size()), keyword)) return std::nullopt;
  arguments = TrimSpaces(arguments.substr(keyword.size()));
  if (!arguments.starts_with('<')) return std::nullopt;
  arguments.remove_prefix(1);
  const std::size_t close = FindClosingBracket(arguments);
  if (close == std::string_view::npos) return std::nullopt;
  PathArgument argument{arguments.substr(0, close), arguments.substr(close + 1)};
  if (!argument.parameters.empty() && argument.parameters.front() != ' ') return std::nullopt;
  argument.parameters = TrimSpaces(argument.parameters);
  if (argument.path.starts_with('@')) {  // section 4.1.1.3: source routes must be accepted and should be ignored
    const std::size_t colon = argument.path.find(':');
    if (colon == std::string_view::npos) return std::nullopt;
    argument.path.remove_prefix(colon + 1);
  }
  return argument;
}

bool IsMailbox(std::string_view path, bool allow_utf8) {
  constexpr std::size_t kPathMax = 254, kLocalMax = 64;
  if (EqualsUpper(path, "POSTMASTER")) return true;
  if (path.size() > kPathMax) return false;
  const std::size_t at = path.rfind('@');
  if (at == std::string_view::npos || at == 0 || at > kLocalMax || at + 1 == path.size()) return false;
  const bool quoted = path.front() == '"' && at >= 2 && path[at - 1] == '"';
  bool ascii = true;
  for (std::size_t i = 0; i < path.size(); ++i) {
    const auto c = static_cast<unsigned char>(path[i]);
    if (c < 0x20 || c == 0x7F) return false;
    if ((c == ' ' || c == '<' || c == '>' || c == '@') && i != at && !(quoted && i < at)) return false;
    ascii &= c < 0x80;
  }
  return ascii || (allow_utf8 && IsUtf8(path));
}

std::pair<std::string_view, std::string_view> TakeParameter(std::string_view& parameters) {
  parameters = TrimSpaces(parameters);
  const std::string_view item = parameters.substr(0, parameters.find(' '));
  parameters = TrimSpaces(parameters.substr(item.size()));
  const std::size_t equals = item.find('=');
  if (equals == std::string_view::npos) return {item, {}};
  return {item.substr(0, equals), item.substr(equals + 1)};
}

bool EqualsUpper(std::string_view text, std::string_view upper) {
  return std::ranges::equal(
      text, upper, [](char c, char u) { return (c >= 'a' && c <= 'z' ? static_cast<char>(c - 0x20) : c) == u; });
}

bool IsUtf8(std::string_view text) {
  for (std::size_t i = 0; i < text.size();) {
    const auto lead = static_cast<unsigned char>(text[i]);
    const std::size_t length = lead < 0x80   ? 1
                               : lead < 0xC2 ? 0
                               : lead < 0xE0 ? 2
                               : lead < 0xF0 ? 3
                               : lead < 0xF5 ? 4
                                             : 0;
    if (length == 0 || i + length > text.size()) return false;
    std::uint32_t code = lead & (0x7F >> (length == 1 ? 0 : length));
    for (std::size_t k = 1; k < length; ++k) {
      const auto next = static_cast<unsigned char>(text[i + k]);
      if ((next & 0xC0) != 0x80) return false;
      code = code << 6 | (next & 0x3F);
    }
    constexpr std::uint32_t kLeast[] = {0, 0, 0x80, 0x800, 0x10000};
    if (code < kLeast[length] || code > 0x10FFFF || (code >= 0xD800 && code <= 0xDFFF)) return false;
    i += length;
  }
  return true;
}

void LowerDomain(std::string& address) {
  const std::size_t at = address.rfind('@');
  if (at == std::string::npos) return;
  for (std::size_t i = at + 1; i < address.size(); ++i) {
    if (address[i] >= 'A' && address[i] <= 'Z') address[i] = static_cast<char>(address[i] | 0x20);
  }
}

}  // namespace postrider::sink
