#pragma once
// The bounded part of the queue that a core has in hand: batches of jobs as the reader gave them, each job's place in
// line, and the lanes they wait in. A lane is the line of one campaign's jobs to one domain (retries that want a
// certain source again have lanes of their own), kept in list order. Owned by Windows; single-threaded.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "config/time.h"
#include "engine/delivery/intrusive_list.h"
#include "queue/job.h"

namespace postrider::delivery {

struct CampaignEntry;
struct CampaignPart;
struct CompiledTemplate;
struct Domain;
struct Feed;
struct Lane;
struct Line;

// One answer of the reader; lives until the last of its jobs is settled or given up.
struct Batch {
  ListLink<Batch> link;
  queue::TakenJobs taken;
  std::uint32_t open = 0;
};

struct WindowJob {
  ListLink<WindowJob> link;  // in its lane, or in the pool of unused ones
  Lane* lane = nullptr;
  Batch* batch = nullptr;
  std::uint32_t index = 0;    // in batch->taken.jobs
  std::uint32_t returns = 0;  // times it came back without anything having been said about it
  std::uint64_t order = 0;    // its place in the domain's line
  bool in_flight = false;     // with a connection
  Monotonic admitted{};       // when; its permits are of that moment

  [[nodiscard]] const queue::Job& job() const { return batch->taken.jobs[index]; }
};

// Why the jobs of a lane end without an attempt.
enum class LaneEnd : std::uint8_t { kNone, kCancelled, kExpired, kBounced, kSuppressed };

struct Lane {
  ListLink<Lane> feed_link;      // in its line, or among its campaign's throttled or held ones
  ListLink<Lane> campaign_link;  // among its campaign's lanes
  ListLink<Lane> ending_link;    // among those whose jobs end without an attempt
  Domain* domain = nullptr;
  CampaignEntry* campaign = nullptr;
  Feed* feed = nullptr;       // null while the domain has no site
  Line* line = nullptr;       // its campaign's in that feed
  std::string wanted_source;  // by its retries, again; empty: any of the pool
  bool suppressed = false;    // its jobs were on the suppression list when they were taken: none of them goes
  LaneEnd end = LaneEnd::kNone;
  bool throttled = false;        // waits with its campaign, for the campaign's rate ...
  CampaignPart* held = nullptr;  // ... or for what the campaign may do at one provider
  std::uint32_t in_flight = 0;
  std::uint32_t unsettled = 0;  // outcomes not yet durable

  // Something taken for it may yet have to be taken again.
  [[nodiscard]] bool Open() const { return !jobs.empty() || in_flight != 0 || unsettled != 0; }
  // Its jobs may go as soon as its turn comes.
  [[nodiscard]] bool InLine() const { return feed_link.linked && !throttled && held == nullptr; }

  IntrusiveList<WindowJob, &WindowJob::link> jobs;
  std::shared_ptr<const CompiledTemplate> compiled;  // of the last job rendered
  std::uint32_t compiled_number = 0;
};

// WindowJobs, made in slabs and reused.
class JobPool {
 public:
  [[nodiscard]] WindowJob& Get();
  void Put(WindowJob& job);

 private:
  static constexpr std::size_t kSlabJobs = 256;  // as many as a block holds
  std::vector<std::unique_ptr<WindowJob[]>> slabs_;
  IntrusiveList<WindowJob, &WindowJob::link> unused_;
};

}  // namespace postrider::delivery
