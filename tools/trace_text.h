#pragma once
// What /api/v1/trace says, for a person or as JSON lines. Pure.

#include <cstdint>
#include <string>
#include <string_view>

#include "config/error.h"
#include "tools/terminal.h"

namespace postrider::tools {

// The lines that passed since the last answer.
struct TracePage {
  std::string text;  // to print
  std::string next;  // to ask with
  bool site_known = false;
  bool more = false;  // ask again at once
};
[[nodiscard]] Result<TracePage> RenderTrace(std::string_view answer, bool json, const Terminal& terminal);

// The last failed conversations, the newest at the end, where a terminal shows it; empty: there are none.
[[nodiscard]] Result<std::string> RenderFailures(std::string_view answer, bool json, const Terminal& terminal);

}  // namespace postrider::tools
