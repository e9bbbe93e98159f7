#include "engine/pause_door.h"

#include <algorithm>
#include <optional>
#include <utility>

#include "config/provider.h"
#include "engine/observe/operator_log.h"
#include "engine/queue_questions.h"

namespace postrider::engine {
namespace {

constexpr std::string_view kPausePrefix = "pause/";

std::string PauseKey(const observe::PauseTarget& target) {
  using Target = delivery::CoreCommand::Target;
  switch (target.target) {
    case Target::kAll:
      return "pause/all";
    case Target::kSite:
      return "pause/site/" + target.name;
    case Target::kSource:
      return "pause/source/" + target.name;
    case Target::kCampaignAt:  // a guard's, which the cores keep themselves
      return "pause/campaign/" + target.name + "/" + target.at;
    case Target::kSourceAt:
      return "pause/source-at/" + target.name + "/" + target.at;  // no "/" in a source's name
  }
  return {};
}

// "the source "a" at google", for a sentence.
std::string InWords(const observe::PauseTarget& target) {
  using Target = delivery::CoreCommand::Target;
  if (target.target == Target::kAll) return "everything";
  const std::string named = (target.target == Target::kSite ? "the site \"" : "the source \"") + target.name + "\"";
  return target.target == Target::kSourceAt ? named + " at " + target.at : named;
}

std::optional<observe::PauseTarget> ParsePauseKey(std::string_view key) {
  using Target = delivery::CoreCommand::Target;
  if (key == "pause/all") return observe::PauseTarget{};
  constexpr std::string_view kSourceAt = "pause/source-at/";
  if (key.starts_with(kSourceAt)) {
    key.remove_prefix(kSourceAt.size());
    const std::size_t slash = key.find('/');
    if (slash == key.npos) return std::nullopt;
    return observe::PauseTarget{Target::kSourceAt, std::string(key.substr(0, slash)),
                                std::string(key.substr(slash + 1))};
  }
  for (const auto& [prefix, target] : {std::pair<std::string_view, Target>{"pause/site/", Target::kSite},
                                       std::pair<std::string_view, Target>{"pause/source/", Target::kSource}}) {
    if (key.starts_with(prefix)) return observe::PauseTarget{target, std::string(key.substr(prefix.size())), {}};
  }
  return std::nullopt;
}

}  // namespace

Result<std::string> PauseDoor::Pause(const observe::PauseTarget& wanted) {
  using Target = delivery::CoreCommand::Target;
  const observe::PauseTarget target = ByItsName(wanted);
  std::string note;
  const bool at_provider = target.target == Target::kSourceAt && live_.get()->Providers().Find(target.at) != nullptr;
  if ((target.target == Target::kSite || target.target == Target::kSourceAt) && !at_provider) {
    const std::string& place = target.target == Target::kSite ? target.name : target.at;
    const observe::Snapshot snapshot = control_.Collect();
    const bool known = std::ranges::any_of(snapshot.cores, [&](const delivery::CoreSnapshot& core) {
      return std::ranges::any_of(core.sites, [&](const delivery::SiteSnapshot& site) { return site.site == place; });
    });
    if (!known) {
      note =
          "no site of that name has work or connections now; the pause holds for when one does (`postrider queue` "
          "names those that do)";
    }
  }
  if (auto set = SetPause(target, true); !set) return std::unexpected(std::move(set).error());
  return note;
}

Result<void> PauseDoor::Resume(const observe::PauseTarget& target) { return SetPause(ByItsName(target), false); }

// A provider may be called by what people call it.
observe::PauseTarget PauseDoor::ByItsName(observe::PauseTarget target) const {
  if (target.target != delivery::CoreCommand::Target::kSourceAt) return target;
  if (const ProviderOptions* provider = live_.get()->Providers().FindByAnyName(target.at)) target.at = provider->name;
  return target;
}

// A mistyped name must not pass for a done deed: a source is configured, and what is resumed is paused. Sites cannot be
// told beforehand; one may be paused before its mail comes.
Result<void> PauseDoor::CheckPause(const observe::PauseTarget& target, bool pause) {
  using Target = delivery::CoreCommand::Target;
  if (target.target == Target::kAll) return {};
  if (target.target == Target::kCampaignAt) {
    if (!pause) return CheckGuard(target);
    return Fail(ErrorCode::kInvalid, "a campaign is paused as a whole, or at one provider by the guards alone");
  }
  if (pause && (target.target == Target::kSource || target.target == Target::kSourceAt)) {
    const OptionsPtr known = live_.get();
    std::string names;
    for (const SourceOptions& source : known->sources) {
      if (source.name == target.name) return {};
      names += (names.empty() ? "" : ", ") + source.name;
    }
    return Fail(ErrorCode::kNotFound, "no [[source]] is named \"" + target.name + "\"; there are: " + names);
  }
  if (pause) return {};
  const std::string key = PauseKey(target);
  const auto is_key = [&](const auto& entry) { return entry.first == key; };
  const auto state = store_.ReadState(key);
  if (!state) return std::unexpected(state.error());
  if (std::ranges::any_of(*state, is_key) || HasTrouble(target)) return {};
  if (target.target == Target::kSite) return CheckGuard(target);
  return Fail(ErrorCode::kNotFound, InWords(target) +
                                        " is neither paused nor stopped or slowed by replies; `postrider status` and "
                                        "`postrider queue` list what is");
}

// Replies or failures have stopped or slowed something of this target.
bool PauseDoor::HasTrouble(const observe::PauseTarget& target) {
  using Target = delivery::CoreCommand::Target;
  const std::string source = target.target == Target::kSite ? "" : target.name;
  const std::string& place = target.target == Target::kSite ? target.name : target.at;
  const auto meant = [&](const std::string& its_source, const std::string& site, const std::string& provider) {
    return (source.empty() || its_source == source) && (place.empty() || site == place || provider == place);
  };
  for (const delivery::CoreSnapshot& core : control_.Collect().cores) {
    for (const delivery::AllowanceSnapshot& one : core.allowances) {
      const bool slowed = one.mode != delivery::SiteMode::kNormal || one.adaptive_rate > 0 || !one.reason.empty();
      if (slowed && meant(one.source, one.receiver, one.receiver)) return true;
    }
    for (const delivery::SiteSnapshot& one : core.sites) {
      const bool stands = one.mode == delivery::SiteMode::kStopped || one.mode == delivery::SiteMode::kBackingOff;
      if (stands && meant(one.source, one.site, one.provider)) return true;
    }
  }
  return false;
}

// Something of a guard's is to be lifted: it holds this campaign at this receiver, or doubts this site.
Result<void> PauseDoor::CheckGuard(const observe::PauseTarget& target) {
  const bool of_campaign = target.target == delivery::CoreCommand::Target::kCampaignAt;
  std::string places;
  for (const delivery::CoreSnapshot& core : control_.Collect().cores) {
    for (const delivery::GuardSnapshot& guard : core.guards) {
      if (guard.state != delivery::GuardState::kTripped) continue;
      if (!of_campaign) {
        if (guard.kind == delivery::GuardKind::kBounceStorm && guard.receiver == target.name) return {};
        continue;
      }
      if (guard.kind != delivery::GuardKind::kCampaign || guard.campaign != target.name) continue;
      if (guard.receiver == target.at) return {};
      places += (places.empty() ? "" : ", ") + guard.receiver;
    }
  }
  if (!of_campaign) {
    return Fail(ErrorCode::kNotFound,
                "the site \"" + target.name + "\" is not paused; `postrider status` lists what is");
  }
  if (const auto campaign = FindCampaign(store_, target.name); !campaign) return std::unexpected(campaign.error());
  return Fail(ErrorCode::kNotFound,
              "nothing holds " + target.name + " at \"" + target.at + "\"" +
                  (places.empty() ? "; `postrider status` lists what is held" : "; it is held at: " + places));
}

Result<void> PauseDoor::SetPause(const observe::PauseTarget& target, bool pause) {
  if (auto checked = CheckPause(target, pause); !checked) return checked;
  const std::string key = PauseKey(target);
  const std::lock_guard lock(mutex_);
  auto done = door_.Run([&](StoreTurn& turn) -> Result<void> {
    if (pause) {
      turn.store.PutState(key, "1");
    } else {
      turn.store.DeleteState(key);
    }
    AppendPathEvent(turn,
                    std::string(pause ? "paused" : "resumed") + " by the operator: " + key.substr(kPausePrefix.size()));
    return {};
  });
  if (!done) return done;
  delivery::CoreCommand command;
  command.kind = pause ? delivery::CoreCommand::Kind::kPause : delivery::CoreCommand::Kind::kResume;
  command.target = target.target;
  command.name = target.name;
  command.at = target.at;
  post_(command);
  return {};
}

std::vector<observe::PauseTarget> PauseDoor::Pauses() {
  std::vector<observe::PauseTarget> pauses;
  const auto state = store_.ReadState(kPausePrefix);
  if (!state) {
    observe::LogWarning("what is paused cannot be read: " + state.error().message);
    return pauses;
  }
  for (const auto& [key, value] : *state) {
    if (auto target = ParsePauseKey(key)) pauses.push_back(*std::move(target));
  }
  return pauses;
}

}  // namespace postrider::engine
