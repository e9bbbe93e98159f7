#pragma once
// What a configuration needs of this host, looked at before anything runs: at the start, at a reload, and by
// `postrider check`. Any thread; reads files, changes nothing.

#include <string>
#include <vector>

#include "config/error.h"
#include "config/options.h"
#include "queue/files.h"

namespace postrider::engine {

// A sentence for every address of a [[source]] that this host does not have; all, so that one look tells them.
[[nodiscard]] std::vector<std::string> MissingSourceAddresses(const Options& options);

// The suppression file can be read, and all of it makes sense. kInvalid: it is wrong wherever it is read.
[[nodiscard]] Result<void> CheckSuppressionFile(const Options& options, queue::Files& files);

// Both; one sentence a line.
[[nodiscard]] Result<void> CheckHost(const Options& options, queue::Files& files);

// The options, or whole sections, in which the two differ and that are read at the start alone; by their names, in the
// order of the configuration.
[[nodiscard]] std::vector<std::string> OptionsThatNeedARestart(const Options& running, const Options& fresh);

}  // namespace postrider::engine
