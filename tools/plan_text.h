#pragma once
// A forecast as a person or a program reads it. Pure.

#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "config/time.h"
#include "tools/plan_model.h"
#include "tools/terminal.h"

namespace postrider::tools {

struct PlanPage {
  std::string campaign;
  std::uint64_t recipients = 0;  // that would be accepted
  std::uint64_t refused = 0;     // of domains that take no mail
  std::optional<Wall> expires;
  std::vector<std::string> assumptions;
};

[[nodiscard]] std::string RenderPlan(const PlanPage& page, const PlanInput& input, const PlanOutcome& outcome,
                                     const Terminal& terminal);
// One JSON object.
[[nodiscard]] std::string PlanJson(const PlanPage& page, const PlanInput& input, const PlanOutcome& outcome);

}  // namespace postrider::tools
