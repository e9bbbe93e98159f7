#pragma once
// One io_uring with its provided receive buffers, and the rule that keeps memory alive: the kernel-facing half of every
// socket, listener and watch is a RingObject, which the ring deletes only when its owner has abandoned it and the
// kernel holds none of its operations any more. Completions find their object by its address, never by descriptor
// number (numbers are reused). Private to engine/io; single-threaded.

#include <liburing.h>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <thread>

#include "config/error.h"
#include "engine/io/loop.h"

namespace postrider::io {

enum class Operation : std::uint8_t { kNone, kReceive, kSend, kConnect, kAccept, kPoll, kRead, kTurn };

class Ring;

// Aligned so that the low bits of its address hold the Operation in a completion's user data.
class alignas(16) RingObject {
 public:
  explicit RingObject(Ring& ring);
  RingObject(const RingObject&) = delete;
  RingObject& operator=(const RingObject&) = delete;

 protected:
  virtual ~RingObject();

  // An operation has completed, or (more) has completed once and goes on. bytes: what a receive brought, valid during
  // the call. Also called after the object was abandoned: what the kernel gave must still be given back.
  virtual void OnCompletion(Operation operation, int result, bool more, std::span<const std::byte> bytes) = 0;

  // The owner's last word: the object is deleted once nothing of it is in flight. It must have cancelled what is.
  void Abandon();
  [[nodiscard]] bool abandoned() const { return abandoned_; }
  [[nodiscard]] Ring& ring() { return ring_; }

 private:
  friend class Ring;
  Ring& ring_;
  std::uint32_t in_flight_ = 0;
  bool abandoned_ = false;
  RingObject* previous_ = nullptr;  // all objects of the ring, so that its destructor leaves none behind
  RingObject* next_ = nullptr;
};

class Ring {
 public:
  static Result<std::unique_ptr<Ring>> Create(const LoopOptions& options);
  // All owners must have abandoned their objects.
  ~Ring();
  Ring(const Ring&) = delete;
  Ring& operator=(const Ring&) = delete;

  // Queues one operation; the kernel sees it at the next Enter. Prepare fills the entry: Start(object, operation,
  // [&](io_uring_sqe* entry) { io_uring_prep_...(entry, ...); }).
  template <typename Prepare>
  void Start(RingObject& object, Operation operation, const Prepare& prepare) {
    io_uring_sqe* entry = Acquire();
    prepare(entry);
    io_uring_sqe_set_data64(entry, Key(object, operation));
    ++object.in_flight_;
    ++counts_.in_flight;
  }
  // Receives into provided buffers until cancelled or failed. With expect_wait the kernel does not try to read first.
  void StartReceive(RingObject& object, int descriptor, bool expect_wait);
  // Completes on the next turn, with Operation::kTurn: for what must not call back from inside a call.
  void StartTurn(RingObject& object);
  // Asks the kernel to end that operation of the object; its completion comes all the same.
  void Cancel(RingObject& object, Operation operation);
  // In order with the operations before it, so that none of them can meet a new file under the old number.
  void Close(int descriptor);

  // Submits all that is queued and collects completions; waits for the first at most so long (not at all: zero).
  void Enter(std::chrono::nanoseconds wait);
  // Whether completions are there already, so that a wait would be in vain.
  [[nodiscard]] bool HasCompletions() const { return io_uring_cq_ready(&ring_) > 0; }
  // Runs what had completed when the call began.
  void RunCompletions();

  [[nodiscard]] LoopCounts& counts() { return counts_; }

 private:
  friend class RingObject;
  Ring() = default;

  [[nodiscard]] std::optional<Error> SetUp(const LoopOptions& options);
  [[nodiscard]] std::optional<Error> SetUpBuffers(const LoopOptions& options);
  [[nodiscard]] io_uring_sqe* Acquire();
  void Enable();
  [[nodiscard]] bool enabled() const { return issuer_ != std::thread::id(); }
  // After its issuer has ended, nothing can be asked of the ring any more: its operations have ended too.
  [[nodiscard]] bool IsUsable() const { return !enabled() || issuer_ == std::this_thread::get_id(); }
  void Dispatch(const io_uring_cqe& completion);
  void Recycle(std::uint16_t buffer);
  void CloseUnsubmitted();
  void Drain();

  static std::uint64_t Key(const RingObject& object, Operation operation) {
    return reinterpret_cast<std::uintptr_t>(&object) | static_cast<std::uint64_t>(operation);
  }

  io_uring ring_{};
  bool made_ = false;
  std::thread::id issuer_;  // the one thread that may enter; none until the ring is enabled
  LoopCounts counts_;
  RingObject* first_ = nullptr;

  std::byte* memory_ = nullptr;  // the buffer ring's entries, then the buffers themselves
  std::size_t memory_bytes_ = 0;
  std::byte* buffers_ = nullptr;
  io_uring_buf_ring* buffer_ring_ = nullptr;
  std::uint32_t buffer_count_ = 0;
  std::uint32_t buffer_bytes_ = 0;
};

}  // namespace postrider::io
