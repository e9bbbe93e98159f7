#pragma once
// What a rate has taken outlives a restart: a record of its bucket, written while the bucket takes longer than a moment
// to leak away, and deleted when it has. Pure; time is an argument.

#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "config/error.h"
#include "config/time.h"
#include "throttle/gcra.h"

namespace postrider {

// A bucket that takes longer than this to leak away outlives a restart.
inline constexpr double kSlowSeconds = 2;
// When what the bucket holds, and `further`, will have leaked away.
[[nodiscard]] Wall EmptyAt(const Gcra& bucket, const Now& now, double further = 0);

// As a record tells of it.
struct SavedBucket {
  double depth = 0;
  double aside = 0;
  Monotonic saved_at{};
  Wall empty_at{};

  [[nodiscard]] static Result<SavedBucket> Read(const Now& now, std::string_view record);
  // Into one whose rate is set, and of which nothing has been taken.
  void Restore(Gcra& bucket, Monotonic now) const;
};

// Knows of one bucket what stands on disk.
class BucketWriter {
 public:
  // What is to be written now: a record; an empty text, if the one on disk is to be deleted; or nothing. bucket: null,
  // if no rate is set. further: what has been promised beside, and counts as taken.
  [[nodiscard]] std::optional<std::string> Write(const Now& now, const Gcra* bucket, double further = 0);
  // That stands on disk, of the last run.
  void Found(const SavedBucket& saved) { on_disk_ = saved.empty_at; }
  // The next record goes to another key. True: there is one under the old key, to be deleted.
  [[nodiscard]] bool Move() { return std::exchange(on_disk_, std::nullopt).has_value(); }

 private:
  std::optional<Wall> on_disk_;  // its empty_at
};

}  // namespace postrider
