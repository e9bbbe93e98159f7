#include "engine/delivery/admission.h"

#include <algorithm>
#include <utility>

#include "engine/delivery/backlog.h"
#include "engine/delivery/campaign_cache.h"
#include "engine/delivery/destination.h"
#include "engine/delivery/leases.h"
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

bool IsAboutConnections(Limit limit) {
  switch (limit) {
    case Limit::kConnections:
    case Limit::kSiteConnections:
    case Limit::kTotalConnections:
    case Limit::kSourceConnections:
    case Limit::kPoolConnections:
    case Limit::kSenderConnections:
    case Limit::kCoreConnections:
      return true;
    default:
      return false;
  }
}

}  // namespace

Admission::Admission(Parts& parts) : parts_(parts), unsynced_max_(UnsyncedMax(*parts.options, parts.settings.cores)) {}

Admission::~Admission() {
  while (Connection* connection = connections_.PopFront()) {
    LeasesOf(*connection).Disconnected();
    std::unique_ptr<Connection>(connection).reset();
  }
  while (Connection* connection = finished_.PopFront()) std::unique_ptr<Connection>(connection).reset();
}

std::size_t Admission::Unsettled() const { return in_flight_ + parts_.writer.unsynced(); }

// ---- a job for a connection

WindowJob* Admission::Next(Connection& connection) {
  Path& path = connection.path();
  Site& site = path.site;
  const Now now = parts_.loop.now();
  if (stopped_ || all_paused_) return Refuse(path, Limit::kPaused);
  if (!UnsyncedAllows()) {
    if (!site.unsynced_link.linked) waiting_for_sync_.PushBack(site);
    return Refuse(path, Limit::kUnsynced);
  }
  Limit binding = Limit::kNone;
  for (const MailClass mail_class : {MailClass::kTransactional, MailClass::kBulk}) {
    if (!HasReady(path, mail_class)) continue;
    const bool urgent = mail_class == MailClass::kTransactional || path.owed;
    if (WaitLine* line = urgent ? nullptr : path.LineBefore()) {
      line->Join(path.message_wait, Monotonic::max(), false);
      binding = path.binding != Limit::kNone ? path.binding : Limit::kMessageRate;
      continue;
    }
    const Refusal refusal = path.AskMessage(now, mail_class);
    if (!refusal.answer.Go()) {
      binding = refusal.answer.limit;
      Wait(path, path.message_wait, refusal, urgent);
      continue;
    }
    Refusal shared;
    if (WindowJob* job = TakeFrom(path, mail_class, shared)) {
      path.Admit(now, mail_class);
      path.VisitAccounts([this](Account& account) { parts_.destinations->SaveIfUrgent(account); });
      path.message_wait.Served();
      path.owed = false;
      // "connections" stays: it says that more would be sent over more of them.
      if (!IsAboutConnections(path.binding)) path.Bind(Limit::kNone, now.monotonic, parts_.counts);
      path.meter.Count(now.monotonic);
      job->admitted = now.monotonic;
      ++in_flight_;
      ++path.in_flight;
      return job;
    }
    if (!shared.answer.Go()) {
      binding = shared.answer.limit;
      Wait(path, path.message_wait, shared, urgent);
    }
  }
  return Refuse(path, binding);
}

WindowJob* Admission::Refuse(Path& path, Limit binding) {
  path.Bind(binding, parts_.now(), parts_.counts);
  return nullptr;
}

// Where a refused path waits: in the limit's line, or on its site's timer.
void Admission::Wait(Path& path, WaitSpot& spot, const Refusal& refusal, bool urgent) {
  if (refusal.line != nullptr) return refusal.line->Join(spot, refusal.answer.not_before, urgent);
  WakeAt(path.site, refusal.answer.not_before);
}

void Admission::WakeAt(Site& site, Monotonic when) {
  if (when == Monotonic::max() || (site.timer.set() && site.wakes_at <= when)) return;
  site.wakes_at = when;
  parts_.loop.timers().Set(site.timer, when);
}

bool Admission::HasReady(const Path& path, MailClass mail_class) const {
  return std::ranges::any_of(path.site.feeds, [&](const std::unique_ptr<Feed>& feed) {
    const std::uint32_t ready =
        mail_class == MailClass::kTransactional ? feed->ready_transactional : feed->ready - feed->ready_transactional;
    return ready > 0 && MayUse(*feed, path);
  });
}

