#pragma once
// `postrider throttle try`: what other reply rules would have made of a delivery log.

#include <filesystem>
#include <functional>
#include <vector>

#include "tools/command.h"

namespace postrider::tools {

struct ThrottleTryRequest {
  std::filesystem::path config;             // empty: the default one, if it is there
  std::filesystem::path rules;              // to try; empty: those of the configuration
  std::vector<std::filesystem::path> logs;  // files, or directories of them
  bool against_log = false;                 // compare with what the log says was made of a reply
  bool json = false;
};
[[nodiscard]] int RunThrottleTry(const ThrottleTryRequest& request);

// Adds `try` to the command `throttle`; chosen becomes what to run.
void AddThrottleTry(CLI::App& throttle, std::function<int()>& chosen);

}  // namespace postrider::tools
