#include "engine/delivery/destination.h"

#include <fmt/format.h>

#include <algorithm>
#include <utility>

#include "config/time_zone.h"
#include "engine/delivery/admission.h"
#include "engine/delivery/campaign_cache.h"
#include "engine/delivery/parts.h"
#include "engine/delivery/settlement.h"
#include "engine/delivery/site.h"
#include "engine/delivery/windows.h"

namespace postrider::delivery {
namespace {

constexpr std::string_view kSaved = "allowance/";
// A transactional campaign whose sender is refused goes on at this rate: somebody waits for each of its messages.
constexpr RateLimit kSlowed{1.0 / 60, 1};
// A destination that nothing uses is kept so long for its history, longer while a limit still knows of what was sent.
constexpr std::chrono::seconds kKeptVacant{60};
constexpr std::size_t kDestinationsMax = 50'000;

CalendarDay DayIn(std::string_view time_zone, Wall moment) {
  const TimeZone::Day day = TimeZone::FindOrUtc(time_zone).DayOf(moment);
  return {day.start, day.end};
}

std::string KeyOf(const Account& account) {
  return fmt::format("{}{}/{}", kSaved, account.source, account.destination.key);
}

}  // namespace

Account::Account(Parts& parts, Destination& at, std::string from)
    : destination(at),
      source(std::move(from)),
      allowance(parts.loop.now(), at.rule, DayIn),
      messages(parts),
      connects(parts) {}

CampaignPart::CampaignPart(Parts& parts, const CampaignEntry& campaign, const GuardNumbers& numbers)
    : name(campaign.spec().name), guard(numbers), timer([&parts, this] { parts.windows->Unhold(*this); }) {}

Finding CampaignPart::Describe(std::string_view receiver) const {
  if (slowed_by.empty()) return guard.Describe(name, receiver);
  return {
      .alarm = Alarm::kTripped,
      .since = slowed_since,
      .why = fmt::format("{} sends one message a minute at {}: its replies met the rule {}", name, receiver, slowed_by),
      .go_on = fmt::format("correct the cause, then `postrider resume {} --at {}`", name, receiver)};
}

Destination::Destination(Parts& parts, std::string its_key, std::string its_name, bool provider)
    : key(std::move(its_key)),
      name(std::move(its_name)),
      is_provider(provider),
      total_messages(parts),
      total_connects(parts) {}

void DestinationTable::Remember(std::string_view key, std::string_view value) {
  if (key.starts_with(kSaved)) saved_.emplace(key, value);
}

// The rules of a provider as a whole: no domain's, and no single host's.
EffectiveRule DestinationTable::ProviderRuleOf(const Site& site) const {
  std::vector<std::string> below;
  const std::size_t dot = site.name.find('.');
  if (dot != std::string::npos) below.push_back("*" + site.name.substr(dot));
  return ResolveRule(*parts_.options, {}, below);
}

Destination& DestinationTable::Get(const std::string& key, const std::string& name, bool is_provider,
                                   const EffectiveRule& rule) {
  std::unique_ptr<Destination>& place = destinations_[key];
  if (place == nullptr) place = std::make_unique<Destination>(parts_, key, name, is_provider);
  Apply(*place, rule);
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
    if (part->slowed_by.empty()) part->limit.Set(now.monotonic, rule.campaign_message_rate);
    parts_.windows->Unhold(*part);
  }
}

void DestinationTable::Join(Site& site) {
  Destination* provider = nullptr;
  if (!site.provider.empty()) provider = &Get(site.provider, site.provider, true, ProviderRuleOf(site));
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
    if (const Result<void> restored = account.allowance.Restore(parts_.loop.now(), saved->second); !restored) {
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
    part = std::make_unique<CampaignPart>(parts_, campaign, parts_.options->guard);
    part->limit.Set(parts_.now(), destination.rule.campaign_message_rate);
  }
  return *part;
}