// The one of the site's feeds that this path serves whose campaign has had the least of its share.
Feed* Admission::NextFeed(const Path& path, MailClass mail_class, const Feed* but_not) const {
  Feed* next = nullptr;
  std::uint64_t least = 0;
  for (const std::unique_ptr<Feed>& feed : path.site.feeds) {
    if (!feed->HasReady() || feed.get() == but_not || !MayUse(*feed, path)) continue;
    const Line* line = feed->NextLine(mail_class);
    if (line == nullptr || (next != nullptr && line->share->used >= least)) continue;
    next = feed.get();
    least = line->share->used;
  }
  return next;
}

// The job whose turn it is, with the permits of its campaign, pool, source and sender; null: none, or `refusal` says
// which of the shared limits binds.
WindowJob* Admission::TakeFrom(Path& path, MailClass mail_class, Refusal& refusal) {
  const Monotonic now = parts_.now();
  const Feed* refused = nullptr;
  while (Feed* feed = NextFeed(path, mail_class, refused)) {
    Line& line = *feed->NextLine(mail_class);
    Share& share = *line.share;
    Lane& lane = *line.lanes.front();
    CampaignEntry& campaign = *share.campaign;
    CampaignPart& part = PartOf(path.site, share);
    if (!MayGoNow(lane, part)) continue;
    if (const postrider::Admission asked = LeasesOf(*feed, path, campaign).Admit(now); !asked.Go()) {
      if (asked.limit == Limit::kCampaignRate) {
        parts_.windows->Throttle(lane, asked.not_before);
        continue;
      }
      WaitLine* waits_in = asked.limit == Limit::kSenderRate   ? &path.sender_lease.messages
                           : asked.limit == Limit::kSourceRate ? &path.source_lease.messages
                                                               : &feed->pool_lease->messages;
      refusal.Join(asked, waits_in);
      if (asked.limit != Limit::kPoolRate || refused != nullptr) return nullptr;
      refused = feed;  // another pool's mail may go
      continue;
    }
    CHECK(part.limit.AdmitMessage(now).Go());
    path.site.used[static_cast<std::size_t>(mail_class)] = share.used;
    share.used += kShareUnit / campaign.weight();
    WindowJob& job = parts_.windows->TakeFront(lane);
    // Its domains take turns.
    line.lanes.Remove(lane);
    if (!lane.jobs.empty()) line.lanes.PushBack(lane);
    parts_.windows->Refill(*lane.domain);
    return &job;
  }
  return nullptr;
}

CampaignPart& Admission::PartOf(Site& site, Share& share) {
  if (share.part == nullptr) {
    share.part = &parts_.destinations->PartOf(*site.provider_destination, *share.campaign);
    ++share.part->shares;
  }
  return *share.part;
}

// What the campaign may do at this provider; if it may not now, its lane waits with it.
bool Admission::MayGoNow(Lane& lane, CampaignPart& part) {
  if (part.Paused()) {
    parts_.windows->Hold(lane, part, Monotonic::max());
    return false;
  }
  const postrider::Admission asked = part.limit.AskMessage(parts_.now());
  if (asked.Go()) return true;
  parts_.windows->Hold(lane, part, asked.not_before);
  return false;
}

LeaseSet Admission::LeasesOf(const Feed& feed, const Path& path, CampaignEntry& campaign) const {
  return {.sender = &path.sender_lease.lease,
          .pool = &feed.pool_lease->lease,
          .source = &path.source_lease.lease,
          .campaign = campaign.lease.get()};
}

LeaseSet Admission::LeasesOf(const Connection& connection) {
  const Path& path = connection.path();
  return {.sender = &path.sender_lease.lease,
          .pool = &connection.pool_lease().lease,
          .source = &path.source_lease.lease,
          .campaign = nullptr};
}

void Admission::Returned(WindowJob& job, Path& path) {
  Left(path);
  const Now now = parts_.loop.now();
  Lane& lane = *job.lane;
  path.VisitAccounts([&](Account& account) {
    account.allowance.ReturnMessage(now, job.admitted);
    account.destination.total.ReturnMessage(now.monotonic, job.admitted);
    account.messages.CallNext();
  });
  if (lane.line != nullptr) PartOf(path.site, *lane.line->share).limit.ReturnMessage(now.monotonic, job.admitted);
  LeasesOf(*lane.feed, path, *lane.campaign).Return(now.monotonic, job.admitted);
}

