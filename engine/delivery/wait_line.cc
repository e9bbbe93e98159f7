#include "engine/delivery/wait_line.h"

#include <algorithm>
#include <utility>

#include "engine/delivery/admission.h"
#include "engine/delivery/parts.h"
#include "engine/delivery/path.h"

namespace postrider::delivery {

void WaitSpot::Leave() {
  WaitLine* left = std::exchange(line, nullptr);
  if (left == nullptr) return;
  if (std::exchange(called, false)) {
    left->called_ = nullptr;
    left->CallNext();
  } else {
    left->spots_.Remove(*this);
  }
}

WaitLine::WaitLine(Parts& parts) : parts_(parts), timer_([this] { CallNext(); }) {}

WaitLine::~WaitLine() {
  if (called_ != nullptr) std::exchange(called_, nullptr)->line = nullptr;
  while (WaitSpot* spot = spots_.PopFront()) spot->line = nullptr;
}

void WaitLine::Join(WaitSpot& spot, Monotonic not_before, bool in_front) {
  const bool returns = spot.line == this && spot.called;
  if (returns) {
    spot.called = false;
    called_ = nullptr;
  } else if (spot.line != this) {
    spot.Leave();
  }
  if (!spot.link.linked) {
    if (in_front || returns) {
      spots_.PushFront(spot);
    } else {
      spots_.PushBack(spot);
    }
  }
  spot.line = this;
  if (not_before == Monotonic::max() || (timer_.set() && due_ <= not_before)) return;
  due_ = not_before;
  parts_.loop.timers().Set(timer_, due_);
}

void WaitLine::CallNext() {
  if (called_ != nullptr || spots_.empty()) return;
  timer_.Cancel();
  WaitSpot& spot = *spots_.PopFront();
  spot.called = true;
  called_ = &spot;
  parts_.admission->MarkPending(spot.path.site);
}

}  // namespace postrider::delivery
