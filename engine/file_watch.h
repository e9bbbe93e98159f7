#pragma once
// Which of a few files have changed since they were read. A change is told once the files have been still for a moment:
// editors write in pieces. What counts is what a look from outside shows: when a file was written, how long it is, and
// which one it is. One thread.

#include <chrono>
#include <cstdint>
#include <filesystem>
#include <map>
#include <span>

#include "config/time.h"

namespace postrider::engine {

class FileWatch {
 public:
  static constexpr std::chrono::milliseconds kStill{800};

  // It is about to be read: what it becomes from now on is a change. Also one that is not there may be watched.
  void Note(const std::filesystem::path& file);
  // Only these are watched from now on; those that were not noted yet are.
  void KeepOnly(std::span<const std::filesystem::path> files);
  // True once for each change.
  [[nodiscard]] bool Changed(Monotonic now);

 private:
  struct Stamp {
    bool there = false;
    std::uint64_t device = 0;
    std::uint64_t inode = 0;
    std::int64_t bytes = 0;
    std::int64_t modified_ns = 0;
    friend bool operator==(const Stamp&, const Stamp&) = default;
  };
  struct Watched {
    Stamp read;
    Stamp seen;         // at the last look
    Monotonic since{};  // it has been like that
  };
  [[nodiscard]] static Stamp LookAt(const std::filesystem::path& file);

  std::map<std::filesystem::path, Watched> files_;
};

}  // namespace postrider::engine
