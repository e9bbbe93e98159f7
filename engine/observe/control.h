#pragma once
// What an operator may ask of the running program, and what a scrape is made of. The admin HTTP and the metrics call it
// from their own threads; engine/ implements it.

#include <cstdint>
#include <functional>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/time.h"
#include "engine/delivery/core.h"
#include "engine/delivery/snapshot.h"
#include "engine/intake/intake.h"
#include "queue/campaign.h"
#include "queue/job_store.h"
#include "throttle/unmatched_replies.h"

namespace postrider::observe {

using intake::IntakeCounts;

// The suppression list: what is in it, and what happened to it since the start.
struct SuppressionCounts {
  queue::ListCountsMap lists;
  std::uint64_t added_by_rule = 0;  // hard bounces and the like, by themselves
  std::uint64_t added_by_hand = 0;  // operators and imports
  std::uint64_t removed = 0;
  std::uint64_t held = 0;  // that a rule would have added, but a guard held
};

struct Snapshot {
  Now time{};
  Wall started{};
  std::vector<delivery::CoreSnapshot> cores;
  queue::CampaignTotals totals;
  queue::StoreStats store;
  std::uint64_t store_batch_requests = 0;  // requests in all batches; with store.commits the mean size
  IntakeCounts intake;
  SuppressionCounts suppression;
  double queue_free_share = 1;  // of the disks that hold queue and log
  double log_free_share = 1;
  bool sending_stopped = false;  // by disk or log
  std::string stop_reason;
  bool commits_failing = false;  // the log or the queue cannot be written
  Wall last_reload{};            // the last good one
  bool last_reload_good = true;
};

struct PauseTarget {
  delivery::CoreCommand::Target target = delivery::CoreCommand::Target::kAll;
  std::string name;
  std::string at{};  // of kCampaignAt and kSourceAt: a provider's name, or a site's
};

struct FoundJob {
  std::string campaign;
  std::uint64_t row = 0;
  std::string row_id;
  std::uint16_t attempts = 0;
  std::optional<Wall> next_due;
  std::string last_reply;
};

class Control {
 public:
  virtual ~Control() = default;
  [[nodiscard]] virtual Snapshot Collect() = 0;
  // The same, with each site's domains named.
  [[nodiscard]] virtual Snapshot CollectWithDomains() = 0;
  // Of all cores together; it may be a megabyte.
  [[nodiscard]] virtual UnmatchedReplies Unmatched() = 0;
  [[nodiscard]] virtual std::vector<queue::CampaignPtr> Campaigns() = 0;
  // kRunning resumes (or releases a held one), kPaused, kCancelled. Returns when it is durable.
  [[nodiscard]] virtual Result<void> SetCampaignState(std::string_view name, queue::CampaignState state) = 0;
  // With a note for the operator if nothing of that name is known now: the pause holds all the same. Else empty.
  [[nodiscard]] virtual Result<std::string> Pause(const PauseTarget& target) = 0;
  [[nodiscard]] virtual Result<void> Resume(const PauseTarget& target) = 0;
  [[nodiscard]] virtual std::vector<PauseTarget> Pauses() = 0;
  // Calls visit for every domain with mail.
  [[nodiscard]] virtual Result<void> VisitBacklog(const std::function<void(const queue::DomainBacklog&)>& visit) = 0;
  [[nodiscard]] virtual Result<std::vector<FoundJob>> Find(std::string_view address) = 0;
  // One JSON line per recipient without a final event, as recipients.jsonl has them.
  [[nodiscard]] virtual Result<void> ExportRemaining(std::string_view campaign,
                                                     const std::function<bool(std::string_view line)>& write) = 0;
  // With a note for the operator if something of the new configuration waits for the next start; else empty.
  [[nodiscard]] virtual Result<std::string> Reload() = 0;
  // Empty: well. Else what is wrong, for /healthz.
  [[nodiscard]] virtual std::string Trouble() = 0;
};

}  // namespace postrider::observe
