#include "engine/store_loop.h"

#include <algorithm>
#include <thread>
#include <utility>

#include "engine/observe/operator_log.h"

namespace postrider::engine {
namespace {

// A batch is cut here, so that one sync never holds back more than this; the cores' boxes hold the rest.
constexpr std::size_t kBatchMax = 8192;
// From here on a batch is worth its sync at once, whatever the interval says.
constexpr std::size_t kBatchWorthy = 1024;
constexpr std::chrono::milliseconds kRetryAfterFailure{500};
constexpr std::chrono::seconds kMaintenanceInterval{1};

// The event that says a campaign changed its state, for the log.
void AppendCampaignEvent(const queue::Campaign& campaign, Wall now, std::string_view what, queue::EventSink& log) {
  queue::Event event;
  event.kind = queue::EventKind::kCampaign;
  event.time = now;
  event.job.campaign = campaign.id;
  event.campaign = campaign.spec.name;
  event.mail_class = campaign.spec.mail_class;
  event.reply = what;
  log.Append(event);
}

}  // namespace

StoreLoop::StoreLoop(queue::JobStore& store, observe::DeliveryLog& log, observe::EventTally& tally, io::Clock& clock,
                     io::Waker& waker, StoreDoor& door, std::vector<CoreEnd> cores, const Options& options,
                     std::function<void(queue::CampaignPtr)> changed)
    : store_(store),
      log_(log),
      tally_(tally),
      clock_(clock),
      waker_(waker),
      door_(door),
      cores_(std::move(cores)),
      commit_interval_(options.queue.commit_interval),
      remember_(options.spool.remember_names),
      changed_(std::move(changed)),
      taken_(cores_.size()),
      unanswered_(cores_.size()) {}

bool StoreLoop::RunOnce(std::chrono::nanoseconds max_wait) {
  Gather(clock_.Read().wall);
  if (staged_ == 0) {
    waker_.Wait(compressing_ ? std::chrono::nanoseconds(0) : max_wait);
    Gather(clock_.Read().wall);
  }
  bool committed = false;
  if (staged_ != 0) {
    if (staged_ < kBatchWorthy && calls_.empty()) {
      // Company shares the sync. A plain sleep, so that those who come meanwhile need no system call to wake anybody.
      std::this_thread::sleep_for(commit_interval_);
      Gather(clock_.Read().wall);
    }
    committed = Commit();
  }
  Answer();
  // A step takes a millisecond or two, so that a closed file is done long before the next one is full.
  compressing_ = log_.Compress();
  Maintain(clock_.Read());
  return committed;
}

void StoreLoop::RunUntil(const std::atomic<bool>& stop, std::chrono::nanoseconds turn) {
  while (!stop.load() || !Idle()) RunOnce(turn);
}

bool StoreLoop::Idle() {
  if (staged_ != 0 || door_.box().Peek() != nullptr) return false;
  return std::ranges::all_of(cores_, [](CoreEnd& core) { return core.requests.Peek() == nullptr; }) &&
         std::ranges::all_of(unanswered_, [](std::uint64_t count) { return count == 0; });
}

void StoreLoop::Gather(Wall now) {
  // While a batch waits to be tried again nothing is added to it: memory stays bounded and order is kept.
  if (staged_ != 0 && !Trouble().empty()) return;
  while (StoreCall** slot = door_.box().Peek()) {
    StoreCall* call = *slot;
    door_.box().Pop();
    StoreTurn turn{store_, log_, changed_ids_, now};
    call->result = call->stage(turn);
    calls_.push_back(call);
    ++staged_;
  }
  // In turns of a few, so that one busy core does not fill the batch alone.
  bool found = true;
  while (found && staged_ < kBatchMax) {
    found = false;
    for (std::size_t core = 0; core < cores_.size(); ++core) {
      for (int i = 0; i < 64; ++i) {
        delivery::StoreRequest* request = cores_[core].requests.Peek();
        if (request == nullptr) break;
        Stage(*request, now);
        cores_[core].requests.Pop();
        ++taken_[core];
        ++staged_;
        found = true;
      }
    }
  }
}

void StoreLoop::Stage(delivery::StoreRequest& request, Wall now) {
  using Kind = delivery::StoreRequest::Kind;
  switch (request.kind) {
    case Kind::kOutcome:
      log_.Append(request.outcome.event);
      tally_.Add(request.outcome.event);
      store_.Settle(request.outcome);
      break;
    case Kind::kEvent:
      log_.Append(request.outcome.event);
      tally_.Add(request.outcome.event);
      break;
    case Kind::kPutState:
      store_.PutState(request.key, request.value);
      break;
    case Kind::kDeleteState:
      store_.DeleteState(request.key);
      break;
    case Kind::kStopCanary:
      StopCanary(request.outcome.event, now);
      break;
  }
}

void StoreLoop::StopCanary(queue::Event& event, Wall now) {
  const Result<bool> stopped = store_.StopCanary(event.job.campaign, now, event.reply);
  // One whose rest is on its way already, or that is gone, has nothing to stop.
  if (!stopped || !*stopped) return;
  event.reply = "paused: " + event.reply;
  log_.Append(event);
  changed_ids_.push_back(event.job.campaign);
}

void StoreLoop::ReleaseRests(Wall now) {
  for (const queue::CampaignId id : store_.ReleaseRests(now)) {
    if (const queue::CampaignPtr campaign = store_.FindCampaign(id)) {
      AppendCampaignEvent(*campaign, now, "its canary is through: the rest is released", log_);
    }
    changed_ids_.push_back(id);
    ++staged_;
  }
}

bool StoreLoop::Commit() {
  const Monotonic begun = clock_.Read().monotonic;
  Result<void> synced = log_.Sync();
  if (synced) synced = store_.Commit();
  if (!synced) {
    SetTrouble(synced.error().message);
    std::this_thread::sleep_for(kRetryAfterFailure);
    return false;
  }
  const double seconds = std::chrono::duration<double>(clock_.Read().monotonic - begun).count();
  {
    const std::lock_guard lock(mutex_);
    trouble_.clear();
    ++counts_.batches;
    counts_.requests += staged_;
    counts_.sync_seconds += seconds;
  }
  staged_ = 0;
  for (std::size_t core = 0; core < cores_.size(); ++core) unanswered_[core] += std::exchange(taken_[core], 0);
  for (StoreCall* call : calls_) StoreCall::Answered(call);
  calls_.clear();

  const Wall now = clock_.Read().wall;
  for (const queue::CampaignPtr& campaign : store_.TakeFinished()) {
    const bool cancelled = campaign->state == queue::CampaignState::kCancelled;
    AppendCampaignEvent(*campaign, now, cancelled ? "cancelled: nothing of it is left in the queue" : "done", log_);
    ++staged_;  // the line wants its sync, though nobody waits for it
    changed_ids_.push_back(campaign->id);
  }
  for (const queue::CampaignId id : changed_ids_) {
    if (queue::CampaignPtr campaign = store_.FindCampaign(id)) changed_(std::move(campaign));
  }
  changed_ids_.clear();
  return true;
}

void StoreLoop::Answer() {
  for (std::size_t core = 0; core < cores_.size(); ++core) {
    if (unanswered_[core] == 0) continue;
    delivery::Committed* slot = cores_[core].committed.Reserve();
    if (slot == nullptr) continue;  // the next turn carries the sum
    slot->requests = std::exchange(unanswered_[core], 0);
    cores_[core].committed.Publish();
  }
}

void StoreLoop::Maintain(Now now) {
  if (now.monotonic < next_maintenance_) return;
  next_maintenance_ = now.monotonic + kMaintenanceInterval;
  log_.Rotate(now.wall);
  if (staged_ == 0) {
    // Whether the log can be written is known before there is anything to write.
    const Result<void> ready = log_.Sync();
    SetTrouble(ready ? std::string() : ready.error().message);
  }
  if (const std::string problem = log_.TakeProblem(); !problem.empty()) observe::LogWarning(problem);
  store_.Purge(now.wall - remember_);
  store_.PurgeSuppressions(now.wall);
  if (Trouble().empty()) ReleaseRests(now.wall);
}

void StoreLoop::SetTrouble(std::string sentence) {
  const std::lock_guard lock(mutex_);
  trouble_ = std::move(sentence);
}

std::string StoreLoop::Trouble() const {
  const std::lock_guard lock(mutex_);
  return trouble_;
}

StoreLoop::Counts StoreLoop::counts() const {
  const std::lock_guard lock(mutex_);
  return counts_;
}

}  // namespace postrider::engine
