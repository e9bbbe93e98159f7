#pragma once
// The durable queue. The seam JobStore has one implementation over RocksDB, and one in the simulation that forgets what
// was not committed. Writes are staged and then committed as one synced batch by the store thread alone; reads may come
// from any thread and see what is committed. What stands on disk, and what a crash between any two states leaves, is in
// queue/record.h.

#include <array>
#include <chrono>
#include <cstdint>
#include <filesystem>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/options.h"
#include "config/time.h"
#include "queue/campaign.h"
#include "queue/job.h"
#include "queue/outcome.h"
#include "queue/suppression.h"

namespace postrider::queue {

// One accepted row. Views are valid during the call they are passed to.
struct NewRow {
  std::uint64_t row = 0;
  std::string_view domain;   // A-label
  std::string_view address;  // local@domain
  std::string_view row_id;
  std::string_view fields;
  bool needs_smtputf8 = false;
};

// A stretch of a list: its accepted rows, the counts of all its rows, and the position after it. Written whole or not.
struct EnqueueBatch {
  CampaignId campaign = 0;
  std::span<const NewRow> rows{};
  std::uint64_t rows_read = 0;
  std::uint64_t rejected = 0;
  std::uint64_t duplicate = 0;
  std::uint64_t suppressed = 0;
  ListPosition position{};
  // For a standing campaign: the message these rows get; it is gone when the last of them has its final event.
  std::optional<std::string_view> message{};
  std::string_view host_name{};  // for the Message-IDs of that message
};

// Which domains a core reads: those whose shard s has s % cores == core.
struct DomainScanRequest {
  std::uint32_t core = 0;
  std::uint32_t cores = 1;
  std::string cursor{};  // empty: from the start; else from the last answer
  std::size_t max_domains = 512;
  Wall now{};
};

struct DomainScan {
  std::vector<std::string> domains;  // those with something to take now (or something cancelled or expired to end)
  std::string cursor;
  bool lap_done = false;  // the end was reached; the next request starts again at the front
};

// Deferred jobs that are to be tried sooner: those of a campaign, in a domain, or last deferred at a site; all that is
// given must fit.
struct ForwardRequest {
  CampaignId campaign = 0;  // 0: of any
  std::string domain{};     // empty: any
  std::string site{};       // empty: any
  Wall now{};
  // Their new due moments lie evenly spread within so long from now. None is put off.
  std::chrono::milliseconds over{};
  // From the last answer: where to go on.
  std::string domain_key{};
  std::string retry_key{};
};
struct ForwardStep {
  std::uint64_t deferred = 0;        // that fit
  std::uint64_t moved = 0;           // of these; the others are due soon anyway, or are under way
  std::vector<std::string> sites{};  // where those were deferred last, each once
  bool done = false;                 // else ask again after a commit, with:
  std::string domain_key{};
  std::string retry_key{};
};

// Ages of mail, as qshape has them: under 5 minutes, under 10, ..., and beyond the last.
inline constexpr std::array<std::chrono::minutes, 9> kAgeLimits = {
    std::chrono::minutes(5),   std::chrono::minutes(10),  std::chrono::minutes(20),
    std::chrono::minutes(40),  std::chrono::minutes(80),  std::chrono::minutes(160),
    std::chrono::minutes(320), std::chrono::minutes(640), std::chrono::minutes(1280)};
using AgeCounts = std::array<std::uint64_t, kAgeLimits.size() + 1>;

// What waits in one domain.
struct DomainBacklog {
  std::string domain;
  std::uint64_t waiting = 0;   // never attempted
  std::uint64_t deferred = 0;  // in the retry index
  std::optional<Wall> oldest;  // acceptance of the oldest mail there
  std::optional<Wall> next_due;
  AgeCounts by_age{};  // both together, since acceptance
};

struct StoreStats {
  std::uint64_t commits = 0;
  std::uint64_t operations = 0;
  double sync_seconds = 0;  // sum over commits
  double stall_seconds = 0;
  std::uint64_t disk_bytes = 0;
  std::uint64_t memory_bytes = 0;
};

class JobStore {
 public:
  virtual ~JobStore() = default;

  // -- Writing: the store thread alone. Nothing is visible or durable before Commit returns without error; after an
  // error the staged writes are still there, and Commit may be called again.

