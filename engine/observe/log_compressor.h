#pragma once
// Compresses closed log files with zstd, a bounded piece at a time, so that the thread that owns it never waits long.
// The compressed file is written beside the plain one under a temporary name, synced, renamed, and only then the plain
// one goes: a crash leaves at least one of them whole.

#include <deque>
#include <filesystem>
#include <memory>
#include <string>

#include "config/error.h"

namespace postrider::observe {

class LogCompressor {
 public:
  LogCompressor();
  ~LogCompressor();

  void Add(std::filesystem::path plain_file);
  // One piece of work; false: nothing is left. A file that cannot be compressed stays plain until it is added again.
  bool Step();
  // What went wrong since the last call; empty: nothing.
  [[nodiscard]] std::string TakeProblem() { return std::exchange(problem_, {}); }

 private:
  struct Work;
  Result<void> Begin(std::filesystem::path plain_file);
  Result<void> Continue();
  Result<void> Finish();
  void Abandon(const Error& error);

  std::deque<std::filesystem::path> waiting_;
  std::unique_ptr<Work> work_;  // the file in hand
  std::string problem_;
};

}  // namespace postrider::observe
