#include "engine/io/clock.h"

#include <chrono>

namespace postrider::io {
namespace {

class SystemClock final : public Clock {
 public:
  Now Read() override {
    return {std::chrono::steady_clock::now(),
            std::chrono::floor<std::chrono::milliseconds>(std::chrono::system_clock::now())};
  }
};

}  // namespace

std::unique_ptr<Clock> MakeSystemClock() { return std::make_unique<SystemClock>(); }

}  // namespace postrider::io
