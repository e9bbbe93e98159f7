#pragma once
// What the operating system says of this process. Any thread.

#include <cstdint>

namespace postrider::observe {

struct ProcessUsage {
  double cpu_seconds = 0;  // user and system
  std::uint64_t resident_bytes = 0;
  std::uint64_t peak_resident_bytes = 0;
};

[[nodiscard]] ProcessUsage ReadProcessUsage();

}  // namespace postrider::observe
