#pragma once
// What the program tells the shell.

#include "config/error.h"

namespace postrider::tools {

inline constexpr int kExitDone = 0;
inline constexpr int kExitFailed = 1;       // it could not be done; standard error says what, where, what to do
inline constexpr int kExitUsage = 2;        // the command line or a configuration is wrong
inline constexpr int kExitUnreachable = 3;  // the daemon does not answer

// The code for an error, after writing it to standard error as "postrider COMMAND: ...".
[[nodiscard]] int Report(std::string_view command, const Error& error);
// The same for what the operator wrote, on the command line or in a configuration: always kExitUsage.
[[nodiscard]] int ReportUsage(std::string_view command, const Error& error);

}  // namespace postrider::tools
