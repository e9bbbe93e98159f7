#pragma once
// The program's own messages to its operator, on standard error: on a terminal with time and colour; under systemd with
// the priority prefix that journald reads (sd-daemon(3)) and no time, which journald adds; else with time and level.
// One line per message whatever it holds. Any thread.

#include <cstdint>
#include <memory>
#include <string_view>

namespace postrider::observe {

enum class LogLevel : std::uint8_t { kDebug, kInfo, kWarning, kError };
enum class LogStyle : std::uint8_t { kTerminal, kJournal, kPlain };

class OperatorLog {
 public:
  virtual ~OperatorLog() = default;
  virtual void Write(LogLevel level, std::string_view message) = 0;
};

// What standard error is now: a terminal, systemd's journal (JOURNAL_STREAM), or something else.
[[nodiscard]] LogStyle DetectLogStyle();

// Writes messages of `least` and above to the descriptor, which stays the caller's.
[[nodiscard]] std::unique_ptr<OperatorLog> MakeOperatorLog(LogLevel least, LogStyle style, int descriptor = 2);

// To this process's standard error, in the style detected at the first message; LogInfo and above. As global as
// standard error itself is.
void LogInfo(std::string_view message);
void LogWarning(std::string_view message);
void LogError(std::string_view message);

}  // namespace postrider::observe
