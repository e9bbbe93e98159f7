#pragma once
// The client's lines of AUTH PLAIN (RFC 4616) and AUTH LOGIN, appended to what is sent. Scratch copies of a secret are
// overwritten; what is sent is not, and the destination keeps the secret for its next connection.

#include <string>
#include <string_view>

namespace postrider::smtp {

void AppendBase64(std::string_view bytes, std::string& out);
// base64(NUL user NUL secret)
void AppendPlainResponse(std::string_view user, std::string_view secret, std::string& out);
// Overwrites and empties.
void Wipe(std::string& secret);

}  // namespace postrider::smtp
