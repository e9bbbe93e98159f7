#include "engine/delivery/destination.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "config/duration.h"
#include "config/time_zone.h"
#include "engine/delivery/admission.h"
#include "engine/delivery/campaign_cache.h"
#include "engine/delivery/kept_state.h"
#include "engine/delivery/parts.h"
#include "engine/delivery/settlement.h"
#include "engine/delivery/site.h"
#include "engine/delivery/windows.h"

namespace postrider::delivery {
namespace {

constexpr std::string_view kSaved = "allowance/";
constexpr std::string_view kTotals = "limit/total/";
constexpr std::string_view kParts = "limit/part/";
// A transactional campaign whose sender is refused goes on at this rate: somebody waits for each of its messages.
constexpr RateLimit kSlowed{1.0 / 60, 1};
// A destination that nothing uses is kept so long for its history, longer while a limit still knows of what was sent.
constexpr std::chrono::seconds kKeptVacant{60};
constexpr std::size_t kDestinationsMax = 50'000;
constexpr std::chrono::hours kKeptUnused{24};
// A second's part of the sweep: 100,000 saved allowances are looked at within half an hour.
constexpr int kSweptAtOnce = 64;

CalendarDay DayIn(std::string_view time_zone, Wall moment) {
  const TimeZone::Day day = TimeZone::FindOrUtc(time_zone).DayOf(moment);
  return {day.start, day.end};
}

std::string KeyOf(std::string_view source, std::string_view destination) {
  return fmt::format("{}{}/{}", kSaved, source, destination);
}

std::string TotalKey(std::string_view destination) { return fmt::format("{}{}", kTotals, destination); }

std::string PartKey(queue::CampaignId id, std::string_view destination) {
  return fmt::format("{}{}/{}", kParts, id, destination);
}

std::string KeyOf(const Account& account) { return KeyOf(account.source, account.destination.key); }

}  // namespace

Account::Account(Parts& parts, Destination& at, std::string from)
    : destination(at),
      source(std::move(from)),
      allowance(parts.loop.now(), at.rule, DayIn),
      messages(parts),
      connects(parts) {}

CampaignPart::CampaignPart(Parts& parts, std::string campaign, const GuardNumbers& numbers)
    : name(std::move(campaign)),
      guard(numbers),
      timer([&parts, this] { parts.windows->Unhold(*this); }),
      pace(kSlowed.per_second, 0) {}

Finding CampaignPart::Describe(std::string_view receiver) const {
  Finding finding = guard.Describe(name, receiver);
  if (!slowed_by.empty()) {
    finding = {.alarm = Alarm::kTripped,
               .since = slowed_since,
               .why = fmt::format("{} sends one message a minute at {}: its replies met the rule {}", name, receiver,
                                  slowed_by),
               .go_on = fmt::format("correct the cause, then `postrider resume {} --at {}`", name, receiver)};
  }
  if (lifts_at != Monotonic::max()) {
    finding.go_on += fmt::format("; by itself it goes on {} after that began, and gathers pace", FormatDuration(lasts));
  }
  return finding;
}

Destination::Destination(Parts& parts, std::string its_key, std::string its_name, bool provider)
    : key(std::move(its_key)),
      name(std::move(its_name)),
      is_provider(provider),
      total_messages(parts),
      total_connects(parts) {}

void DestinationTable::Remember(std::string_view key, std::string_view value) {
  if (key.starts_with(kTotals)) return RememberRate(key, key.substr(kTotals.size()), value);
  if (key.starts_with(kParts)) {
    return RememberRate(key, key.substr(std::min(key.size(), key.find('/', kParts.size()) + 1)), value);
  }
  if (!key.starts_with(kSaved)) return;
  const std::size_t slash = key.find('/', kSaved.size());
  if (slash == key.npos || !IsOwn(parts_, key.substr(slash + 1))) return;
  saved_.emplace(key, SavedAllowance{.bytes = std::string(value), .unused_since = parts_.now()});
}

void DestinationTable::RememberRate(std::string_view key, std::string_view destination, std::string_view value) {
  if (!IsOwn(parts_, destination)) return;
  const Now now = parts_.loop.now();
  if (const Result<SavedBucket> saved = SavedBucket::Read(now, value); saved && saved->empty_at > now.wall) {
    saved_rates_.emplace(key, *saved);
  } else {
    parts_.writer.DeleteState(std::string(key));
  }
}

void DestinationTable::RestoreRate(LocalLimit& limit, const std::string& key) {
  const auto saved = saved_rates_.find(key);
  if (saved == saved_rates_.end()) return;
  limit.Restore(parts_.now(), saved->second);
  saved_rates_.erase(saved);
}

void DestinationTable::SaveRates(Destination& destination) {
  const auto write = [this](const std::string& key, const std::string& record) {
    if (record.empty()) return parts_.writer.DeleteState(key);
    parts_.writer.PutState(key, record);
  };
  const Now now = parts_.loop.now();
  if (const auto record = destination.total.Unsaved(now)) write(TotalKey(destination.key), *record);
  for (const auto& [id, part] : destination.campaigns) {
    if (const auto record = part->limit.Unsaved(now)) write(PartKey(id, destination.key), *record);
  }
}

Destination& DestinationTable::Get(const std::string& key, const std::string& name, bool is_provider,
                                   const EffectiveRule& rule) {
  std::unique_ptr<Destination>& place = destinations_[key];
  const bool is_new = place == nullptr;
  if (is_new) place = std::make_unique<Destination>(parts_, key, name, is_provider);
  Apply(*place, rule);
  if (is_new) RestoreRate(place->total, TotalKey(key));
  return *place;
}

void DestinationTable::Apply(Destination& destination, const EffectiveRule& rule) {
  if (destination.rule == rule) return;
  const Now now = parts_.loop.now();
  destination.rule = rule;
  destination.total.Set(now.monotonic, rule.total_message_rate, rule.total_connections);
  destination.total_messages.CallNext();
  destination.total_connects.CallNext();
  for (const std::unique_ptr<Account>& account : destination.accounts) {
    account->allowance.SetRule(now, rule);
    account->messages.CallNext();
    account->connects.CallNext();
  }
  for (const auto& [id, part] : destination.campaigns) {
    part->limit.Set(now.monotonic, RateOf(*part, rule));
    parts_.windows->Unhold(*part);
  }
}

void DestinationTable::Join(Site& site) {
  Destination* provider = nullptr;
  if (!site.provider.empty())
    provider = &Get(site.provider, site.provider, true, ResolveProviderRule(*parts_.options, site.provider));
  Destination* own = provider;
  if (provider == nullptr || !site.own_rules.empty()) {
    own = &Get(site.key, site.name, false, site.rule);
  }
  site.destination = own;
  site.provider_destination = provider != nullptr ? provider : own;
  ++own->sites;
  if (provider != nullptr && provider != own) ++provider->sites;
}

void DestinationTable::Leave(Site& site) {
  const auto leave = [this](Destination& destination) {
    if (--destination.sites == 0) destination.vacant_since = parts_.now();
  };
  if (site.provider_destination != site.destination) leave(*site.provider_destination);
  leave(*site.destination);
}

Account& DestinationTable::AccountOf(Destination& destination, std::string_view source) {
  for (const std::unique_ptr<Account>& account : destination.accounts) {
    if (account->source == source) return *account;
  }
  Account& account =
      *destination.accounts.emplace_back(std::make_unique<Account>(parts_, destination, std::string(source)));
  SetWarmUp(account);
  const auto saved = saved_.find(KeyOf(account));
  if (saved != saved_.end()) {
    account.forgotten_on_disk = false;
    if (const Result<void> restored = account.allowance.Restore(parts_.loop.now(), saved->second.bytes); !restored) {
      parts_.settlement->DestinationEvent(
          destination, source,
          fmt::format("its limits begin anew, for what was saved of them cannot be read: {}",
                      restored.error().message));
    }
    account.troubled = account.allowance.Probing();
    saved_.erase(saved);
  }
  return account;
}

CampaignPart& DestinationTable::PartOf(Destination& destination, const CampaignEntry& campaign) {
  std::unique_ptr<CampaignPart>& part = destination.campaigns[campaign.first->id];
  if (part == nullptr) {
    part = std::make_unique<CampaignPart>(parts_, campaign.spec().name, parts_.options->guard);
    parts_.kept->Restore(destination, campaign.first->id, *part);
    part->limit.Set(parts_.now(), RateOf(*part, destination.rule));
    RestoreRate(part->limit, PartKey(campaign.first->id, destination.key));
  }
  return *part;
}

std::optional<RateLimit> DestinationTable::RateOf(const CampaignPart& part, const EffectiveRule& rule) {
  if (!part.slowed_by.empty()) return kSlowed;
  const std::optional<RateLimit>& usual = rule.campaign_message_rate;
  if (!part.pace.active() || (usual && usual->per_second <= part.pace.rate())) return usual;
  return RateLimit{.per_second = part.pace.rate()};
}

bool DestinationTable::Refuse(Destination& destination, CampaignPart& part, bool slowly, const ReplyRule& rule) {
  const Monotonic now = parts_.now();
  if (!part.slowed_by.empty() || (!slowly && !part.guard.Pause(now, rule.name))) return false;
  part.lasts = rule.action.duration;
  if (part.lasts.count() > 0) {
    part.lifts_at = now + part.lasts;
    const std::optional<RateLimit>& usual = destination.rule.campaign_message_rate;
    part.pace.SetBounds(kSlowed.per_second, usual ? usual->per_second : 0);
    part.pace.Stopped(now, part.meter.PerSecond(now));
  }
  if (slowly) {
    part.slowed_by = rule.name;
    part.slowed_since = now;
    part.limit.Set(now, kSlowed);
  }
  return true;
}

void DestinationTable::Accepted(Destination& destination, queue::CampaignId id, CampaignPart& part) {
  const Monotonic now = parts_.now();
  part.meter.Count(now);
  if (!part.pace.active() || !part.slowed_by.empty() || part.Paused() || !part.pace.Accepted(now)) return;
  part.limit.Set(now, RateOf(part, destination.rule));
  parts_.kept->KeepPart(destination, id, part);
}

void DestinationTable::Lift(Destination& destination, queue::CampaignId id, CampaignPart& part) {
  part.lifts_at = Monotonic::max();
  part.guard.Resume();
  part.slowed_by.clear();
  part.limit.Set(parts_.now(), RateOf(part, destination.rule));
  parts_.kept->KeepPart(destination, id, part);
  parts_.settlement->DestinationEvent(destination, {},
                                      fmt::format("{} goes on at {}, slowly at first: {} are over", part.name,
                                                  destination.name, FormatDuration(part.lasts)));
  parts_.windows->Unhold(part);
}

void DestinationTable::Resume(std::string_view campaign, std::string_view at) {
  for (const auto& [key, destination] : destinations_) {
    if (destination->name != at) continue;
    for (const auto& [id, part] : destination->campaigns) {
      if (part->name != campaign) continue;
      part->guard.Resume();
      part->slowed_by.clear();
      part->lifts_at = Monotonic::max();
      part->pace.Forget();
      part->limit.Set(parts_.now(), RateOf(*part, destination->rule));
      parts_.kept->KeepPart(*destination, id, *part);
      parts_.windows->Unhold(*part);
    }
  }
  parts_.kept->Resume(campaign, at);
}

void DestinationTable::ForgetTrouble(std::string_view source, std::string_view at) {
  for (const auto& [key, destination] : destinations_) {
    if (!at.empty() && destination->name != at) continue;
    for (const std::unique_ptr<Account>& account : destination->accounts) {
      if (!source.empty() && account->source != source) continue;
      account->allowance.Resume(parts_.now());
      account->messages.CallNext();
      account->connects.CallNext();
    }
  }
}

void DestinationTable::CampaignIsOver(queue::CampaignId id) {
  parts_.kept->Forget(id);
  const std::string prefix = PartKey(id, {});
  for (auto saved = saved_rates_.lower_bound(prefix);
       saved != saved_rates_.end() && saved->first.starts_with(prefix);) {
    parts_.writer.DeleteState(saved->first);
    saved = saved_rates_.erase(saved);
  }
  for (const auto& [key, destination] : destinations_) {
    const auto place = destination->campaigns.find(id);
    if (place == destination->campaigns.end() || std::exchange(place->second->over, true)) continue;
    CampaignPart& part = *place->second;
    part.limit.Set(parts_.now(), std::nullopt);
    if (part.Describe(destination->name).alarm != Alarm::kTripped) continue;
    part.guard.Resume();
    part.slowed_by.clear();
    part.lifts_at = Monotonic::max();
    part.pace.Forget();
    parts_.kept->KeepPart(*destination, id, part);
  }
}

std::optional<WarmUpPlan> DestinationTable::WarmUpOf(std::string_view source) const {
  const auto known = std::ranges::find(parts_.options->sources, source, &SourceOptions::name);
  if (known == parts_.options->sources.end() || !known->warm_up) return std::nullopt;
  const WarmUpOptions& options = parts_.options->warm_up;
  return WarmUpPlan{.start = Wall(*known->warm_up),
                    .quotas = options.quotas,
                    .used_share = options.used_share,
                    .deferred_share = options.deferred_share,
                    .steps_back = options.steps_back};
}

void DestinationTable::SetWarmUp(Account& account) {
  const std::optional<WarmUpPlan> plan = WarmUpOf(account.source);
  account.allowance.SetWarmUp(parts_.loop.now(), plan ? &*plan : nullptr);
}

std::optional<Allowance::State> DestinationTable::Look(const std::string& key, const EffectiveRule& rule,
                                                       const std::string& source) const {
  const Now now = parts_.loop.now();
  if (const auto place = destinations_.find(key); place != destinations_.end()) {
    for (const std::unique_ptr<Account>& account : place->second->accounts) {
      if (account->source == source) return account->allowance.Describe(now);
    }
  }
  const auto saved = saved_.find(KeyOf(source, key));
  if (saved == saved_.end()) return std::nullopt;
  Allowance allowance(now, rule, DayIn);
  const std::optional<WarmUpPlan> plan = WarmUpOf(source);
  allowance.SetWarmUp(now, plan ? &*plan : nullptr);
  if (!allowance.Restore(now, saved->second.bytes)) return std::nullopt;
  return allowance.Describe(now);
}

bool DestinationTable::Rekey(Destination& destination, const std::string& key) {
  if (destinations_.contains(key)) return false;
  auto node = destinations_.extract(destination.key);
  for (const std::unique_ptr<Account>& account : destination.accounts) {
    if (!account->forgotten_on_disk) parts_.writer.DeleteState(KeyOf(*account));
  }
  if (destination.total.MoveSaved()) parts_.writer.DeleteState(TotalKey(destination.key));
  for (const auto& [id, part] : destination.campaigns) {
    if (part->limit.MoveSaved()) parts_.writer.DeleteState(PartKey(id, destination.key));
  }
  node.key() = key;
  const std::string old_key = std::exchange(destination.key, key);
  destinations_.insert(std::move(node));
  parts_.kept->Rekeyed(destination, old_key);
  for (const std::unique_ptr<Account>& account : destination.accounts) {
    saved_.erase(KeyOf(*account));
    BeginSave(*account);
  }
  return true;
}

bool DestinationTable::StillMatters(const Destination& destination) const {
  const Monotonic now = parts_.now();
  const auto holds = [now](const auto& entry) { return !entry.second->limit.AtRest(now); };
  if (!destination.total.AtRest(now) || std::ranges::any_of(destination.campaigns, holds)) return true;
  return std::ranges::any_of(destination.accounts, [now](const std::unique_ptr<Account>& account) {
    return account->paths > 0 || account->saving > 0 || account->allowance.Probing() ||
           account->allowance.BlockedUntil() > now;
  });
}

void DestinationTable::Tick() {
  const Monotonic now = parts_.now();
  for (auto place = destinations_.begin(); place != destinations_.end();) {
    Destination& destination = *place->second;
    for (const std::unique_ptr<Account>& account : destination.accounts) {
      if (account->allowance.Unsaved()) Save(*account);
    }
    SaveRates(destination);
    for (const auto& [id, part] : destination.campaigns) {
      if (part->lifts_at <= now) Lift(destination, id, *part);
    }
    std::erase_if(destination.campaigns, [](const auto& entry) {
      return entry.second->over && entry.second->shares == 0 && entry.second->held.empty();
    });
    const bool vacant = destination.sites == 0 && now - destination.vacant_since >= kKeptVacant;
    const bool forget =
        vacant && (destinations_.size() > kDestinationsMax || !StillMatters(destination)) &&
        std::ranges::none_of(destination.accounts, [](const auto& account) { return account->saving > 0; });
    if (!forget) {
      ++place;
      continue;
    }
    parts_.kept->Leave(destination);
    // What it was saved as is kept for its next mail: a day's counter must not begin anew.
    for (const std::unique_ptr<Account>& account : destination.accounts) {
      if (account->forgotten_on_disk) continue;
      saved_[KeyOf(*account)] = {.bytes = account->allowance.Encode(parts_.loop.now()), .unused_since = now};
    }
    place = destinations_.erase(place);
  }
  SweepSaved();
}

// What nobody used for a day and holds nothing is as good as new, once every bucket has leaked away: the day's counters
// are another day's.
void DestinationTable::SweepSaved() {
  const Now now = parts_.loop.now();
  auto place = saved_.lower_bound(sweep_at_);
  for (int i = 0; i < kSweptAtOnce && place != saved_.end(); ++i) {
    SavedAllowance& saved = place->second;
    if (now.monotonic - saved.unused_since < kKeptUnused) {
      ++place;
      continue;
    }
    saved.unused_since = now.monotonic;
    const std::string_view from = std::string_view(place->first).substr(kSaved.size());
    const auto source =
        std::ranges::find(parts_.options->sources, from.substr(0, from.find('/')), &SourceOptions::name);
    const bool warms_up = source != parts_.options->sources.end() && source->warm_up.has_value();
    Allowance allowance(now, ResolveRule(*parts_.options, {}, {}), DayIn);
    const bool leaks = Allowance::SavedEmptyAt(saved.bytes) > now.wall;
    if (warms_up || leaks || (allowance.Restore(now, saved.bytes) && !allowance.AtRest(now.monotonic))) {
      ++place;
      continue;
    }
    parts_.writer.DeleteState(place->first);
    place = saved_.erase(place);
  }
  sweep_at_ = place == saved_.end() ? std::string() : place->first;
}

void DestinationTable::Save(Account& account) {
  if (account.saving == 0) BeginSave(account);
}

void DestinationTable::BeginSave(Account& account) {
  Allowance::Save save = account.allowance.BeginSave(parts_.loop.now());
  parts_.writer.PutState(KeyOf(account), save.bytes);
  ++account.saving;
  account.forgotten_on_disk = false;
  saves_.push_back({parts_.writer.issued(), &account, save.number});
}

void DestinationTable::Durable(std::uint64_t requests) {
  while (!saves_.empty() && saves_.front().request <= requests) {
    Account& account = *saves_.front().account;
    --account.saving;
    account.allowance.Saved(saves_.front().number);
    saves_.pop_front();
    account.messages.CallNext();
  }
}

void DestinationTable::SaveAll() {
  for (const auto& [key, destination] : destinations_) {
    SaveRates(*destination);
    for (const std::unique_ptr<Account>& account : destination->accounts) {
      if (account->forgotten_on_disk && !account->allowance.Unsaved()) continue;
      parts_.writer.PutState(KeyOf(*account), account->allowance.Encode(parts_.loop.now()));
    }
  }
}

void DestinationTable::Refresh(const Site& site) {
  if (site.provider_destination != site.destination || site.destination->is_provider) {
    Apply(*site.provider_destination, ResolveProviderRule(*parts_.options, site.provider));
  }
  if (!site.destination->is_provider) Apply(*site.destination, site.rule);
  for (Destination* one : {site.destination, site.provider_destination}) {
    for (const std::unique_ptr<Account>& account : one->accounts) SetWarmUp(*account);
  }
}

}  // namespace postrider::delivery
