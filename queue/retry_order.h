#pragma once
// What keeps cursors right while readers and the writer work at the same time. Any thread.
//
// A cursor says "every retry record up to here was handed out", so no record may ever be put behind a live cursor.
// RetryOrder keeps that true: a reader asks Observe which moment it may read up to, the writer asks Place where a
// record may go, and every record is placed after all that was observed. A clock that is set back thereby delays
// retries until it has caught up (or the program is started anew, when no cursor is left); it never loses one.
//
// RetryHeads remembers for a bounded number of (domain, campaign) pairs where their first retry record really is, so
// that neither scan nor take walks over the tombstones of those that are gone.

#include <algorithm>
#include <cstdint>
#include <limits>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>

#include "config/time.h"
#include "queue/generation_cache.h"
#include "queue/record.h"

namespace postrider::queue {

// Jobs of a campaign that is cancelled or expired have no due moment any more; they go here, in order of coming. Far
// beyond every real moment (year 294 million), and far from overflow.
inline constexpr Wall kEndingFrom{std::chrono::milliseconds(std::int64_t{1} << 62)};

class RetryOrder {
 public:
  // run: of the store. What this run puts for ending jobs comes after all that earlier runs put.
  explicit RetryOrder(std::uint64_t run) : next_ending_(kEndingFrom + std::chrono::milliseconds(run << 36)) {}

  // The moment up to which the reader may take retries and judge expiry: now, unless a record not yet committed is due
  // before it. To be called before the view is made.
  [[nodiscard]] Wall Observe(Wall now) {
    const std::lock_guard lock(mutex_);
    const Wall until =
        std::min({now, staged_floor_ - std::chrono::milliseconds(1), kEndingFrom - std::chrono::hours(1)});
    observed_ = std::max(observed_, until);
    return until;
  }
  // The moment under which a record is put. expires: its campaign's; ending: the campaign is cancelled.
  [[nodiscard]] Wall Place(Wall due, const std::optional<Wall>& expires, bool ending) {
    const std::lock_guard lock(mutex_);
    if (ending || (expires && *expires <= observed_)) {
      return next_ending_++;
    }
    due = std::clamp(due, observed_ + std::chrono::milliseconds(1), kEndingFrom - std::chrono::milliseconds(1));
    staged_floor_ = std::min(staged_floor_, due);
    // At its expiry a campaign's records are read whatever their due moment: that must not come before the commit.
    if (expires) staged_floor_ = std::min(staged_floor_, *expires);
    return due;
  }
  // A record that is committed under `from` is to go under an earlier moment: under which, if no reader can have taken
  // it and none will before the commit. None: it stays. expires: as above.
  [[nodiscard]] std::optional<Wall> Advance(Wall from, Wall to, const std::optional<Wall>& expires) {
    const std::lock_guard lock(mutex_);
    if (from <= observed_ || from >= kEndingFrom || (expires && *expires <= observed_)) return std::nullopt;
    to = std::max(to, observed_ + std::chrono::milliseconds(1));
    if (to >= from) return std::nullopt;
    staged_floor_ = std::min(staged_floor_, to);
    if (expires) staged_floor_ = std::min(staged_floor_, *expires);
    return to;
  }
  // A pause is staged for a campaign that would expire at `expires`. True if no reader has seen it expired, nor
  // will any before the commit; else it expired before the pause.
  [[nodiscard]] bool PauseBefore(Wall expires) {
    const std::lock_guard lock(mutex_);
    if (expires <= observed_) return false;
    staged_floor_ = std::min(staged_floor_, expires);
    return true;
  }
  // All placed so far are committed.
  void Committed() {
    const std::lock_guard lock(mutex_);
    staged_floor_ = Wall::max();
  }

 private:
  std::mutex mutex_;
  Wall observed_ = Wall(std::chrono::milliseconds(0));
  Wall staged_floor_ = Wall::max();
  Wall next_ending_;
};

class RetryHeads {
 public:
  // A reader found the first record of this DomainRecord to be due then; none: later than any.
  void Learn(std::string_view domain_key, const DomainRecord& record, Wall head) {
    const std::lock_guard lock(mutex_);
    const Head learned{record.retry_stamp, head};
    if (auto* entry = heads_.Find(domain_key)) {
      // A slower reader may come with something older.
      if (entry->second.retry_stamp <= learned.retry_stamp) entry->second = learned;
    } else {
      heads_.Turn();
      heads_.Insert(std::string(domain_key), learned);
    }
  }
  // No record is due before this.
  [[nodiscard]] Wall From(std::string_view domain_key, const DomainRecord& record) {
    const std::lock_guard lock(mutex_);
    const auto* entry = heads_.Find(domain_key);
    // After a further put the head may be an earlier one; what the record itself says holds.
    if (entry == nullptr || entry->second.retry_stamp != record.retry_stamp) return record.retry_from;
    return std::max(record.retry_from, entry->second.due);
  }

 private:
  struct Head {
    std::uint64_t retry_stamp = 0;
    Wall due{};
  };
  // Two generations of 32,768 entries of about 120 bytes: 8 MB at most.
  static constexpr std::size_t kHeads = 32'768;

  std::mutex mutex_;
  GenerationCache<Head> heads_{kHeads};
};

}  // namespace postrider::queue
