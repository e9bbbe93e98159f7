#pragma once
// A TraceControl that answers what a test put into it and remembers what it was asked.

#include <mutex>
#include <optional>
#include <vector>

#include "engine/observe/trace_control.h"

namespace postrider::observe {

class FakeTraces final : public TraceControl {
 public:
  Result<TraceView> Ask(const TraceQuery& query) override {
    const std::scoped_lock lock(mutex_);
    asked.push_back(query);
    if (failure) return std::unexpected(*failure);
    return view;
  }

  TraceView view;
  std::optional<Error> failure;
  std::vector<TraceQuery> asked;

 private:
  std::mutex mutex_;
};

}  // namespace postrider::observe
