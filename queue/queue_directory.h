#pragma once
// The directory that holds a queue: made with mode 0700, recognised, and claimed by one process at a time.

#include <filesystem>

#include "config/error.h"
#include "queue/directory_lock.h"

namespace postrider::queue {

class QueueDirectory {
 public:
  // Makes it if missing. kBusy if another process has it (its number is in the message), kInvalid if other things live
  // there, kDenied, kNoSpace or kIo if the system refuses.
  [[nodiscard]] static Result<QueueDirectory> Claim(const std::filesystem::path& path);

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }
  // Of all files in it.
  [[nodiscard]] std::uint64_t Bytes() const;

 private:
  QueueDirectory(std::filesystem::path path, DirectoryLock lock) : path_(std::move(path)), lock_(std::move(lock)) {}

  std::filesystem::path path_;
  DirectoryLock lock_;
};

}  // namespace postrider::queue
