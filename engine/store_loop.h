#pragma once
// The one thread that writes the queue. A turn gathers what the cores, intake and the operator asked, then: log lines,
// fdatasync of the log, the batch with a synced WAL, then the answers. If the log or the queue cannot be written, what
// is staged stays staged, nothing is answered (so that admission stops by itself) and the turn is tried again.

#include <atomic>
#include <chrono>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <vector>

#include "config/options.h"
#include "engine/delivery/core.h"
#include "engine/io/clock.h"
#include "engine/io/mailbox.h"
#include "engine/observe/delivery_log.h"
#include "engine/observe/event_tally.h"
#include "engine/store_call.h"
#include "queue/job_store.h"

namespace postrider::engine {

class StoreLoop {
 public:
  struct CoreEnd {
    io::Mailbox<delivery::StoreRequest>& requests;
    io::Mailbox<delivery::Committed>& committed;
  };
  struct Counts {
    std::uint64_t batches = 0;
    std::uint64_t requests = 0;
    double sync_seconds = 0;
  };

  // changed is called, after the sync, for each campaign whose state changed. All references outlive the loop.
  StoreLoop(queue::JobStore& store, observe::DeliveryLog& log, observe::EventTally& tally, io::Clock& clock,
            io::Waker& waker, StoreDoor& door, std::vector<CoreEnd> cores, const Options& options,
            std::function<void(queue::CampaignPtr)> changed);

  // One turn; waits at most max_wait for work. True: something was committed.
  bool RunOnce(std::chrono::nanoseconds max_wait);
  // Nothing is staged and every box is empty. The store thread's to ask: the boxes are read at its end.
  [[nodiscard]] bool Idle();
  // The thread's whole life: turns until stop is set (and waker woken) and all that came before is durable and
  // answered. Once stop is set, nothing more may be asked of it; while the disks fail, it goes on trying.
  void RunUntil(const std::atomic<bool>& stop, std::chrono::nanoseconds turn);

  // Any thread. The sentence of the failure that holds the queue up, or empty.
  [[nodiscard]] std::string Trouble() const;
  [[nodiscard]] Counts counts() const;

 private:
  void Gather(Wall now);
  void Stage(delivery::StoreRequest& request, Wall now);
  void StopCanary(queue::Event& event, Wall now);
  void ReleaseRests(Wall now);
  bool Commit();
  void Answer();
  void Maintain(Now now);
  void SetTrouble(std::string sentence);

  queue::JobStore& store_;
  observe::DeliveryLog& log_;
  observe::EventTally& tally_;
  io::Clock& clock_;
  io::Waker& waker_;
  StoreDoor& door_;
  std::vector<CoreEnd> cores_;
  const std::chrono::milliseconds commit_interval_;
  const std::chrono::hours remember_;
  std::function<void(queue::CampaignPtr)> changed_;

  std::vector<std::uint64_t> taken_;       // requests staged, by core
  std::vector<std::uint64_t> unanswered_;  // committed, but the core's box was full
  std::vector<StoreCall*> calls_;
  std::vector<queue::CampaignId> changed_ids_;
  std::size_t staged_ = 0;
  bool compressing_ = false;  // a closed log file is not done yet
  Monotonic next_maintenance_{};

  mutable std::mutex mutex_;  // guards what other threads ask about
  std::string trouble_;
  Counts counts_;
};

}  // namespace postrider::engine
