#include "engine/suppression_door.h"

namespace postrider::engine {

Result<queue::SuppressionTally> SuppressionDoor::Add(std::span<const queue::Suppression> entries) {
  queue::SuppressionTally tally;
  auto done = door_.Run([&](StoreTurn& turn) -> Result<void> {
    auto put = turn.store.PutSuppressions(entries);
    if (!put) return std::unexpected(std::move(put).error());
    tally = *put;
    return {};
  });
  if (!done) return std::unexpected(std::move(done).error());
  return tally;
}

Result<std::size_t> SuppressionDoor::Remove(std::span<const queue::SuppressionRemoval> removals) {
  std::size_t removed = 0;
  auto done = door_.Run([&](StoreTurn& turn) -> Result<void> {
    auto deleted = turn.store.DeleteSuppressions(removals);
    if (!deleted) return std::unexpected(std::move(deleted).error());
    removed = *deleted;
    return {};
  });
  if (!done) return std::unexpected(std::move(done).error());
  return removed;
}

observe::SuppressionCounts CountsOf(const queue::SuppressionStats& stats) {
  observe::SuppressionCounts counts;
  for (const auto& [name, list] : stats.lists) {
    counts.addresses += list.addresses;
    counts.domains += list.domains;
  }
  counts.added_by_rule = stats.added_by_rule;
  counts.added_by_hand = stats.added_by_hand;
  counts.removed = stats.removed;
  return counts;
}

}  // namespace postrider::engine
