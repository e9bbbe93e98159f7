#pragma once
// Reads a file that an operator wrote. Never hangs on a pipe or device of that name, and never reads more than asked.

#include <cstddef>
#include <filesystem>
#include <string>

#include "config/error.h"

namespace postrider {

// The message says why, and not which file: whoever names the place of a Diagnostic does.
[[nodiscard]] Result<std::string> ReadTextFile(const std::filesystem::path& file, std::size_t bytes_max);

}  // namespace postrider
