#include "engine/delivery/campaign_cache.h"

#include <algorithm>

#include "engine/delivery/site.h"
#include "engine/delivery/stored_message.h"
#include "queue/lifecycle.h"

namespace postrider::delivery {
namespace {

// Standing campaigns bring one template per message; beyond this many the oldest is compiled again when it is needed.
constexpr std::size_t kTemplates = 512;
// A command that a campaign changed outlives every answer of a reader that did not know of it yet.
constexpr std::chrono::seconds kRemembered{60};

}  // namespace

CampaignEntry::CampaignEntry(queue::CampaignPtr snapshot, SharedLimits& limits, Monotonic now)
    : first(snapshot),
      latest(std::move(snapshot)),
      timer([this] { on_unthrottle(); }),
      window_timer([this] { on_window(); }) {
  const double per_second = first->spec.messages_per_second;
  if (per_second <= 0) return;
  const std::string name = std::to_string(first->id);
  // Held from the beginning, so that no sweep drops it between the two.
  std::shared_ptr<SharedLimit> limit = limits.Get(SharedLimits::Kind::kCampaign, name);
  if (!limit->rate()) {
    limits.Set(SharedLimits::Kind::kCampaign, name, now, RateLimit{.per_second = per_second, .burst = 0}, std::nullopt);
  }
  lease = std::make_unique<Lease>(std::move(limit));
}

CampaignStanding CampaignEntry::Standing(Wall now) const {
  switch (latest->state) {
    case queue::CampaignState::kCancelled:
      return CampaignStanding::kCancelled;
    case queue::CampaignState::kRunning:
      break;
    case queue::CampaignState::kLoading:
      if (latest->spec.start == queue::StartMode::kStreaming) break;
      return CampaignStanding::kWait;
    default:
      return CampaignStanding::kWait;
  }
  const std::optional<Wall> expires = queue::ExpiryOf(*latest);
  if (expires && now >= *expires) return CampaignStanding::kExpired;
  return queue::WindowsAt(*latest, now).open ? CampaignStanding::kGo : CampaignStanding::kWait;
}

CampaignEntry& CampaignCache::Get(const queue::CampaignPtr& snapshot) {
  auto [place, is_new] = entries_.try_emplace(snapshot->id);
  if (is_new) {
    place->second = std::make_unique<CampaignEntry>(snapshot, limits_, loop_.now().monotonic);
    place->second->open_since = loop_.now().wall;
  }
  place->second->touched = loop_.now().monotonic;
  knows_transactional_ |= place->second->transactional();
  return *place->second;
}

CampaignEntry& CampaignCache::Enter(const queue::CampaignPtr& snapshot) {
  CampaignEntry& entry = Get(snapshot);
  if (!entry.told) entry.latest = snapshot;
  return entry;
}

CampaignEntry& CampaignCache::Update(const queue::CampaignPtr& snapshot) {
  CampaignEntry& entry = Get(snapshot);
  entry.told = true;
  entry.latest = snapshot;
  return entry;
}

// The message as it was read with the job; null if the queue lost it.
static const queue::StoredTemplate* StoredOf(const WindowJob& job) {
  const queue::Job& of = job.job();
  for (const queue::StoredTemplatePtr& stored : job.batch->taken.templates) {
    if (stored && stored->campaign == of.id.campaign && stored->number == of.template_number) return stored.get();
  }
  return nullptr;
}

std::optional<Wall> EndOf(const WindowJob& job, const Options& options) {
  const queue::Campaign& campaign = *job.lane->campaign->latest;
  const std::optional<Wall> expires = queue::ExpiryOf(campaign);
  if (expires || !campaign.spec.standing) return expires;
  const queue::StoredTemplate* stored = StoredOf(job);
  if (stored == nullptr) return std::nullopt;
  return stored->accepted_at + options.RetryFor(campaign.spec.mail_class).expiry;
}

const std::shared_ptr<const CompiledTemplate>& CampaignCache::TemplateOf(const WindowJob& job) {
  Lane& lane = *job.lane;
  if (lane.compiled == nullptr || lane.compiled_number != job.job().template_number) {
    lane.compiled = FindOrCompile(job);
    lane.compiled_number = job.job().template_number;
  }
  return lane.compiled;
}

std::shared_ptr<const CompiledTemplate> CampaignCache::FindOrCompile(const WindowJob& job) {
  const Key key{job.job().id.campaign, job.job().template_number};
  if (const auto found = templates_.find(key); found != templates_.end()) {
    recently_used_.splice(recently_used_.begin(), recently_used_, found->second.used);
    return found->second.compiled;
  }
  auto compiled = std::make_shared<CompiledTemplate>();
  const queue::StoredTemplate* stored = StoredOf(job);
  if (stored == nullptr) {
    compiled->problem = "its message is not in the queue";
  } else {
    compiled->accepted_at = stored->accepted_at;
    compiled->host_name = stored->host_name;
    const message::CompileOptions options = CompileOptionsOf(job.lane->campaign->spec(), *stored);
    if (auto content = message::Template::Compile(stored->message, options)) {
      compiled->content = *std::move(content);
    } else {
      compiled->problem = content.error().empty() ? "it does not compile" : ToString(content.error().front());
    }
  }
  recently_used_.push_front(key);
  templates_[key] = {compiled, recently_used_.begin()};
  while (templates_.size() > kTemplates) {
    templates_.erase(recently_used_.back());
    recently_used_.pop_back();
  }
  return compiled;
}

void CampaignCache::Tick(Monotonic now) {
  std::erase_if(entries_, [now](const auto& entry) {
    return entry.second->lanes.empty() && now - entry.second->touched > kRemembered;
  });
}

void CampaignCache::ReturnUnusedLeases() {
  for (const auto& [id, entry] : entries_) {
    if (entry->lease != nullptr && entry->lease->holds()) entry->lease->ReturnUnused(loop_.now().monotonic);
  }
}

}  // namespace postrider::delivery
