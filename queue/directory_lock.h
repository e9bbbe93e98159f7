#pragma once
// One process at a time works in a directory: a file in it, locked as long as this lives. The kernel lets go of the
// lock when the process ends, however it ends.

#include <filesystem>
#include <string>
#include <utility>

#include "config/error.h"

namespace postrider::queue {

class DirectoryLock {
 public:
  // file is made (0600) if it is missing. kBusy if another process holds it: what ("the queue"), the directory, that
  // process's number and the option that names the directory are in the message.
  [[nodiscard]] static Result<DirectoryLock> Take(std::filesystem::path file, std::string what, std::string option);

  DirectoryLock() = default;
  DirectoryLock(DirectoryLock&& other) noexcept
      : file_(std::move(other.file_)),
        what_(std::move(other.what_)),
        option_(std::move(other.option_)),
        descriptor_(std::exchange(other.descriptor_, -1)) {}
  DirectoryLock& operator=(DirectoryLock&& other) noexcept;
  ~DirectoryLock();

  // Takes it anew if the file was removed or replaced, perhaps with the directory: then what was locked is no more.
  [[nodiscard]] Result<void> Renew();

 private:
  std::filesystem::path file_;
  std::string what_;
  std::string option_;
  int descriptor_ = -1;
};

}  // namespace postrider::queue
