#pragma once
// What our files have in common when they are read with toml++: its values as option kinds take them, its moments as
// ours, its places as ours. Only files of config/ include this, for toml++ has its home here.

#include <string>

#include <toml++/toml.h>

#include "config/error.h"
#include "config/option_kind.h"
#include "config/time.h"

namespace postrider {

[[nodiscard]] FileValue ToFileValue(const toml::node& node);

// A date and time with its offset from UTC; the error's sentence says what is missing.
[[nodiscard]] Result<Wall> ToMoment(const toml::node& node);
// The other way, in UTC: "2026-11-23T08:00:00Z", with milliseconds if there are any.
[[nodiscard]] std::string ToToml(Wall moment);

[[nodiscard]] inline Location ToLocation(std::string file, const toml::source_position& where) {
  return {std::move(file), static_cast<int>(where.line), static_cast<int>(where.column)};
}

}  // namespace postrider
