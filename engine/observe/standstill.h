#pragma once
// Whether all the queued mail rests, why, and until when: then no rate says when it will be done. Pure.

#include <optional>
#include <span>
#include <string>

#include "config/time.h"
#include "engine/observe/control.h"
#include "engine/observe/queue_page.h"

namespace postrider::observe {

struct Standstill {
  std::string reason;
  std::optional<Wall> next;  // when something goes on by itself
};

// Whether mail is under way, or may be at any moment.
[[nodiscard]] bool MailMoves(const Snapshot& snapshot, std::span<const PauseTarget> pauses);

// queued: what waits in all domains. nullopt: nothing does, or nobody knows of anything that holds it.
[[nodiscard]] std::optional<Standstill> StandstillOf(const Snapshot& snapshot, std::span<const PauseTarget> pauses,
                                                     const MailWaiting& queued);

}  // namespace postrider::observe