  // Stages a new campaign in state kLoading; host_name is for its Message-IDs. Fails with kExists if the name is taken
  // by a campaign that is not failed.
  [[nodiscard]] virtual Result<CampaignId> BeginCampaign(const CampaignSpec& spec, std::string_view message, Wall now,
                                                         std::string_view host_name = {}) = 0;
  [[nodiscard]] virtual Result<void> Enqueue(const EnqueueBatch& batch, Wall now) = 0;
  // Release, hold, pause, resume, cancel, fail; kInvalid if the step is not allowed from the present state, with a
  // sentence that says the state. expiry is used when the step is a release; note, why it is held or failed, is kept.
  [[nodiscard]] virtual Result<void> SetState(CampaignId campaign, CampaignState state, Wall now,
                                              std::chrono::seconds expiry, std::string_view note = {}) = 0;
  // A guard has paused the campaign at a provider while its rest waits behind the canary: all of it is paused, with the
  // note. False: the rest does not wait (any more), and nothing was staged.
  [[nodiscard]] virtual Result<bool> StopCanary(CampaignId campaign, Wall now, std::string_view note) = 0;
  // Releases the rest of the campaigns whose canary's wait is over, and names them.
  [[nodiscard]] virtual std::vector<CampaignId> ReleaseRests(Wall now) = 0;
  // Brings due moments forward, as many as are a bounded piece of work. One piece between two commits: kBusy if there
  // was one.
  [[nodiscard]] virtual Result<ForwardStep> BringForward(const ForwardRequest& request) = 0;
  virtual void Settle(const Outcome& outcome) = 0;
  // A small durable map for what must survive a restart beside the jobs: pauses, TLS memory, throttle state.
  virtual void PutState(std::string_view key, std::string_view value) = 0;
  virtual void DeleteState(std::string_view key) = 0;
  // The suppression list, beside what outcomes bring. All of a call's entries are staged or, on error, none; removals
  // tell how many were there.
  [[nodiscard]] virtual Result<SuppressionTally> PutSuppressions(std::span<const Suppression> entries) = 0;
  [[nodiscard]] virtual Result<std::size_t> DeleteSuppressions(std::span<const SuppressionRemoval> removals) = 0;
  // Takes expired entries away, with a bounded amount of work per call.
  virtual void PurgeSuppressions(Wall now) = 0;
  [[nodiscard]] virtual Result<void> Commit() = 0;
  // Campaigns that the last Commit brought to their end, done or cancelled; each is told once.
  [[nodiscard]] virtual std::vector<CampaignPtr> TakeFinished() = 0;
  // Forgets ended campaigns older than this, with a bounded amount of work per call.
  virtual void Purge(Wall ended_before) = 0;

  // -- Reading: any thread.
  [[nodiscard]] virtual Result<DomainScan> ScanDomains(const DomainScanRequest& request) = 0;
  [[nodiscard]] virtual Result<TakenJobs> Take(const TakeRequest& request) = 0;
  [[nodiscard]] virtual std::vector<CampaignPtr> Campaigns() const = 0;
  [[nodiscard]] virtual CampaignPtr FindCampaign(std::string_view name) const = 0;
  [[nodiscard]] virtual CampaignPtr FindCampaign(CampaignId id) const = 0;
  // Sums over all campaigns ever, purged ones too: the conservation equations.
  [[nodiscard]] virtual CampaignTotals Totals() const = 0;
  [[nodiscard]] virtual Result<std::vector<std::pair<std::string, std::string>>> ReadState(
      std::string_view prefix) const = 0;
  // Calls visit for every domain with mail, once each.
  [[nodiscard]] virtual Result<void> VisitBacklog(Wall now,
                                                  const std::function<void(const DomainBacklog&)>& visit) const = 0;
  // Calls visit for every job of an address (which upper and lower case does not tell apart, as for intake), or for
  // every job of a campaign that has no final event; false stops it.
  [[nodiscard]] virtual Result<void> VisitAddress(std::string_view domain, std::string_view address,
                                                  const std::function<bool(const Job&)>& visit) const = 0;
  [[nodiscard]] virtual Result<void> VisitRemaining(CampaignId campaign,
                                                    const std::function<bool(const Job&)>& visit) const = 0;
  // The places of those that get no mail now, rising (queue/suppression_table.h has all four).
  [[nodiscard]] virtual Result<std::vector<std::size_t>> FindSuppressed(std::span<const Recipient> recipients,
                                                                        Wall now) const = 0;
  [[nodiscard]] virtual Result<SuppressionMatches> MatchSuppressions(std::string_view address) const = 0;
  [[nodiscard]] virtual Result<SuppressionPage> ListSuppressions(const SuppressionQuery& query, std::string_view cursor,
                                                                 std::size_t most) const = 0;
  [[nodiscard]] virtual Result<PastSuppressionPage> ListPastSuppressions(const SuppressionQuery& query,
                                                                         std::string_view cursor,
                                                                         std::size_t most) const = 0;
  [[nodiscard]] virtual SuppressionStatsPtr suppression_stats() const = 0;
  [[nodiscard]] virtual Result<StoredTemplatePtr> ReadTemplate(CampaignId campaign, std::uint32_t number) const = 0;
  // Counts the runs of this queue, from 1; rises with each open. Part of an event's id.
  [[nodiscard]] virtual std::uint64_t run() const = 0;
  [[nodiscard]] virtual StoreStats stats() const = 0;
};

// Opens or makes the queue (mode 0700). Clear errors for: held by another process, made by a newer version, not a
// queue, other shard count (then the stored one is used), disk full, not writable.
[[nodiscard]] Result<std::unique_ptr<JobStore>> OpenJobStore(const QueueOptions& options, Wall now);

// The shard of a domain: a fixed hash, the same for ever.
[[nodiscard]] std::uint32_t ShardOf(std::string_view domain, std::uint32_t shards);

}  // namespace postrider::queue
