#pragma once
// The client's lines of AUTH PLAIN (RFC 4616) and AUTH LOGIN. They are appended and never kept: scratch copies of a
// secret are overwritten.

#include <string>
#include <string_view>

namespace postrider::smtp {

void AppendBase64(std::string_view bytes, std::string& out);
// base64(NUL user NUL secret)
void AppendPlainResponse(std::string_view user, std::string_view secret, std::string& out);
// Overwrites and empties.
void Wipe(std::string& secret);

}  // namespace postrider::smtp
