#include "throttle/action_counter.h"

#include <algorithm>

namespace postrider {

bool ActionCounter::Count(std::string_view rule, std::string_view target, const ReplyAction& action, Monotonic now) {
  const auto threshold = static_cast<std::size_t>(std::clamp(action.threshold, 1, ReplyAction::kThresholdMax));
  if (threshold == 1) return true;
  auto entry = std::ranges::find_if(
      entries_, [rule, target](const Entry& one) { return one.rule == rule && one.target == target; });
  if (entry == entries_.end()) {
    if (entries_.size() >= most_entries_ && !entries_.empty()) {
      // None is empty: what fires leaves.
      const auto oldest = std::ranges::min_element(entries_, {}, [](const Entry& one) { return one.hits.back(); });
      entries_.erase(oldest);
    }
    entry = entries_.insert(entries_.end(), Entry{std::string(rule), std::string(target), {}});
  }
  std::vector<Monotonic>& hits = entry->hits;
  hits.push_back(now);
  if (hits.size() > threshold) hits.erase(hits.begin(), hits.end() - static_cast<std::ptrdiff_t>(threshold));
  if (hits.size() < threshold || now - hits.front() >= action.period) return false;
  entries_.erase(entry);
  return true;
}

int ActionCounter::Counted(std::string_view rule, std::string_view target, const ReplyAction& action,
                           Monotonic now) const {
  for (const Entry& entry : entries_) {
    if (entry.rule != rule || entry.target != target) continue;
    return static_cast<int>(
        std::ranges::count_if(entry.hits, [&](Monotonic hit) { return now - hit < action.period; }));
  }
  return 0;
}

}  // namespace postrider
