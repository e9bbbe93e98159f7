#pragma once
// What the operator pauses and resumes: everything, a site, a source, a source at one place; and what is lifted on his
// word at a campaign's provider. A pause is durable before it is answered, outlives a restart, and reaches all cores in
// the order in which it was stored. To resume also ends what replies and failures have stopped or slowed there. Owned
// by the daemon; any thread.

#include <functional>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/delivery/core.h"
#include "engine/live_options.h"
#include "engine/observe/control.h"
#include "engine/store_call.h"
#include "queue/job_store.h"

namespace postrider::engine {

class PauseDoor {
 public:
  // control: for snapshots of the cores. post: to all cores.
  PauseDoor(StoreDoor& door, queue::JobStore& store, LiveOptions& live, observe::Control& control,
            std::function<void(const delivery::CoreCommand&)> post)
      : door_(door), store_(store), live_(live), control_(control), post_(std::move(post)) {}

  // As observe::Control has them.
  [[nodiscard]] Result<std::string> Pause(const observe::PauseTarget& target);
  [[nodiscard]] Result<void> Resume(const observe::PauseTarget& target);
  [[nodiscard]] std::vector<observe::PauseTarget> Pauses();

 private:
  [[nodiscard]] observe::PauseTarget ByItsName(observe::PauseTarget target) const;
  [[nodiscard]] Result<void> CheckPause(const observe::PauseTarget& target, bool pause);
  [[nodiscard]] bool HasTrouble(const observe::PauseTarget& target);
  [[nodiscard]] Result<void> CheckGuard(const observe::PauseTarget& target);
  [[nodiscard]] Result<void> SetPause(const observe::PauseTarget& target, bool pause);

  StoreDoor& door_;
  queue::JobStore& store_;
  LiveOptions& live_;
  observe::Control& control_;
  const std::function<void(const delivery::CoreCommand&)> post_;
  std::mutex mutex_;  // pauses are stored and told to the cores in one order
};

}  // namespace postrider::engine
