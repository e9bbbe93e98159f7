#include "engine/observe/operator_log.h"

#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <cstdlib>
#include <string>

#include <fmt/format.h>
#include <spdlog/logger.h>
#include <spdlog/pattern_formatter.h>
#include <spdlog/sinks/base_sink.h>

namespace postrider::observe {
namespace {

spdlog::level::level_enum ToSpdlog(LogLevel level) {
  switch (level) {
    case LogLevel::kDebug:
      return spdlog::level::debug;
    case LogLevel::kInfo:
      return spdlog::level::info;
    case LogLevel::kWarning:
      return spdlog::level::warn;
    case LogLevel::kError:
      return spdlog::level::err;
  }
  return spdlog::level::info;
}

// syslog's priorities (sd-daemon(3)).
std::string_view JournalPrefix(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::debug:
      return "<7>";
    case spdlog::level::warn:
      return "<4>";
    case spdlog::level::err:
      return "<3>";
    default:
      return "<6>";
  }
}

std::string_view Colour(spdlog::level::level_enum level) {
  switch (level) {
    case spdlog::level::debug:
      return "\x1b[2m";
    case spdlog::level::warn:
      return "\x1b[33m";
    case spdlog::level::err:
      return "\x1b[31m";
    default:
      return "";
  }
}

// A message may quote what a peer or a file said: no control character of theirs reaches a terminal or begins a line.
std::string OnOneLine(std::string_view message) {
  std::string line;
  line.reserve(message.size());
  for (const char c : message) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '\n') {
      line += " | ";
    } else if (byte < 0x20 || byte == 0x7f) {
      fmt::format_to(std::back_inserter(line), "\\x{:02x}", byte);
    } else {
      line += c;
    }
  }
  return line;
}

// Whole lines with one write each, so that those of several processes do not mix.
class DescriptorSink final : public spdlog::sinks::base_sink<std::mutex> {
 public:
  DescriptorSink(int descriptor, LogStyle style) : descriptor_(descriptor), style_(style) {}

 private:
  void sink_it_(const spdlog::details::log_msg& message) override {
    std::string line;
    if (style_ == LogStyle::kJournal) line += JournalPrefix(message.level);
    const std::string_view colour = style_ == LogStyle::kTerminal ? Colour(message.level) : std::string_view();
    line += colour;
    spdlog::memory_buf_t formatted;
    formatter_->format(message, formatted);
    line.append(formatted.data(), formatted.size());
    if (!colour.empty()) line += "\x1b[0m";
    line += '\n';
    std::string_view rest = line;
    while (!rest.empty()) {
      const ssize_t count = write(descriptor_, rest.data(), rest.size());
      if (count < 0 && errno == EINTR) continue;
      if (count <= 0) return;  // nobody listens, and there is nobody to tell
      rest.remove_prefix(static_cast<std::size_t>(count));
    }
  }
  void flush_() override {}

  const int descriptor_;
  const LogStyle style_;
};

class SpdlogOperatorLog final : public OperatorLog {
 public:
  SpdlogOperatorLog(LogLevel least, LogStyle style, int descriptor)
      : logger_("postrider", std::make_shared<DescriptorSink>(descriptor, style)) {
    const char* pattern = style == LogStyle::kJournal    ? "%v"
                          : style == LogStyle::kTerminal ? "%H:%M:%S %v"
                                                         : "%Y-%m-%dT%H:%M:%S.%eZ %l %v";
    const auto zone = style == LogStyle::kPlain ? spdlog::pattern_time_type::utc : spdlog::pattern_time_type::local;
    logger_.set_formatter(std::make_unique<spdlog::pattern_formatter>(pattern, zone, ""));
    logger_.set_level(ToSpdlog(least));
  }
  void Write(LogLevel level, std::string_view message) override {
    const spdlog::level::level_enum spdlog_level = ToSpdlog(level);
    if (!logger_.should_log(spdlog_level)) return;
    const std::string line = OnOneLine(message);
    logger_.log(spdlog_level, spdlog::string_view_t(line.data(), line.size()));
  }

 private:
  spdlog::logger logger_;
};

OperatorLog& StandardError() {
  static const std::unique_ptr<OperatorLog> log = MakeOperatorLog(LogLevel::kInfo, DetectLogStyle());
  return *log;
}

}  // namespace

LogStyle DetectLogStyle() {
  if (isatty(STDERR_FILENO) != 0) return LogStyle::kTerminal;
  // "device:inode" of the journal's socket: only if standard error still is that (systemd.exec(5)).
  const char* journal = std::getenv("JOURNAL_STREAM");
  struct stat status {};
  if (journal != nullptr && fstat(STDERR_FILENO, &status) == 0 &&
      fmt::format("{}:{}", status.st_dev, status.st_ino) == journal) {
    return LogStyle::kJournal;
  }
  return LogStyle::kPlain;
}

std::unique_ptr<OperatorLog> MakeOperatorLog(LogLevel least, LogStyle style, int descriptor) {
  return std::make_unique<SpdlogOperatorLog>(least, style, descriptor);
}

void LogInfo(std::string_view message) { StandardError().Write(LogLevel::kInfo, message); }
void LogWarning(std::string_view message) { StandardError().Write(LogLevel::kWarning, message); }
void LogError(std::string_view message) { StandardError().Write(LogLevel::kError, message); }

}  // namespace postrider::observe
