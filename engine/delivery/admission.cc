#include "engine/delivery/admission.h"

#include <algorithm>
#include <utility>

#include "engine/delivery/backlog.h"
#include "engine/delivery/campaign_cache.h"
#include "engine/delivery/parts.h"
#include "engine/delivery/path.h"
#include "engine/delivery/settlement.h"
#include "engine/delivery/site_table.h"
#include "engine/delivery/windows.h"

namespace postrider::delivery {
namespace {

// A handshake costs as much as about so many messages, so a further connection is opened only for so many that wait.
// Transactional mail is worth a connection sooner.
constexpr std::uint32_t kBulkPerConnection = 16;
constexpr std::uint32_t kTransactionalPerConnection = 4;

std::size_t UnsyncedMax(const Options& options, std::uint32_t cores) {
  return std::max<std::size_t>(1, options.queue.unsynced_outcomes_max / cores);
}

std::uint32_t Wanted(const Feed& feed) {
  const std::uint32_t bulk = feed.ready - feed.ready_transactional;
  return (bulk + kBulkPerConnection - 1) / kBulkPerConnection +
         (feed.ready_transactional + kTransactionalPerConnection - 1) / kTransactionalPerConnection;
}

}  // namespace

Admission::Admission(Parts& parts) : parts_(parts), unsynced_max_(UnsyncedMax(*parts.options, parts.settings.cores)) {}

Admission::~Admission() {
  while (Connection* connection = connections_.PopFront()) std::unique_ptr<Connection>(connection).reset();
  while (Connection* connection = finished_.PopFront()) std::unique_ptr<Connection>(connection).reset();
}

std::size_t Admission::Unsettled() const { return in_flight_ + parts_.writer.unsynced(); }

// ---- a job for a connection

WindowJob* Admission::Next(Connection& connection) {
  Path& path = connection.path();
  Site& site = path.site;
  const Monotonic now = parts_.now();
  if (stopped_ || all_paused_) {
    path.Bind(Binding::kPaused, now, parts_.counts);
    return nullptr;
  }
  if (!UnsyncedAllows()) {
    path.Bind(Binding::kUnsynced, now, parts_.counts);
    if (!site.unsynced_link.linked) waiting_for_sync_.PushBack(site);
    return nullptr;
  }
  if (const Path::Answer asked = path.AskMessage(now); asked.binding != Binding::kNone) {
    if (site.HasReady()) path.Bind(asked.binding, now, parts_.counts);
    return nullptr;
  }
  if (path.Probing() && path.in_flight > 0) {
    path.Bind(Binding::kBackoff, now, parts_.counts);
    return nullptr;
  }
  for (const MailClass mail_class : {MailClass::kTransactional, MailClass::kBulk}) {
    if (WindowJob* job = TakeFrom(path, mail_class)) {
      CHECK(path.limits.AdmitMessage(now).Go());
      // "connections" stays: it says that more would be sent over more of them.
      if (path.binding != Binding::kConnections) path.Bind(Binding::kNone, now, parts_.counts);
      path.meter.Count(now);
      ++in_flight_;
      ++path.in_flight;
      return job;
    }
  }
  path.Bind(Binding::kNone, now, parts_.counts);
  return nullptr;
}

// The one of the site's feeds that this path serves whose campaign has had the least of its share.
Feed* Admission::NextFeed(const Path& path, MailClass mail_class) const {
  Feed* next = nullptr;
  std::uint64_t least = 0;
  for (const std::unique_ptr<Feed>& feed : path.site.feeds) {
    if (!feed->HasReady() || !MayUse(*feed, path)) continue;
    const Line* line = feed->NextLine(mail_class);
    if (line == nullptr || (next != nullptr && line->share->used >= least)) continue;
    next = feed.get();
    least = line->share->used;
  }
  return next;
}

WindowJob* Admission::TakeFrom(const Path& path, MailClass mail_class) {
  const Monotonic now = parts_.now();
  while (Feed* feed = NextFeed(path, mail_class)) {
    Line& line = *feed->NextLine(mail_class);
    Share& share = *line.share;
    Lane& lane = *line.lanes.front();
    CampaignEntry& campaign = *share.campaign;
    if (campaign.limited && campaign.rate.Earliest(now) > now) {
      parts_.windows->Throttle(lane);
      continue;
    }
    path.site.used[static_cast<std::size_t>(mail_class)] = share.used;
    share.used += kShareUnit / campaign.weight();
    WindowJob& job = parts_.windows->TakeFront(lane);
    // Its domains take turns.
    line.lanes.Remove(lane);
    if (!lane.jobs.empty()) line.lanes.PushBack(lane);
    if (campaign.limited) campaign.rate.Take(now);
    parts_.windows->Refill(*lane.domain);
    return &job;
  }
  return nullptr;
}

void Admission::Returned(WindowJob& job, Path& path) {
  const Monotonic now = parts_.now();
  path.limits.ReturnMessage(now);
  if (job.lane->campaign->limited) job.lane->campaign->rate.Return(now);
}

void Admission::Ended(Path& path) {
  --in_flight_;
  --path.in_flight;
}

bool Admission::MayUse(const Feed& feed, const Path& path) const {
  if (std::ranges::find(feed.paths, &path) == feed.paths.end()) return false;
  if (feed.preferred.empty() || feed.preferred == path.source.name) return true;
  // A retry wants its last source again, but not at any price.
  const Path* preferred = feed.site->FindPath(feed.preferred);
  if (preferred == nullptr) return false;
  const Binding binding = preferred->AskConnect(parts_.now()).binding;
  return binding == Binding::kBackoff || binding == Binding::kPaused;
}

// ---- who is to be looked at

void Admission::MarkPending(Site& site) {
  if (!site.pending_link.linked) pending_.PushBack(site);
}

void Admission::MarkAllPending() {
  for (auto& [key, site] : parts_.sites->sites()) MarkPending(*site);
}

void Admission::Forget(Site& site) {
  if (site.pending_link.linked) pending_.Remove(site);
  if (site.unsynced_link.linked) waiting_for_sync_.Remove(site);
  if (site.slot_link.linked) waiting_for_slot_.Remove(site);
}

void Admission::Pump() {
  const std::size_t room = ConnectionsMax() - std::min(ConnectionsMax(), connections_.size());
  for (std::size_t i = 0; i < room && !waiting_for_slot_.empty(); ++i) MarkPending(*waiting_for_slot_.PopFront());
  pumping_ = true;
  // What becomes pending meanwhile is looked at in the next turn, so that a turn ends.
  for (std::size_t left = pending_.size(); left > 0 && !pending_.empty(); --left) PumpSite(*pending_.PopFront());
  pumping_ = false;
}

void Admission::PumpSite(Site& site) {
  site.timer.Cancel();
  if (stopped_ || all_paused_ || parts_.draining) {
    const Binding binding = site.HasReady() && !parts_.draining ? Binding::kPaused : Binding::kNone;
    for (const std::unique_ptr<Path>& path : site.paths) path->Bind(binding, parts_.now(), parts_.counts);
    return;
  }
  Monotonic wake = Monotonic::max();
  for (std::size_t i = 0; i < site.feeds.size(); ++i) {
    if (site.feeds[i]->HasReady()) wake = std::min(wake, PumpFeed(*site.feeds[i]));
  }
  if (!site.HasReady()) {
    for (const std::unique_ptr<Path>& path : site.paths) path->Bind(Binding::kNone, parts_.now(), parts_.counts);
  }
  if (wake != Monotonic::max()) parts_.loop.timers().Set(site.timer, wake);
}

// Returns when to look again, if nothing else happens.
Monotonic Admission::PumpFeed(Feed& feed) {
  if (!UnsyncedAllows()) {
    if (!feed.site->unsynced_link.linked) waiting_for_sync_.PushBack(*feed.site);
    for (const std::unique_ptr<Path>& path : feed.site->paths) {
      path->Bind(Binding::kUnsynced, parts_.now(), parts_.counts);
    }
    return Monotonic::max();
  }
  const Monotonic wake = OfferIdle(feed);
  return feed.HasReady() ? std::min(wake, OpenMore(feed)) : wake;
}

// Gives work to the idle connections of its paths.
Monotonic Admission::OfferIdle(Feed& feed) {
  Monotonic wake = Monotonic::max();
  for (const std::unique_ptr<Path>& path : feed.site->paths) {
    if (path->idle.empty() || !MayUse(feed, *path)) continue;
    while (feed.HasReady() && !path->idle.empty()) {
      const Path::Answer asked = path->AskMessage(parts_.now());
      if (asked.binding != Binding::kNone) {
        path->Bind(asked.binding, parts_.now(), parts_.counts);
        wake = std::min(wake, asked.not_before);
        break;
      }
      Connection& connection = *path->idle.front();
      connection.Offer();
      if (connection.phase() == Connection::Phase::kIdle) break;
    }
  }
  return wake;
}

// Opens connections while more work waits than those at hand will soon take.
Monotonic Admission::OpenMore(Feed& feed) {
  Site& site = *feed.site;
  const Monotonic now = parts_.now();
  if (!feed.preferred.empty()) {
    const auto preferred = std::ranges::find(feed.sources, feed.preferred) - feed.sources.begin();
    (void)parts_.sites->PathOf(feed, static_cast<std::size_t>(preferred));
  }
  std::uint32_t open = 0;
  for (const std::unique_ptr<Path>& path : site.paths) {
    if (MayUse(feed, *path)) open += static_cast<std::uint32_t>(path->connections.size());
  }
  Monotonic wake = Monotonic::max();
  const std::uint32_t wanted = Wanted(feed);
  std::size_t refused = 0;
  while (open < wanted && refused < feed.sources.size()) {
    const std::size_t source = feed.turn++ % feed.sources.size();
    ++refused;
    Path* path = parts_.sites->PathOf(feed, source);
    if (path == nullptr || !MayUse(feed, *path)) continue;
    const Path::Answer asked = path->AskConnect(now);
    if (asked.binding != Binding::kNone) {
      path->Bind(asked.binding, now, parts_.counts);
      wake = std::min(wake, asked.not_before);
      continue;
    }
    if (path->opening >= path->OpeningLimit() || (path->Probing() && !path->connections.empty())) continue;
    if (const auto rate = site.rule.message_rate;
        rate && static_cast<double>(path->connections.size()) >= std::max(1.0, rate->per_second)) {
      path->Bind(Binding::kRate, now, parts_.counts);  // as many connections as it may send messages in a second
      continue;
    }
    if (!MakeRoom(!site.slot_link.linked)) {
      path->Bind(Binding::kConnections, now, parts_.counts);
      if (!site.slot_link.linked) waiting_for_slot_.PushBack(site);
      return wake;
    }
    Open(*path);
    ++open;
    refused = 0;
  }
  return wake;
}

// The core's own limit of connections: an idle one makes room for one that has work.
bool Admission::MakeRoom(bool close_idle) {
  if (connections_.size() < ConnectionsMax()) return true;
  if (close_idle && !idle_.empty()) idle_.front()->Quit();
  return connections_.size() < ConnectionsMax();
}

std::size_t Admission::ConnectionsMax() const {
  return static_cast<std::size_t>(std::max(1, parts_.options->engine.connections));
}

void Admission::Open(Path& path) {
  Connection& connection = *std::make_unique<Connection>(parts_, path, ++last_id_).release();
  connections_.PushBack(connection);
  path.connections.PushBack(connection);
  path.limits.Connected();
  ++path.opening;
  connection.Dial();
}

// ---- from connections

void Admission::MarkDirty(Connection& connection) {
  if (!connection.dirty_link.linked) dirty_.PushBack(connection);
}

void Admission::ConnectionIdle(Connection& connection) {
  idle_.PushBack(connection);
  if (!pumping_) MarkPending(connection.path().site);
}

void Admission::ConnectionLeftIdle(Connection& connection) { idle_.Remove(connection); }

void Admission::ConnectionFinished(Connection& connection) {
  Path& path = connection.path();
  path.limits.Disconnected();
  path.connections.Remove(connection);
  connections_.Remove(connection);
  if (!connection.opened()) --path.opening;
  if (connection.dirty_link.linked) dirty_.Remove(connection);
  finished_.PushBack(connection);
  MarkPending(path.site);
  parts_.sites->MaybeVacant(path.site);
}

void Admission::FlushConnections() {
  while (Connection* connection = dirty_.PopFront()) connection->Flush();
  while (Connection* connection = finished_.PopFront()) std::unique_ptr<Connection>(connection).reset();
}

void Admission::Synced() {
  for (std::size_t left = waiting_for_sync_.size(); left > 0 && UnsyncedAllows(); --left) {
    MarkPending(*waiting_for_sync_.PopFront());
  }
}

Monotonic Admission::BlockedUntil(Site& site) const {
  const Monotonic now = parts_.now();
  Monotonic until = Monotonic::max();
  for (const std::unique_ptr<Feed>& feed : site.feeds) {
    if (!feed->HasReady()) continue;
    for (const Path* path : feed->paths) {
      if (path == nullptr) return Monotonic::min();
      const Path::Answer asked = path->AskConnect(now);
      const bool blocked = asked.binding == Binding::kBackoff || asked.binding == Binding::kPaused;
      if (!blocked) return Monotonic::min();
      until = std::min(until, asked.not_before);
    }
  }
  return until;
}

// ---- operator and main

void Admission::Pause(CoreCommand::Target target, const std::string& name, bool pause) {
  const auto change = [pause, &name](std::set<std::string, std::less<>>& names) {
    if (pause) {
      names.insert(name);
    } else {
      names.erase(name);
    }
  };
  switch (target) {
    case CoreCommand::Target::kAll:
      all_paused_ = pause;
      break;
    case CoreCommand::Target::kSite:
      change(paused_sites_);
      break;
    case CoreCommand::Target::kSource:
      change(paused_sources_);
      break;
  }
  for (auto& [key, site] : parts_.sites->sites()) {
    site->paused = SitePaused(*site);
    for (const std::unique_ptr<Path>& path : site->paths) path->paused = SourcePaused(path->source.name);
    MarkPending(*site);
  }
  // Domains that were parked because of the pause.
  if (!pause) parts_.backlog->ScanNow(true);
}

bool Admission::SitePaused(const Site& site) const { return paused_sites_.contains(site.name); }

void Admission::StopSending(bool stop) {
  stopped_ = stop;
  if (!stop) MarkAllPending();
}

void Admission::Reloaded() {
  unsynced_max_ = UnsyncedMax(*parts_.options, parts_.settings.cores);
  Connection* next = nullptr;
  for (Connection* connection = connections_.front(); connection != nullptr; connection = next) {
    next = connections_.Next(*connection);
    const Path& path = connection->path();
    // Only what the new rules forbid goes; a connection that may go on keeps its session.
    const bool policy_changed =
        connection->opened() && connection->demand() != parts_.settlement->TlsDemandOf(path, connection->host());
    const bool surplus = static_cast<int>(path.connections.size()) > path.limits.rule().connections &&
                         connection->phase() == Connection::Phase::kIdle;
    if (path.retired || policy_changed || surplus) connection->Quit();
  }
  MarkAllPending();
}

void Admission::Drain() {
  Connection* next = nullptr;
  for (Connection* connection = connections_.front(); connection != nullptr; connection = next) {
    next = connections_.Next(*connection);
    connection->Quit();
  }
}

void Admission::AbortAll(const std::string& reason) {
  while (Connection* connection = connections_.front()) connection->Abort(reason);
}

}  // namespace postrider::delivery
