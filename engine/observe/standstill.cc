#include "engine/observe/standstill.h"

#include <algorithm>

namespace postrider::observe {
namespace {

using delivery::SiteMode;

bool AllIsPaused(std::span<const PauseTarget> pauses) {
  return std::ranges::find(pauses, delivery::CoreCommand::Target::kAll, &PauseTarget::target) != pauses.end();
}

}  // namespace

bool MailMoves(const Snapshot& snapshot, std::span<const PauseTarget> pauses) {
  const bool held = snapshot.sending_stopped || AllIsPaused(pauses);
  return std::ranges::any_of(snapshot.cores, [held](const delivery::CoreSnapshot& core) {
    return core.in_flight > 0 || (!held && std::ranges::any_of(core.sites, [](const delivery::SiteSnapshot& path) {
             return path.mode == SiteMode::kNormal && path.ready > 0;
           }));
  });
}

std::optional<Standstill> StandstillOf(const Snapshot& snapshot, std::span<const PauseTarget> pauses,
                                       const MailWaiting& queued) {
  if (queued.total() == 0 || MailMoves(snapshot, pauses)) return std::nullopt;
  if (snapshot.sending_stopped) return Standstill{"sending is stopped: " + snapshot.stop_reason, {}};
  if (AllIsPaused(pauses)) return Standstill{"all sending is paused, until `postrider resume --all`", {}};
  if (queued.waiting == 0) return Standstill{"all that is left waits for retries", queued.next_due};
  bool held = false;
  std::optional<Wall> next = queued.next_due;
  for (const delivery::CoreSnapshot& core : snapshot.cores) {
    for (const delivery::SiteSnapshot& path : core.sites) {
      if (path.ready == 0) continue;
      held = true;
      if (path.blocked_until && (!next || *path.blocked_until < *next)) next = path.blocked_until;
    }
  }
  // Else it is just being fetched, or its MX looked up.
  if (!held) return std::nullopt;
  return Standstill{"`postrider queue` says what holds its mail", next};
}

}  // namespace postrider::observe
