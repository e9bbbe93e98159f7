#include "queue/queue_directory.h"

#include <sys/stat.h>

#include <cerrno>
#include <cstdint>
#include <string>
#include <string_view>

#include <fmt/format.h>

#include "queue/system_error.h"

namespace postrider::queue {

namespace {

constexpr std::string_view kLockName = "postrider.lock";
// Limits that an operator set while mail flowed; the engine keeps them beside the queue, as they belong to it. And what
// a crash may leave of writing them.
constexpr std::string_view kLimitsName = "throttle.toml";
constexpr std::string_view kHalfWrittenLimits = ".throttle.toml.tmp";

// The names RocksDB gives its files, and ours.
bool IsQueueFile(std::string_view name) {
  for (const std::string_view start : {"CURRENT", "IDENTITY", "LOCK", "LOG", "MANIFEST-", "OPTIONS-"}) {
    if (name.starts_with(start)) return true;
  }
  for (const std::string_view end : {".log", ".sst", ".dbtmp"}) {
    if (name.ends_with(end)) return true;
  }
  return name == kLockName || name == kLimitsName || name == kHalfWrittenLimits || name == "archive";
}

Result<void> CheckContents(const std::filesystem::path& path) {
  std::error_code error;
  for (std::filesystem::directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
    const std::string name = it->path().filename().string();
    if (IsQueueFile(name)) continue;
    return Fail(ErrorCode::kInvalid, fmt::format("{} is not a queue: it holds \"{}\"; name a directory that is empty, "
                                                 "missing, or was made by postrider",
                                                 path.string(), name));
  }
  if (error) return SystemFailure("reading the queue directory", path, error.value());
  return {};
}

}  // namespace

Result<QueueDirectory> QueueDirectory::Claim(const std::filesystem::path& path) {
  std::error_code error;
  if (path.has_parent_path()) std::filesystem::create_directories(path.parent_path(), error);
  if (error) return SystemFailure("making the directory", path.parent_path(), error.value());
  if (::mkdir(path.c_str(), 0700) != 0 && errno != EEXIST) return SystemFailure("making the queue directory", path);

  struct stat found {};
  if (::stat(path.c_str(), &found) != 0) return SystemFailure("looking at the queue directory", path);
  if (!S_ISDIR(found.st_mode)) {
    return Fail(ErrorCode::kInvalid, fmt::format("{} is not a directory; the queue needs one", path.string()));
  }
  if (auto checked = CheckContents(path); !checked) return std::unexpected(checked.error());

  auto lock = DirectoryLock::Take(path / kLockName, "the queue", "queue.directory");
  if (!lock) return std::unexpected(lock.error());
  return QueueDirectory(path, std::move(*lock));
}

std::uint64_t QueueDirectory::Bytes() const {
  std::uint64_t bytes = 0;
  std::error_code error;
  // Files come and go meanwhile; one that is gone counts nothing. Blocks, not sizes: logs are laid out ahead of need.
  for (std::filesystem::directory_iterator it(path_, error), end; !error && it != end; it.increment(error)) {
    struct stat found {};
    if (::lstat(it->path().c_str(), &found) == 0) bytes += static_cast<std::uint64_t>(found.st_blocks) * 512;
  }
  return bytes;
}

}  // namespace postrider::queue
