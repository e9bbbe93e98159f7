#pragma once
// A suppression list in a map, with pages of at most two entries, so that whoever reads it must go on from a cursor.

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "engine/observe/suppression_control.h"

namespace postrider::observe {

class FakeSuppressions final : public SuppressionControl {
 public:
  Wall now() override { return moment; }
  Result<queue::SuppressionTally> Add(std::span<const queue::Suppression> added) override {
    const std::scoped_lock lock(mutex_);
    if (failure) return std::unexpected(*failure);
    calls.push_back(added.size());
    queue::SuppressionTally tally;
    for (const queue::Suppression& entry : added) {
      const auto [place, is_new] = entries.try_emplace({entry.list, entry.address}, entry);
      if (is_new) {
        ++tally.added;
      } else if (queue::Supersedes(entry, place->second)) {
        place->second = entry;
        ++tally.replaced;
      } else {
        ++tally.unchanged;
      }
    }
    return tally;
  }
  Result<std::size_t> Remove(std::span<const queue::SuppressionRemoval> removals) override {
    const std::scoped_lock lock(mutex_);
    if (failure) return std::unexpected(*failure);
    std::size_t removed = 0;
    for (const queue::SuppressionRemoval& removal : removals) {
      const auto place = entries.find({removal.list, removal.address});
      if (place == entries.end()) continue;
      if (removal.only_by_rule_of && place->second.when != *removal.only_by_rule_of) continue;
      past.push_back({place->second, queue::SuppressionEnd::kRemoved, removal.when, removal.who, removal.why});
      entries.erase(place);
      ++removed;
    }
    return removed;
  }
  Result<queue::SuppressionMatches> Match(std::string_view address) override {
    const std::scoped_lock lock(mutex_);
    if (failure) return std::unexpected(*failure);
    queue::SuppressionMatches matches;
    for (const auto& [key, entry] : entries) {
      if (address.ends_with(entry.address)) matches.entries.push_back(entry);
    }
    for (const queue::PastSuppression& one : past) {
      if (address.ends_with(one.entry.address)) matches.past.push_back(one);
    }
    return matches;
  }
  Result<queue::SuppressionPage> List(const queue::SuppressionQuery& query, std::string_view cursor,
                                      std::size_t most) override {
    const std::scoped_lock lock(mutex_);
    if (failure) return std::unexpected(*failure);
    queue::SuppressionPage page;
    std::size_t looked_at = 0;
    for (const auto& [key, entry] : entries) {
      const std::string name = key.first + "/" + key.second;
      if (name < cursor) continue;
      if (page.entries.size() >= most || looked_at++ >= 2) {
        page.cursor = name;
        return page;
      }
      if (query.Matches(entry)) page.entries.push_back(entry);
    }
    return page;
  }
  Result<queue::PastSuppressionPage> ListPast(const queue::SuppressionQuery& query, std::string_view cursor,
                                              std::size_t) override {
    const std::scoped_lock lock(mutex_);
    queue::PastSuppressionPage page;
    const std::size_t at = cursor.empty() ? 0 : cursor.size();
    if (at < past.size() && query.Matches(past[at].entry)) page.entries.push_back(past[at]);
    if (at + 1 < past.size()) page.cursor = std::string(at + 1, 'x');
    return page;
  }
  queue::SuppressionStatsPtr Stats() override {
    auto stats = std::make_shared<queue::SuppressionStats>();
    for (const auto& [key, entry] : entries) {
      queue::ListCounts& counts = stats->lists[key.first];
      ++(entry.address.starts_with('@') ? counts.domains : counts.addresses);
    }
    return stats;
  }

  Wall moment{std::chrono::milliseconds(1'800'000'000'000)};
  std::map<std::pair<std::string, std::string>, queue::Suppression> entries;  // by list and address
  std::vector<queue::PastSuppression> past;
  std::vector<std::size_t> calls;  // sizes of what was added
  std::optional<Error> failure;

 private:
  std::mutex mutex_;
};

}  // namespace postrider::observe
