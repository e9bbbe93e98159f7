#pragma once
// What passed on one connection, as far as it would be wanted if it fails: the opening, what was refused, and the
// messages whose end is still open. A message that ended well is forgotten, so that the record stays small however many
// a connection carries. Content is never in it, only its size, and no secret: the conversation shows none. A line costs
// one copy of its text; nothing is formatted before somebody reads it. Pure.

#include <array>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/time.h"

namespace postrider::delivery {

enum class TraceDirection : std::uint8_t {
  kNote,      // of ours: connected, TLS, why it ended
  kSent,      // by us
  kReceived,  // a reply
};
[[nodiscard]] char ToMark(TraceDirection direction);  // '*', '>', '<'

// One line as somebody reads it; a reply of several lines is one, with line breaks.
struct TraceLine {
  Wall time{};
  std::uint64_t connection = 0;
  TraceDirection direction = TraceDirection::kNote;
  std::string source;
  std::string text;
};

// A reply as it stood on the wire, without the last line break: "250-mx\n250 SIZE". code 0: the text alone.
[[nodiscard]] std::string WithCode(int code, std::string_view text);

class Transcript {
 public:
  static constexpr std::size_t kBytes = 4096;     // of all lines together; the oldest after the opening make room
  static constexpr std::size_t kTextBytes = 512;  // of one line; the rest is cut off

  void Begin(const Now& now);  // forgets all that was
  void Add(Monotonic now, TraceDirection direction, int code, std::string_view text);
  // What stands there now is the opening.
  void Opened() { opening_end_ = kept_end_ = bytes_.size(); }
  // In the order of the conversation's NextMessage and MessageDone, at most kMessages open at once.
  void MessageBegins();
  void MessageEnds(bool keep);

  // Oldest first. connection and source are filled in.
  [[nodiscard]] std::vector<TraceLine> Lines(std::uint64_t connection, std::string_view source) const;
  [[nodiscard]] std::size_t bytes() const { return bytes_.size(); }

 private:
  static constexpr std::size_t kMessages = 4;
  struct Header {
    std::uint32_t milliseconds = 0;  // since the beginning
    std::uint16_t length = 0;        // of the text behind it
    std::uint16_t code = 0;          // a reply's; in the upper four bits the direction
  };

  void MakeRoom(std::size_t length);
  void Erase(std::size_t from, std::size_t to);

  Now began_{};
  std::string bytes_;  // Header, text, Header, text, ...
  std::size_t opening_end_ = 0;
  std::size_t kept_end_ = 0;                     // what lies before it stays when messages end well
  std::array<std::size_t, kMessages> starts_{};  // where each open message begins
  std::size_t open_ = 0;
  std::uint64_t forgotten_ = 0;  // messages
};

}  // namespace postrider::delivery
