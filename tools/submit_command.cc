// `postrider submit`: checks campaigns and puts them into the spool. Needs no daemon.

#include <fmt/format.h>

#include "engine/intake/submission.h"
#include "engine/io/clock.h"
#include "queue/files.h"
#include "tools/command.h"
#include "tools/config_file.h"
#include "tools/exit_code.h"
#include "tools/terminal.h"
#include "tools/text.h"

namespace postrider::tools {

int RunSubmit(const SubmitRequest& request) {
  constexpr const char* kName = "submit";
  const OptionsPtr options = LoadConfig(kName, request.config, NoConfig::kRefuse);
  if (options == nullptr) return kExitUsage;
  const std::unique_ptr<queue::Files> files = queue::MakeSystemFiles();
  const std::unique_ptr<io::Clock> clock = io::MakeSystemClock();
  int exit_code = kExitDone;
  for (const std::filesystem::path& path : request.paths) {
    // One bad campaign does not keep the others out.
    const Result<intake::Submitted> submitted = intake::Submit(*options, *files, *clock, path);
    if (!submitted) {
      exit_code = Report(kName, submitted.error());
      continue;
    }
    if (!Print(fmt::format("{} {}\n", Printable(submitted->name),
                           submitted->already ? "already accepted" : "submitted"))) {
      return kExitFailed;
    }
  }
  return exit_code;
}

}  // namespace postrider::tools
