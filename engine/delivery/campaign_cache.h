#pragma once
// What a core knows of campaigns: the newest snapshot of each that has jobs in its windows, this core's lease of its
// rate, and its compiled templates (a bounded number, the least recently used goes first). Single-threaded.

#include <cstdint>
#include <list>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <utility>

#include "config/options.h"
#include "config/time.h"
#include "engine/delivery/window.h"
#include "engine/io/loop.h"
#include "engine/message/template.h"
#include "queue/campaign.h"
#include "throttle/shared_limit.h"

namespace postrider::delivery {

struct CompiledTemplate {
  Wall accepted_at{};
  std::string host_name;                             // as queue::StoredTemplate has it
  std::shared_ptr<const message::Template> content;  // null: see problem
  std::string problem;
};

// What a campaign's state says about one of its jobs now.
enum class CampaignStanding : std::uint8_t { kGo, kWait, kCancelled, kExpired };

struct CampaignEntry {
  CampaignEntry(queue::CampaignPtr snapshot, SharedLimits& limits, Monotonic now);

  [[nodiscard]] const queue::CampaignSpec& spec() const { return first->spec; }
  [[nodiscard]] CampaignStanding Standing(Wall now) const;
  // Among the campaigns of its class at a site.
  [[nodiscard]] std::uint64_t weight() const { return first->spec.weight; }
  [[nodiscard]] bool transactional() const { return first->spec.mail_class == MailClass::kTransactional; }

  queue::CampaignPtr first;   // never replaced: its strings may be looked at while messages are in flight
  queue::CampaignPtr latest;  // as last told
  bool told = false;          // latest came by command, which is newer than what a reader saw earlier
  bool end_noticed = false;   // that it was cancelled or has expired
  bool closed = false;        // outside its send windows, as last noticed
  Wall open_since{};          // that it was noticed; when it has windows
  Monotonic touched{};
  std::unique_ptr<Lease> lease;  // of its rate, which all cores share; null: it has none
  IntrusiveList<Lane, &Lane::campaign_link> lanes;
  IntrusiveList<Lane, &Lane::feed_link> throttled;  // until the rate lets one go; then Windows lines them up again
  std::move_only_function<void()> on_unthrottle;
  io::Timer timer;
  std::move_only_function<void()> on_window;
  io::Timer window_timer;  // when its send window closes
};

// When this job's time is over: its campaign's, or for the messages of a standing campaign, which has no end, the age
// that its class allows. Unknown if its message is not in the queue.
[[nodiscard]] std::optional<Wall> EndOf(const WindowJob& job, const Options& options);

class CampaignCache {
 public:
  CampaignCache(io::Loop& loop, SharedLimits& limits) : loop_(loop), limits_(limits) {}

  // The entry of a campaign whose jobs were taken.
  CampaignEntry& Enter(const queue::CampaignPtr& snapshot);
  // By command: its state changed.
  CampaignEntry& Update(const queue::CampaignPtr& snapshot);
  // A transactional campaign was met in this run: its mail may come at any time.
  [[nodiscard]] bool knows_transactional() const { return knows_transactional_; }
  // The job's template, compiled; never null. Costs a look into a map only when the lane's last one does not fit.
  const std::shared_ptr<const CompiledTemplate>& TemplateOf(const WindowJob& job);
  // Forgets campaigns without lanes that nobody asked for in a while.
  void Tick(Monotonic now);
  // Nothing was asked of them for a while.
  void ReturnUnusedLeases();

  [[nodiscard]] std::map<queue::CampaignId, std::unique_ptr<CampaignEntry>>& entries() { return entries_; }

 private:
  using Key = std::pair<queue::CampaignId, std::uint32_t>;
  struct Cached {
    std::shared_ptr<const CompiledTemplate> compiled;
    std::list<Key>::iterator used;
  };
  CampaignEntry& Get(const queue::CampaignPtr& snapshot);
  std::shared_ptr<const CompiledTemplate> FindOrCompile(const WindowJob& job);

  io::Loop& loop_;
  SharedLimits& limits_;
  bool knows_transactional_ = false;
  std::map<queue::CampaignId, std::unique_ptr<CampaignEntry>> entries_;
  std::map<Key, Cached> templates_;
  std::list<Key> recently_used_;  // most recent first
};

}  // namespace postrider::delivery
