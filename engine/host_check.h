#pragma once
// What a configuration needs of this host, looked at before anything runs: at the start, at a reload, and by
// `postrider check`. Any thread; reads files, changes nothing.

#include <string>
#include <vector>

#include "config/error.h"
#include "config/options.h"
#include "queue/files.h"

namespace postrider::engine {

struct HostFindings {
  std::vector<std::string> wrong;     // in a file that the configuration names, wherever it is read
  std::vector<std::string> missing;   // the configuration is right, but the daemon does not start on this host
  std::vector<std::string> warnings;  // it starts, but some mail would wait
};
// Source addresses, directories, the TLS roots, the suppression file, secrets, limits set by hand: a sentence each, all
// of them, so that one look tells them. A daemon that runs here, and the port it listens on, are no findings. running:
// what a daemon has that is to take these; its sources may lose their addresses at any time, so such a one is a
// warning.
[[nodiscard]] HostFindings LookAtHost(const Options& options, queue::Files& files, const Options* running = nullptr);

// What is wrong or missing, one sentence a line.
[[nodiscard]] Result<void> ToResult(HostFindings findings);

// The options, or whole sections, in which the two differ and that are read at the start alone; by their names, in the
// order of the configuration.
[[nodiscard]] std::vector<std::string> OptionsThatNeedARestart(const Options& running, const Options& fresh);

}  // namespace postrider::engine
