#pragma once
// Reads server replies (RFC 5321 section 4.2) from bytes as they come, in pieces of any size. Lenient where receivers
// are sloppy (bare LF, lines over 512 octets, no text), strict where leniency would hide that client and server no
// longer talk about the same command. What it gives may be logged: control characters and broken UTF-8 are replaced.

#include <cstddef>
#include <string>
#include <string_view>

#include "config/reply.h"

namespace postrider::smtp {

class ReplyParser {
 public:
  static constexpr std::size_t kLineBytes = 4096;   // eight times RFC 5321's 512: some put essays into a reply
  static constexpr int kLines = 100;                // of one reply; EHLO answers have at most about 30
  static constexpr std::size_t kTextBytes = 16384;  // of one reply

  enum class Progress { kMore, kReply, kBroken };

  // Takes bytes from the front of input up to the end of one reply: kReply. kMore: input is used up and the reply not
  // complete. kBroken: not a reply; problem() says why, and nothing more can be read.
  [[nodiscard]] Progress Feed(std::string_view& input);

  [[nodiscard]] const Reply& reply() const { return reply_; }  // after kReply, until the next Feed
  [[nodiscard]] const char* problem() const { return problem_; }
  // Part of a reply has been read.
  [[nodiscard]] bool InReply() const { return !complete_ && (lines_ > 0 || !line_.empty()); }

 private:
  [[nodiscard]] Progress TakeLine(std::string_view line);
  Progress Broken(const char* problem);

  Reply reply_;
  std::string line_;  // what has come of a line that is not complete
  int lines_ = 0;
  bool complete_ = true;
  const char* problem_ = "";
};

}  // namespace postrider::smtp
