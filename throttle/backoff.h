#pragma once
// How long to leave a host, path or site alone after connects to it failed: a first wait that doubles with each further
// failure up to a longest one, each lengthened by up to a fifth at random. Mail waits in its place meanwhile,
// uncharged.

#include <chrono>
#include <cstdint>

#include "config/time.h"

namespace postrider {

class Backoff {
 public:
  // A minute passes over a restart of the peer; half an hour is soon enough to notice that an outage is over.
  explicit Backoff(std::chrono::milliseconds first = std::chrono::minutes(1),
                   std::chrono::milliseconds longest = std::chrono::minutes(30))
      : first_(first), longest_(longest) {}

  // Failures while it is blocked are those of connections begun before: they count as one with the first.
  void Fail(Monotonic now, std::uint64_t random);
  void Succeed();
  // What failures() and until() were in an earlier life.
  void Restore(int failures, Monotonic until);

  // Nothing is to be tried before this; a moment in the past while nothing failed.
  [[nodiscard]] Monotonic until() const { return until_; }
  [[nodiscard]] bool Blocked(Monotonic now) const { return now < until_; }
  // In a row, since the last success.
  [[nodiscard]] int failures() const { return failures_; }

 private:
  std::chrono::milliseconds first_;
  std::chrono::milliseconds longest_;
  int failures_ = 0;
  Monotonic until_ = Monotonic::min();
};

}  // namespace postrider
