#include "throttle/saved_bucket.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include "throttle/state_record.h"

namespace postrider {
namespace {

constexpr char kKind = 'S';
constexpr std::uint8_t kVersion = 1;
enum Field : std::uint8_t { kDepth = 1, kSavedAt, kAside, kEmptyAt };

// The moment is computed anew each second; it is the same as long as nothing is taken.
constexpr std::chrono::milliseconds kSameMoment{10};
// No record is kept for longer than a rate of one a day and its largest burst need.
constexpr std::chrono::hours kLongest{24 * 36'500};

}  // namespace

Wall EmptyAt(const Gcra& bucket, const Now& now, double further) {
  const double taken = bucket.Depth(now.monotonic) + bucket.Aside(now.monotonic) + further;
  if (bucket.per_second() <= 0 || taken <= 0) return now.wall;
  const std::chrono::duration<double> left(taken / bucket.per_second());
  return now.wall + (left >= kLongest ? kLongest : std::chrono::ceil<std::chrono::milliseconds>(left));
}

Result<SavedBucket> SavedBucket::Read(const Now& now, std::string_view record) {
  Result<StateReader> reader = StateReader::Open(record, kKind, kVersion);
  if (!reader) return std::unexpected(std::move(reader.error()));
  SavedBucket saved;
  std::optional<Wall> saved_at;
  while (reader->Next()) {
    if (reader->field() == kDepth) saved.depth = reader->Real().value_or(-1);
    if (reader->field() == kAside) saved.aside = reader->Real().value_or(-1);
    if (reader->field() == kSavedAt) saved_at = reader->Moment();
    if (reader->field() == kEmptyAt) saved.empty_at = reader->Moment().value_or(Wall());
  }
  if (!reader->sound() || !saved_at || saved.depth < 0 || saved.aside < 0) {
    return Fail(ErrorCode::kCorrupt, "what was saved of a rate is malformed: its fields do not fit");
  }
  // A clock that went back has not leaked anything.
  saved.saved_at = now.monotonic - std::clamp<Wall::duration>(now.wall - *saved_at, Wall::duration(0), kLongest);
  return saved;
}

void SavedBucket::Restore(Gcra& bucket, Monotonic now) const {
  bucket.Restore(now, depth, aside, std::max(0.0, std::chrono::duration<double>(now - saved_at).count()));
}

std::optional<std::string> BucketWriter::Write(const Now& now, const Gcra* bucket, double further) {
  const Wall empty_at = bucket != nullptr ? EmptyAt(*bucket, now, further) : now.wall;
  if (empty_at == now.wall) {
    if (!std::exchange(on_disk_, std::nullopt)) return std::nullopt;
    return std::string();
  }
  const bool slow = empty_at - now.wall > std::chrono::duration<double>(kSlowSeconds);
  if (!slow || (on_disk_ && std::chrono::abs(empty_at - *on_disk_) <= kSameMoment)) return std::nullopt;
  on_disk_ = empty_at;
  StateWriter writer;
  writer.Real(kDepth, bucket->Depth(now.monotonic) + further);
  writer.Moment(kSavedAt, now.wall);
  writer.Real(kAside, bucket->Aside(now.monotonic));
  writer.Moment(kEmptyAt, empty_at);
  return writer.Finish(kKind, kVersion);
}

}  // namespace postrider
