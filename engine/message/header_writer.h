#pragma once
// Header values on their way out: folded at 78 octets where a blank allows it, never beyond 998, encoded where they are
// not ASCII. Unfolding and decoding what is written here gives the text back. Pure; nothing allocated but growth of
// out.

#include <cstddef>
#include <string>
#include <string_view>

namespace postrider::message {

inline constexpr std::size_t kLineLimit = 998;  // RFC 5322 section 2.1.1, without CRLF
// A word longer than this is encoded where it can be: with a name and a blank before it, it would near the limit.
inline constexpr std::size_t kPlainWordMax = 900;

// Unstructured text (Subject and the like). column: octets already on the line, ": " included. Blanks at either end of
// text are dropped.
void AppendUnstructured(std::string_view text, std::size_t column, std::string& out);

// A display name: bare, in quotes or as encoded-words, whichever it needs; nothing in it can end the name. column is
// moved on. Nothing is written for a blank name.
void AppendDisplayName(std::string_view name, std::size_t& column, std::string& out);

// A structured value, in ASCII, as it stands: only folded. False, with nothing written, if a word of it is too long for
// any line.
[[nodiscard]] bool AppendFolded(std::string_view text, std::size_t column, std::string& out);

}  // namespace postrider::message
