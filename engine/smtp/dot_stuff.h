#pragma once
// Transparency (RFC 5321 section 4.5.2): a line of content that begins with a dot gets a second one.

#include <string>

namespace postrider::smtp {

// Stuffs one whole content in place. The usual content has no such line and is only looked at: no copy is made. A dot
// behind a bare LF is doubled too, so that no server which takes that for a line end can be made to see an end of
// content.
void DotStuff(std::string& content);

}  // namespace postrider::smtp
