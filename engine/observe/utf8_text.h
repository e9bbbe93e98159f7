#pragma once
// What in foreign octets is well-formed UTF-8: for those who write text that must be valid whatever comes in. Pure.

#include <cstddef>
#include <string_view>

namespace postrider::observe {

// U+FFFD, for what is none.
inline constexpr std::string_view kReplacement = "\xEF\xBF\xBD";

// Length of the well-formed sequence at the front of text, which starts with an octet of 0x80 or more; 0 if there is
// none (Unicode table 3-7: no overlong forms, no surrogates, nothing beyond U+10FFFF).
[[nodiscard]] std::size_t SequenceLength(std::string_view text);

}  // namespace postrider::observe
