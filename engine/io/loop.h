#pragma once
// The event loop of one core: an io_uring with its provided receive buffers, a timer wheel, and the descriptor that
// other threads wake it with. Owned by engine/ (one per core thread) and by the sink. Single-threaded but for its
// Waker. One thread may make it (and its first listeners) and another, started later, run it. Sockets, listeners and
// watches must be destroyed before it, by the thread that runs it or after that thread has ended. Needs Linux 6.1:
// single issuer, deferred task run, multishot receive and accept; probed in MakeLoop.

#include <chrono>
#include <cstdint>
#include <memory>

#include "config/error.h"
#include "config/time.h"
#include "engine/io/clock.h"
#include "engine/io/mailbox.h"
#include "engine/io/network.h"
#include "engine/io/timer_wheel.h"

namespace postrider::io {

struct LoopOptions {
  std::uint32_t entries = 4096;          // submission queue; larger batches, more memory
  std::uint32_t receive_buffers = 1024;  // provided buffers of the whole core, shared by all sockets; a power of two
  std::uint32_t receive_buffer_bytes = 4096;
};

struct LoopCounts {
  std::uint64_t waits = 0;  // times the loop entered the kernel
  std::uint64_t completions = 0;
  std::uint64_t bytes_sent = 0;
  std::uint64_t bytes_received = 0;
  std::uint64_t receive_buffers_exhausted = 0;
  std::uint64_t in_flight = 0;  // operations the kernel holds now; one of them is the waker's
};

class Loop {
 public:
  virtual ~Loop() = default;

  // Submits what was asked, waits at most max_wait (less if a timer is due sooner, not at all if a mailbox wakes it or
  // work was found), then runs completions and timers. Must always be called by the thread that called it first.
  virtual void RunOnce(std::chrono::nanoseconds max_wait) = 0;

  // The time of this turn: read once per RunOnce, after the wait.
  [[nodiscard]] virtual Now now() const = 0;
  [[nodiscard]] virtual Network& network() = 0;
  [[nodiscard]] virtual TimerWheel& timers() = 0;
  // Other threads call waker().Wake() (mailboxes do) to end a wait.
  [[nodiscard]] virtual Waker& waker() = 0;
  [[nodiscard]] virtual const LoopCounts& counts() const = 0;
};

// Fails with a sentence that says what is missing (kernel too old, io_uring forbidden by sysctl or seccomp, memlock).
[[nodiscard]] Result<std::unique_ptr<Loop>> MakeLoop(const LoopOptions& options, Clock& clock);

}  // namespace postrider::io
