#pragma once
// The configuration a command works with.

#include <filesystem>
#include <string_view>

#include "config/options.h"

namespace postrider::tools {

// What to do when no configuration was named and there is none at the default place.
enum class NoConfig { kRefuse, kUseDefaults };

// Null after everything wrong with it was written to standard error; the command then ends with kExitUsage. file empty:
// the default place.
[[nodiscard]] OptionsPtr LoadConfig(std::string_view command, const std::filesystem::path& file, NoConfig otherwise);

// Nobody named a configuration, and there is none at the default place: NoConfig::kUseDefaults gives the defaults.
[[nodiscard]] bool UsesDefaults(const std::filesystem::path& file);

// Nobody named a configuration, and there is none at the default place; says so. file empty: the default place.
[[nodiscard]] bool ConfigIsMissing(std::string_view command, const std::filesystem::path& file);

}  // namespace postrider::tools
