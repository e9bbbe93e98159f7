#pragma once
// Reads a configuration file. Everything wrong in it is reported at once, each with file:line:column: unknown keys
// (with the nearest known one), wrong types, units and ranges, names that nothing defines. Only a syntax error hides
// the rest. Durations are text with a unit ("90s", "15min", "4h", "2d"), sizes too ("64KiB", "256MiB"), rates "10/s".

#include <expected>
#include <filesystem>
#include <string>
#include <string_view>

#include "config/error.h"
#include "config/options.h"

namespace postrider {

[[nodiscard]] std::expected<OptionsPtr, Diagnostics> LoadOptions(const std::filesystem::path& file);
// The same from text; name stands for the file in diagnostics. Relative paths are taken from base.
[[nodiscard]] std::expected<OptionsPtr, Diagnostics> ParseOptions(std::string_view toml, std::string_view name,
                                                                  const std::filesystem::path& base);

// A complete, commented configuration with every option at its default, as `postrider config --explain` prints it and
// config/example.toml ships it.
[[nodiscard]] std::string ExplainOptions();

}  // namespace postrider
