// The part of Windows that moves jobs and lanes: into the lines of feeds and out of them, to connections and back, to
// their end.

#include <algorithm>
#include <memory>
#include <utility>

#include "engine/delivery/admission.h"
#include "engine/delivery/campaign_cache.h"
#include "engine/delivery/destination.h"
#include "engine/delivery/parts.h"
#include "engine/delivery/settlement.h"
#include "engine/delivery/site.h"
#include "engine/delivery/windows.h"

namespace postrider::delivery {
namespace {

// Before jobs are asked for again that were just given up because of a word that may be older than the reader's.
constexpr std::chrono::seconds kAskAgainAfter{1};

}  // namespace

// ---- lanes

// What may become of a lane's jobs now. word_may_be_old: they have just been read, and the reader may know of a change
// of their campaign that we have not heard of.
void Windows::Judge(Lane& lane, bool word_may_be_old) {
  Domain& domain = *lane.domain;
  switch (lane.campaign->Standing(parts_.loop.now().wall)) {
    case CampaignStanding::kCancelled:
      return End(lane, LaneEnd::kCancelled);
    case CampaignStanding::kExpired:
      return End(lane, LaneEnd::kExpired);
    case CampaignStanding::kWait:
      if (lane.jobs.empty()) return LeaveLine(lane);
      if (domain.mode != Domain::Mode::kSend) return GiveUp(lane);
      return Rewind(domain, *lane.campaign, word_may_be_old);
    case CampaignStanding::kGo:
      break;
  }
  if (lane.suppressed) return End(lane, LaneEnd::kSuppressed);
  EndOldMessages(lane);
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
  lane.feed->PushBack(lane);
  lane.feed->AddReady(lane, static_cast<std::uint32_t>(lane.jobs.size()));
}

void Windows::LeaveLine(Lane& lane) {
  if (!lane.feed_link.linked) return;
  if (std::exchange(lane.throttled, false)) {
    --lane.feed->lanes_throttled;
    return lane.campaign->throttled.Remove(lane);
  }
  if (CampaignPart* part = std::exchange(lane.held, nullptr)) {
    --lane.feed->lanes_held;
    return part->held.Remove(lane);
  }
  lane.feed->Remove(lane);
  lane.feed->RemoveReady(lane, static_cast<std::uint32_t>(lane.jobs.size()));
}

void Windows::Throttle(Lane& lane, Monotonic until) {
  LeaveLine(lane);
  CampaignEntry& campaign = *lane.campaign;
  lane.throttled = true;
  ++lane.feed->lanes_throttled;
  campaign.throttled.PushBack(lane);
  if (!campaign.timer.set() && until != Monotonic::max()) parts_.loop.timers().Set(campaign.timer, until);
  Refill(*lane.domain);
}

void Windows::Hold(Lane& lane, CampaignPart& part, Monotonic until) {
  LeaveLine(lane);
  lane.held = &part;
  ++lane.feed->lanes_held;
  part.held.PushBack(lane);
  if (!part.timer.set() && until != Monotonic::max()) parts_.loop.timers().Set(part.timer, until);
  Refill(*lane.domain);
}

void Windows::Unhold(CampaignPart& part) {
  if (part.Paused()) return;
  // Only as many as the rate feeds, as above; without a rate, all.
  const std::size_t most =
      part.limit.limited() ? static_cast<std::size_t>(part.limit.bucket().burst()) : part.held.size();
  for (std::size_t i = 0; i < std::max<std::size_t>(1, most) && !part.held.empty(); ++i) {
    Lane& lane = *part.held.front();
    LeaveLine(lane);
    JoinLine(lane);
    parts_.admission->MarkPending(*lane.feed->site);
  }
  if (part.held.empty()) return;
  const postrider::Admission asked = part.limit.AskMessage(parts_.now());
  parts_.loop.timers().Set(part.timer, std::max(asked.not_before, parts_.now() + std::chrono::milliseconds(1)));
}

void Windows::Unthrottle(CampaignEntry& entry) {
  // Only as many lanes as the rate feeds: the rest would come back at once, and the first would always win.
  const Monotonic now = parts_.now();
  const RateLimit rate = entry.lease->limit().rate().value_or(RateLimit{1, 1});
  for (int i = 0; i < static_cast<int>(rate.BurstOrDefault()) && !entry.throttled.empty(); ++i) {
    Lane& lane = *entry.throttled.front();
    LeaveLine(lane);
    JoinLine(lane);
    parts_.admission->MarkPending(*lane.feed->site);
  }
  if (!entry.throttled.empty()) {
    const std::chrono::nanoseconds step(static_cast<std::int64_t>(1e9 / std::max(rate.per_second, 1e-6)));
    parts_.loop.timers().Set(entry.timer, std::max(entry.lease->Ask(now).not_before, now + step));
  }
}

void Windows::End(Lane& lane, LaneEnd end) {
  LeaveLine(lane);
  lane.end = end;
  if (!lane.jobs.empty() && !lane.ending_link.linked) ending_.PushBack(lane);
}

// The messages of a standing campaign end one by one, each at its own age; the oldest stands in front.
void Windows::EndOldMessages(Lane& lane) {
  if (!lane.campaign->spec().standing || lane.end != LaneEnd::kNone) return;
  const Wall now = parts_.loop.now().wall;
  while (!lane.jobs.empty() && parts_.admission->UnsyncedAllows()) {
    const std::optional<Wall> end = EndOf(*lane.jobs.front(), *parts_.options);
    if (!end || now < *end) return;
    WindowJob& job = *lane.jobs.PopFront();
    if (lane.InLine()) lane.feed->RemoveReady(lane, 1);
    --lane.domain->waiting;
    parts_.settlement->EndWithoutAttempt(job, LaneEnd::kExpired);
  }
  if (lane.jobs.empty()) LeaveLine(lane);
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

// The campaign is to be read again from its front; the others go on.
void Windows::Rewind(Domain& domain, const CampaignEntry& campaign, bool wait) {
  for (const std::unique_ptr<Lane>& lane : domain.lanes) {
    if (lane->campaign == &campaign) GiveUp(*lane);
  }
  const queue::CampaignId id = campaign.first->id;
  std::erase_if(domain.rewinds, [id](const Domain::Rewind& rewind) { return rewind.campaign == id; });
  // Asking again at once would bring the same jobs.
  domain.rewinds.push_back({id, wait ? parts_.now() + kAskAgainAfter : Monotonic::min()});
}

bool Windows::IsRewinding(const Domain& domain, queue::CampaignId campaign) {
  return std::ranges::find(domain.rewinds, campaign, &Domain::Rewind::campaign) != domain.rewinds.end();
}

void Windows::FinishRewinds(Domain& domain) {
  std::erase_if(domain.rewinds, [&](const Domain::Rewind& rewind) {
    const auto is_open = [&](const std::unique_ptr<Lane>& lane) {
      return lane->campaign->first->id == rewind.campaign && lane->Open();
    };
    if (parts_.now() < rewind.not_before || std::ranges::any_of(domain.lanes, is_open)) return false;
    std::erase_if(domain.cursor.campaigns, [&](const auto& position) { return position.campaign == rewind.campaign; });
    domain.more = true;
    return true;
  });
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
  if (domain.leaving || IsRewinding(domain, lane.campaign->first->id)) {
    GiveUp(lane);
    return Consider(domain);
  }
  if (lane.feed_link.linked) {
    if (lane.InLine()) lane.feed->AddReady(lane, 1);
    return;
  }
  Judge(lane, false);
  Consider(domain);
}

void Windows::Settled(WindowJob& job) {
  Domain& domain = *job.lane->domain;
  if (job.in_flight) {
    --job.lane->in_flight;
    --domain.in_flight;
  }
  ++job.lane->unsettled;
  ++domain.unsettled;
  domain.ended_any = true;
  Drop(job);
  Consider(domain);
}

void Windows::Committed(Lane& lane) {
  --lane.unsettled;
  --lane.domain->unsettled;
  Consider(*lane.domain);
}

void Windows::Drop(WindowJob& job) {
  Batch* batch = job.batch;
  pool_.Put(job);
  --jobs_;
  if (--batch->open != 0) return;
  batches_.Remove(*batch);
  std::unique_ptr<Batch>(batch).reset();
}

}  // namespace postrider::delivery
