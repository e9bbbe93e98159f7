#include "engine/suppression_door.h"

#include <algorithm>
#include <iterator>

#include <fmt/format.h>

#include "config/list_name.h"

namespace postrider::engine {
namespace {

// An operator who names more in one breath finds them by `suppress check` and in the export.
constexpr std::size_t kNamed = 10;

// What happened to the list, as a line of the delivery log; of a single address, one that `find` finds.
template <typename Items>
void AppendChange(StoreTurn& turn, std::string_view what, std::uint64_t count, const Items& items,
                  std::string_view origin) {
  queue::Event event;
  event.kind = queue::EventKind::kPath;
  event.time = turn.now;
  event.reply = fmt::format("suppression list: {}", what);
  if (items.size() > 1) fmt::format_to(std::back_inserter(event.reply), " {} of {}:", count, items.size());
  const std::size_t named = std::min(items.size(), kNamed);
  for (std::size_t i = 0; i < named; ++i) event.reply.append(i == 0 ? " " : ", ").append(items[i].address);
  if (items.size() > named) event.reply += ", ...";
  const auto& first = items.front();
  fmt::format_to(std::back_inserter(event.reply), "; list {}, by {}", ShownListName(first.list), origin);
  if (!first.who.empty()) event.reply.append(" (").append(first.who).append(")");
  if (!first.why.empty()) event.reply.append(": ").append(first.why);
  if (items.size() == 1 && !first.address.starts_with('@')) event.recipient = first.address;
  turn.log.Append(event);
}

}  // namespace

Result<queue::SuppressionTally> SuppressionDoor::Add(std::span<const queue::Suppression> entries) {
  queue::SuppressionTally tally;
  auto done = door_.Run([&](StoreTurn& turn) -> Result<void> {
    auto put = turn.store.PutSuppressions(entries);
    if (!put) return std::unexpected(std::move(put).error());
    tally = *put;
    const std::uint64_t changed = tally.added + tally.replaced;
    if (changed > 0) AppendChange(turn, "added", changed, entries, ToString(entries.front().origin));
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
    if (removed > 0) AppendChange(turn, "removed", removed, removals, ToString(queue::SuppressionOrigin::kHand));
    return {};
  });
  if (!done) return std::unexpected(std::move(done).error());
  return removed;
}

observe::SuppressionCounts CountsOf(const queue::SuppressionStats& stats) {
  observe::SuppressionCounts counts;
  counts.lists = stats.lists;
  counts.added_by_rule = stats.added_by_rule;
  counts.added_by_hand = stats.added_by_hand;
  counts.removed = stats.removed;
  return counts;
}

}  // namespace postrider::engine
