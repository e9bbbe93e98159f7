#pragma once
// Whom we write to: a person at a terminal, or a file or program. Standard output only; nothing is global.

#include <string>
#include <string_view>

namespace postrider::tools {

enum class Tone { kGood, kWarning, kBad, kFaint, kStrong };

struct Terminal {
  bool interactive = false;   // lines may be drawn over
  bool colours = false;       // a terminal, and NO_COLOR (no-color.org) is not set
  std::size_t columns = 100;  // of a line

  // Looks at standard output and the environment.
  static Terminal Detect();

  // text in its colour, if there are colours.
  [[nodiscard]] std::string Paint(Tone tone, std::string_view text) const;
};

// Writes to standard output at once; false if nobody takes it any more.
[[nodiscard]] bool Print(std::string_view text);

// Lines drawn over their predecessors on a terminal, one below the other elsewhere.
class Display {
 public:
  explicit Display(const Terminal& terminal) : terminal_(terminal) {}
  // What to write to standard output to show these lines now.
  [[nodiscard]] std::string Show(std::string_view lines);

 private:
  const Terminal terminal_;
  std::size_t drawn_ = 0;  // lines on the screen
};

}  // namespace postrider::tools
