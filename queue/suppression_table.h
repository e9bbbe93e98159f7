#pragma once
// The suppression list in its table: what every thread may ask it, and what the store thread stages. A check costs one
// look into the filters for every key that is not there, whatever the list holds; nothing of the entries is kept in
// memory but how many each list has.

#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <set>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/error.h"
#include "config/time.h"
#include "queue/suppression.h"
#include "queue/tables.h"

namespace postrider::queue {

// What the writer publishes at each commit that changed the list.
class SuppressionBook {
 public:
  [[nodiscard]] SuppressionStatsPtr page() const {
    const std::lock_guard lock(mutex_);
    return page_;
  }
  void Publish(SuppressionStatsPtr page) {
    const std::lock_guard lock(mutex_);
    page_ = std::move(page);
  }

 private:
  mutable std::mutex mutex_;
  SuppressionStatsPtr page_ = std::make_shared<const SuppressionStats>();
};

// -- Reading: any thread.

// The places of those recipients that get no mail now, rising. Nothing is read if the lists that count for them are
// empty.
[[nodiscard]] Result<std::vector<std::size_t>> FindSuppressed(const TableView& view, const SuppressionStats& stats,
                                                              std::span<const Recipient> recipients, Wall now);
// address as ParseSuppressed gives it.
[[nodiscard]] Result<SuppressionMatches> MatchSuppressions(const TableView& view, const SuppressionStats& stats,
                                                           std::string_view address);
// At most so many entries, from the cursor of the last page on; looks at a bounded number of them. In the order of
// list, domain, local part.
[[nodiscard]] Result<SuppressionPage> ListSuppressions(const TableView& view, const SuppressionStats& stats,
                                                       const SuppressionQuery& query, std::string_view cursor,
                                                       std::size_t most);
// The audit, by domain and address. The query is about the entries that are no more; since and until are about their
// end.
[[nodiscard]] Result<PastSuppressionPage> ListPastSuppressions(const TableView& view, const SuppressionQuery& query,
                                                               std::string_view cursor, std::size_t most);

// -- Writing: the store thread. Stages into the batch that the store writer commits.

class SuppressionWriter {
 public:
  SuppressionWriter(Tables& tables, TableBatch& batch, SuppressionBook& book, std::uint64_t run)
      : tables_(tables), batch_(batch), book_(book), run_(run) {}

  // Reads the counts, and publishes them. Once, before all else.
  [[nodiscard]] Result<void> Load();

  // All or, on error, none.
  [[nodiscard]] Result<SuppressionTally> Put(std::span<const Suppression> entries);
  // How many were there.
  [[nodiscard]] Result<std::size_t> Delete(std::span<const SuppressionRemoval> removals);
  // In two steps, for an outcome that does more: reads what the entry's place holds, then stages it. Nothing may be
  // committed between the two. on_second: the first such bounce is only remembered, in the list "bounced-once".
  [[nodiscard]] Result<void> Prepare(const Suppression& entry, bool on_second);
  void PutPrepared(const Suppression& entry, bool on_second);
  // Takes expired entries away: a few at each call, a lap an hour, and only while there are any with an end.
  [[nodiscard]] Result<void> Purge(Wall now);

  // At the commit: the counts go into the batch; after it, they are published.
  void StageCounts();
  void Committed();

 private:
  // What a key holds, with what is staged.
  using Held = std::optional<Suppression>;

  [[nodiscard]] Result<void> Read(const std::vector<std::string>& keys);
  SuppressionTally Apply(const std::string& key, Held& held, const Suppression& entry);
  void End(const Suppression& entry, SuppressionEnd end, Wall when, std::string_view who, std::string_view why);
  void Count(const Suppression& entry, bool more);

  Tables& tables_;
  TableBatch& batch_;
  SuppressionBook& book_;
  const std::uint64_t run_;
  std::uint64_t stamps_ = 0;
  SuppressionStats stats_;
  std::set<std::string, std::less<>> dirty_lists_;
  bool changed_ = false;
  std::unordered_map<std::string, Held> known_;  // of the keys touched since the last commit
  std::string purge_cursor_;
  Wall next_lap_{};
};

}  // namespace postrider::queue
