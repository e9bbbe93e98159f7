#include "engine/delivery/backlog.h"

#include <fmt/format.h>

#include <algorithm>
#include <functional>
#include <utility>

#include "config/rules.h"
#include "engine/delivery/kept_state.h"
#include "engine/delivery/parts.h"
#include "engine/delivery/settlement.h"
#include "engine/delivery/site.h"
#include "engine/delivery/windows.h"

namespace postrider::delivery {
namespace {

// After a lap that brought nothing new; commands about campaigns cut the wait short.
constexpr std::chrono::milliseconds kPauseFirst{200};
constexpr std::chrono::milliseconds kPauseLongest{1000};
constexpr std::chrono::seconds kScanAgainAfterError{1};
constexpr std::size_t kScanDomains = 512;
// Domains remembered though they rest, about 250 bytes each; beyond this the oldest is simply tried again. Those that
// were seen not to exist go last: only who remembers it can see it twice.
constexpr std::size_t kRestingMax = 65'536;
// A domain that does not exist must not exist again after this long before its mail is given up.
constexpr std::chrono::hours kNoDomainTwice{1};
// However short its TTL, the MX of an active domain is not asked for more often.
constexpr std::chrono::minutes kRefreshAtMostEvery{5};

}  // namespace

Backlog::Backlog(Parts& parts)
    : parts_(parts), unsent_(parts.settings.cores), alive_(std::make_shared<Backlog*>(this)), pause_(kPauseFirst) {}

Backlog::~Backlog() { *alive_ = nullptr; }

// ---- scanning

void Backlog::Turn() {
  for (std::uint32_t core = 0; core < unsent_.size(); ++core) {
    while (!unsent_[core].empty()) {
      PeerMessage* slot = parts_.ports.to_peers[core]->Reserve();
      if (slot == nullptr) break;
      *slot = std::move(unsent_[core].front());
      unsent_[core].pop_front();
      parts_.ports.to_peers[core]->Publish();
    }
  }
  if (!MayScan() || parts_.now() < next_scan_) return;
  ReadRequest* request = parts_.ports.to_reader.Reserve();
  if (request == nullptr) return;
  request->what = queue::DomainScanRequest{.core = parts_.settings.core,
                                           .cores = parts_.settings.cores,
                                           .cursor = cursor_,
                                           .max_domains = std::min(kScanDomains, ActiveMax()),
                                           .now = parts_.loop.now().wall};
  parts_.ports.to_reader.Publish();
  scanning_ = true;
}

std::size_t Backlog::ActiveMax() const {
  return static_cast<std::size_t>(std::max(1, parts_.options->engine.active_domains));
}

bool Backlog::MayScan() const { return !scanning_ && !parts_.draining && active_ < ActiveMax(); }

void Backlog::OnScan(const ReadAnswer& answer) {
  scanning_ = false;
  const auto* scan = std::get_if<queue::DomainScan>(&answer.what);
  if (answer.error || scan == nullptr) {
    next_scan_ = parts_.now() + kScanAgainAfterError;
    return;
  }
  cursor_ = scan->lap_done ? std::string() : scan->cursor;
  for (const std::string& domain : scan->domains) Activate(domain);
  next_scan_ = parts_.now();
  if (!scan->lap_done) return;
  if (std::exchange(lap_brought_news_, false) || std::exchange(scan_again_, false)) {
    pause_ = kPauseFirst;
    return;
  }
  next_scan_ += pause_;
  pause_ = std::min(pause_ * 2, kPauseLongest);
}

void Backlog::ScanNow(bool wake_resting) {
  if (wake_resting) {
    for (const auto* rest : {&resting_, &missing_}) {
      for (HomeDomain* domain = rest->front(); domain != nullptr; domain = rest->Next(*domain)) {
        domain->rests_until = parts_.now();
      }
    }
  }
  pause_ = kPauseFirst;
  next_scan_ = parts_.now();
  scan_again_ = true;
}

// ---- a domain's way to its owner

void Backlog::Activate(std::string_view name) {
  auto [place, is_new] = domains_.try_emplace(std::string(name));
  if (is_new) {
    place->second = std::make_unique<HomeDomain>();
    place->second->name = name;
  }
  HomeDomain& domain = *place->second;
  if (!is_new) {
    if (domain.state == HomeDomain::State::kAssigned) return Refresh(domain);
    if (domain.state != HomeDomain::State::kResting || parts_.now() < domain.rests_until) return;
    RestOf(domain).Remove(domain);
  }
  domain.state = HomeDomain::State::kResolving;
  ++active_;
  lap_brought_news_ = true;
  const RouteOptions* route = FindRoute(*parts_.options, name);
  if (route != nullptr && !route->hosts.empty()) {
    const SiteTarget target = TargetOf(*parts_.options, name, nullptr);
    return Assign(domain, OwnerOf(target.owner_key(), parts_.settings.cores), nullptr);
  }
  LookUp(domain.name);
}

void Backlog::LookUp(const std::string& name) {
  parts_.resolver.LookUpMx(name, [alive = alive_, key = name](const dns::MxAnswer& answer) {
    if (*alive != nullptr) (*alive)->Resolved(key, answer);
  });
}

// A domain that stays active for long: its MX may change meanwhile.
void Backlog::Refresh(HomeDomain& domain) {
  if (domain.base_key.empty() || domain.refreshing || parts_.now() < domain.resolved_until) return;
  domain.refreshing = true;
  LookUp(domain.name);
}

void Backlog::Refreshed(HomeDomain& domain, const dns::MxAnswer& answer) {
  domain.refreshing = false;
  domain.resolved_until = parts_.now() + std::max<std::chrono::seconds>(answer.ttl, kRefreshAtMostEvery);
  // What fails now is found out when the domain is assigned the next time.
  if (answer.status != dns::MxStatus::kFound) return;
  if (TargetOf(*parts_.options, domain.name, &answer).base_key == domain.base_key) return;
  // The owner lets it go, if it has not yet; then it is assigned anew.
  if (domain.owner == parts_.settings.core) return parts_.windows->MxChanged(domain.name, answer);
  Send(domain.owner, {.kind = PeerMessage::Kind::kMxChanged,
                      .domain = domain.name,
                      .mx = std::make_shared<dns::MxAnswer>(answer),
                      .from_core = parts_.settings.core,
                      .rest = {},
                      .forget_mx = false,
                      .resolved_again = 0});
}

void Backlog::Resolved(const std::string& name, const dns::MxAnswer& answer) {
  const auto place = domains_.find(name);
  if (place == domains_.end()) return;
  HomeDomain& domain = *place->second;
  if (domain.state == HomeDomain::State::kAssigned && domain.refreshing) return Refreshed(domain, answer);
  if (domain.state != HomeDomain::State::kResolving) return;
  domain.refreshing = false;
  domain.base_key.clear();
  const Monotonic now = parts_.now();
  auto kept = std::make_shared<dns::MxAnswer>(answer);
  const std::uint32_t self = parts_.settings.core;
  const bool missing = answer.status == dns::MxStatus::kNoDomain;
  if ((missing || answer.status == dns::MxStatus::kFound) &&
      parts_.no_domains.Count(now, std::hash<std::string>()(name), missing)) {
    parts_.settlement->GuardEvent(Stage::kDns, Scope::kDomain, parts_.no_domains.Describe());
    parts_.kept->KeepDomains();
  }
  switch (answer.status) {
    case dns::MxStatus::kFound: {
      domain.dns.Succeed();
      domain.no_domain = false;
      const SiteTarget target = TargetOf(*parts_.options, name, &answer);
      domain.base_key = target.base_key;
      domain.resolved_until = now + std::max<std::chrono::seconds>(answer.ttl, kRefreshAtMostEvery);
      return Assign(domain, OwnerOf(target.owner_key(), parts_.settings.cores), std::move(kept));
    }
    case dns::MxStatus::kNullMx:
      kept->problem = fmt::format("{} accepts no mail: its MX record says so (RFC 7505)", name);
      return Assign(domain, self, std::move(kept));
    case dns::MxStatus::kNoDomain:
    case dns::MxStatus::kNoMail:
      if (kept->problem.empty()) {
        kept->problem = answer.status == dns::MxStatus::kNoDomain
                            ? fmt::format("{} does not exist", name)
                            : fmt::format("{} exists but has neither MX nor address records", name);
      }
      if (!std::exchange(domain.no_domain, true)) {
        domain.no_domain_since = now;
      } else if (now - domain.no_domain_since >= kNoDomainTwice && !parts_.no_domains.Tripped(now)) {
        domain.no_domain = false;
        return Assign(domain, self, std::move(kept));
      }
      break;
    case dns::MxStatus::kFailed:
      domain.no_domain = false;
      if (kept->problem.empty()) kept->problem = fmt::format("the MX of {} cannot be found out now", name);
      break;
  }
  // It rests, but first its windows are swept for what is cancelled or expired.
  const bool first = domain.dns.failures() == 0;
  domain.dns.Fail(now, parts_.random.Next());
  domain.rests_until = domain.dns.until();
  if (first) {
    const Now both = parts_.loop.now();
    parts_.settlement->DomainEvent(
        name, Stage::kDns, Category::kDnsFailure, kept->problem,
        both.wall + std::chrono::ceil<std::chrono::milliseconds>(domain.rests_until - both.monotonic));
  }
  kept->status = dns::MxStatus::kFailed;
  Assign(domain, self, std::move(kept));
}

void Backlog::Assign(HomeDomain& domain, std::uint32_t owner, std::shared_ptr<const dns::MxAnswer> answer) {
  domain.state = HomeDomain::State::kAssigned;
  domain.owner = owner;
  const auto resolved_again = static_cast<std::uint32_t>(domain.elsewhere.failures());
  if (owner == parts_.settings.core) {
    return parts_.windows->Assign(domain.name, owner, std::move(answer), resolved_again);
  }
  Send(owner, {.kind = PeerMessage::Kind::kAssign,
               .domain = domain.name,
               .mx = std::move(answer),
               .from_core = parts_.settings.core,
               .rest = {},
               .forget_mx = false,
               .resolved_again = resolved_again});
}

void Backlog::Release(std::uint32_t home, std::string_view domain, std::chrono::nanoseconds rest, bool forget_mx) {
  if (home == parts_.settings.core) return OnRelease(domain, rest, forget_mx);
  Send(home, {.kind = PeerMessage::Kind::kRelease,
              .domain = std::string(domain),
              .mx = nullptr,
              .from_core = parts_.settings.core,
              .rest = rest,
              .forget_mx = forget_mx,
              .resolved_again = 0});
}

void Backlog::Send(std::uint32_t core, PeerMessage message) {
  unsent_[core].push_back(std::move(message));  // bounded by the active domains; Turn sends it
}

void Backlog::OnPeerMessage(PeerMessage& message) {
  switch (message.kind) {
    case PeerMessage::Kind::kAssign:
      return parts_.windows->Assign(message.domain, message.from_core, std::move(message.mx), message.resolved_again);
    case PeerMessage::Kind::kMxChanged:
      return parts_.windows->MxChanged(message.domain, *message.mx);
    case PeerMessage::Kind::kRelease:
      return OnRelease(message.domain, message.rest, message.forget_mx);
  }
}

void Backlog::OnRelease(std::string_view name, std::chrono::nanoseconds rest, bool forget_mx) {
  if (forget_mx) parts_.resolver.Forget(name);
  const auto place = domains_.find(std::string(name));
  if (place == domains_.end() || place->second->state != HomeDomain::State::kAssigned) return;
  HomeDomain& domain = *place->second;
  --active_;
  domain.rests_until = std::max(domain.rests_until, parts_.now() + rest);
  if (forget_mx) {
    // A receiver that says so for ever is asked less and less often.
    domain.elsewhere.Fail(parts_.now(), parts_.random.Next());
    domain.rests_until = std::max(domain.rests_until, domain.elsewhere.until());
  } else {
    domain.elsewhere.Succeed();
  }
  const bool remembered = domain.dns.failures() > 0 || parts_.now() < domain.rests_until;
  if (!remembered) {
    domains_.erase(place);
    return;
  }
  domain.state = HomeDomain::State::kResting;
  RestOf(domain).PushBack(domain);
  if (resting_.size() + missing_.size() > kRestingMax) {
    const std::string oldest = (resting_.empty() ? missing_ : resting_).PopFront()->name;
    domains_.erase(oldest);
  }
}

}  // namespace postrider::delivery
