#include "throttle/retry_schedule.h"

#include <algorithm>

#include "config/check.h"
#include "throttle/jitter.h"

namespace postrider {

Wall NextAttempt(const RetryOptions& retry, int attempts_made, Wall now, std::uint64_t random) {
  CHECK(!retry.schedule.empty());
  const auto last = static_cast<std::ptrdiff_t>(retry.schedule.size()) - 1;
  const std::ptrdiff_t index = std::clamp<std::ptrdiff_t>(attempts_made - 1, 0, last);
  return now + Lengthen(retry.schedule[static_cast<std::size_t>(index)], random);
}

}  // namespace postrider
