#include "engine/store_call.h"

#include <chrono>
#include <memory>
#include <thread>

namespace postrider::engine {

Result<void> StoreDoor::Run(std::move_only_function<Result<void>(StoreTurn&)> stage) {
  StoreCall call;
  call.stage = std::move(stage);
  while (true) {
    {
      const std::lock_guard lock(mutex_);
      if (closed_) return Fail(ErrorCode::kUnavailable, "the queue is shutting down");
      if (StoreCall** slot = box_.Reserve()) {
        *slot = &call;
        box_.Publish();
        break;
      }
    }
    // Sixty-four callers wait already: the store is syncing, and this one is in no hurry.
    std::this_thread::sleep_for(std::chrono::milliseconds(1));
  }
  call.done.acquire();
  return std::move(call.result);
}

bool StoreDoor::Leave(std::move_only_function<Result<void>(StoreTurn&)> stage) {
  const std::lock_guard lock(mutex_);
  StoreCall** slot = closed_ ? nullptr : box_.Reserve();
  if (slot == nullptr) return false;
  auto call = std::make_unique<StoreCall>();
  call->stage = std::move(stage);
  call->awaited = false;
  *slot = call.release();
  box_.Publish();
  return true;
}

void StoreCall::Answered(StoreCall* call) {
  if (call->awaited) {
    call->done.release();
  } else {
    std::unique_ptr<StoreCall>(call).reset();
  }
}

void StoreDoor::Close() {
  const std::lock_guard lock(mutex_);
  closed_ = true;
}

void AppendPathEvent(StoreTurn& turn, std::string sentence) {
  queue::Event event;
  event.kind = queue::EventKind::kPath;
  event.scope = Scope::kPath;
  event.time = turn.now;
  event.reply = std::move(sentence);
  turn.log.Append(event);
}

}  // namespace postrider::engine
