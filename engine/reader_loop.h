#pragma once
// The thread that reads the queue for the cores, so that no core ever waits for a disk: it answers their scans for
// domains with work and their takes of jobs, in the order asked. Owned by the daemon.

#include <chrono>
#include <vector>

#include "engine/delivery/core.h"
#include "engine/io/mailbox.h"
#include "queue/job_store.h"

namespace postrider::engine {

class ReaderLoop {
 public:
  struct CoreEnd {
    io::Mailbox<delivery::ReadRequest>& requests;
    io::Mailbox<delivery::ReadAnswer>& answers;
  };

  ReaderLoop(queue::JobStore& store, io::Waker& waker, std::vector<CoreEnd> cores)
      : store_(store), waker_(waker), cores_(std::move(cores)) {}

  // Answers what waits; without any, waits at most max_wait for a request.
  void RunOnce(std::chrono::nanoseconds max_wait);

 private:
  bool Serve(CoreEnd& core);

  queue::JobStore& store_;
  io::Waker& waker_;
  std::vector<CoreEnd> cores_;
};

}  // namespace postrider::engine
