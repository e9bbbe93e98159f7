#include "tools/config_file.h"

#include <fmt/format.h>

#include "config/load.h"
#include "tools/admin_client.h"
#include "tools/exit_code.h"

namespace postrider::tools {

OptionsPtr LoadConfig(std::string_view command, const std::filesystem::path& file, NoConfig otherwise) {
  std::error_code ignored;
  const bool absent = file.empty() && !std::filesystem::exists(kDefaultConfig, ignored);
  if (absent && otherwise == NoConfig::kUseDefaults) {
    Options defaults;
    defaults.host_name = "localhost";  // a loaded configuration always has one
    return std::make_shared<const Options>(std::move(defaults));
  }
  if (absent) {
    (void)ReportUsage(command, {ErrorCode::kNotFound,
                                fmt::format("there is no configuration at {}; say --config FILE (`postrider config "
                                            "--explain` prints one to begin with)",
                                            kDefaultConfig)});
    return nullptr;
  }
  const auto options = LoadOptions(file.empty() ? std::filesystem::path(kDefaultConfig) : file);
  if (options) return *options;
  for (const Diagnostic& diagnostic : options.error()) {
    (void)ReportUsage(command, {ErrorCode::kInvalid, ToString(diagnostic)});
  }
  return nullptr;
}

}  // namespace postrider::tools
