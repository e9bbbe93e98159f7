#include "engine/file_watch.h"

#include <sys/stat.h>

#include <algorithm>

namespace postrider::engine {

FileWatch::Stamp FileWatch::LookAt(const std::filesystem::path& file) {
  struct stat status {};
  if (stat(file.c_str(), &status) != 0) return {};
  constexpr std::int64_t kSecond = 1'000'000'000;
  return {.there = true,
          .device = status.st_dev,
          .inode = status.st_ino,
          .bytes = status.st_size,
          .modified_ns = status.st_mtim.tv_sec * kSecond + status.st_mtim.tv_nsec};
}

void FileWatch::Note(const std::filesystem::path& file) {
  const Stamp stamp = LookAt(file);
  files_[file] = {.read = stamp, .seen = stamp, .since = {}};
}

void FileWatch::KeepOnly(std::span<const std::filesystem::path> files) {
  std::erase_if(files_, [files](const auto& one) { return std::ranges::find(files, one.first) == files.end(); });
  for (const std::filesystem::path& file : files) {
    if (!files_.contains(file)) Note(file);
  }
}

bool FileWatch::Changed(Monotonic now) {
  bool any = false;
  bool still = true;
  for (auto& [file, watched] : files_) {
    const Stamp stamp = LookAt(file);
    if (stamp != watched.seen) watched.since = now;
    watched.seen = stamp;
    if (stamp == watched.read) continue;
    any = true;
    still &= now - watched.since >= kStill;
  }
  if (!any || !still) return false;
  for (auto& [file, watched] : files_) watched.read = watched.seen;
  return true;
}

}  // namespace postrider::engine
