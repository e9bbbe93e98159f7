#include "tools/exit_code.h"

#include <cstdio>

#include <fmt/format.h>

#include "tools/text.h"

namespace postrider::tools {
namespace {

void Write(std::string_view command, const Error& error) {
  const std::string text = fmt::format("postrider {}: {}\n", command, PrintableLines(error.message));
  std::fwrite(text.data(), 1, text.size(), stderr);
}

}  // namespace

int Report(std::string_view command, const Error& error) {
  Write(command, error);
  return error.code == ErrorCode::kUnavailable ? kExitUnreachable : kExitFailed;
}

int ReportUsage(std::string_view command, const Error& error) {
  Write(command, error);
  return kExitUsage;
}

}  // namespace postrider::tools
