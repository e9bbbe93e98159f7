#pragma once
// Limits and sources as `postrider throttle` and `postrider source` print them. Pure.

#include <string>
#include <vector>

#include "config/time.h"
#include "tools/terminal.h"
#include "tools/throttle_view.h"

namespace postrider::tools {

// "5/s", "20/min", "1/h", "3/d": in the unit that needs no fraction below one.
[[nodiscard]] std::string FormatLimit(double per_second);

[[nodiscard]] std::string RenderDomainLimits(const DomainLimitsView& limits, Wall now, const Terminal& terminal);
[[nodiscard]] std::string RenderOverrides(const std::vector<OverrideView>& overrides, Wall now,
                                          const Terminal& terminal);
[[nodiscard]] std::string RenderLimitChange(const LimitChangeView& change, Wall now, const Terminal& terminal);
[[nodiscard]] std::string RenderSources(const std::vector<SourceView>& sources, Wall now, const Terminal& terminal);

}  // namespace postrider::tools
