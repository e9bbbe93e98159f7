#pragma once
// Appends lines to the newest file of a log: synced when asked, rotated by size and age, compressed once closed if it
// is to be. A file that cannot be written, or not be followed by the next when it is time, fails Sync until it can be;
// what was appended stays meanwhile. One that something removed or moved away is followed by a new one, in a directory
// made anew if need be, and what was not synced before is written there. The directory is this process's alone. Used by
// one thread.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "config/error.h"
#include "config/time.h"
#include "engine/observe/log_compressor.h"
#include "engine/observe/log_files.h"
#include "queue/directory_lock.h"

namespace postrider::observe {

struct LogWriterSettings {
  std::string_view what;    // "the delivery log", for sentences
  std::string_view option;  // that names the directory
  std::filesystem::path directory;
  LogSeries series;
  std::string_view header{};  // the first line of every file, with its end; empty: none
  bool compress = false;
  std::uint64_t rotate_bytes = 0;
  std::chrono::hours rotate_age{};
};

class LogWriter {
 public:
  // Continues the newest open file, cutting a torn last line; one that begins with another header is left alone.
  [[nodiscard]] static Result<std::unique_ptr<LogWriter>> Open(LogWriterSettings settings, std::uint64_t run, Wall now);

  // Whole lines are appended to this.
  [[nodiscard]] std::string& lines() { return pending_; }
  // All lines are on disk, in a file that is where it should be, when this returns without error. Without lines it
  // says whether the next could be written.
  [[nodiscard]] Result<void> Sync();
  // Begins a new file if it is time.
  void Rotate(Wall now);
  // A bounded piece of work on a closed file; false: nothing is left to do.
  bool Compress() { return compressor_.Step(); }
  // What went wrong with rotation or compression since the last call; empty: nothing.
  [[nodiscard]] std::string TakeProblem();
  [[nodiscard]] std::uint64_t bytes_written() const { return bytes_written_; }

 private:
  LogWriter(LogWriterSettings settings, std::uint64_t run, Wall now)
      : settings_(std::move(settings)), run_(run), now_(now) {}
  Result<void> OpenFiles();
  Result<void> MakeDirectory();
  Result<void> TidyUp(std::vector<LogFile>& files);
  [[nodiscard]] Result<bool> Continue(const LogFile& file);
  Result<void> Begin();
  Result<void> WriteHeader(int fd, const std::filesystem::path& path);
  Result<void> SyncOnce();
  void GiveUpFile();
  [[nodiscard]] bool IsGone() const;
  void LoseFile();
  void Close(const std::filesystem::path& path);

  const LogWriterSettings settings_;
  const std::uint64_t run_;
  Wall now_;
  queue::DirectoryLock lock_;
  LogFile file_;  // the one being written
  Descriptor descriptor_;
  std::uint64_t synced_bytes_ = 0;  // of the file, the header included
  std::string pending_;             // lines not yet synced
  std::size_t pending_written_ = 0;
  std::uint64_t bytes_written_ = 0;
  bool next_file_due_ = false;  // it could not be begun when it was time
  LogCompressor compressor_;
  std::string problem_;
};

}  // namespace postrider::observe
