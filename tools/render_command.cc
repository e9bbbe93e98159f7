// `postrider render`: the exact message of one row. Needs no daemon.

#include <filesystem>

#include "engine/intake/campaign_check.h"
#include "engine/io/clock.h"
#include "queue/files.h"
#include "tools/command.h"
#include "tools/config_file.h"
#include "tools/exit_code.h"
#include "tools/terminal.h"

namespace postrider::tools {

int RunRender(const RenderRequest& request) {
  constexpr const char* kName = "render";
  const OptionsPtr options = LoadConfig(kName, request.config, NoConfig::kUseDefaults);
  if (options == nullptr) return kExitUsage;
  const std::unique_ptr<queue::Files> files = queue::MakeSystemFiles();
  const std::unique_ptr<io::Clock> clock = io::MakeSystemClock();
  const Result<std::string> message = intake::RenderRow(*options, *files, *clock, request.path, request.row);
  if (!message) return Report(kName, message.error());
  if (UsesDefaults(request.config)) {
    (void)Report(kName, {ErrorCode::kNotFound,
                         "without a configuration a Message-ID made here ends with @localhost, "
                         "not with your host_name; say --config FILE"});
  }
  return Print(*message) ? kExitDone : kExitFailed;
}

}  // namespace postrider::tools
