#pragma once
// A RetryControl that answers what a test put into it and remembers what it was asked.

#include <optional>
#include <string>

#include "engine/observe/retry_control.h"

namespace postrider::observe {

class FakeRetry final : public RetryControl {
 public:
  Result<RetryAnswer> Retry(std::string_view target, std::chrono::milliseconds over) override {
    asked = target;
    asked_over = over;
    if (failure) return std::unexpected(*failure);
    return answer;
  }

  RetryAnswer answer;
  std::optional<Error> failure;
  std::string asked;
  std::chrono::milliseconds asked_over{};
};

}  // namespace postrider::observe
