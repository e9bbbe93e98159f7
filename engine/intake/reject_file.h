#pragma once
// rejects.jsonl: one line for each row that was refused: {"line":7,"to":"...","id":"...","reason":"..."}. Made when the
// first row is; written in blocks, synced at the end. One thread.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "config/error.h"
#include "queue/files.h"

namespace postrider::intake {

class RejectFile {
 public:
  RejectFile(queue::Files& files, std::filesystem::path file) : files_(files), file_(std::move(file)) {}

  // Takes away what an earlier reading left.
  [[nodiscard]] Result<void> Begin();
  void Add(std::uint64_t line, std::string_view to, std::string_view id, std::string_view reason);
  // Writes what Add gathered, if it is much or if asked. On error nothing is lost, and it may be called again.
  [[nodiscard]] Result<void> Flush(bool all);
  [[nodiscard]] Result<void> Sync();

 private:
  queue::Files& files_;
  std::filesystem::path file_;
  std::unique_ptr<queue::FileAppender> appender_;
  std::string waiting_;
};

// text in quotes; what is not UTF-8 becomes U+FFFD.
void AppendJsonText(std::string_view text, std::string& out);

}  // namespace postrider::intake
