#include "engine/io/ring.h"

#include <fmt/format.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/utsname.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <limits>

#include "config/check.h"

namespace postrider::io {
namespace {

constexpr std::uint16_t kBufferGroup = 0;
constexpr std::uint64_t kOperationMask = 15;
// Multishot receives post many completions for one entry; more would still not be lost, only cost a system call.
constexpr std::uint32_t kCompletionsPerEntry = 4;
// How long the destructor waits for cancelled operations; the kernel needs microseconds.
constexpr std::chrono::seconds kDrainTime{1};
constexpr std::chrono::milliseconds kDrainStep{10};

__kernel_timespec ToTimespec(std::chrono::nanoseconds duration) {
  const auto whole = std::chrono::floor<std::chrono::seconds>(duration);
  return {.tv_sec = whole.count(), .tv_nsec = (duration - whole).count()};
}

std::string KernelRelease() {
  utsname names{};
  return uname(&names) == 0 ? names.release : "unknown";
}

Error SetUpError(int error) {
  switch (error) {
    case ENOSYS:
      return {ErrorCode::kUnsupported,
              fmt::format("this kernel ({}) has no io_uring, or a seccomp profile hides it (containers do); Linux 6.1 "
                          "or later with io_uring allowed is needed",
                          KernelRelease())};
    case EPERM:
    case EACCES:
      return {ErrorCode::kDenied,
              "io_uring is forbidden to this process: set the sysctl kernel.io_uring_disabled to 0 (or, if it is 1, "
              "join the group kernel.io_uring_group), and allow io_uring in the container's seccomp profile"};
    case EINVAL:
      return {ErrorCode::kUnsupported,
              fmt::format("this kernel ({}) is too old: its io_uring lacks deferred task running; Linux 6.1 or later "
                          "is needed",
                          KernelRelease())};
    case ENOMEM:
      return {ErrorCode::kNoSpace,
              "no memory for an io_uring: raise the limit of locked memory (ulimit -l, LimitMEMLOCK=) or of the "
              "control group"};
    case EMFILE:
    case ENFILE:
      return {ErrorCode::kNoSpace, "no descriptor left for an io_uring: raise the limit (ulimit -n, LimitNOFILE=)"};
    default:
      return {ErrorCode::kIo, fmt::format("cannot make an io_uring: {}", std::strerror(error))};
  }
}

}  // namespace

RingObject::RingObject(Ring& ring) : ring_(ring), next_(ring.first_) {
  if (next_ != nullptr) next_->previous_ = this;
  ring.first_ = this;
}

RingObject::~RingObject() {
  if (next_ != nullptr) next_->previous_ = previous_;
  (previous_ != nullptr ? previous_->next_ : ring_.first_) = next_;
}

void RingObject::Abandon() {
  abandoned_ = true;
  if (in_flight_ == 0) delete this;
}

Result<std::unique_ptr<Ring>> Ring::Create(const LoopOptions& options) {
  std::unique_ptr<Ring> ring(new Ring);
  if (auto error = ring->SetUp(options)) return std::unexpected(std::move(*error));
  if (auto error = ring->SetUpBuffers(options)) return std::unexpected(std::move(*error));
  return ring;
}

std::optional<Error> Ring::SetUp(const LoopOptions& options) {
  io_uring_params parameters{};
  // Disabled at first, so that one thread may make the ring and another become its single issuer.
  parameters.flags = IORING_SETUP_R_DISABLED | IORING_SETUP_SINGLE_ISSUER | IORING_SETUP_DEFER_TASKRUN |
                     IORING_SETUP_TASKRUN_FLAG | IORING_SETUP_CQSIZE | IORING_SETUP_CLAMP;
  parameters.cq_entries = options.entries * kCompletionsPerEntry;
  const int made = io_uring_queue_init_params(options.entries, &ring_, &parameters);
  if (made < 0) return SetUpError(-made);
  made_ = true;
  // Deferred task running came with Linux 6.1, after multishot accept (5.19) and receive (6.0); these flags are older.
  constexpr std::uint32_t kNeeded = IORING_FEAT_EXT_ARG | IORING_FEAT_NODROP | IORING_FEAT_CQE_SKIP;
  if ((parameters.features & kNeeded) != kNeeded) return SetUpError(EINVAL);
  return std::nullopt;
}

std::optional<Error> Ring::SetUpBuffers(const LoopOptions& options) {
  buffer_count_ = options.receive_buffers;
  buffer_bytes_ = options.receive_buffer_bytes;
  CHECK(buffer_count_ > 0 && buffer_count_ <= 32768 && (buffer_count_ & (buffer_count_ - 1)) == 0);
  const auto page = static_cast<std::size_t>(sysconf(_SC_PAGESIZE));
  const std::size_t entries_bytes = (buffer_count_ * sizeof(io_uring_buf) + page - 1) / page * page;
  memory_bytes_ = entries_bytes + std::size_t{buffer_count_} * buffer_bytes_;
  void* mapped = mmap(nullptr, memory_bytes_, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0);
  if (mapped == MAP_FAILED) return SetUpError(errno);
  memory_ = static_cast<std::byte*>(mapped);
  buffers_ = memory_ + entries_bytes;
  buffer_ring_ = reinterpret_cast<io_uring_buf_ring*>(memory_);

  io_uring_buf_reg registration{};
  registration.ring_addr = reinterpret_cast<std::uintptr_t>(buffer_ring_);
  registration.ring_entries = buffer_count_;
  registration.bgid = kBufferGroup;
  if (const int error = io_uring_register_buf_ring(&ring_, &registration, 0); error < 0) return SetUpError(-error);
  io_uring_buf_ring_init(buffer_ring_);
  for (std::uint32_t i = 0; i < buffer_count_; ++i) Recycle(static_cast<std::uint16_t>(i));
  return std::nullopt;
}

Ring::~Ring() {
  if (made_) {
    if (!enabled()) Enable();
    if (IsUsable()) Drain();
    CloseUnsubmitted();
    io_uring_queue_exit(&ring_);
  }
  for (RingObject* object = first_; object != nullptr; object = first_) {
    CHECK(object->abandoned_);  // its owner outlives the loop
    delete object;
  }
  if (memory_ != nullptr) munmap(memory_, memory_bytes_);
}

void Ring::Drain() {
  // Not counted among the operations in flight; those that cannot be cancelled complete by themselves.
  io_uring_sqe* entry = Acquire();
  io_uring_prep_cancel64(entry, 0, IORING_ASYNC_CANCEL_ANY | IORING_ASYNC_CANCEL_ALL);
  io_uring_sqe_set_data64(entry, 0);
  for (auto left = kDrainTime / kDrainStep; left > 0; --left) {
    Enter(counts_.in_flight > 0 ? kDrainStep : std::chrono::milliseconds(0));
    RunCompletions();
    if (counts_.in_flight == 0) return;
  }
}

void Ring::CloseUnsubmitted() {
  // The kernel's head counts what it consumed, our tail what was prepared; both number the entries alike.
  for (unsigned at = *ring_.sq.khead; at != ring_.sq.sqe_tail; ++at) {
    const io_uring_sqe& entry = ring_.sq.sqes[at & ring_.sq.ring_mask];
    if (entry.opcode == IORING_OP_CLOSE) close(entry.fd);
  }
}

void Ring::Enable() {
  // liburing 2.3 declares io_uring_enable_rings but does not export it.
  CHECK(syscall(__NR_io_uring_register, ring_.ring_fd, IORING_REGISTER_ENABLE_RINGS, nullptr, 0) == 0);
  issuer_ = std::this_thread::get_id();
  // Saves a descriptor look-up at each entry; works as well without.
  static_cast<void>(io_uring_register_ring_fd(&ring_));
}

io_uring_sqe* Ring::Acquire() {
  CHECK(IsUsable());
  io_uring_sqe* entry = io_uring_get_sqe(&ring_);
  // Full: hand over what there is. Completions stay in their ring (or the kernel's overflow list) meanwhile.
  for (int tries = 0; entry == nullptr; ++tries) {
    constexpr int kTriesMax = 1000;  // each makes room unless the kernel has no memory at all
    CHECK(tries < kTriesMax);
    if (!enabled()) Enable();
    ++counts_.waits;
    static_cast<void>(io_uring_submit_and_get_events(&ring_));
    entry = io_uring_get_sqe(&ring_);
  }
  return entry;
}

void Ring::StartReceive(RingObject& object, int descriptor, bool expect_wait) {
  Start(object, Operation::kReceive, [&](io_uring_sqe* entry) {
    io_uring_prep_recv_multishot(entry, descriptor, nullptr, 0, 0);
    entry->flags |= IOSQE_BUFFER_SELECT;
    entry->buf_group = kBufferGroup;
    if (expect_wait) entry->ioprio |= IORING_RECVSEND_POLL_FIRST;
  });
}

void Ring::StartTurn(RingObject& object) {
  Start(object, Operation::kTurn, [](io_uring_sqe* entry) { io_uring_prep_nop(entry); });
}

void Ring::Cancel(RingObject& object, Operation operation) {
  if (!IsUsable()) return;
  io_uring_sqe* entry = Acquire();
  io_uring_prep_cancel64(entry, Key(object, operation), 0);
  io_uring_sqe_set_data64(entry, 0);
  entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

void Ring::Close(int descriptor) {
  if (!IsUsable()) {
    close(descriptor);
    return;
  }
  io_uring_sqe* entry = Acquire();
  io_uring_prep_close(entry, descriptor);
  io_uring_sqe_set_data64(entry, 0);
  entry->flags |= IOSQE_CQE_SKIP_SUCCESS;
}

void Ring::Enter(std::chrono::nanoseconds wait) {
  if (!enabled()) Enable();
  int entered = 0;
  if (wait > std::chrono::nanoseconds(0) && !HasCompletions()) {
    __kernel_timespec timeout = ToTimespec(wait);
    io_uring_cqe* first = nullptr;
    ++counts_.waits;
    entered = io_uring_submit_and_wait_timeout(&ring_, &first, 1, &timeout, nullptr);
  } else {
    const unsigned flags = __atomic_load_n(ring_.sq.kflags, __ATOMIC_ACQUIRE);
    if (io_uring_sq_ready(&ring_) == 0 && (flags & (IORING_SQ_TASKRUN | IORING_SQ_CQ_OVERFLOW)) == 0) return;
    ++counts_.waits;
    entered = io_uring_submit_and_get_events(&ring_);
  }
  // The wait ended early, or the kernel lacks memory for the moment; what was not consumed is submitted next time.
  const bool passing = entered >= 0 || entered == -ETIME || entered == -EINTR || entered == -EAGAIN ||
                       entered == -EBUSY || entered == -ENOMEM;
  CHECK(passing);
}

void Ring::RunCompletions() {
  for (unsigned left = io_uring_cq_ready(&ring_); left > 0; --left) {
    const unsigned head = *ring_.cq.khead;
    const io_uring_cqe completion = ring_.cq.cqes[head & ring_.cq.ring_mask];
    io_uring_cq_advance(&ring_, 1);
    Dispatch(completion);
  }
}

void Ring::Dispatch(const io_uring_cqe& completion) {
  if (completion.user_data == 0) return;  // a cancellation that found nothing, or a close
  ++counts_.completions;
  auto* object = reinterpret_cast<RingObject*>(completion.user_data & ~kOperationMask);
  const auto operation = static_cast<Operation>(completion.user_data & kOperationMask);
  const bool more = (completion.flags & IORING_CQE_F_MORE) != 0;
  const bool has_buffer = (completion.flags & IORING_CQE_F_BUFFER) != 0;
  const auto buffer = static_cast<std::uint16_t>(completion.flags >> IORING_CQE_BUFFER_SHIFT);
  std::span<const std::byte> bytes;
  if (has_buffer && completion.res > 0) {
    bytes = {buffers_ + std::size_t{buffer} * buffer_bytes_, static_cast<std::size_t>(completion.res)};
  }
  // The operation counts as in flight until its call-back returns, so that the object survives its own abandonment.
  object->OnCompletion(operation, completion.res, more, bytes);
  if (has_buffer) Recycle(buffer);
  if (more) return;
  --counts_.in_flight;
  if (--object->in_flight_ == 0 && object->abandoned_) delete object;
}

void Ring::Recycle(std::uint16_t buffer) {
  io_uring_buf_ring_add(buffer_ring_, buffers_ + std::size_t{buffer} * buffer_bytes_, buffer_bytes_, buffer,
                        io_uring_buf_ring_mask(buffer_count_), 0);
  io_uring_buf_ring_advance(buffer_ring_, 1);
}

}  // namespace postrider::io
