#pragma once
// The queue as a person reads it: why it is slow, and how old its mail is. Pure.

#include <string>

#include "config/time.h"
#include "tools/status_view.h"
#include "tools/terminal.h"

namespace postrider::tools {

// A line per path, what no path has, and the domains with the most mail.
[[nodiscard]] std::string RenderQueue(const QueueView& queue, Wall now, const Terminal& terminal);
// The domains with the most mail, by its age.
[[nodiscard]] std::string RenderAges(const QueueView& queue, const Terminal& terminal);

}  // namespace postrider::tools
