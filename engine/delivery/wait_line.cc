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
      InsertByTurn(spot);
    }
  }
  spot.line = this;
  if (not_before == Monotonic::max() || (timer_.set() && due_ <= not_before)) return;
  due_ = not_before;
  parts_.loop.timers().Set(timer_, due_);
}

void WaitLine::InsertByTurn(WaitSpot& spot) {
  WaitSpot& counts = spot.path.message_wait;
  if (&spot == &counts) {
    // Who comes new, or from another line, has no turns to make up for; nobody has many, in either direction.
    if (counts.counted_by != this) counts.turn = turn_;
    counts.counted_by = this;
    counts.turn = std::clamp(counts.turn, turn_ - kCatchUp, turn_ + 1);
  }
  WaitSpot* behind = spots_.back();
  while (behind != nullptr && behind->path.message_wait.turn > counts.turn) behind = spots_.Previous(*behind);
  if (behind == nullptr) {
    spots_.PushFront(spot);
  } else if (WaitSpot* before = spots_.Next(*behind)) {
    spots_.InsertBefore(*before, spot);
  } else {
    spots_.PushBack(spot);
  }
}

void WaitLine::CallNext() {
  if (called_ != nullptr || spots_.empty()) return;
  timer_.Cancel();
  WaitSpot& spot = *spots_.PopFront();
  spot.called = true;
  called_ = &spot;
  if (&spot == &spot.path.message_wait) turn_ = std::max(turn_, spot.turn);
  parts_.admission->MarkPending(spot.path.site);
}

}  // namespace postrider::delivery