bool Admission::Ended(Path& path, MessageEnd end) {
  Left(path);
  const Now now = parts_.loop.now();
  bool recovered = false;
  path.VisitAccounts([&](Account& account) {
    recovered |= account.allowance.EndMessage(now, end);
    // One that waits for a probe's end, or for the day that this one began.
    account.messages.CallNext();
    // It may have earned one more connection.
    if (account.allowance.connections() < account.allowance.ConnectionLimit()) account.connects.CallNext();
  });
  return recovered;
}

void Admission::Left(Path& path) {
  --in_flight_;
  --path.in_flight;
}

bool Admission::MayUse(const Feed& feed, const Path& path) const {
  if (std::ranges::find(feed.paths, &path) == feed.paths.end()) return false;
  if (feed.preferred.empty() || feed.preferred == path.source.name) return true;
  // A retry wants its last source again, but not at any price.
  Path* preferred = feed.site->FindPath(feed.preferred);
  return preferred != nullptr && preferred->BlockedUntil(parts_.loop.now()) > parts_.now();
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
    const Limit binding = site.HasReady() && !parts_.draining ? Limit::kPaused : Limit::kNone;
    for (const std::unique_ptr<Path>& path : site.paths) path->Bind(binding, parts_.now(), parts_.counts);
  } else {
    for (std::size_t i = 0; i < site.feeds.size(); ++i) {
      if (site.feeds[i]->HasReady()) PumpFeed(*site.feeds[i]);
    }
    if (!site.HasReady()) {
      for (const std::unique_ptr<Path>& path : site.paths) path->Bind(Limit::kNone, parts_.now(), parts_.counts);
    }
  }
  // Who was called and neither took its turn nor waits again has nothing to do with it now: the next in line is called.
  for (const std::unique_ptr<Path>& path : site.paths) {
    if (path->message_wait.called) {
      // Its turn is kept for it while its connection is being made, or waits to be.
      path->owed = path->opening > 0 || path->connect_wait.line != nullptr;
      path->message_wait.Leave();
    }
    if (path->connect_wait.called) path->connect_wait.Leave();
    if (path->owed && !site.HasReady()) path->owed = false;
  }
}

void Admission::PumpFeed(Feed& feed) {
  if (!UnsyncedAllows()) {
    if (!feed.site->unsynced_link.linked) waiting_for_sync_.PushBack(*feed.site);
    for (const std::unique_ptr<Path>& path : feed.site->paths) {
      path->Bind(Limit::kUnsynced, parts_.now(), parts_.counts);
    }
    return;
  }
  OfferIdle(feed);
  if (feed.HasReady()) OpenMore(feed);
}

// Gives work to the idle connections of its paths.
void Admission::OfferIdle(Feed& feed) {
  for (const std::unique_ptr<Path>& path : feed.site->paths) {
    while (feed.HasReady() && !path->idle.empty() && MayUse(feed, *path)) {
      Connection& connection = *path->idle.front();
      connection.Offer();
      if (connection.phase() == Connection::Phase::kIdle) break;  // refused; Next has seen to when it is asked again
    }
  }
}

