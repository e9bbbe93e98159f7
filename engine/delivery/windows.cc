#include "engine/delivery/windows.h"

#include <algorithm>
#include <utility>

#include "config/rules.h"
#include "engine/delivery/admission.h"
#include "engine/delivery/backlog.h"
#include "engine/delivery/parts.h"
#include "engine/delivery/settlement.h"
#include "engine/delivery/site.h"
#include "engine/delivery/site_table.h"

namespace postrider::delivery {
namespace {

// A domain asks for more below this many jobs, and for this many: a whole block, so its window is at most about 512.
constexpr std::size_t kTakeJobs = 256;
constexpr std::uint32_t kLowWater = 256;
// Requests with the reader at once: enough to keep it busy, few enough that their answers are a small part of a window.
constexpr std::size_t kTakesOut = 64;
// After a failed read, and before looking again for mail that came to a domain which seemed read to its end.
constexpr std::chrono::seconds kReadAgainAfter{1};
constexpr std::chrono::seconds kPollAfter{2};
// While room is short, a domain is parked if nothing of it can go for so long; it comes back in time to end what
// expires.
constexpr std::chrono::seconds kParkIfBlockedFor{10};
constexpr std::chrono::minutes kParkedAtMost{5};
// A sweep looks at so many jobs that cannot be sent before it lets the domain rest again.
constexpr std::uint32_t kSweepJobs = 4096;
// A domain in which nothing was found to do is not looked at again before.
constexpr std::chrono::seconds kEmptyRest{1};

}  // namespace

Windows::~Windows() {
  for (Domain* domain = all_.front(); domain != nullptr; domain = all_.Next(*domain)) {
    for (const std::unique_ptr<Lane>& lane : domain->lanes) {
      LeaveLine(*lane);
      lane->campaign->lanes.Remove(*lane);
    }
  }
  while (Batch* batch = batches_.PopFront()) std::unique_ptr<Batch>(batch).reset();
}

// ---- domains come and go

void Windows::Assign(std::string_view name, std::uint32_t home, std::shared_ptr<const dns::MxAnswer> mx) {
  auto [place, is_new] = domains_.try_emplace(std::string(name));
  if (!is_new) return Reassign(*place->second, std::move(mx));
  place->second = std::make_unique<Domain>();
  Domain& domain = *place->second;
  domain.name = name;
  domain.home = home;
  domain.mx = std::move(mx);
  const RouteOptions* route = FindRoute(*parts_.options, name);
  const bool fixed_hosts = route != nullptr && !route->hosts.empty();
  if (fixed_hosts || (domain.mx != nullptr && domain.mx->status == dns::MxStatus::kFound)) {
    domain.site = &parts_.sites->Get(TargetOf(*parts_.options, name, domain.mx.get()), name);
    domain.site->domains.PushBack(domain);
  } else if (domain.mx == nullptr || domain.mx->status == dns::MxStatus::kFailed) {
    domain.mode = Domain::Mode::kSweep;
  } else {
    domain.mode = Domain::Mode::kBounce;
    domain.problem = domain.mx->problem;
  }
  all_.PushBack(domain);
  Consider(domain);
}

// The MX of a domain that is active here has changed: it is let go, and its home finds its new owner.
void Windows::Reassign(Domain& domain, std::shared_ptr<const dns::MxAnswer> mx) {
  if (domain.site == nullptr || mx == nullptr) return;
  if (TargetOf(*parts_.options, domain.name, mx.get()).SameAs(domain.site->target)) return;
  Leave(domain, {});
  Consider(domain);
}

void Windows::Release(Domain& domain) {
  const std::string name = domain.name;
  const std::uint32_t home = domain.home;
  const std::chrono::nanoseconds rest =
      domain.ended_any ? domain.rest : std::max<std::chrono::nanoseconds>(domain.rest, kEmptyRest);
  Site* site = domain.site;
  for (const std::unique_ptr<Lane>& lane : domain.lanes) {
    LeaveLine(*lane);
    lane->campaign->lanes.Remove(*lane);
  }
  if (site != nullptr) site->domains.Remove(domain);
  all_.Remove(domain);
  domains_.erase(name);
  if (site != nullptr) parts_.sites->MaybeVacant(*site);
  parts_.backlog->Release(home, name, rest);
}

// Every change of a domain's counts ends here. The domain may be gone afterwards.
void Windows::Consider(Domain& domain) {
  if (domain.take_asked) return;
  if (domain.rewinding && !domain.Open()) {
    domain.cursor = {};
    domain.rewinding = false;
    domain.more = true;
  }
  if (domain.leaving) {
    if (!domain.Open()) Release(domain);
    return;
  }
  if (domain.rewinding) return;
  if (WantsMore(domain)) {
    AskTake(domain);
  } else if (!domain.more && !domain.Open()) {
    Release(domain);
  }
}

bool Windows::WantsMore(const Domain& domain) const {
  return domain.more && domain.waiting < kLowWater && !parts_.draining && parts_.now() >= domain.take_after;
}

void Windows::Refill(Domain& domain) {
  if (!domain.take_asked && !domain.rewinding && !domain.leaving && WantsMore(domain)) AskTake(domain);
}

void Windows::AskTake(Domain& domain) {
  domain.take_asked = true;
  asking_.PushBack(domain);
}

// ---- the reader

void Windows::FlushTakes() {
  if (parts_.draining) return;
  while (takes_out_ < kTakesOut) {
    const bool room = jobs_ + (takes_out_ + 1) * kTakeJobs <= parts_.options->engine.window_jobs;
    const bool may_ask = !asking_.empty() && (room || jobs_ + takes_out_ == 0);
    if (polling_.empty() && !may_ask) return;
    ReadRequest* request = parts_.ports.to_reader.Reserve();
    if (request == nullptr) return;
    SendTake(*(polling_.empty() ? asking_ : polling_).PopFront(), *request);
  }
}

void Windows::SendTake(Domain& domain, ReadRequest& request) {
  domain.polled_at = parts_.now();
  request.what = queue::TakeRequest{.domain = domain.name,
                                    .cursor = domain.cursor,
                                    .max_jobs = domain.waiting < kLowWater ? kTakeJobs : 1,
                                    .now = parts_.loop.now().wall};
  parts_.ports.to_reader.Publish();
  ++takes_out_;
}

// The window is full: of what was taken only that is kept which must not wait behind it, and the cursor goes back to
// where it stood for the campaigns whose jobs are given up unseen.
void Windows::KeepUrgent(const queue::DomainCursor& before, queue::TakenJobs& taken) {
  std::vector<queue::CampaignId> given_up;
  for (const queue::CampaignPtr& campaign : taken.campaigns) {
    const CampaignEntry& entry = parts_.campaigns->Enter(campaign);
    const CampaignStanding standing = entry.Standing(parts_.loop.now().wall);
    const bool ending = standing == CampaignStanding::kCancelled || standing == CampaignStanding::kExpired;
    if (!ending && !entry.transactional()) given_up.push_back(campaign->id);
  }
  if (given_up.empty()) return;
  const auto is_given_up = [&given_up](queue::CampaignId id) {
    return std::ranges::find(given_up, id) != given_up.end();
  };
  std::erase_if(taken.jobs, [&](const queue::Job& job) { return is_given_up(job.id.campaign); });
  std::erase_if(taken.cursor.campaigns, [&](const auto& position) { return is_given_up(position.campaign); });
  for (const queue::DomainCursor::Position& position : before.campaigns) {
    if (is_given_up(position.campaign)) taken.cursor.campaigns.push_back(position);
  }
  std::ranges::sort(taken.cursor.campaigns, {}, &queue::DomainCursor::Position::campaign);
  taken.cursor.last_campaign = before.last_campaign;
  taken.more = true;
}

void Windows::OnTaken(ReadAnswer& answer) {
  --takes_out_;
  const auto place = domains_.find(answer.domain);
  if (place == domains_.end()) return;
  Domain& domain = *place->second;
  domain.take_asked = false;
  auto* taken = std::get_if<queue::TakenJobs>(&answer.what);
  if (answer.error || taken == nullptr) {
    domain.take_after = parts_.now() + kReadAgainAfter;
    return Consider(domain);
  }
  if (domain.rewinding || domain.leaving || parts_.draining) {
    taken->jobs.clear();  // given up unseen: the cursor that would pass them is dropped
    return Consider(domain);
  }
  if (domain.waiting >= kLowWater) KeepUrgent(domain.cursor, *taken);
  domain.cursor = std::move(taken->cursor);
  domain.more = taken->more;
  if (!taken->jobs.empty()) {
    auto owned = std::make_unique<Batch>();
    owned->taken = std::move(*taken);
    Batch& batch = *owned.release();
    batches_.PushBack(batch);
    Place(domain, batch);
  }
  if (domain.mode == Domain::Mode::kSweep && domain.swept >= kSweepJobs) domain.leaving = true;
  Consider(domain);
}

void Windows::Place(Domain& domain, Batch& batch) {
  PruneLanes(domain);
  Lane* lane = nullptr;
  std::vector<Lane*> touched;
  batch.open = static_cast<std::uint32_t>(batch.taken.jobs.size());
  for (std::uint32_t i = 0; i < batch.open; ++i) {
    const queue::Job& job = batch.taken.jobs[i];
    const std::string_view source = job.attempt.attempts > 0 ? job.attempt.source : std::string_view();
    if (lane == nullptr || lane->campaign->first->id != job.id.campaign || lane->wanted_source != source) {
      const auto snapshot = std::ranges::find_if(
          batch.taken.campaigns, [&job](const queue::CampaignPtr& one) { return one && one->id == job.id.campaign; });
      CHECK(snapshot != batch.taken.campaigns.end());
      lane = &LaneOf(domain, parts_.campaigns->Enter(*snapshot), source);
      if (std::ranges::find(touched, lane) == touched.end()) touched.push_back(lane);
    }
    WindowJob& placed = pool_.Get();
    placed.lane = lane;
    placed.batch = &batch;
    placed.index = i;
    placed.order = domain.next_order++;
    lane->jobs.PushBack(placed);
    ++domain.waiting;
    ++jobs_;
    if (lane->feed_link.linked && !lane->throttled) lane->feed->AddReady(*lane, 1);
  }
  for (Lane* one : touched) Judge(*one);
  if (domain.site != nullptr) parts_.admission->MarkPending(*domain.site);
}

Lane& Windows::LaneOf(Domain& domain, CampaignEntry& campaign, std::string_view source) {
  for (const std::unique_ptr<Lane>& lane : domain.lanes) {
    if (lane->campaign == &campaign && lane->wanted_source == source) return *lane;
  }
  Lane& lane = *domain.lanes.emplace_back(std::make_unique<Lane>());
  lane.domain = &domain;
  lane.campaign = &campaign;
  lane.wanted_source = source;
  campaign.lanes.PushBack(lane);
  if (domain.site != nullptr) lane.feed = &parts_.sites->FeedOf(*domain.site, campaign.spec().pool, lane.wanted_source);
  if (!campaign.on_unthrottle) campaign.on_unthrottle = [this, &campaign] { Unthrottle(campaign); };
  return lane;
}

void Windows::PruneLanes(Domain& domain) {
  std::erase_if(domain.lanes, [](const std::unique_ptr<Lane>& lane) {
    if (!lane->jobs.empty() || lane->in_flight != 0 || lane->feed_link.linked || lane->ending_link.linked) return false;
    lane->campaign->lanes.Remove(*lane);
    return true;
  });
}

// ---- lanes

// What may become of a lane's jobs now.
void Windows::Judge(Lane& lane) {
  Domain& domain = *lane.domain;
  switch (lane.campaign->Standing(parts_.loop.now().wall)) {
    case CampaignStanding::kCancelled:
      return End(lane, LaneEnd::kCancelled);
    case CampaignStanding::kExpired:
      return End(lane, LaneEnd::kExpired);
    case CampaignStanding::kWait:
      GiveUp(lane);
      if (domain.mode == Domain::Mode::kSend) Rewind(domain);
      return;
    case CampaignStanding::kGo:
      break;
  }
  switch (domain.mode) {
    case Domain::Mode::kSend:
      return JoinLine(lane);
    case Domain::Mode::kSweep:
      domain.swept += static_cast<std::uint32_t>(lane.jobs.size());
      return GiveUp(lane);
    case Domain::Mode::kBounce:
      return End(lane, LaneEnd::kBounced);
  }
}

void Windows::JoinLine(Lane& lane) {
  lane.end = LaneEnd::kNone;
  if (lane.ending_link.linked) ending_.Remove(lane);
  if (lane.feed == nullptr || lane.feed_link.linked || lane.jobs.empty()) return;
  lane.feed->LineOf(lane).PushBack(lane);
  lane.feed->AddReady(lane, static_cast<std::uint32_t>(lane.jobs.size()));
}

void Windows::LeaveLine(Lane& lane) {
  if (!lane.feed_link.linked) return;
  if (std::exchange(lane.throttled, false)) return lane.campaign->throttled.Remove(lane);
  lane.feed->LineOf(lane).Remove(lane);
  lane.feed->RemoveReady(lane, static_cast<std::uint32_t>(lane.jobs.size()));
}

void Windows::Throttle(Lane& lane) {
  LeaveLine(lane);
  CampaignEntry& campaign = *lane.campaign;
  lane.throttled = true;
  campaign.throttled.PushBack(lane);
  const Monotonic due = campaign.rate.Earliest(parts_.now());
  if (!campaign.timer.set() && due != Monotonic::max()) parts_.loop.timers().Set(campaign.timer, due);
}

void Windows::Unthrottle(CampaignEntry& entry) {
  // Only as many lanes as the rate feeds: the rest would come back at once, and the first would always win.
  const Monotonic now = parts_.now();
  const double burst = std::max(1.0, entry.rate.burst());
  for (int i = 0; i < static_cast<int>(burst) && !entry.throttled.empty(); ++i) {
    Lane& lane = *entry.throttled.front();
    LeaveLine(lane);
    JoinLine(lane);
    parts_.admission->MarkPending(*lane.feed->site);
  }
  if (!entry.throttled.empty()) {
    const std::chrono::nanoseconds step(static_cast<std::int64_t>(1e9 / std::max(entry.rate.per_second(), 1e-6)));
    parts_.loop.timers().Set(entry.timer, std::max(entry.rate.Earliest(now), now + step));
  }
}

void Windows::End(Lane& lane, LaneEnd end) {
  LeaveLine(lane);
  lane.end = end;
  if (!lane.jobs.empty() && !lane.ending_link.linked) ending_.PushBack(lane);
}

void Windows::ProcessEnding() {
  while (!ending_.empty() && parts_.admission->UnsyncedAllows()) {
    Lane& lane = *ending_.front();
    WindowJob& job = *lane.jobs.PopFront();
    --lane.domain->waiting;
    if (lane.jobs.empty()) ending_.Remove(lane);
    parts_.settlement->EndWithoutAttempt(job, lane.end);
  }
}

void Windows::GiveUp(Lane& lane) {
  LeaveLine(lane);
  if (lane.ending_link.linked) ending_.Remove(lane);
  while (WindowJob* job = lane.jobs.PopFront()) {
    --lane.domain->waiting;
    Drop(*job);
  }
}

void Windows::GiveUp(Domain& domain) {
  for (const std::unique_ptr<Lane>& lane : domain.lanes) GiveUp(*lane);
}

void Windows::Rewind(Domain& domain) {
  domain.rewinding = true;
  // Should our word about a campaign be older than the reader's, asking again at once would bring the same jobs.
  domain.take_after = parts_.now() + kReadAgainAfter;
  GiveUp(domain);
}

void Windows::Leave(Domain& domain, std::chrono::nanoseconds rest) {
  domain.leaving = true;
  domain.rest = rest;
  GiveUp(domain);
}

// ---- jobs

WindowJob& Windows::TakeFront(Lane& lane) {
  WindowJob& job = *lane.jobs.PopFront();
  lane.feed->RemoveReady(lane, 1);
  job.in_flight = true;
  ++lane.in_flight;
  ++lane.domain->in_flight;
  --lane.domain->waiting;
  return job;
}

void Windows::Returned(WindowJob& job) {
  Lane& lane = *job.lane;
  Domain& domain = *lane.domain;
  job.in_flight = false;
  --lane.in_flight;
  --domain.in_flight;
  ++domain.waiting;
  WindowJob* place = lane.jobs.front();
  while (place != nullptr && place->order < job.order) place = lane.jobs.Next(*place);
  if (place != nullptr) {
    lane.jobs.InsertBefore(*place, job);
  } else {
    lane.jobs.PushBack(job);
  }
  if (domain.rewinding || domain.leaving) {
    GiveUp(lane);
    return Consider(domain);
  }
  if (lane.feed_link.linked) {
    if (!lane.throttled) lane.feed->AddReady(lane, 1);
    return;
  }
  Judge(lane);
  Consider(domain);
}

void Windows::Settled(WindowJob& job) {
  Domain& domain = *job.lane->domain;
  if (job.in_flight) {
    --job.lane->in_flight;
    --domain.in_flight;
  }
  ++domain.unsettled;
  domain.ended_any = true;
  Drop(job);
  Consider(domain);
}

void Windows::Committed(Domain& domain) {
  --domain.unsettled;
  Consider(domain);
}

void Windows::Drop(WindowJob& job) {
  Batch* batch = job.batch;
  pool_.Put(job);
  --jobs_;
  if (--batch->open != 0) return;
  batches_.Remove(*batch);
  std::unique_ptr<Batch>(batch).reset();
}

// ---- changes from outside

void Windows::Tick() {
  const Wall wall = parts_.loop.now().wall;
  for (const auto& [id, entry] : parts_.campaigns->entries()) {
    if (entry->Standing(wall) != CampaignStanding::kExpired) continue;
    for (Lane* lane = entry->lanes.front(); lane != nullptr; lane = entry->lanes.Next(*lane)) {
      if (lane->end != LaneEnd::kExpired) End(*lane, LaneEnd::kExpired);
    }
  }
  const Monotonic now = parts_.now();
  const EngineOptions& limits = parts_.options->engine;
  const std::size_t active = std::max(parts_.backlog->active(), domains_.size());
  const bool crowded = jobs_ > limits.window_jobs / 2 || active > static_cast<std::size_t>(limits.active_domains) / 2;
  Domain* next = nullptr;
  for (Domain* domain = all_.front(); domain != nullptr; domain = next) {
    next = all_.Next(*domain);
    // Other mail may have come to a domain that seemed read to its end, or that goes before what its full window holds.
    const bool moves = domain->site == nullptr || parts_.admission->BlockedUntil(*domain->site) <= now;
    if (domain->Open() && moves && now - domain->polled_at >= kPollAfter) {
      domain->more = true;
      const bool settled = !domain->take_asked && !domain->rewinding && !domain->leaving;
      if (settled && domain->waiting >= kLowWater && parts_.campaigns->knows_transactional()) {
        domain->take_asked = true;
        polling_.PushBack(*domain);
      }
    }
    if (crowded) MaybePark(*domain);
    Consider(*domain);
  }
}

// A domain whose mail cannot go for a while makes room for others while room is short: its jobs are given up, and its
// home leaves it alone meanwhile.
void Windows::MaybePark(Domain& domain) {
  if (domain.mode != Domain::Mode::kSend || domain.take_asked || domain.rewinding || domain.leaving) return;
  if (domain.waiting == 0 || domain.in_flight != 0) return;
  const Monotonic now = parts_.now();
  const Monotonic until = parts_.admission->BlockedUntil(*domain.site);
  if (until < now + kParkIfBlockedFor) return;
  Leave(domain, std::min<std::chrono::nanoseconds>(until - now, kParkedAtMost));
}

void Windows::CampaignChanged(CampaignEntry& entry) {
  for (Lane* lane = entry.lanes.front(); lane != nullptr; lane = entry.lanes.Next(*lane)) {
    LeaveLine(*lane);
    lane->end = LaneEnd::kNone;
    if (lane->ending_link.linked) ending_.Remove(*lane);
    Judge(*lane);
    if (lane->feed != nullptr) parts_.admission->MarkPending(*lane->feed->site);
  }
  const CampaignStanding standing = entry.Standing(parts_.loop.now().wall);
  Domain* next = nullptr;
  for (Domain* domain = all_.front(); domain != nullptr; domain = next) {
    next = all_.Next(*domain);
    if (standing != CampaignStanding::kWait) domain->more = true;
    Consider(*domain);
  }
}

void Windows::Reload() {
  Domain* next = nullptr;
  for (Domain* domain = all_.front(); domain != nullptr; domain = next) {
    next = all_.Next(*domain);
    if (domain->site == nullptr) continue;
    const RouteOptions* route = FindRoute(*parts_.options, domain->name);
    const bool fixed_hosts = route != nullptr && !route->hosts.empty();
    const bool known = fixed_hosts || domain->mx != nullptr;
    if (known && TargetOf(*parts_.options, domain->name, domain->mx.get()).SameAs(domain->site->target)) continue;
    Leave(*domain, {});
    Consider(*domain);
  }
}

void Windows::Drain() {
  while (Domain* domain = asking_.PopFront()) domain->take_asked = false;
  while (Domain* domain = polling_.PopFront()) domain->take_asked = false;
  for (Domain* domain = all_.front(); domain != nullptr; domain = all_.Next(*domain)) Leave(*domain, {});
}

}  // namespace postrider::delivery
