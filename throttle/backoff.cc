#include "throttle/backoff.h"

#include <algorithm>
#include <limits>

#include "throttle/jitter.h"

namespace postrider {

void Backoff::Fail(Monotonic now, std::uint64_t random) {
  if (Blocked(now)) return;
  std::chrono::milliseconds wait = first_;
  for (int i = 0; i < failures_ && wait < longest_; ++i) wait *= 2;
  wait = std::min(wait, longest_);
  if (failures_ < std::numeric_limits<int>::max()) ++failures_;
  until_ = now + Lengthen(wait, random);
}

void Backoff::Succeed() {
  failures_ = 0;
  until_ = Monotonic::min();
}

void Backoff::Restore(int failures, Monotonic until) {
  failures_ = std::max(0, failures);
  until_ = failures_ == 0 ? Monotonic::min() : until;
}

}  // namespace postrider
