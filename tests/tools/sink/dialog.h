#pragma once
// Runs a .dialog file against a Session: what the client sends, what the receiver must answer, how it must end.
//
//   # a comment
//   listen 127.0.0.2:25=gmail,greylist=10s      the receiver's personality and settings; first of all
//   C: EHLO client.test                          a line of the client; consecutive ones are one batch of input
//   C~ half a li                                 raw text; \r \n \0 \\ and \xHH are understood
//   S: 250-*SIZE 157286400                       a line of the receiver; * stands for any text
//   TLS                                          the handshake is done
//   wait 10s                                     time passes
//   END kLinger                                  the step the last input led to (at the end kGoOn needs no line)

#include <filesystem>
#include <string>

namespace postrider::sink {

enum class Pieces { kWhole, kBytes };

// Empty if all went as written, else what did not and at which line of the file.
[[nodiscard]] std::string RunDialog(const std::filesystem::path& file, Pieces pieces);

// '*' stands for any text.
[[nodiscard]] bool Matches(std::string_view pattern, std::string_view text);

}  // namespace postrider::sink
