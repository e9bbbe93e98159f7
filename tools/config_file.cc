#include "tools/config_file.h"

#include <fmt/format.h>

#include "config/load.h"
#include "tools/admin_client.h"
#include "tools/exit_code.h"

namespace postrider::tools {

namespace {

bool NobodyNamedOne(const std::filesystem::path& file) {
  std::error_code ignored;
  return (file.empty() || file == kDefaultConfig) && !std::filesystem::exists(kDefaultConfig, ignored);
}

}  // namespace

bool ConfigIsMissing(std::string_view command, const std::filesystem::path& file) {
  if (!NobodyNamedOne(file)) return false;
  (void)ReportUsage(command, {ErrorCode::kNotFound,
                              fmt::format("there is no configuration at {}; say --config FILE (`postrider config "
                                          "--explain` prints one to begin with)",
                                          kDefaultConfig)});
  return true;
}

bool UsesDefaults(const std::filesystem::path& file) { return file.empty() && NobodyNamedOne(file); }

OptionsPtr LoadConfig(std::string_view command, const std::filesystem::path& file, NoConfig otherwise) {
  if (otherwise == NoConfig::kUseDefaults && UsesDefaults(file)) {
    Options defaults;
    defaults.host_name = "localhost";  // a loaded configuration always has one
    return std::make_shared<const Options>(std::move(defaults));
  }
  if (ConfigIsMissing(command, file)) return nullptr;
  const auto options = LoadOptions(file.empty() ? std::filesystem::path(kDefaultConfig) : file);
  if (options) return *options;
  for (const Diagnostic& diagnostic : options.error()) {
    (void)ReportUsage(command, {ErrorCode::kInvalid, ToString(diagnostic)});
  }
  return nullptr;
}

}  // namespace postrider::tools
