#pragma once
// Text as a JSON string, by hand: the delivery log writes thirty of them per event and must not allocate. What comes
// out is valid UTF-8 on one line whatever goes in: control characters are escaped, bytes that are no UTF-8 become
// U+FFFD. Pure; any thread.

#include <string>
#include <string_view>

namespace postrider::observe {

// Appends text in quotes.
void AppendJsonString(std::string& out, std::string_view text);

}  // namespace postrider::observe
