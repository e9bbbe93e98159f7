#pragma once
// A histogram of seconds with fixed bounds, as plain numbers: what a part counts, it counts in a plain struct, and the
// scrape copies it. Single-threaded.

#include <array>
#include <cstddef>
#include <cstdint>

namespace postrider {

struct Histogram {
  // From a loopback round trip to two days in the queue.
  static constexpr std::array<double, 20> kBounds = {
      0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 1800, 14400, 172800};
  std::array<std::uint64_t, kBounds.size() + 1> counts{};  // not cumulative; the last is beyond all bounds
  double sum = 0;

  void Observe(double elapsed_seconds) {
    std::size_t bucket = 0;
    while (bucket < kBounds.size() && elapsed_seconds > kBounds[bucket]) ++bucket;
    ++counts[bucket];
    sum += elapsed_seconds;
  }
  void Add(const Histogram& other) {
    for (std::size_t i = 0; i < counts.size(); ++i) counts[i] += other.counts[i];
    sum += other.sum;
  }
};

}  // namespace postrider
