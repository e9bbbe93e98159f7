#pragma once
// The seam through which chance enters: jitter, hash seeds, choice among equals. Not for keys; TLS has its own source.

#include <cstdint>
#include <memory>

namespace postrider::io {

class Random {
 public:
  virtual ~Random() = default;
  [[nodiscard]] virtual std::uint64_t Next() = 0;
};

// Seeded from the system once, then a fast generator. One per thread.
[[nodiscard]] std::unique_ptr<Random> MakeSystemRandom();
// The same sequence for the same seed.
[[nodiscard]] std::unique_ptr<Random> MakeSeededRandom(std::uint64_t seed);

}  // namespace postrider::io
