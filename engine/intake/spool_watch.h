#pragma once
// Notices what is renamed into spool/new, through inotify. What it says is a hint: a scan now and then finds what was
// missed. One thread.

#include <chrono>
#include <filesystem>

#include "config/error.h"

namespace postrider::intake {

class SpoolWatch {
 public:
  SpoolWatch() = default;
  ~SpoolWatch();
  SpoolWatch(const SpoolWatch&) = delete;
  SpoolWatch& operator=(const SpoolWatch&) = delete;

  // May be called again, as for a directory that was made again.
  [[nodiscard]] Result<void> Open(const std::filesystem::path& directory);
  // Whether something came since the last call.
  [[nodiscard]] bool TakeNews();
  // Until something comes, or max_wait has passed.
  void Wait(std::chrono::nanoseconds max_wait);

 private:
  int descriptor_ = -1;
};

}  // namespace postrider::intake
