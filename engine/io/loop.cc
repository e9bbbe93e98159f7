#include "engine/io/loop.h"

#include <algorithm>
#include <utility>

#include "engine/io/ring.h"
#include "engine/io/ring_network.h"

namespace postrider::io {
namespace {

// Reads the waker's eventfd through the ring, so that a wake costs no system call of its own here.
class WakeObject final : public RingObject {
 public:
  WakeObject(Ring& on, int descriptor) : RingObject(on), descriptor_(descriptor) { Start(); }

  void Close() {
    ring().Cancel(*this, Operation::kRead);
    Abandon();
  }

 private:
  void Start() {
    ring().Start(*this, Operation::kRead,
                 [this](io_uring_sqe* entry) { io_uring_prep_read(entry, descriptor_, &count_, sizeof count_, 0); });
  }

  void OnCompletion(Operation, int, bool, std::span<const std::byte>) override {
    if (!abandoned()) Start();
  }

  int descriptor_;
  std::uint64_t count_ = 0;
};

class RingLoop final : public Loop {
 public:
  RingLoop(std::unique_ptr<Ring> ring, Clock& clock)
      : clock_(clock),
        now_(clock.Read()),
        timers_(now_.monotonic),
        ring_(std::move(ring)),
        network_(*ring_, timers_, now_),
        wake_(*new WakeObject(*ring_, waker_.descriptor())) {}

  ~RingLoop() override { wake_.Close(); }

  void RunOnce(std::chrono::nanoseconds max_wait) override {
    Enter(max_wait);
    now_ = clock_.Read();
    ring_->RunCompletions();
    timers_.Advance(now_.monotonic);
  }

  [[nodiscard]] Now now() const override { return now_; }
  [[nodiscard]] Network& network() override { return network_; }
  [[nodiscard]] TimerWheel& timers() override { return timers_; }
  [[nodiscard]] Waker& waker() override { return waker_; }
  [[nodiscard]] const LoopCounts& counts() const override { return ring_->counts(); }

 private:
  void Enter(std::chrono::nanoseconds max_wait) {
    constexpr std::chrono::nanoseconds kNone{0};
    const std::chrono::nanoseconds wait = ring_->HasCompletions() ? kNone : WaitAtMost(max_wait);
    if (wait <= kNone) return ring_->Enter(kNone);
    ring_->Enter(waker_.PrepareWait() ? wait : kNone);
    waker_.FinishWait();
  }

  [[nodiscard]] std::chrono::nanoseconds WaitAtMost(std::chrono::nanoseconds max_wait) const {
    if (max_wait.count() <= 0) return max_wait;
    const auto due = timers_.NextDue();
    return due ? std::min(max_wait, *due - clock_.Read().monotonic) : max_wait;
  }

  Clock& clock_;
  Now now_;
  TimerWheel timers_;
  Waker waker_;
  std::unique_ptr<Ring> ring_;
  RingNetwork network_;
  WakeObject& wake_;
};

}  // namespace

Result<std::unique_ptr<Loop>> MakeLoop(const LoopOptions& options, Clock& clock) {
  auto ring = Ring::Create(options);
  if (!ring) return std::unexpected(std::move(ring.error()));
  return std::make_unique<RingLoop>(std::move(*ring), clock);
}

}  // namespace postrider::io
