#pragma once
// The durable queue as the delivery sees it, in memory: domains to scan, jobs to take, outcomes to settle in committed
// batches. Keeps every event, and knows of every job what became of it, so that a test can say that nothing is lost,
// doubled or charged by mistake.

#include <cstdint>
#include <map>
#include <memory>
#include <optional>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/delivery/core.h"

namespace postrider::delivery {

struct CampaignPlan {
  std::vector<std::string> recipients{};
  queue::CampaignSpec spec{};
  std::optional<std::chrono::seconds> expires_after{};
  std::string host_name{};
  bool loading = false;  // its list is still being read
  std::string message = "From: news@sender.test\r\nSubject: hello\r\n\r\nDear {{to}},\r\nhello.\r\n";
};

class MemoryQueue {
 public:
  explicit MemoryQueue(std::uint32_t shards) : shards_(shards) {}

  std::set<std::string, std::less<>> suppressed;  // addresses; a Take marks their jobs

  queue::CampaignPtr Add(const CampaignPlan& plan, Wall now);
  // A new snapshot; the caller tells the cores.
  queue::CampaignPtr SetState(queue::CampaignId id, queue::CampaignState state, Wall now);

  [[nodiscard]] queue::DomainScan Scan(const queue::DomainScanRequest& request);
  [[nodiscard]] queue::TakenJobs Take(const queue::TakeRequest& request);
  void Apply(const StoreRequest& request);
  // What the store thread does once a second: the rest behind canaries is released.
  void ReleaseRests(Wall now);
  // Campaigns that changed by themselves; the cores are to be told.
  [[nodiscard]] std::vector<queue::CampaignPtr> TakeChanged() { return std::exchange(changed_, {}); }
  [[nodiscard]] queue::CampaignPtr Campaign(queue::CampaignId id) const { return campaigns_.at(id); }

  // What became of one job.
  struct Record {
    queue::JobId id;
    std::string address;
    std::string domain;
    std::string fields;
    bool done = false;
    queue::EventKind ended_as = queue::EventKind::kDelivered;
    std::uint16_t attempts = 0;  // as charged
    std::optional<Wall> retry_due;
    // Kept between attempts.
    Wall first_attempt{};
    std::string source;
    queue::Event last;
    std::uint8_t unknown_count = 0;
    std::uint8_t bad_mailbox_count = 0;
    Wall last_bad_mailbox{};
  };
  [[nodiscard]] const Record& Find(const std::string& address) const;
  [[nodiscard]] std::uint64_t Count(queue::EventKind kind) const;  // jobs that ended so
  [[nodiscard]] std::uint64_t queued() const { return queued_; }
  [[nodiscard]] std::uint64_t accepted() const { return accepted_; }
  [[nodiscard]] const std::vector<queue::Event>& events() const { return events_; }
  [[nodiscard]] std::vector<queue::Event> PathEvents() const;
  // Addresses that outcomes put onto the suppression list.
  [[nodiscard]] const std::vector<std::string>& suppressions() const { return suppressions_; }
  [[nodiscard]] const std::map<std::string, std::string>& state() const { return state_; }
  // Empty, or what is wrong: a job with two final events, an outcome for a job that was not there.
  [[nodiscard]] const std::string& complaint() const { return complaint_; }

 private:
  static constexpr std::size_t kBlock = 256;
  struct Block {
    std::uint64_t number = 0;
    std::vector<Record*> rows;
  };
  struct DomainRows {
    std::map<queue::CampaignId, std::vector<Block>> blocks;
    std::map<std::pair<Wall, queue::JobId>, Record*> retries;
  };
  [[nodiscard]] bool IsAskedFor(const queue::TakeRequest& request, queue::CampaignId id) const;
  [[nodiscard]] bool Waits(const DomainRows& rows, Wall now) const;
  [[nodiscard]] bool MayGo(queue::CampaignId id, Wall now) const;
  // The first block of a campaign that may be taken now; null: none.
  [[nodiscard]] const Block* FirstBlock(queue::CampaignId id, const std::vector<Block>& blocks, std::uint64_t from,
                                        Wall now) const;
  void Change(queue::CampaignId id, queue::Campaign campaign);
  [[nodiscard]] bool Ending(queue::CampaignId id, Wall now) const;
  void Settle(const queue::Outcome& outcome);

  const std::uint32_t shards_;
  std::map<queue::CampaignId, queue::CampaignPtr> campaigns_;
  std::map<queue::CampaignId, queue::StoredTemplatePtr> templates_;
  std::map<queue::JobId, std::unique_ptr<Record>> records_;
  std::map<std::string, DomainRows> domains_;
  std::vector<queue::CampaignPtr> changed_;
  std::vector<std::string> suppressions_;
  std::map<std::string, std::string> state_;
  std::vector<queue::Event> events_;
  std::uint64_t accepted_ = 0;
  std::uint64_t queued_ = 0;
  std::map<queue::EventKind, std::uint64_t> ended_;
  queue::CampaignId last_campaign_ = 0;
  std::uint64_t last_block_ = 0;
  std::string complaint_;
};

}  // namespace postrider::delivery
