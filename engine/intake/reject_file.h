#pragma once
// rejects.jsonl: a line for each row that gets no mail: {"line":7,"to":"...","id":"...","reason":"..."}. Made when
// the first row is; written in blocks, synced at the end. One thread.

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
  // A row in order that is left out: suppressed, or a duplicate. There may be as many as the list is long, which would
  // write it a second time: beyond so many they are counted, in a last line without "line".
  static constexpr std::uint64_t kLeftOutMax = 100'000;
  void AddLeftOut(std::uint64_t line, std::string_view to, std::string_view id, std::string_view reason);
  // Writes what Add gathered, if it is much or if asked. On error nothing is lost, and it may be called again.
  [[nodiscard]] Result<void> Flush(bool all);
  [[nodiscard]] Result<void> Sync();

 private:
  queue::Files& files_;
  std::filesystem::path file_;
  std::unique_ptr<queue::FileAppender> appender_;
  std::string waiting_;
  std::uint64_t left_out_ = 0;
  bool counted_ = false;  // the last line is among waiting_, or written
};

// text in quotes; what is not UTF-8 becomes U+FFFD.
void AppendJsonText(std::string_view text, std::string& out);

}  // namespace postrider::intake
