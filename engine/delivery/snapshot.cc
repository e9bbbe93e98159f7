#include "engine/delivery/snapshot.h"

#include <algorithm>

#include "engine/delivery/admission.h"
#include "engine/delivery/backlog.h"
#include "engine/delivery/campaign_cache.h"
#include "engine/delivery/parts.h"
#include "engine/delivery/path.h"
#include "engine/delivery/site_table.h"
#include "engine/delivery/windows.h"

namespace postrider::delivery {

void FillSnapshot(Parts& parts, CoreSnapshot& snapshot, bool with_domains);

namespace {

// When a job was due: its retry's moment, or the release of its campaign.
Wall DueOf(const Lane& lane) {
  const WindowJob& job = *lane.jobs.front();
  if (job.job().place.retry_due) return *job.job().place.retry_due;
  const queue::Campaign& campaign = *lane.campaign->latest;
  Wall due = campaign.released_at.value_or(campaign.accepted_at);
  if (campaign.spec.not_before) due = std::max(due, *campaign.spec.not_before);
  return due;
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

SiteSnapshot SnapshotOf(const Site& site, const Path& path, Now now) {
  SiteSnapshot snapshot;
  snapshot.site = site.name;
  snapshot.provider = site.provider;
  snapshot.source = path.source.name;
  snapshot.domains = static_cast<std::uint32_t>(site.domains.size());
  snapshot.ready = ReadyFor(site, path);
  snapshot.connections = static_cast<std::uint32_t>(path.connections.size());
  snapshot.messages_per_second = path.meter.PerSecond(now.monotonic);
  snapshot.last_reply = path.last_reply;
  const Path::Answer asked = path.AskConnect(now.monotonic);
  const bool blocked = asked.binding == Binding::kBackoff;
  if (asked.binding == Binding::kPaused) {
    snapshot.mode = SiteMode::kPaused;
  } else if (blocked) {
    snapshot.mode = SiteMode::kBackingOff;
  } else if (snapshot.ready > 0 || !path.connections.empty()) {
    snapshot.mode = SiteMode::kNormal;
  }
  if (blocked) {
    snapshot.blocked_until = now.wall + std::chrono::ceil<std::chrono::milliseconds>(asked.not_before - now.monotonic);
  }
  if (snapshot.ready > 0) {
    const Binding binding = path.binding != Binding::kNone ? path.binding : asked.binding;
    snapshot.binding_limit = ToString(binding);
    if (binding == Binding::kNone || binding == Binding::kConnections) {
      snapshot.oldest_due = OldestDue(site, path);
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

}  // namespace

void FillSnapshot(Parts& parts, CoreSnapshot& snapshot, bool with_domains) {
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
      if (one.ready == 0 && one.connections == 0) continue;
      if (with_domains) one.domain_names = DomainNames(*site);
      snapshot.sites.push_back(std::move(one));
    }
  }
  snapshot.counts = parts.counts;
  std::ranges::stable_sort(snapshot.sites, [](const SiteSnapshot& a, const SiteSnapshot& b) {
    return a.messages_per_second != b.messages_per_second ? a.messages_per_second > b.messages_per_second
                                                          : a.ready > b.ready;
  });
  if (snapshot.sites.size() > kMaxSitesShown) snapshot.sites.resize(kMaxSitesShown);
}

}  // namespace postrider::delivery
