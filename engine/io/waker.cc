#include <poll.h>
#include <sys/eventfd.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <limits>

#include "engine/io/mailbox.h"

namespace postrider::io {

// Not non-blocking: the ring may then wait for it by a plain read. Wait reads only what poll has announced, and the
// counter never comes near the value at which a write would block.
Waker::Waker() : descriptor_(eventfd(0, EFD_CLOEXEC)) { CHECK(descriptor_ >= 0); }

Waker::~Waker() { close(descriptor_); }

void Waker::Wake() {
  if (state_.exchange(State::kWoken, std::memory_order_acq_rel) != State::kWaiting) return;
  const std::uint64_t one = 1;
  ssize_t written = 0;
  do {
    written = write(descriptor_, &one, sizeof one);
  } while (written < 0 && errno == EINTR);
  CHECK(written == sizeof one);
}

bool Waker::PrepareWait() {
  State expected = State::kRunning;
  return state_.compare_exchange_strong(expected, State::kWaiting, std::memory_order_acq_rel) ||
         expected == State::kWaiting;
}

void Waker::FinishWait() { state_.exchange(State::kRunning, std::memory_order_acq_rel); }

void Waker::Wait(std::chrono::nanoseconds at_most) {
  if (PrepareWait()) {
    // Rounded up, lest a wait of less than a millisecond becomes a spin.
    const auto whole = std::chrono::ceil<std::chrono::milliseconds>(std::max(at_most, std::chrono::nanoseconds(0)));
    const auto longest = std::chrono::milliseconds(std::numeric_limits<int>::max());
    pollfd event{.fd = descriptor_, .events = POLLIN, .revents = 0};
    if (poll(&event, 1, static_cast<int>(std::min(whole, longest).count())) == 1) {
      std::uint64_t count = 0;
      CHECK(read(descriptor_, &count, sizeof count) == sizeof count);
    }
  }
  FinishWait();
}

}  // namespace postrider::io
