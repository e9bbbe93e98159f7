#include "engine/delivery/window.h"

namespace postrider::delivery {

WindowJob& JobPool::Get() {
  if (unused_.empty()) {
    slabs_.push_back(std::make_unique<WindowJob[]>(kSlabJobs));
    for (std::size_t i = 0; i < kSlabJobs; ++i) unused_.PushBack(slabs_.back()[i]);
  }
  return *unused_.PopFront();
}

void JobPool::Put(WindowJob& job) {
  job = WindowJob{};
  unused_.PushFront(job);
}

}  // namespace postrider::delivery
