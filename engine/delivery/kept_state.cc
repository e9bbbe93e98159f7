#include "engine/delivery/kept_state.h"

#include <fmt/format.h>

#include <algorithm>
#include <iterator>
#include <utility>

#include "engine/delivery/destination.h"
#include "engine/delivery/parts.h"
#include "engine/delivery/settlement.h"
#include "engine/delivery/site.h"
#include "throttle/state_record.h"

namespace postrider::delivery {
namespace {

constexpr std::string_view kCampaigns = "guard/campaign/";
constexpr std::string_view kStorms = "guard/storm/";
constexpr std::string_view kDomains = "guard/domains/";
constexpr std::string_view kCaps = "cap/";

constexpr char kPartKind = 'P';
constexpr char kCapKind = 'M';
constexpr std::uint8_t kVersion = 1;
constexpr int kSweptAtOnce = 16;
constexpr std::uint64_t kCapMost = 100'000;

// On disk: never renumber, only append.
enum Field : std::uint8_t {
  kCampaign = 1,
  kReceiver = 2,
  kGuard = 3,
  kSlowedBy = 4,
  kSlowedSince = 5,
  kLiftsAt = 6,
  kLasts = 7,
  kPace = 8,
  kCap = 1,
  kLearnedAt = 2,
};

std::string CampaignKey(queue::CampaignId id, std::string_view destination) {
  return fmt::format("{}{}/{}", kCampaigns, id, destination);
}

std::string Encode(const Destination& destination, const CampaignPart& part, const Now& now) {
  const std::string guard = part.guard.Encode(now);
  if (guard.empty() && part.slowed_by.empty() && !part.pace.active()) return {};
  StateWriter writer;
  writer.Text(kCampaign, part.name);
  writer.Text(kReceiver, destination.name);
  if (!guard.empty()) writer.Text(kGuard, guard);
  if (!part.slowed_by.empty()) {
    writer.Text(kSlowedBy, part.slowed_by);
    writer.Moment(kSlowedSince, part.slowed_since, now);
  }
  if (part.lifts_at != Monotonic::max()) {
    writer.Moment(kLiftsAt, part.lifts_at, now);
    writer.Number(kLasts, static_cast<std::uint64_t>(part.lasts.count()));
  }
  if (part.pace.active()) {
    StateWriter pace;
    part.pace.Encode(pace, now);
    writer.Text(kPace, pace.fields());
  }
  return writer.Finish(kPartKind, kVersion);
}

std::string EncodeCap(const Site& site) {
  StateWriter writer;
  writer.Number(kCap, static_cast<std::uint64_t>(site.learned_cap));
  writer.Moment(kLearnedAt, site.cap_learned_at);
  return writer.Finish(kCapKind, kVersion);
}

struct PartRecord {
  std::string campaign;
  std::string receiver;
  std::string guard;
  std::string slowed_by;
  Monotonic slowed_since{};
  Monotonic lifts_at = Monotonic::max();
  std::chrono::seconds lasts{};
  std::string pace;
};

Result<PartRecord> Decode(std::string_view bytes, const Now& now) {
  Result<StateReader> reader = StateReader::Open(bytes, kPartKind, kVersion);
  if (!reader) return std::unexpected(std::move(reader.error()));
  PartRecord record;
  while (reader->Next()) {
    const std::string_view text = reader->Text().value_or(std::string_view());
    if (reader->field() == kCampaign) record.campaign = text;
    if (reader->field() == kReceiver) record.receiver = text;
    if (reader->field() == kGuard) record.guard = text;
    if (reader->field() == kSlowedBy) record.slowed_by = text;
    if (reader->field() == kSlowedSince) record.slowed_since = reader->Moment(now).value_or(now.monotonic);
    if (reader->field() == kLiftsAt) record.lifts_at = reader->Moment(now).value_or(now.monotonic);
    if (reader->field() == kLasts) record.lasts = std::chrono::seconds(reader->Number().value_or(0));
    if (reader->field() == kPace) record.pace = text;
  }
  if (!reader->sound()) return Fail(ErrorCode::kCorrupt, "its fields do not fit their lengths");
  return record;
}

// All but its guard.
void Fill(CampaignPart& part, const PartRecord& record, const Now& now) {
  part.slowed_by = record.slowed_by;
  part.slowed_since = record.slowed_since;
  part.lifts_at = record.lifts_at;
  part.lasts = record.lasts;
  if (!part.pace.Restore(record.pace, now)) part.pace.Forget();
}

}  // namespace

bool IsOwn(const Parts& parts, std::string_view key) {
  // A site's key begins with its hosts and its provider (SiteTable); a provider's is its name.
  const std::size_t end = key.find('|');
  if (end == key.npos) return OwnerOf(key, parts.settings.cores) == parts.settings.core;
  const std::string_view rest = key.substr(end + 1);
  const std::string_view provider = rest.substr(0, rest.find('|'));
  return OwnerOf(provider.empty() ? key.substr(0, end) : provider, parts.settings.cores) == parts.settings.core;
}

void KeptState::Load(std::string_view key, std::string_view value) {
  if (key.starts_with(kDomains)) {
    if (key.substr(kDomains.size()) != std::to_string(parts_.settings.core)) return;
    domains_kept_ = true;
    if (const Result<void> restored = parts_.no_domains.Restore(parts_.loop.now(), value); !restored) {
      Complain("doubts about domains", restored.error());
    }
    return;
  }
  std::string_view place;
  if (key.starts_with(kCampaigns)) {
    const std::size_t slash = key.find('/', kCampaigns.size());
    if (slash == key.npos) return;
    place = key.substr(slash + 1);
  } else if (key.starts_with(kStorms)) {
    place = key.substr(kStorms.size());
  } else if (key.starts_with(kCaps)) {
    place = key.substr(kCaps.size());
  } else {
    return;
  }
  if (IsOwn(parts_, place)) waiting_.emplace(key, value);
}

void KeptState::Complain(std::string_view what, const Error& error) {
  queue::Event& event = parts_.writer.Next(StoreRequest::Kind::kEvent, nullptr).outcome.event;
  event.kind = queue::EventKind::kPath;
  event.time = parts_.loop.now().wall;
  event.category = Category::kOther;
  event.reply = fmt::format("what was saved of {} cannot be read, and begins anew: {}", what, error.message);
  parts_.writer.Publish();
}

void KeptState::Restore(Site& site) {
  const Now now = parts_.loop.now();
  if (const auto storm = Take(fmt::format("{}{}", kStorms, site.key))) {
    auto restored = std::make_unique<BounceStorm>(parts_.options->guard);
    if (const Result<void> read = restored->Restore(now, *storm); read) {
      site.storm = std::move(restored);
    } else {
      Complain("the bounce storm of " + site.name, read.error());
    }
  }
  const auto cap = Take(fmt::format("{}{}", kCaps, site.key));
  if (!cap) return;
  Result<StateReader> reader = StateReader::Open(*cap, kCapKind, kVersion);
  if (!reader) return Complain("the messages that a connection to " + site.name + " takes", reader.error());
  std::uint64_t most = 0;
  Wall learned_at{};
  while (reader->Next()) {
    if (reader->field() == kCap) most = reader->Number().value_or(0);
    if (reader->field() == kLearnedAt) learned_at = reader->Moment().value_or(Wall());
  }
  if (most == 0 || most > kCapMost || now.wall - learned_at >= kCapHolds) {
    return parts_.writer.DeleteState(fmt::format("{}{}", kCaps, site.key));
  }
  site.learned_cap = static_cast<int>(most);
  site.cap_learned_at = learned_at;
}

void KeptState::Restore(const Destination& destination, queue::CampaignId id, CampaignPart& part) {
  const auto saved = Take(CampaignKey(id, destination.key));
  if (!saved) return;
  const Now now = parts_.loop.now();
  Result<PartRecord> record = Decode(*saved, now);
  if (!record) return Complain("what holds " + part.name + " at " + destination.name, record.error());
  if (!record->guard.empty()) {
    if (const Result<void> read = part.guard.Restore(now, record->guard); !read) {
      Complain("what holds " + part.name + " at " + destination.name, read.error());
    }
  }
  Fill(part, *record, now);
}

void KeptState::KeepStorm(const Site& site) {
  Put(fmt::format("{}{}", kStorms, site.key), site.storm != nullptr ? site.storm->Encode(parts_.loop.now()) : "");
}

void KeptState::KeepCap(const Site& site) { Put(fmt::format("{}{}", kCaps, site.key), EncodeCap(site)); }

void KeptState::Leave(const Site& site) {
  if (site.storm != nullptr && site.storm->tripped()) {
    waiting_[fmt::format("{}{}", kStorms, site.key)] = site.storm->Encode(parts_.loop.now());
  }
  if (site.learned_cap > 0) waiting_[fmt::format("{}{}", kCaps, site.key)] = EncodeCap(site);
}

void KeptState::Leave(const Destination& destination) {
  for (const auto& [id, part] : destination.campaigns) {
    std::string value = Encode(destination, *part, parts_.loop.now());
    if (!value.empty()) waiting_[CampaignKey(id, destination.key)] = std::move(value);
  }
}

void KeptState::KeepPart(const Destination& destination, queue::CampaignId id, const CampaignPart& part) {
  Put(CampaignKey(id, destination.key), Encode(destination, part, parts_.loop.now()));
}

void KeptState::Rekeyed(const Site& site, std::string_view old_key) {
  if (site.storm != nullptr) {
    parts_.writer.DeleteState(fmt::format("{}{}", kStorms, old_key));
    KeepStorm(site);
  }
  if (site.learned_cap > 0) {
    parts_.writer.DeleteState(fmt::format("{}{}", kCaps, old_key));
    KeepCap(site);
  }
}

void KeptState::Rekeyed(const Destination& destination, std::string_view old_key) {
  for (const auto& [id, part] : destination.campaigns) {
    parts_.writer.DeleteState(CampaignKey(id, old_key));
    KeepPart(destination, id, *part);
  }
  // Those that have no mail in hand.
  const std::string suffix = fmt::format("/{}", old_key);
  for (auto place = waiting_.lower_bound(kCampaigns);
       place != waiting_.end() && place->first.starts_with(kCampaigns);) {
    const auto next = std::next(place);
    if (place->first.ends_with(suffix)) {
      parts_.writer.DeleteState(place->first);
      auto node = waiting_.extract(place);
      node.key().replace(node.key().size() - old_key.size(), old_key.size(), destination.key);
      parts_.writer.PutState(node.key(), node.mapped());
      waiting_.insert(std::move(node));
    }
    place = next;
  }
}

void KeptState::KeepDomains() {
  const std::string value = parts_.no_domains.Encode(parts_.loop.now());
  domains_kept_ = !value.empty();
  Put(fmt::format("{}{}", kDomains, parts_.settings.core), value);
}

void KeptState::Tick() {
  // Asking is what ends them.
  (void)parts_.no_domains.Tripped(parts_.now());
  SweepCaps();
  if (domains_kept_ && parts_.no_domains.Encode(parts_.loop.now()).empty()) KeepDomains();
}

void KeptState::Resume(std::string_view campaign, std::string_view at) {
  std::erase_if(waiting_, [&](const auto& entry) {
    if (!entry.first.starts_with(kCampaigns)) return false;
    const Result<PartRecord> record = Decode(entry.second, parts_.loop.now());
    if (!record || record->campaign != campaign || record->receiver != at) return false;
    parts_.writer.DeleteState(entry.first);
    return true;
  });
}

void KeptState::Forget(queue::CampaignId id) {
  const std::string prefix = fmt::format("{}{}/", kCampaigns, id);
  auto place = waiting_.lower_bound(prefix);
  while (place != waiting_.end() && place->first.starts_with(prefix)) {
    parts_.writer.DeleteState(place->first);
    place = waiting_.erase(place);
  }
}

std::vector<KeptState::Held> KeptState::Waiting() const {
  std::vector<Held> waiting;
  const Now now = parts_.loop.now();
  for (auto place = waiting_.lower_bound(kCampaigns); place != waiting_.end() && place->first.starts_with(kCampaigns);
       ++place) {
    Result<PartRecord> record = Decode(place->second, now);
    if (!record) continue;
    CampaignPart part(parts_, record->campaign, parts_.options->guard);
    if (!record->guard.empty() && !part.guard.Restore(now, record->guard)) continue;
    Fill(part, *record, now);
    waiting.push_back({record->campaign, record->receiver, part.Describe(record->receiver)});
  }
  return waiting;
}

void KeptState::Put(const std::string& key, const std::string& value) {
  if (value.empty()) return parts_.writer.DeleteState(key);
  parts_.writer.PutState(key, value);
}

// Caps of sites that had no mail for long.
void KeptState::SweepCaps() {
  auto place = waiting_.lower_bound(std::max(sweep_at_, std::string(kCaps)));
  for (int i = 0; i < kSweptAtOnce && place != waiting_.end() && place->first.starts_with(kCaps); ++i) {
    Wall learned_at{};
    Result<StateReader> reader = StateReader::Open(place->second, kCapKind, kVersion);
    while (reader && reader->Next()) {
      if (reader->field() == kLearnedAt) learned_at = reader->Moment().value_or(Wall());
    }
    if (parts_.loop.now().wall - learned_at < kCapHolds) {
      ++place;
      continue;
    }
    parts_.writer.DeleteState(place->first);
    place = waiting_.erase(place);
  }
  sweep_at_ = place == waiting_.end() || !place->first.starts_with(kCaps) ? std::string() : place->first;
}

std::optional<std::string> KeptState::Take(const std::string& key) {
  const auto place = waiting_.find(key);
  if (place == waiting_.end()) return std::nullopt;
  std::string value = std::move(place->second);
  waiting_.erase(place);
  return value;
}

}  // namespace postrider::delivery
