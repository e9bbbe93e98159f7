#pragma once
// The program around the server: its files, signals and ends.

#include "tools/sink/options.h"

namespace postrider::sink {

// Says "ready" and the addresses on standard output once it listens. Ends on SIGTERM, SIGINT, or as the options ask,
// and writes the summary, as it does on SIGUSR1. Returns 0, or after saying on standard error what went wrong and what
// to do 1, or 2 where the request itself makes no sense. Blocks those signals in the calling thread.
[[nodiscard]] int RunSink(const Options& options);

}  // namespace postrider::sink
