#pragma once
// When a deferred recipient is tried again. Pure: the time and the random number come from the caller.

#include <cstdint>

#include "config/options.h"
#include "config/time.h"

namespace postrider {

// attempts_made counts the attempts so far, at least 1. The wait of the schedule, lengthened by 0 to 20 %: never
// shortened, because greylists refuse what returns early, and spread, because what was deferred together would
// otherwise return together. random is uniform over its whole range. Whether the result is past the expiry is the
// caller's to see.
[[nodiscard]] Wall NextAttempt(const RetryOptions& retry, int attempts_made, Wall now, std::uint64_t random);

}  // namespace postrider
