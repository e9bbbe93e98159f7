#include "queue/directory_lock.h"

#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cerrno>
#include <string_view>

#include <fmt/format.h>

#include "queue/system_error.h"

namespace postrider::queue {

namespace {

std::string HolderOf(int lock) {
  char text[32];
  const ssize_t length = ::pread(lock, text, sizeof text, 0);
  std::string_view digits(text, length > 0 ? static_cast<std::size_t>(length) : 0);
  digits = digits.substr(0, digits.find_first_not_of("0123456789"));
  return digits.empty() ? std::string("another process") : "process " + std::string(digits);
}

// Whether the open file is the one that has this name now.
bool IsAt(int descriptor, const std::filesystem::path& file) {
  struct stat opened {};
  struct stat named {};
  return ::fstat(descriptor, &opened) == 0 && ::lstat(file.c_str(), &named) == 0 && opened.st_dev == named.st_dev &&
         opened.st_ino == named.st_ino;
}

}  // namespace

Result<DirectoryLock> DirectoryLock::Take(std::filesystem::path file, std::string what, std::string option) {
  DirectoryLock lock;
  lock.file_ = std::move(file);
  lock.what_ = std::move(what);
  lock.option_ = std::move(option);
  lock.descriptor_ = ::open(lock.file_.c_str(), O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
  if (lock.descriptor_ < 0) return SystemFailure(fmt::format("opening the lock of {}", lock.what_), lock.file_);
  if (::flock(lock.descriptor_, LOCK_EX | LOCK_NB) != 0) {
    if (errno != EWOULDBLOCK) return SystemFailure("locking", lock.file_);
    return Fail(ErrorCode::kBusy,
                fmt::format("{} {} is in use by {}: another postrider runs on it; stop that one, or "
                            "give this one a {} of its own",
                            lock.what_, lock.file_.parent_path().string(), HolderOf(lock.descriptor_), lock.option_));
  }
  // Only a courtesy to whoever comes second: the lock itself is what counts.
  const std::string holder = fmt::format("{}\n", ::getpid());
  if (::ftruncate(lock.descriptor_, 0) != 0 ||
      ::pwrite(lock.descriptor_, holder.data(), holder.size(), 0) != static_cast<ssize_t>(holder.size())) {
    // So it is with a full disk, which must not keep what is queued from being sent.
    if (errno != ENOSPC && errno != EDQUOT) return SystemFailure("writing", lock.file_);
  }
  return lock;
}

DirectoryLock& DirectoryLock::operator=(DirectoryLock&& other) noexcept {
  std::swap(file_, other.file_);
  std::swap(what_, other.what_);
  std::swap(option_, other.option_);
  std::swap(descriptor_, other.descriptor_);
  return *this;
}

DirectoryLock::~DirectoryLock() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

Result<void> DirectoryLock::Renew() {
  if (descriptor_ < 0 || IsAt(descriptor_, file_)) return {};
  auto taken = Take(file_, what_, option_);
  if (!taken) return std::unexpected(taken.error());
  *this = std::move(*taken);
  return {};
}

}  // namespace postrider::queue
