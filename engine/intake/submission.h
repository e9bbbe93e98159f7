#pragma once
// Handing a campaign directory or a single message in, as `postrider submit` does: checked, copied into spool/tmp,
// synced, renamed into spool/new. Works without the daemon. The rename is the submission; before it nothing happened.

#include <filesystem>
#include <functional>
#include <string>

#include "config/error.h"
#include "config/options.h"
#include "engine/io/clock.h"
#include "queue/files.h"

namespace postrider::intake {

struct Submitted {
  std::string name;
  bool already = false;  // the same submission is in the spool, or was accepted: nothing was done
};

// path is a directory, or a file *.eml. kInvalid with everything that is wrong, a line each; kExists if the name is
// taken by something else. interrupted is asked now and then: true, and nothing of it stays in the spool
// (kUnavailable).
[[nodiscard]] Result<Submitted> Submit(
    const Options& options, queue::Files& files, io::Clock& clock, const std::filesystem::path& path,
    const std::function<bool()>& interrupted = [] { return false; });

// What calls that were killed left in spool/tmp, once it is older than any call takes.
void RemoveLeftCopies(queue::Files& files, const std::filesystem::path& tmp, Wall now);

}  // namespace postrider::intake
