#pragma once
// The text of a reply as patterns see it. Pure.

#include <string>
#include <string_view>

namespace postrider {

// Replaces joined with one line: the lines of text joined by blanks, an enhanced code that later lines repeat dropped,
// blanks and control characters squeezed to one blank, what is no UTF-8 replaced by "?". Of a longer text the first
// 4 KB; joined's memory is reused.
void JoinReplyText(std::string_view text, std::string& joined);

}  // namespace postrider