// Opens connections while more work waits than those at hand will soon take.
void Admission::OpenMore(Feed& feed) {
  Site& site = *feed.site;
  const Now now = parts_.loop.now();
  const bool urgent = feed.ready_transactional > 0;
  const MailClass mail_class = urgent ? MailClass::kTransactional : MailClass::kBulk;
  if (!feed.preferred.empty()) {
    const auto preferred = std::ranges::find(feed.sources, feed.preferred) - feed.sources.begin();
    (void)parts_.sites->PathOf(feed, static_cast<std::size_t>(preferred));
  }
  std::uint32_t open = 0;
  for (const std::unique_ptr<Path>& path : site.paths) {
    if (MayUse(feed, *path)) open += static_cast<std::uint32_t>(path->connections.size());
  }
  const std::uint32_t wanted = Wanted(feed);
  std::size_t refused = 0;
  while (open < wanted && refused < feed.sources.size()) {
    const std::size_t source = feed.NextSource();
    ++refused;
    Path* path = parts_.sites->PathOf(feed, source);
    if (path == nullptr || !MayUse(feed, *path)) continue;
    const std::chrono::nanoseconds ahead = path->DialAhead(now.monotonic);
    if (WaitLine* line = urgent || path->owed ? nullptr : path->LineBefore()) {
      // Its messages wait already: a further connection would wait with them, but for the one that the next needs.
      line->Join(path->message_wait, Monotonic::max(), false);
      if (ahead == ahead.zero() || !line->IsFirst(path->message_wait)) continue;
    }
    const Refusal asked = path->AskConnect(now, mail_class, ahead);
    if (!asked.answer.Go()) {
      // Before that moment the message is too far away; from it on only connections keep it, which have their own
      // lines.
      const Monotonic message_at = asked.answer.not_before;
      const bool too_early = message_at != Monotonic::max() && message_at - ahead > now.monotonic;
      if (ahead > ahead.zero() && too_early) WakeAt(site, message_at - ahead);
      path->Bind(asked.answer.limit, now.monotonic, parts_.counts);
      WaitToConnect(*path, asked, urgent);
      continue;
    }
    if (WaitLine* line = urgent ? nullptr : path->ConnectLineBefore()) {
      line->Join(path->connect_wait, Monotonic::max(), false);
      continue;
    }
    if (path->opening >= path->OpeningLimit() || (path->Probing() && !path->connections.empty())) continue;
    if (const auto rate = site.rule.message_rate;
        ahead == ahead.zero() && rate &&
        static_cast<double>(path->connections.size()) >= std::max(1.0, rate->per_second)) {
      path->Bind(Limit::kMessageRate, now.monotonic, parts_.counts);  // as many as it may send messages in a second
      continue;
    }
    if (!MakeRoom(!site.slot_link.linked)) {
      path->Bind(Limit::kCoreConnections, now.monotonic, parts_.counts);
      if (!site.slot_link.linked) waiting_for_slot_.PushBack(site);
      return;
    }
    if (const postrider::Admission network = parts_.network.AdmitConnect(now.monotonic); !network.Go()) {
      path->Bind(network.limit, now.monotonic, parts_.counts);
      WakeAt(site, network.not_before);
      return;
    }
    if (!Open(feed, *path, urgent)) continue;
    ++open;
    refused = 0;
  }
}

// A connection without work elsewhere holds what this path needs: it goes.
void Admission::WaitToConnect(Path& path, const Refusal& refusal, bool urgent) {
  const Limit limit = refusal.answer.limit;
  // Each of its places is for lines of one kind: whoever changed between them would pass its turn on, round and round.
  bool about_connects = refusal.line == nullptr;
  path.VisitAccounts([&](Account& one) {
    about_connects |= refusal.line == &one.connects || refusal.line == &one.destination.total_connects;
  });
  Wait(path, about_connects ? path.connect_wait : path.message_wait, refusal, urgent);
  if (limit != Limit::kConnections && limit != Limit::kTotalConnections) return;
  Account& account = limit == Limit::kConnections ? path.account : path.widest();
  Connection* idle = LeastUseful(account);
  if (idle == nullptr && path.at_provider != nullptr) idle = LeastUseful(*path.at_provider);
  if (idle != nullptr && &idle->path() != &path) idle->Quit();
}