bool DestinationTable::Slow(CampaignPart& part, const Destination& /*destination*/, std::string_view rule) {
  if (!part.slowed_by.empty()) return false;
  part.slowed_by = rule;
  part.slowed_since = parts_.now();
  part.limit.Set(parts_.now(), kSlowed);
  return true;
}

void DestinationTable::Resume(std::string_view campaign, std::string_view at) {
  for (const auto& [key, destination] : destinations_) {
    if (destination->name != at) continue;
    for (const auto& [id, part] : destination->campaigns) {
      if (part->name != campaign) continue;
      part->guard.Resume();
      if (!std::exchange(part->slowed_by, {}).empty()) {
        part->limit.Set(parts_.now(), destination->rule.campaign_message_rate);
      }
      parts_.windows->Unhold(*part);
    }
  }
}

void DestinationTable::SetWarmUp(Account& account) {
  const auto source = std::ranges::find(parts_.options->sources, account.source, &SourceOptions::name);
  if (source == parts_.options->sources.end() || !source->warm_up) {
    return account.allowance.SetWarmUp(parts_.loop.now(), nullptr);
  }
  const WarmUpOptions& options = parts_.options->warm_up;
  const WarmUpPlan plan{.start = Wall(*source->warm_up),
                        .quotas = options.quotas,
                        .used_share = options.used_share,
                        .deferred_share = options.deferred_share,
                        .steps_back = options.steps_back};
  account.allowance.SetWarmUp(parts_.loop.now(), &plan);
}

bool DestinationTable::StillMatters(const Destination& destination) const {
  const Monotonic now = parts_.now();
  return std::ranges::any_of(destination.accounts, [now](const std::unique_ptr<Account>& account) {
    return account->paths > 0 || account->saving || account->allowance.Probing() ||
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
    const bool vacant = destination.sites == 0 && now - destination.vacant_since >= kKeptVacant;
    const bool forget = vacant && (destinations_.size() > kDestinationsMax || !StillMatters(destination)) &&
                        std::ranges::none_of(destination.accounts, [](const auto& account) { return account->saving; });
    if (!forget) {
      ++place;
      continue;
    }
    // What it was saved as is kept for its next mail: a day's counter must not begin anew.
    for (const std::unique_ptr<Account>& account : destination.accounts) {
      if (!account->forgotten_on_disk) saved_[KeyOf(*account)] = account->allowance.Encode(parts_.loop.now());
    }
    place = destinations_.erase(place);
  }
}

void DestinationTable::Save(Account& account) {
  if (account.saving) return;
  Allowance::Save save = account.allowance.BeginSave(parts_.loop.now());
  parts_.writer.PutState(KeyOf(account), save.bytes);
  account.saving = true;
  account.forgotten_on_disk = false;
  saves_.push_back({parts_.writer.issued(), &account, save.number});
}

void DestinationTable::Durable(std::uint64_t requests) {
  while (!saves_.empty() && saves_.front().request <= requests) {
    Account& account = *saves_.front().account;
    account.saving = false;
    account.allowance.Saved(saves_.front().number);
    saves_.pop_front();
    account.messages.CallNext();
  }
}

void DestinationTable::SaveAll() {
  for (const auto& [key, destination] : destinations_) {
    for (const std::unique_ptr<Account>& account : destination->accounts) {
      if (account->forgotten_on_disk && !account->allowance.Unsaved()) continue;
      parts_.writer.PutState(KeyOf(*account), account->allowance.Encode(parts_.loop.now()));
    }
  }
}

void DestinationTable::Refresh(const Site& site) {
  if (site.provider_destination != site.destination || site.destination->is_provider) {
    Apply(*site.provider_destination, ProviderRuleOf(site));
  }
  if (!site.destination->is_provider) Apply(*site.destination, site.rule);
  for (Destination* one : {site.destination, site.provider_destination}) {
    for (const std::unique_ptr<Account>& account : one->accounts) SetWarmUp(*account);
  }
}

}  // namespace postrider::delivery
