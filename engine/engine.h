#pragma once
// `postrider run`: reads the configuration, runs the daemon until SIGTERM or SIGINT, reloads at SIGHUP.

#include <filesystem>

namespace postrider::engine {

// Exit codes: 0 stopped in order; 1 could not start, or something could not be made durable; 2 the configuration is
// wrong.
[[nodiscard]] int RunDaemon(const std::filesystem::path& config_file);

}  // namespace postrider::engine
