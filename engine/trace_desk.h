#pragma once
// Asks all cores for their traces and puts the answers together. Owned by the daemon; any thread, one at a time.

#include <cstdint>
#include <functional>
#include <mutex>
#include <vector>

#include "engine/delivery/core.h"
#include "engine/io/clock.h"
#include "engine/io/mailbox.h"
#include "engine/observe/trace_control.h"

namespace postrider::engine {

class TraceDesk : public observe::TraceControl {
 public:
  // post hands a command to core `core`; false: it takes none now.
  using Post = std::function<bool(std::size_t core, const delivery::CoreCommand& command)>;
  TraceDesk(io::Clock& clock, Post post) : clock_(clock), post_(std::move(post)) {}

  // Woken by the boxes; for their making.
  [[nodiscard]] io::Waker& waker() { return waker_; }
  // Before anybody asks: the box of the next core.
  void Add(io::Mailbox<delivery::TraceAnswer>& box) { boxes_.push_back(&box); }

  Result<observe::TraceView> Ask(const observe::TraceQuery& query) override;

 private:
  [[nodiscard]] Result<std::vector<delivery::TraceAnswer>> Collect(std::uint64_t number, std::vector<bool> awaited);

  io::Clock& clock_;
  const Post post_;
  io::Waker waker_;
  std::vector<io::Mailbox<delivery::TraceAnswer>*> boxes_;
  std::mutex mutex_;
  std::uint64_t last_number_ = 0;
};

}  // namespace postrider::engine
