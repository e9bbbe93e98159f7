#pragma once
// The writing half of the queue: stages steps (queue/record.h) and commits them as one synced batch. The store thread
// alone calls it. It knows the live campaigns whole, and through bounded caches the domain records, bitmaps and open
// messages that were touched lately; so settling warm work reads nothing.

#include <chrono>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/time.h"
#include "queue/campaign.h"
#include "queue/campaign_book.h"
#include "queue/generation_cache.h"
#include "queue/job_store.h"
#include "queue/outcome.h"
#include "queue/record.h"
#include "queue/retry_order.h"
#include "queue/suppression_table.h"
#include "queue/tables.h"

namespace postrider::queue {

// What writer and readers share.
struct StoreShared {
  Tables& tables;
  std::uint32_t shards;
  std::uint64_t run;
  CampaignBook book;
  RetryOrder order;
  RetryHeads heads;
  SuppressionBook suppressions;
};

class StoreWriter {
 public:
  explicit StoreWriter(StoreShared& shared);

  // Reads the campaigns and counters, and publishes them. Once, before all else.
  [[nodiscard]] Result<void> Load(Wall now);

  [[nodiscard]] Result<CampaignId> BeginCampaign(const CampaignSpec& spec, std::string_view message, Wall now,
                                                 std::string_view host_name);
  [[nodiscard]] Result<void> Enqueue(const EnqueueBatch& batch, Wall now);
  [[nodiscard]] Result<void> SetState(CampaignId id, CampaignState state, Wall now, std::chrono::seconds expiry,
                                      std::string_view note);
  // Both as JobStore says.
  [[nodiscard]] Result<bool> StopCanary(CampaignId id, Wall now, std::string_view note);
  [[nodiscard]] std::vector<CampaignId> ReleaseRests(Wall now);
  [[nodiscard]] Result<ForwardStep> BringForward(const ForwardRequest& request);
  void Settle(const Outcome& outcome);
  void PutState(std::string_view key, std::string_view value);
  void DeleteState(std::string_view key);
  // What is not about campaigns and their jobs, but part of the same batch.
  [[nodiscard]] SuppressionWriter& suppressions() { return suppressions_; }
  [[nodiscard]] Result<void> Commit();
  [[nodiscard]] std::vector<CampaignPtr> TakeFinished();
  void Purge(Wall ended_before);

 private:
  struct DomainState {
    DomainRecord record;
    bool exists = false;  // in its table, or to be so after the commit
    bool dirty = false;
    // Blocks done before an earlier one: first_sequence jumps over them when its turn comes. Bounded; what is forgotten
    // costs a reader a few tombstones, until FindFront.
    std::vector<std::uint64_t> done_ahead;
    std::uint32_t left_unlooked = 0;  // blocks that left since FindFront
  };
  struct BlockState {
    DoneRecord done;
    std::uint16_t left = 0;  // bits not set
    bool stored = false;     // its bitmap is in the table
    bool dirty = false;
  };
  struct OpenCount {
    std::uint64_t count = 0;
    bool dirty = false;
  };
  struct LiveCampaign {
    CampaignRecord record;
    bool dirty = false;
    // Begun in this run, when domains_ had lost so often: as long as that holds, a domain that is not cached has no
    // record, and a new list need not ask the disk for each of its domains.
    std::optional<std::uint64_t> losses_at_begin = std::nullopt;
  };
  using DomainEntry = GenerationCache<DomainState>::Entry;
  using BlockEntry = GenerationCache<BlockState>::Entry;
  using OpenEntry = GenerationCache<OpenCount>::Entry;

  [[nodiscard]] LiveCampaign* FindLive(CampaignId id);
  void Touch(LiveCampaign& campaign);
  void Touch(DomainEntry& domain);
  [[nodiscard]] Result<DomainEntry*> LoadDomain(const std::string& key, const LiveCampaign& campaign);
  [[nodiscard]] Result<BlockEntry*> LoadBlock(const std::string& key, std::uint64_t block);
  [[nodiscard]] Result<OpenEntry*> LoadOpen(CampaignId id, std::uint32_t number);

  [[nodiscard]] Result<void> CheckBatch(const LiveCampaign& campaign, const EnqueueBatch& batch) const;
  [[nodiscard]] Result<void> StageRows(LiveCampaign& campaign, const EnqueueBatch& batch, std::uint32_t number);
  [[nodiscard]] Result<void> TrySettle(const Outcome& outcome);
  [[nodiscard]] std::unexpected<Error> CannotSettle(const Outcome& outcome, Error error);
  // Takes the job from where it stands; false if it is not there (any more).
  [[nodiscard]] Result<bool> Leave(const Outcome& outcome, DomainEntry& domain);
  void LeaveBlock(DomainState& domain, std::uint64_t block);
  void FindFront(DomainState& domain, const Event& event);
  // What a campaign's expiry means for its retry records.
  struct Clock {
    std::optional<Wall> expires;
    bool ending = false;
  };
  [[nodiscard]] static Clock ClockOf(const Campaign& campaign);
  void PausedNow(Campaign& campaign, Wall now);
  void NoteHead(DomainEntry& domain, Wall due);
  [[nodiscard]] Result<bool> ForwardDomain(const ForwardRequest& request, const TableView& view, std::string_view key,
                                           const DomainKeyParts& parts, ForwardStep& step);
  void PutRetry(const LiveCampaign& campaign, const Outcome& outcome, DomainEntry& domain);
  [[nodiscard]] Result<void> EraseRows(LiveCampaign& campaign);
  [[nodiscard]] Result<void> StageErasure(const Campaign& campaign, const TableView& view);
  [[nodiscard]] Result<void> StageErasureOfDeferred(CampaignId campaign, const TableView& view);
  void FinishIfDone(LiveCampaign& campaign);
  void StageDirty();

  StoreShared& shared_;
  TableBatch batch_;
  SuppressionWriter suppressions_;
  std::map<CampaignId, LiveCampaign> campaigns_;          // live and ended, until purged
  std::map<std::string, CampaignId, std::less<>> names_;  // the newest of each name
  CampaignId last_campaign_ = 0;
  CampaignTotals purged_;
  std::uint64_t retry_stamps_ = 0;
  bool brought_forward_ = false;  // something, since the last commit: what lies on disk is not all that is known
  Wall latest_{};                 // the latest moment anyone told; when a campaign becomes done, that is when

  GenerationCache<DomainState> domains_;
  GenerationCache<BlockState> blocks_;
  GenerationCache<OpenCount> open_;
  std::vector<LiveCampaign*> dirty_campaigns_;
  std::vector<DomainEntry*> dirty_domains_;
  std::vector<BlockEntry*> dirty_blocks_;
  std::vector<OpenEntry*> dirty_open_;
  std::vector<BlockEntry*> erased_blocks_;  // to be forgotten at the commit
  std::vector<CampaignId> unpublished_;     // changed since the last commit that succeeded
  std::vector<CampaignId> removed_;         // purged likewise
  std::vector<Outcome> unsettled_;          // could not be read for; tried again at the commit
  std::vector<CampaignId> finishing_;       // became kDone since the last commit that succeeded
  std::vector<CampaignPtr> finished_;
};

}  // namespace postrider::queue
