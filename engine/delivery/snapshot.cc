#include "engine/delivery/snapshot.h"

#include <fmt/format.h>

#include <algorithm>

#include "engine/delivery/admission.h"
#include "engine/delivery/backlog.h"
#include "engine/delivery/campaign_cache.h"
#include "engine/delivery/destination.h"
#include "engine/delivery/kept_state.h"
#include "engine/delivery/parts.h"
#include "engine/delivery/path.h"
#include "engine/delivery/site_table.h"
#include "engine/delivery/source_health.h"
#include "engine/delivery/windows.h"
#include "queue/canary.h"

namespace postrider::delivery {

void FillSnapshot(Parts& parts, CoreSnapshot& snapshot, bool with_domains, bool with_unmatched);
void FillPlace(Parts& parts, CoreSnapshot& snapshot, const std::string& domain, const dns::MxAnswer* mx);

namespace {

// Nothing is late for the time in which its campaign was closed.
Wall WhenOpen(const Lane& lane, Wall due) {
  return lane.campaign->spec().windows.empty() ? due : std::max(due, lane.campaign->open_since);
}

// When a job was due: its retry's moment, or the release of its campaign.
Wall DueOf(const Lane& lane) {
  const WindowJob& job = *lane.jobs.front();
  if (job.job().place.retry_due) return WhenOpen(lane, *job.job().place.retry_due);
  const queue::Campaign& campaign = *lane.campaign->latest;
  Wall due = campaign.released_at.value_or(campaign.accepted_at);
  if (campaign.spec.not_before) due = std::max(due, *campaign.spec.not_before);
  if (queue::IsRestBlock(job.job().place.block)) due = std::max(due, campaign.canary.rest_at.value_or(due));
  return WhenOpen(lane, due);
}

bool Serves(const Path& path, const Feed& feed) { return std::ranges::find(feed.paths, &path) != feed.paths.end(); }

std::optional<Wall> OldestDue(const Site& site, const Path& path) {
  std::optional<Wall> oldest;
  for (const std::unique_ptr<Feed>& feed : site.feeds) {
    if (!Serves(path, *feed)) continue;
    for (const auto& line : feed->lines) {
      for (const Lane* lane = line->lanes.front(); lane != nullptr; lane = line->lanes.Next(*lane)) {
        const Wall due = DueOf(*lane);
        if (!oldest || due < *oldest) oldest = due;
      }
    }
  }
  return oldest;
}

std::uint64_t ReadyFor(const Site& site, const Path& path) {
  std::uint64_t ready = 0;
  for (const std::unique_ptr<Feed>& feed : site.feeds) {
    if (Serves(path, *feed)) ready += feed->ready;
  }
  return ready;
}

std::vector<std::string> DomainNames(const Site& site) {
  std::vector<std::string> names;
  for (const Domain* domain = site.domains.front(); domain != nullptr; domain = site.domains.Next(*domain)) {
    names.push_back(domain->name);
  }
  return names;
}

Wall WallOf(Monotonic moment, Now now) {
  return now.wall + std::chrono::ceil<std::chrono::milliseconds>(moment - now.monotonic);
}

SiteSnapshot SnapshotOf(const Site& site, Path& path, Now now) {
  SiteSnapshot snapshot;
  snapshot.site = site.name;
  snapshot.provider = site.provider;
  snapshot.source = path.source.name;
  snapshot.domains = static_cast<std::uint32_t>(site.domains.size());
  snapshot.ready = ReadyFor(site, path);
  snapshot.connections = static_cast<std::uint32_t>(path.connections.size());
  snapshot.messages_per_second = path.meter.PerSecond(now.monotonic);
  snapshot.last_reply = path.last_reply;
  const Refusal asked = path.AskConnect(now, MailClass::kBulk);
  const Limit limit = asked.answer.limit;
  const Monotonic until = path.BlockedUntil(now);
  if (path.source_state.gone) snapshot.last_reply = path.source_state.Problem();
  if (limit == Limit::kPaused) {
    snapshot.mode = SiteMode::kPaused;
  } else if (limit == Limit::kStopped || limit == Limit::kSourceGone) {
    snapshot.mode = SiteMode::kStopped;
  } else if (limit == Limit::kBackoff || limit == Limit::kProbing) {
    snapshot.mode = SiteMode::kBackingOff;
  } else if (snapshot.ready > 0 || !path.connections.empty()) {
    snapshot.mode = SiteMode::kNormal;
  }
  if (until > now.monotonic && until != Monotonic::max()) snapshot.blocked_until = WallOf(until, now);
  const Allowance::State state = path.widest().allowance.Describe(now);
  snapshot.rate_limit = state.adaptive_rate > 0 ? state.adaptive_rate : state.message_rate;
  if (snapshot.ready > 0) {
    const Limit binding = path.binding != Limit::kNone ? path.binding : limit;
    if (binding != Limit::kNone) snapshot.binding_limit = ToString(binding);
    // What waits for a limit is not late.
    if (binding == Limit::kNone) snapshot.oldest_due = OldestDue(site, path);
  } else {
    for (const std::unique_ptr<Feed>& feed : site.feeds) {
      if (!Serves(path, *feed)) continue;
      if (feed->lanes_throttled > 0) snapshot.binding_limit = ToString(Limit::kCampaignRate);
      if (feed->lanes_held > 0) snapshot.binding_limit = ToString(Limit::kCampaignAtProvider);
    }
  }
  return snapshot;
}

void CountConnections(const Admission& admission, CoreSnapshot& snapshot) {
  for (const Connection* connection = admission.all().front(); connection != nullptr;
       connection = admission.all().Next(*connection)) {
    switch (connection->phase()) {
      case Connection::Phase::kResolving:
      case Connection::Phase::kConnecting:
      case Connection::Phase::kHandshaking:
      case Connection::Phase::kOpening:
        ++snapshot.connections_opening;
        break;
      case Connection::Phase::kBusy:
        ++snapshot.connections_busy;
        break;
      case Connection::Phase::kIdle:
        ++snapshot.connections_idle;
        break;
      case Connection::Phase::kClosing:
      case Connection::Phase::kFinished:
        ++snapshot.connections_closing;
        break;
    }
  }
}

SiteMode ModeOf(Allowance::Mode mode) {
  switch (mode) {
    case Allowance::Mode::kNormal:
      return SiteMode::kNormal;
    case Allowance::Mode::kBackingOff:
      return SiteMode::kBackingOff;
    case Allowance::Mode::kStopped:
      return SiteMode::kStopped;
  }
  return SiteMode::kNormal;
}

GuardSnapshot& AddGuard(CoreSnapshot& snapshot, GuardKind kind, const Finding& finding, Now now) {
  GuardSnapshot& one = snapshot.guards.emplace_back();
  one.kind = kind;
  one.state = finding.alarm == Alarm::kTripped ? GuardState::kTripped : GuardState::kWarning;
  one.reason = finding.why + (finding.go_on.empty() ? "" : "; " + finding.go_on);
  one.since = WallOf(finding.since, now);
  return one;
}

AllowanceSnapshot SnapshotOf(const Allowance::State& state, std::string_view source, std::string_view receiver,
                             bool is_provider, Now now) {
  AllowanceSnapshot one;
  one.source = source;
  one.receiver = receiver;
  one.is_provider = is_provider;
  one.mode = ModeOf(state.mode);
  one.rate_limit = state.message_rate;
  one.adaptive_rate = state.adaptive_rate;
  one.measured_rate = state.measured_rate;
  one.reason = state.reason;
  if (!state.reason.empty()) one.since = WallOf(state.since, now);
  if (state.until > now.monotonic) one.stopped_until = WallOf(state.until, now);
  one.connections = static_cast<std::uint32_t>(state.connections);
  one.connection_limit = static_cast<std::uint32_t>(state.connection_limit);
  one.quota_used = state.quota_used;
  one.quota = state.quota;
  one.warm_up_day = state.warm_up_day;
  one.warm_up_used = state.warm_up_used;
  one.warm_up_quota = state.warm_up_quota;
  one.last_replies = state.last_replies;
  return one;
}

// What is in trouble must be seen, however long the queue is; then the big ones.
int RankOf(const AllowanceSnapshot& one) {
  if (one.mode != SiteMode::kNormal) return 0;
  if (one.adaptive_rate > 0) return 1;
  return one.is_provider ? 2 : 3;
}

Finding BreakerFinding(const Allowance::State& state, std::string_view source, std::string_view receiver) {
  return {
      .alarm = Alarm::kTripped,
      .since = state.since,
      .why = fmt::format("{} refuses one message from {} after the other: {}", receiver, source,
                         state.last_replies.empty() ? state.reason : state.last_replies.front()),
      .go_on = fmt::format("one is tried again later; look at its replies, then `postrider source resume {} --at {}`",
                           source, receiver)};
}

// Of all destinations with mail or trouble, at most as many as sites are shown.
void FillAllowances(Parts& parts, CoreSnapshot& snapshot) {
  const Now now = parts.loop.now();
  for (const auto& [key, destination] : parts.destinations->all()) {
    for (const std::unique_ptr<Account>& account : destination->accounts) {
      const Allowance::State state = account->allowance.Describe(now);
      const bool at_rest = state.mode == Allowance::Mode::kNormal && state.adaptive_rate == 0 && state.quota == 0 &&
                           state.warm_up_day == 0 && state.connections == 0;
      if (at_rest) continue;
      snapshot.allowances.push_back(
          SnapshotOf(state, account->source, destination->name, destination->is_provider, now));
      if (!state.breaker) continue;
      GuardSnapshot& one =
          AddGuard(snapshot, GuardKind::kPathBreaker, BreakerFinding(state, account->source, destination->name), now);
      one.receiver = destination->name;
      one.source = account->source;
    }
    for (const auto& [id, part] : destination->campaigns) {
      const Finding finding = part->Describe(destination->name);
      if (finding.alarm == Alarm::kNone) continue;
      GuardSnapshot& one = AddGuard(snapshot, GuardKind::kCampaign, finding, now);
      one.campaign = part->name;
      one.receiver = destination->name;
    }
  }
  std::ranges::stable_sort(snapshot.allowances, {}, RankOf);
  if (snapshot.allowances.size() > kMaxSitesShown) snapshot.allowances.resize(kMaxSitesShown);
}

void FillGuards(Parts& parts, CoreSnapshot& snapshot) {
  const Now now = parts.loop.now();
  for (const auto& [key, site] : parts.sites->sites()) {
    if (site->storm == nullptr || !site->storm->tripped()) continue;
    AddGuard(snapshot, GuardKind::kBounceStorm, site->storm->Describe(site->name), now).receiver = site->name;
  }
  for (const KeptState::Held& held : parts.kept->Waiting()) {
    GuardSnapshot& one = AddGuard(snapshot, GuardKind::kCampaign, held.finding, now);
    one.campaign = held.campaign;
    one.receiver = held.receiver;
  }
  if (parts.network.tripped()) AddGuard(snapshot, GuardKind::kOwnNetwork, parts.network.Describe(), now);
  if (parts.no_domains.Tripped(now.monotonic)) {
    AddGuard(snapshot, GuardKind::kNoDomains, parts.no_domains.Describe(), now);
  }
}

// It has mail, and may not send it.
bool StandsStill(const SiteSnapshot& site) {
  return site.mode == SiteMode::kStopped || site.mode == SiteMode::kBackingOff || site.mode == SiteMode::kPaused;
}

void FillSources(Parts& parts, CoreSnapshot& snapshot) {
  for (const auto& [name, state] : parts.sources->all()) {
    if (!state->troubled()) continue;
    GuardSnapshot& one = snapshot.guards.emplace_back();
    one.kind = GuardKind::kSourceGone;
    one.state = state->gone ? GuardState::kTripped : GuardState::kWarning;
    one.source = name;
    one.reason = state->Problem() + (state->gone ? "; nothing is sent from it" : "; it sends by its other address") +
                 "; it is looked at again every half minute";
    one.since = WallOf(state->since, parts.loop.now());
  }
}

}  // namespace

void FillSnapshot(Parts& parts, CoreSnapshot& snapshot, bool with_domains, bool with_unmatched) {
  snapshot = {};
  const Now now = parts.loop.now();
  snapshot.core = parts.settings.core;
  snapshot.active_domains = parts.windows->domains();
  snapshot.window_jobs = parts.windows->jobs();
  snapshot.in_flight = parts.admission->in_flight();
  snapshot.unsynced_outcomes = parts.writer.unsynced();
  snapshot.dns = parts.resolver.counts();
  snapshot.loop = parts.loop.counts();
  CountConnections(*parts.admission, snapshot);
  for (const auto& [key, site] : parts.sites->sites()) {
    for (const std::unique_ptr<Path>& path : site->paths) {
      path->Bind(path->binding, now.monotonic, parts.counts);  // brings the seconds up to this moment
      SiteSnapshot one = SnapshotOf(*site, *path, now);
      if (one.oldest_due) {
        const double late = std::chrono::duration<double>(now.wall - *one.oldest_due).count();
        snapshot.lateness_seconds = std::max(snapshot.lateness_seconds, late);
      }
      ++snapshot.paths[static_cast<std::size_t>(one.mode)];
      SourceCounts& source = snapshot.sources[one.source];
      source.connections += one.connections;
      source.messages_per_second += one.messages_per_second;
      if (one.ready == 0 && one.connections == 0 && one.binding_limit.empty()) continue;
      if (with_domains) one.domain_names = DomainNames(*site);
      snapshot.sites.push_back(std::move(one));
    }
  }
  FillAllowances(parts, snapshot);
  FillGuards(parts, snapshot);
  FillSources(parts, snapshot);
  snapshot.counts = parts.counts;
  snapshot.rule_hits = parts.rule_hits;
  if (with_unmatched) snapshot.unmatched = parts.unmatched;
  std::ranges::stable_sort(snapshot.sites, [](const SiteSnapshot& a, const SiteSnapshot& b) {
    if (StandsStill(a) != StandsStill(b)) return StandsStill(a);
    return a.messages_per_second != b.messages_per_second ? a.messages_per_second > b.messages_per_second
                                                          : a.ready > b.ready;
  });
  if (snapshot.sites.size() > kMaxSitesShown) snapshot.sites.resize(kMaxSitesShown);
}

void FillPlace(Parts& parts, CoreSnapshot& snapshot, const std::string& domain, const dns::MxAnswer* mx) {
  const SiteTarget target = TargetOf(*parts.options, domain, mx);
  if (target.hosts.empty() || OwnerOf(target.owner_key(), parts.settings.cores) != parts.settings.core) return;
  const Now now = parts.loop.now();
  PlaceSnapshot& place = snapshot.place.emplace();
  place.domain = domain;
  place.site = target.hosts.front().name;
  place.provider = target.provider;
  const std::string key = parts.sites->KeyFor(target, domain);
  const auto found = parts.sites->sites().find(key);
  if (found != parts.sites->sites().end()) {
    const Site& site = *found->second;
    place.learned_messages_per_connection = static_cast<std::uint32_t>(site.LearnedCap(now.wall));
    place.trouble = site.trouble;
    for (const std::unique_ptr<Path>& path : site.paths) place.paths.push_back(SnapshotOf(site, *path, now));
  }
  std::vector<std::string> names;
  for (const SiteHost& host : target.hosts) names.push_back(host.name);
  const EffectiveRule own = ResolveRule(*parts.options, domain, names);
  const EffectiveRule at_provider = ResolveProviderRule(*parts.options, place.provider);
  std::vector<std::string> sources;
  for (const SourceOptions& source : parts.options->sources) sources.push_back(source.name);
  if (sources.empty()) sources.emplace_back("default");
  for (const std::string& source : sources) {
    if (const auto state = parts.destinations->Look(key, own, source)) {
      place.allowances.push_back(SnapshotOf(*state, source, place.site, false, now));
    }
    if (place.provider.empty()) continue;
    if (const auto state = parts.destinations->Look(place.provider, at_provider, source)) {
      place.allowances.push_back(SnapshotOf(*state, source, place.provider, true, now));
    }
  }
}

}  // namespace postrider::delivery
