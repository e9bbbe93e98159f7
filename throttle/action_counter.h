#pragma once
// The threshold of a reply rule's action, "n per period": counts the rule's hits against one target (an allowance, a
// campaign at a provider, a host) and says when the action happens. Belongs to its target, or is shared by several
// targets that are few. Bounded: so many rules at once, the one that was hit longest ago makes room, and the n times of
// each. Exact: n hits within the period, wherever it begins. One owner, one thread; time is an argument.

#include <chrono>
#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

#include "config/reply_rules.h"
#include "config/time.h"

namespace postrider {

class ActionCounter {
 public:
  explicit ActionCounter(std::size_t most_entries = 32) : most_entries_(most_entries) {}

  // A reply was decided by this rule. True: now the action happens, and counting starts anew. A threshold of 1 always
  // fires and keeps nothing.
  [[nodiscard]] bool Count(std::string_view rule, std::string_view target, const ReplyAction& action, Monotonic now);
  [[nodiscard]] bool Count(std::string_view rule, const ReplyAction& action, Monotonic now) {
    return Count(rule, {}, action, now);
  }
  // Hits that count now, for an operator.
  [[nodiscard]] int Counted(std::string_view rule, std::string_view target, const ReplyAction& action,
                            Monotonic now) const;
  [[nodiscard]] std::size_t entries() const { return entries_.size(); }
  void Clear() { entries_.clear(); }

 private:
  struct Entry {
    std::string rule;
    std::string target;
    std::vector<Monotonic> hits;  // oldest first
  };
  std::size_t most_entries_;
  std::vector<Entry> entries_;
};

}  // namespace postrider
