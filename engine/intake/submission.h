#pragma once
// Handing a campaign directory or a single message in, as `postrider submit` does: checked, copied into spool/tmp,
// synced, renamed into spool/new. Works without the daemon. The rename is the submission; before it nothing happened.

#include <filesystem>
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
// taken by something else.
[[nodiscard]] Result<Submitted> Submit(const Options& options, queue::Files& files, io::Clock& clock,
                                       const std::filesystem::path& path);

}  // namespace postrider::intake
