#include "engine/delivery/windows.h"

#include <algorithm>
#include <utility>

#include "config/rules.h"
#include "engine/delivery/admission.h"
#include "engine/delivery/backlog.h"
#include "engine/delivery/destination.h"
#include "engine/delivery/parts.h"
#include "engine/delivery/settlement.h"
#include "engine/delivery/site.h"
#include "engine/delivery/site_table.h"
#include "queue/lifecycle.h"

namespace postrider::delivery {
namespace {

// A Take asks for this many: a whole block.
constexpr std::size_t kTakeJobs = 256;
// A domain asks for more below so many jobs: enough to fill the flights of all connections it may have while the reader
// works, but of mail whose rate is limited only what goes in the next seconds, so that little stands before what is
// urgent.
constexpr std::uint32_t kLowWaterPerConnection = 32;
constexpr std::uint32_t kLowWaterLeast = 16;
constexpr std::uint32_t kLowWaterUsual = 256;
constexpr std::uint32_t kLowWaterMost = 4096;
constexpr double kLowWaterSeconds = 10;
// Requests with the reader at once: enough to keep it busy, few enough that their answers are a small part of a window.
constexpr std::size_t kTakesOut = 64;
// After a failed read, and before looking again for mail that came to a domain which seemed read to its end.
constexpr std::chrono::seconds kReadAgainAfter{1};
constexpr std::chrono::seconds kPollAfter{2};
// With thousands of domains these looks would cost more than the mail; while none of it is urgent they are fewer.
constexpr std::size_t kPollsPerSecond = 500;
// While room is short, a domain is parked if nothing of it can go for so long; it comes back in time to end what
// expires.
constexpr std::chrono::seconds kParkIfBlockedFor{10};
constexpr std::chrono::minutes kParkedAtMost{5};
// A sweep looks at so many jobs that cannot be sent before it lets the domain rest again.
constexpr std::uint32_t kSweepJobs = 4096;
// A domain in which nothing was found to do is not looked at again before.
constexpr std::chrono::seconds kEmptyRest{1};
// More than there is between two ticks.
constexpr std::chrono::seconds kWatchWindowFrom{2};

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

void Windows::Assign(std::string_view name, std::uint32_t home, std::shared_ptr<const dns::MxAnswer> mx,
                     std::uint32_t resolved_again) {
  auto [place, is_new] = domains_.try_emplace(std::string(name));
  CHECK(is_new);  // its home assigns a domain anew only once it was released
  place->second = std::make_unique<Domain>();
  Domain& domain = *place->second;
  domain.name = name;
  domain.home = home;
  domain.resolved_again = resolved_again;
  domain.mx = std::move(mx);
  const RouteOptions* route = FindRoute(*parts_.options, name);
  const bool fixed_hosts = route != nullptr && !route->hosts.empty();
  if (fixed_hosts || (domain.mx != nullptr && domain.mx->status == dns::MxStatus::kFound)) {
    domain.site = &parts_.sites->Get(TargetOf(*parts_.options, name, domain.mx.get()), name);
    domain.site->domains.PushBack(domain);
  } else if (domain.mx == nullptr || domain.mx->status == dns::MxStatus::kFailed) {
    domain.mode = Domain::Mode::kSweep;
    if (domain.mx != nullptr) domain.problem = domain.mx->problem;
  } else {
    domain.mode = Domain::Mode::kBounce;
    domain.problem = domain.mx->problem;
  }
  all_.PushBack(domain);
  Consider(domain);
}

// Once it is let go, its home finds its new owner.
void Windows::MxChanged(std::string_view name, const dns::MxAnswer& mx) {
  const auto place = domains_.find(std::string(name));
  if (place == domains_.end() || place->second->site == nullptr) return;
  Domain& domain = *place->second;
  if (TargetOf(*parts_.options, domain.name, &mx).SameAs(domain.site->target)) return;
  Leave(domain, {});
  Consider(domain);
}

void Windows::Release(Domain& domain) {
  const std::string name = domain.name;
  const std::uint32_t home = domain.home;
  const std::chrono::nanoseconds rest =
      domain.ended_any ? domain.rest : std::max<std::chrono::nanoseconds>(domain.rest, kEmptyRest);
  const bool forget_mx = domain.forget_mx;
  Site* site = domain.site;
  for (const std::unique_ptr<Lane>& lane : domain.lanes) {
    LeaveLine(*lane);
    lane->campaign->lanes.Remove(*lane);
    if (lane->feed != nullptr) lane->feed->Leave(*lane);
  }
  if (site != nullptr) site->domains.Remove(domain);
  all_.Remove(domain);
  domains_.erase(name);
  if (site != nullptr) parts_.sites->MaybeVacant(*site);
  parts_.backlog->Release(home, name, rest, forget_mx);
}

// Every change of a domain's counts ends here. The domain may be gone afterwards.
void Windows::Consider(Domain& domain) {
  if (domain.take_asked) return;
  if (domain.leaving) {
    if (!domain.Open()) Release(domain);
    return;
  }
  FinishRewinds(domain);
  if (WantsMore(domain)) {
    AskTake(domain);
  } else if (!domain.more && domain.rewinds.empty() && !domain.Open()) {
    Release(domain);
  }
}

std::uint32_t Windows::LowWater(const Domain& domain) const {
  if (domain.site == nullptr) return kLowWaterUsual;
  const EffectiveRule& rule = domain.site->rule;
  const auto paths = static_cast<std::uint32_t>(std::max<std::size_t>(1, domain.site->paths.size()));
  const std::uint32_t flights = static_cast<std::uint32_t>(rule.connections) * paths * kLowWaterPerConnection;
  const std::uint32_t usual = std::clamp(flights, kLowWaterUsual, kLowWaterMost);
  if (!rule.message_rate) return usual;
  const double soon = rule.message_rate->per_second * paths * kLowWaterSeconds;
  return static_cast<std::uint32_t>(std::clamp<double>(soon, kLowWaterLeast, usual));
}

bool Windows::WantsMore(const Domain& domain) const {
  if (parts_.draining || parts_.now() < domain.take_after || IsFull(domain)) return false;
  const auto has_enough = [&](queue::CampaignId campaign) { return HasEnough(domain, campaign); };
  return domain.more || !std::ranges::all_of(domain.skipped, has_enough);
}

// What stands in its lanes does not count: other mail of the domain may go meanwhile.
bool Windows::IsFull(const Domain& domain) const {
  const std::uint32_t low_water = LowWater(domain);
  if (domain.waiting < low_water) return false;
  std::size_t moving = 0;
  for (const std::unique_ptr<Lane>& lane : domain.lanes) {
    if (!lane->jobs.empty() && !Stands(*lane)) moving += lane->jobs.size();
  }
  return moving >= low_water;
}

// So many of its jobs stand here that no more are wanted. Those that end do not stand.
bool Windows::HasEnough(const Domain& domain, queue::CampaignId campaign) const {
  std::size_t standing = 0;
  for (const std::unique_ptr<Lane>& lane : domain.lanes) {
    if (lane->campaign->first->id == campaign && !lane->jobs.empty() && Stands(*lane)) standing += lane->jobs.size();
  }
  return standing >= LowWater(domain);
}

// Its jobs wait for something else than their turn.
bool Windows::Stands(const Lane& lane) const {
  if (lane.throttled || lane.held != nullptr) return true;
  return lane.feed_link.linked && parts_.admission->BlockedUntil(*lane.feed) > parts_.now();
}

// When its jobs may go, as far as that can be told: max() if somebody must do something first.
Monotonic Windows::BlockedUntil(const Lane& lane) const {
  // Lanes that wait for a rate take turns.
  const auto last_turn = [now = parts_.now()](std::size_t lanes, double per_second) {
    const auto seconds = std::chrono::duration<double>(static_cast<double>(lanes) / std::max(per_second, 1e-6));
    return now + std::chrono::ceil<std::chrono::nanoseconds>(std::min<decltype(seconds)>(seconds, kParkedAtMost));
  };
  if (lane.throttled) {
    const RateLimit rate = lane.campaign->lease->limit().rate().value_or(RateLimit{1, 1});
    return last_turn(lane.campaign->throttled.size(), rate.per_second);
  }
  if (lane.held != nullptr) {
    if (lane.held->Paused()) return Monotonic::max();
    return last_turn(lane.held->held.size(), lane.held->limit.bucket().per_second());
  }
  return lane.feed_link.linked ? parts_.admission->BlockedUntil(*lane.feed) : Monotonic::min();
}

void Windows::Refill(Domain& domain) {
  if (!domain.take_asked && !domain.leaving && WantsMore(domain)) AskTake(domain);
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
    // What may not wait may take as much again.
    const bool may_poll = !polling_.empty() && jobs_ < 2 * parts_.options->engine.window_jobs;
    if (!may_poll && !may_ask) return;
    ReadRequest* request = parts_.ports.to_reader.Reserve();
    if (request == nullptr) return;
    SendTake(*(may_poll ? polling_ : asking_).PopFront(), *request);
  }
}

void Windows::SendTake(Domain& domain, ReadRequest& request) {
  domain.polled_at = parts_.now();
  domain.polled_urgent = IsFull(domain);
  domain.polled_ended = std::exchange(domain.seek_ended, false);
  domain.skipped.clear();
  for (const std::unique_ptr<Lane>& lane : domain.lanes) {
    const queue::CampaignId id = lane->campaign->first->id;
    if (std::ranges::find(domain.skipped, id) != domain.skipped.end()) continue;
    if (HasEnough(domain, id)) domain.skipped.push_back(id);
  }
  queue::TakeRequest take{.domain = domain.name,
                          .cursor = domain.cursor,
                          .max_jobs = kTakeJobs,
                          .urgent_only = domain.polled_urgent,
                          .skip = domain.skipped,
                          .now = parts_.loop.now().wall};
  for (const Domain::Rewind& rewind : domain.rewinds) take.skip.push_back(rewind.campaign);
  request.what = std::move(take);
  parts_.ports.to_reader.Publish();
  ++takes_out_;
}

void Windows::OnTaken(ReadAnswer& answer) {
  --takes_out_;
  const auto place = domains_.find(answer.domain);
  if (place == domains_.end()) return;
  Domain& domain = *place->second;
  domain.take_asked = false;
  auto* taken = std::get_if<queue::TakenJobs>(&answer.what);
  domain.seek_ended |= domain.polled_ended && (taken == nullptr || taken->more);
  if (answer.error || taken == nullptr) {
    domain.take_after = parts_.now() + kReadAgainAfter;
    return Consider(domain);
  }
  if (domain.leaving || parts_.draining) {
    taken->jobs.clear();  // given up unseen: the cursor that would pass them is dropped
    return Consider(domain);
  }
  std::erase_if(taken->jobs, [&](const queue::Job& job) { return IsRewinding(domain, job.id.campaign); });
  domain.cursor = std::move(taken->cursor);
  domain.more = taken->more || domain.polled_urgent;
  if (!taken->jobs.empty()) {
    auto owned = std::make_unique<Batch>();
    owned->taken = std::move(*taken);
    Batch& batch = *owned.release();
    batches_.PushBack(batch);
    Place(domain, batch);
  }
  if (domain.mode == Domain::Mode::kSweep && domain.swept >= kSweepJobs) domain.leaving = true;
  if (domain.seek_ended && IsFull(domain)) return Poll(domain);
  Consider(domain);
}

void Windows::Place(Domain& domain, Batch& batch) {
  PruneLanes(domain);
  Lane* lane = nullptr;
  std::vector<Lane*> touched;
  batch.open = static_cast<std::uint32_t>(batch.taken.jobs.size());
  for (std::uint32_t i = 0; i < batch.open; ++i) {
    const queue::Job& job = batch.taken.jobs[i];
    const bool wants_source = job.attempt.attempts > 0 && !job.suppressed;
    const std::string_view source = wants_source ? job.attempt.source : std::string_view();
    if (lane == nullptr || lane->campaign->first->id != job.id.campaign || lane->wanted_source != source ||
        lane->suppressed != job.suppressed) {
      const auto snapshot = std::ranges::find_if(
          batch.taken.campaigns, [&job](const queue::CampaignPtr& one) { return one && one->id == job.id.campaign; });
      CHECK(snapshot != batch.taken.campaigns.end());
      lane = &LaneOf(domain, parts_.campaigns->Enter(*snapshot), source, job.suppressed);
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
    if (lane->InLine()) lane->feed->AddReady(*lane, 1);
  }
  for (Lane* one : touched) Judge(*one, true);
  if (domain.site != nullptr) parts_.admission->MarkPending(*domain.site);
}

Lane& Windows::LaneOf(Domain& domain, CampaignEntry& campaign, std::string_view source, bool suppressed) {
  for (const std::unique_ptr<Lane>& lane : domain.lanes) {
    if (lane->campaign == &campaign && lane->wanted_source == source && lane->suppressed == suppressed) return *lane;
  }
  Lane& lane = *domain.lanes.emplace_back(std::make_unique<Lane>());
  lane.domain = &domain;
  lane.campaign = &campaign;
  lane.wanted_source = source;
  lane.suppressed = suppressed;
  campaign.lanes.PushBack(lane);
  if (domain.site != nullptr && !suppressed) {
    parts_.sites->FeedOf(*domain.site, campaign.spec().pool, lane.wanted_source).Enter(lane);
  }
  if (!campaign.on_unthrottle) campaign.on_unthrottle = [this, &campaign] { Unthrottle(campaign); };
  return lane;
}

void Windows::PruneLanes(Domain& domain) {
  std::erase_if(domain.lanes, [](const std::unique_ptr<Lane>& lane) {
    if (lane->Open() || lane->feed_link.linked || lane->ending_link.linked) return false;
    lane->campaign->lanes.Remove(*lane);
    if (lane->feed != nullptr) lane->feed->Leave(*lane);
    return true;
  });
}

void Windows::SendElsewhere(Domain& domain, std::chrono::nanoseconds after) {
  domain.forget_mx = true;
  if (!domain.leaving) Leave(domain, after);
}

void Windows::BounceRest(Domain& domain, Stage stage, Category category, const Reply& reply) {
  if (domain.mode != Domain::Mode::kSend) return;
  domain.mode = Domain::Mode::kBounce;
  domain.problem = reply.text;
  domain.problem_stage = stage;
  domain.problem_category = category;
  domain.problem_reply = reply;
  for (const std::unique_ptr<Lane>& lane : domain.lanes) Judge(*lane, false);
}

// ---- changes from outside

void Windows::Tick() {
  for (const auto& [id, entry] : parts_.campaigns->entries()) {
    NoticeEnd(*entry);
    NoticeWindow(*entry);
    if (!entry->spec().standing) continue;
    for (Lane* lane = entry->lanes.front(); lane != nullptr; lane = entry->lanes.Next(*lane)) EndOldMessages(*lane);
  }
  const Monotonic now = parts_.now();
  const EngineOptions& limits = parts_.options->engine;
  const std::size_t active = std::max(parts_.backlog->active(), domains_.size());
  const std::chrono::seconds poll_after =
      parts_.campaigns->knows_transactional()
          ? kPollAfter
          : std::max(kPollAfter, std::chrono::seconds(all_.size() / kPollsPerSecond));
  const bool crowded = jobs_ > limits.window_jobs / 2 || active > static_cast<std::size_t>(limits.active_domains) / 2;
  Domain* next = nullptr;
  for (Domain* domain = all_.front(); domain != nullptr; domain = next) {
    next = all_.Next(*domain);
    // Other mail may have come to a domain that seemed read to its end, or that goes before what its full window holds;
    // it need not wait for what that waits for. A look for what has ended may have failed.
    const bool full = IsFull(*domain);
    if (domain->Open() && now - domain->polled_at >= poll_after) {
      domain->more = true;
      if (full && parts_.campaigns->knows_transactional()) Poll(*domain);
    }
    if (full && domain->seek_ended) Poll(*domain);
    if (crowded) MaybePark(*domain);
    Consider(*domain);
  }
}

// A domain whose mail cannot go for a while makes room for others while room is short: its jobs are given up, and its
// home leaves it alone meanwhile.
void Windows::MaybePark(Domain& domain) {
  if (domain.mode != Domain::Mode::kSend || domain.take_asked || domain.leaving) return;
  if (domain.waiting == 0 || domain.in_flight != 0) return;
  const Monotonic now = parts_.now();
  Monotonic until = Monotonic::max();
  for (const std::unique_ptr<Lane>& lane : domain.lanes) {
    if (!lane->jobs.empty()) until = std::min(until, BlockedUntil(*lane));
  }
  if (until < now + kParkIfBlockedFor) return;
  Leave(domain, std::min<std::chrono::nanoseconds>(until - now, kParkedAtMost));
}

void Windows::CampaignChanged(CampaignEntry& entry) {
  for (Lane* lane = entry.lanes.front(); lane != nullptr; lane = entry.lanes.Next(*lane)) {
    LeaveLine(*lane);
    lane->end = LaneEnd::kNone;
    if (lane->ending_link.linked) ending_.Remove(*lane);
    Judge(*lane, false);
    if (lane->feed != nullptr) parts_.admission->MarkPending(*lane->feed->site);
  }
  entry.end_noticed = false;
  NoticeEnd(entry);
  const bool may_go = entry.Standing(parts_.loop.now().wall) == CampaignStanding::kGo;
  Domain* next = nullptr;
  for (Domain* domain = all_.front(); domain != nullptr; domain = next) {
    next = all_.Next(*domain);
    domain->more |= may_go;  // it may have mail for any of them
    Consider(*domain);
  }
}

// Its jobs end wherever they stand, also behind full windows and on paths where nothing moves.
void Windows::NoticeEnd(CampaignEntry& entry) {
  const CampaignStanding standing = entry.Standing(parts_.loop.now().wall);
  if (standing != CampaignStanding::kCancelled && standing != CampaignStanding::kExpired) return;
  if (std::exchange(entry.end_noticed, true)) return;
  for (Lane* lane = entry.lanes.front(); lane != nullptr; lane = entry.lanes.Next(*lane)) {
    End(*lane, standing == CampaignStanding::kCancelled ? LaneEnd::kCancelled : LaneEnd::kExpired);
  }
  for (Domain* domain = all_.front(); domain != nullptr; domain = all_.Next(*domain)) {
    domain->more = true;
    domain->seek_ended = true;
    if (IsFull(*domain)) Poll(*domain);
  }
}

// Outside its send windows a campaign rests as a paused one does: its jobs go back to the queue, what is under way is
// finished. The queue tells when there is something to take again.
void Windows::NoticeWindow(CampaignEntry& entry) {
  if (entry.spec().windows.empty()) return;
  const Now now = parts_.loop.now();
  const WindowState state = queue::WindowsAt(*entry.latest, now.wall);
  if (std::exchange(entry.closed, !state.open) == state.open) {
    if (state.open) entry.open_since = now.wall;
    CampaignChanged(entry);
  }
  // Ticks are too coarse for the moment it closes.
  if (!state.open || state.until - now.wall > kWatchWindowFrom || entry.window_timer.set()) return;
  if (!entry.on_window) entry.on_window = [this, &entry] { NoticeWindow(entry); };
  parts_.loop.timers().Set(entry.window_timer, now.monotonic + (state.until - now.wall));
}

// Asks for what must not wait behind a full window.
void Windows::Poll(Domain& domain) {
  if (domain.take_asked || domain.leaving || parts_.draining) return;
  domain.take_asked = true;
  polling_.PushBack(domain);
}

void Windows::Reload() {
  Domain* next = nullptr;
  for (Domain* domain = all_.front(); domain != nullptr; domain = next) {
    next = all_.Next(*domain);
    if (domain->site == nullptr) continue;
    const RouteOptions* route = FindRoute(*parts_.options, domain->name);
    const bool fixed_hosts = route != nullptr && !route->hosts.empty();
    const bool known = fixed_hosts || domain->mx != nullptr;
    if (known) {
      const SiteTarget target = TargetOf(*parts_.options, domain->name, domain->mx.get());
      if (parts_.sites->Belongs(domain->name, target, *domain->site)) continue;
    }
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
