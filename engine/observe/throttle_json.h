#pragma once
// What the admin API says about limits and sources, as JSON text (shapes in observe/README.md). Text from outside is
// made valid UTF-8. Pure.

#include <optional>
#include <span>
#include <string>
#include <vector>

#include "config/options.h"
#include "config/overrides.h"
#include "engine/observe/control.h"
#include "engine/observe/throttle_control.h"

namespace postrider::observe {

[[nodiscard]] std::string OverridesJson(const Overrides& overrides);

// until: of what was set.
[[nodiscard]] std::string ChangeJson(const DomainPattern& pattern, std::span<const ChangedField> fields,
                                     const std::optional<Wall>& until);

[[nodiscard]] std::string DomainLimitsJson(const DomainLimits& limits);

// Every source of the options with what it does now.
[[nodiscard]] std::string SourcesJson(const Options& options, const Snapshot& snapshot,
                                      const std::vector<PauseTarget>& pauses);

}  // namespace postrider::observe
