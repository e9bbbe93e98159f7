#pragma once
// A piece of writing that another thread asks the store thread for, and mostly waits for: it is staged among the
// outcomes and answered once the batch is synced. What is waited for lives on the caller's stack; StoreDoor::Run
// returns only when it is done.

#include <functional>
#include <mutex>
#include <semaphore>
#include <string>
#include <vector>

#include "config/error.h"
#include "config/time.h"
#include "engine/io/mailbox.h"
#include "queue/campaign.h"
#include "queue/event.h"
#include "queue/job_store.h"

namespace postrider::engine {

// What a call may touch while it is staged, on the store thread.
struct StoreTurn {
  queue::JobStore& store;
  queue::EventSink& log;
  std::vector<queue::CampaignId>& changed;  // campaigns the cores must hear of once the batch is synced
  Wall now;
};

struct StoreCall {
  std::move_only_function<Result<void>(StoreTurn&)> stage;
  Result<void> result;
  std::binary_semaphore done{0};
  bool awaited = true;  // else it is on the heap and ends with Answered

  // By the store thread, once it is synced.
  static void Answered(StoreCall* call);
};

// One way in for any number of threads.
class StoreDoor {
 public:
  explicit StoreDoor(io::Waker& store_waker) : box_(64, store_waker) {}

  // Blocks until staged and synced, or refused. After Close: kUnavailable.
  [[nodiscard]] Result<void> Run(std::move_only_function<Result<void>(StoreTurn&)> stage);
  // The same for what nobody waits for, as main must not wait for a disk. False: it is not done, for the door is closed
  // or many wait already.
  [[nodiscard]] bool Leave(std::move_only_function<Result<void>(StoreTurn&)> stage);
  void Close();

  // The store thread's end.
  [[nodiscard]] io::Mailbox<StoreCall*>& box() { return box_; }

 private:
  std::mutex mutex_;  // makes the many callers one producer
  bool closed_ = false;
  io::Mailbox<StoreCall*> box_;
};

// A line of the delivery log about no recipient.
void AppendPathEvent(StoreTurn& turn, std::string sentence);

}  // namespace postrider::engine
