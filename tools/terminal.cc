#include "tools/terminal.h"

#include <sys/ioctl.h>
#include <unistd.h>

#include <algorithm>
#include <cstdio>
#include <cstdlib>

#include <fmt/format.h>

namespace postrider::tools {
namespace {

std::string_view Escape(Tone tone) {
  switch (tone) {
    case Tone::kGood:
      return "\x1b[32m";
    case Tone::kWarning:
      return "\x1b[33m";
    case Tone::kBad:
      return "\x1b[31m";
    case Tone::kFaint:
      return "\x1b[2m";
    case Tone::kStrong:
      return "\x1b[1m";
  }
  return "";
}

}  // namespace

Terminal Terminal::Detect() {
  Terminal terminal;
  const char* kind = std::getenv("TERM");
  terminal.interactive = isatty(STDOUT_FILENO) != 0 && kind != nullptr && std::string_view(kind) != "dumb";
  const char* no_colour = std::getenv("NO_COLOR");
  terminal.colours = terminal.interactive && (no_colour == nullptr || *no_colour == '\0');
  winsize size{};
  constexpr std::size_t kLeast = 40;  // below this no table is readable anyway
  if (terminal.interactive && ioctl(STDOUT_FILENO, TIOCGWINSZ, &size) == 0 && size.ws_col > 0) {
    terminal.columns = std::max<std::size_t>(size.ws_col, kLeast);
  }
  return terminal;
}

std::string Terminal::Paint(Tone tone, std::string_view text) const {
  return colours ? fmt::format("{}{}\x1b[0m", Escape(tone), text) : std::string(text);
}

bool Print(std::string_view text) {
  return std::fwrite(text.data(), 1, text.size(), stdout) == text.size() && std::fflush(stdout) == 0;
}

std::string Display::Show(std::string_view lines) {
  std::string out;
  if (terminal_.interactive) {
    // Up to where the last drawing began, then clear to the end of the screen.
    if (drawn_ > 0) out = fmt::format("\x1b[{}A", drawn_);
    // Long lines are cut by the terminal instead of wrapped: a wrapped one would count as two.
    drawn_ = static_cast<std::size_t>(std::ranges::count(lines, '\n'));
    return fmt::format("{}\r\x1b[J\x1b[?7l{}\x1b[?7h", out, lines);
  }
  return std::string(lines);
}

}  // namespace postrider::tools
