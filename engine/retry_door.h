#pragma once
// Brings deferred mail forward when an operator asks for it: piece by piece through the store thread, so that outcomes
// go in between, and then looks what still keeps that mail from going. Cores need not be told: they find what is due by
// their laps, within a second or two. Owned by the daemon; any thread.

#include <functional>
#include <set>
#include <string>

#include "config/options.h"
#include "engine/io/clock.h"
#include "engine/observe/control.h"
#include "engine/observe/retry_control.h"
#include "engine/store_call.h"
#include "queue/job_store.h"

namespace postrider::engine {

class RetryDoor : public observe::RetryControl {
 public:
  // options: those in force now.
  RetryDoor(StoreDoor& door, queue::JobStore& store, io::Clock& clock, observe::Control& control,
            std::function<OptionsPtr()> options)
      : door_(door), store_(store), clock_(clock), control_(control), options_(std::move(options)) {}

  Result<observe::RetryAnswer> Retry(std::string_view target, std::chrono::milliseconds over) override;

 private:
  struct Sum {
    std::uint64_t deferred = 0;
    std::uint64_t moved = 0;
    std::set<std::string> sites;  // of those moved, and the site that was asked for
  };
  Result<Sum> BringForward(queue::ForwardRequest request, const observe::RetryAnswer& asked);
  [[nodiscard]] Result<void> CountUntried(const observe::Snapshot& snapshot, Sum& sum, observe::RetryAnswer& answer);
  void FindHolds(const observe::Snapshot& snapshot, const Sum& sum, const queue::Campaign* campaign,
                 observe::RetryAnswer& answer);

  StoreDoor& door_;
  queue::JobStore& store_;
  io::Clock& clock_;
  observe::Control& control_;
  const std::function<OptionsPtr()> options_;
};

}  // namespace postrider::engine
