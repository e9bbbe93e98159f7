#pragma once
// How threads talk: bounded queues with one producer and one consumer, and an eventfd that ends the consumer's wait.
// Slots are reused in place, so that strings inside keep their capacity and a message costs no allocation once warm.
// The producer calls Reserve and Publish, the consumer Peek and Pop; nothing blocks. A full box is the producer's to
// handle: it keeps the work and tries again.

#include <atomic>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <vector>

#include "config/check.h"

namespace postrider::io {

// Ends the wait of one thread, now or the next one: a Wake that comes while its thread runs is remembered, and the next
// wait ends at once. So no wake is lost between a last look at the mailboxes and the wait, and the consumer's loop is
// simply "empty all mailboxes, then wait": a Wake never falls between the two. Wake is cheap (one atomic exchange, no
// system call) while that thread does not wait, or has been woken already.
class Waker {
 public:
  Waker();
  ~Waker();
  Waker(const Waker&) = delete;
  Waker& operator=(const Waker&) = delete;

  void Wake();  // any thread

  // The consumer's side, for threads without a ring (Loop::RunOnce does the same for those with one): waits for a Wake
  // since the last wait ended, at most so long. All mailboxes must be looked at after each Wait.
  void Wait(std::chrono::nanoseconds at_most);

  // The parts of a wait, for those who wait on descriptor() along with other things. PrepareWait announces it; false
  // means: woken already, do not wait. FinishWait ends it in any case; a Wake after it counts for the next wait.
  // descriptor() becomes readable (an eventfd: read 8 bytes) by a Wake between the two; it may become so a moment late,
  // which costs one wait that ends too early.
  bool PrepareWait();
  void FinishWait();
  [[nodiscard]] int descriptor() const { return descriptor_; }

 private:
  enum class State : std::uint32_t { kRunning, kWaiting, kWoken };
  std::atomic<State> state_{State::kRunning};
  int descriptor_ = -1;
};

template <typename T>
class Mailbox {
 public:
  // capacity is a power of two. consumer is woken by Publish and must outlive the box.
  Mailbox(std::size_t capacity, Waker& consumer) : slots_(capacity), mask_(capacity - 1), consumer_(consumer) {
    CHECK(capacity > 0 && (capacity & (capacity - 1)) == 0);
  }

  // Producer: the slot to fill, holding what an earlier message left in it; nullptr when the box is full.
  [[nodiscard]] T* Reserve() {
    const std::uint64_t head = head_.load(std::memory_order_relaxed);
    if (head - cached_tail_ > mask_) {
      cached_tail_ = tail_.load(std::memory_order_acquire);
      if (head - cached_tail_ > mask_) return nullptr;
    }
    return &slots_[head & mask_];
  }
  // Makes the reserved slot visible and wakes the consumer if it waits. wake=false lets a producer of many wake once.
  void Publish(bool wake = true) {
    head_.store(head_.load(std::memory_order_relaxed) + 1, std::memory_order_release);
    if (wake) consumer_.Wake();
  }
  void Wake() { consumer_.Wake(); }

  // Consumer: the oldest message, or nullptr. It stays in the box until Pop.
  [[nodiscard]] T* Peek() {
    const std::uint64_t tail = tail_.load(std::memory_order_relaxed);
    if (tail == cached_head_) {
      cached_head_ = head_.load(std::memory_order_acquire);
      if (tail == cached_head_) return nullptr;
    }
    return &slots_[tail & mask_];
  }
  void Pop() { tail_.store(tail_.load(std::memory_order_relaxed) + 1, std::memory_order_release); }

  [[nodiscard]] std::size_t capacity() const { return mask_ + 1; }
  // How many wait; exact only for the calling side's own end.
  [[nodiscard]] std::size_t size() const {
    return static_cast<std::size_t>(head_.load(std::memory_order_acquire) - tail_.load(std::memory_order_acquire));
  }

 private:
  static constexpr std::size_t kCacheLine = 64;
  std::vector<T> slots_;
  std::uint64_t mask_;
  Waker& consumer_;
  alignas(kCacheLine) std::atomic<std::uint64_t> head_{0};  // written by the producer
  std::uint64_t cached_tail_ = 0;                           // the producer's copy
  alignas(kCacheLine) std::atomic<std::uint64_t> tail_{0};  // written by the consumer
  std::uint64_t cached_head_ = 0;                           // the consumer's copy
};

}  // namespace postrider::io
