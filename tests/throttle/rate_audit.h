#pragma once
// Holds a run against its promise: no span, wherever it begins, holds more than the sum of each rate times its span,
// plus the largest burst. Checked with a leaky bucket over what really went, which is the same for all spans at once.

#include <algorithm>
#include <cstddef>
#include <vector>

#include "config/time.h"

namespace postrider {

class RateAudit {
 public:
  void SetRate(Monotonic at, double per_second, double burst) {
    changes_.push_back({at, per_second, burst});
    largest_burst_ = std::max(largest_burst_, burst);
  }
  // Returns a number by which it can be taken back.
  std::size_t Went(Monotonic at) {
    uses_.push_back({at, true});
    return uses_.size() - 1;
  }
  void NeverWent(std::size_t number) { uses_[number].counts = false; }

  // By how many messages the promise was broken at the worst moment; at most 0 if it was kept.
  [[nodiscard]] double WorstExcess() const {
    std::vector<Monotonic> went;
    for (const Use& use : uses_) {
      if (use.counts) went.push_back(use.at);
    }
    std::ranges::sort(went);
    double depth = 0;
    double worst = -largest_burst_;
    std::size_t change = 0;
    double rate = 0;
    Monotonic at = changes_.empty() ? Monotonic{} : changes_.front().at;
    const auto leak = [&](Monotonic until) {
      depth = std::max(0.0, depth - rate * std::chrono::duration<double>(until - at).count());
      at = until;
    };
    for (const Monotonic moment : went) {
      for (; change < changes_.size() && changes_[change].at <= moment; ++change) {
        leak(changes_[change].at);
        rate = changes_[change].per_second;
      }
      leak(moment);
      depth += 1;
      worst = std::max(worst, depth - largest_burst_);
    }
    return worst;
  }
  [[nodiscard]] std::size_t count() const {
    return static_cast<std::size_t>(std::ranges::count(uses_, true, &Use::counts));
  }

 private:
  struct Change {
    Monotonic at;
    double per_second;
    double burst;
  };
  struct Use {
    Monotonic at;
    bool counts;
  };
  std::vector<Change> changes_;
  std::vector<Use> uses_;
  double largest_burst_ = 0;
};

}  // namespace postrider
