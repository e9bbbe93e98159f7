#pragma once
// Text as UTF-8: what a row brings is checked, what a part holds in another charset is converted once, at compile time.
// Pure; iconv(3) serves the rarer charsets.

#include <string>
#include <string_view>

#include "config/error.h"

namespace postrider::message {

[[nodiscard]] bool IsAscii(std::string_view text);

// RFC 3629: no surrogates, nothing overlong, nothing beyond U+10FFFF.
[[nodiscard]] bool IsUtf8(std::string_view text);

// Octets of the well-formed character that text begins with; 0 if it is malformed or text is empty.
[[nodiscard]] std::size_t Utf8Length(std::string_view text);

// bytes in the named charset (case does not matter) as UTF-8. kUnsupported for a charset nobody here knows, kInvalid
// for bytes that it does not define; the sentence gives the position of the first.
[[nodiscard]] Result<std::string> ToUtf8(std::string_view charset, std::string_view bytes);

// Bytes that say no charset: UTF-8 if they are, else windows-1252, which is what mislabelled mail mostly is.
[[nodiscard]] std::string GuessUtf8(std::string_view bytes);

// Case of ASCII letters apart.
[[nodiscard]] bool EqualsIgnoringCase(std::string_view a, std::string_view b);
[[nodiscard]] std::string LowerCase(std::string_view text);
// Without spaces, tabs and line ends on either side.
[[nodiscard]] std::string_view Trim(std::string_view text);

}  // namespace postrider::message