// Of an account's idle connections one without work; else one of the path that was served most often, the one used last
// first: in turns it is the last to be needed again.
Connection* Admission::LeastUseful(Account& account) {
  Connection* least = nullptr;
  for (Connection* one = account.idle.front(); one != nullptr; one = account.idle.Next(*one)) {
    if (!one->path().site.HasReady()) return one;
    if (least == nullptr || one->path().message_wait.turn >= least->path().message_wait.turn) least = one;
  }
  return least;
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

// False: a limit that cores share refused it.
bool Admission::Open(Feed& feed, Path& path, bool urgent) {
  const Monotonic now = parts_.now();
  const LeaseSet leases{.sender = &path.sender_lease.lease,
                        .pool = &feed.pool_lease->lease,
                        .source = &path.source_lease.lease,
                        .campaign = nullptr};
  if (const postrider::Admission asked = leases.Connect(now); !asked.Go()) {
    WaitLine* line = asked.limit == Limit::kSenderConnections   ? &path.sender_lease.connects
                     : asked.limit == Limit::kSourceConnections ? &path.source_lease.connects
                                                                : &feed.pool_lease->connects;
    path.Bind(asked.limit, now, parts_.counts);
    line->Join(path.connect_wait, asked.not_before, urgent);
    return false;
  }
  path.connect_wait.Leave();
  // A number of its own among those of all cores.
  const std::uint64_t id = connections_made_++ * parts_.settings.cores + parts_.settings.core + 1;
  Connection& connection = *std::make_unique<Connection>(parts_, path, *feed.pool_lease, id).release();
  connections_.PushBack(connection);
  path.connections.PushBack(connection);
  path.VisitAccounts([now](Account& account) {
    account.allowance.Connecting(now);
    account.destination.total.Connecting();
  });
  ++path.opening;
  connection.Dial();
  return true;
}

// ---- from connections

void Admission::MarkDirty(Connection& connection) {
  if (!connection.dirty_link.linked) dirty_.PushBack(connection);
}

void Admission::ConnectionIdle(Connection& connection) {
  idle_.PushBack(connection);
  connection.path().widest().idle.PushBack(connection);
  if (!pumping_) MarkPending(connection.path().site);
}

void Admission::ConnectionLeftIdle(Connection& connection) {
  idle_.Remove(connection);
  connection.path().widest().idle.Remove(connection);
}

void Admission::ConnectionOpened(Connection& connection) {
  Path& path = connection.path();
  --path.opening;
  path.proven = true;
  path.set_up = parts_.now() - connection.began();
  path.VisitAccounts([](Account& account) {
    account.allowance.Connected();
    account.connects.CallNext();
  });
  // Others waited for this one to prove the path.
  MarkPending(path.site);
}

void Admission::ConnectionFinished(Connection& connection) {
  Path& path = connection.path();
  path.connections.Remove(connection);
  connections_.Remove(connection);
  path.VisitAccounts([&](Account& account) {
    account.allowance.Disconnected(connection.opened());
    account.destination.total.Disconnected();
    account.connects.CallNext();
    account.destination.total_connects.CallNext();
  });
  LeasesOf(connection).Disconnected();
  path.source_lease.connects.CallNext();
  path.sender_lease.connects.CallNext();
  connection.pool_lease().connects.CallNext();
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

Monotonic Admission::BlockedUntil(const Feed& feed) const {
  const Now now = parts_.loop.now();
  Monotonic until = Monotonic::max();
  for (Path* path : feed.paths) {
    if (path == nullptr) return Monotonic::min();
    const Monotonic blocked = path->BlockedUntil(now);
    if (blocked <= now.monotonic) return Monotonic::min();
    until = std::min(until, blocked);
  }
  return until;
}

// ---- operator and main

void Admission::Pause(CoreCommand::Target target, const std::string& name, const std::string& at, bool pause) {
  const auto change = [pause](auto& names, const auto& which) {
    if (pause) {
      names.insert(which);
    } else {
      names.erase(which);
    }
  };
  switch (target) {
    case CoreCommand::Target::kAll:
      all_paused_ = pause;
      break;
    case CoreCommand::Target::kSite:
      change(paused_sites_, name);
      break;
    case CoreCommand::Target::kSource:
      change(paused_sources_, name);
      break;
    case CoreCommand::Target::kSourceAt:
      change(paused_sources_at_, std::pair(name, at));
      break;
    case CoreCommand::Target::kCampaignAt:  // DestinationTable's
      return;
  }
  for (auto& [key, site] : parts_.sites->sites()) {
    site->paused = SitePaused(*site);
    for (const std::unique_ptr<Path>& path : site->paths) path->paused = PathPaused(*path);
    MarkPending(*site);
  }
  // Domains that were parked because of the pause.
  if (!pause) parts_.backlog->ScanNow(true);
}

bool Admission::SitePaused(const Site& site) const { return paused_sites_.contains(site.name); }

bool Admission::PathPaused(const Path& path) const {
  const auto paused_at = [&](const std::string& place) {
    return !place.empty() && paused_sources_at_.contains({path.source.name, place});
  };
  return paused_sources_.contains(path.source.name) || paused_at(path.site.name) || paused_at(path.site.provider);
}

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
    const bool surplus = path.account.allowance.connections() > path.account.allowance.ConnectionLimit() &&
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
