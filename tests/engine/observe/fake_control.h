#pragma once
// A Control that answers what a test put into it and remembers what it was asked.

#include <algorithm>
#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <utility>
#include <vector>

#include "engine/observe/controls.h"
#include "tests/engine/observe/fake_retry.h"
#include "tests/engine/observe/fake_suppressions.h"
#include "tests/engine/observe/fake_throttle.h"
#include "tests/engine/observe/fake_traces.h"

namespace postrider::observe {

class FakeControl final : public Control {
 public:
  Snapshot Collect() override { return snapshot; }
  Snapshot CollectWithDomains() override { return snapshot; }
  UnmatchedReplies Unmatched() override { return unmatched; }
  std::vector<queue::CampaignPtr> Campaigns() override { return campaigns; }
  Result<void> SetCampaignState(std::string_view name, queue::CampaignState state) override {
    const std::scoped_lock lock(mutex_);
    const bool known =
        std::ranges::any_of(campaigns, [&](const auto& campaign) { return campaign->spec.name == name; });
    if (!known) return Fail(ErrorCode::kNotFound, "there is no such campaign");
    if (failure) return std::unexpected(*failure);
    states.emplace_back(name, state);
    return {};
  }
  Result<std::string> Pause(const PauseTarget& target) override {
    if (auto remembered = Remember("pause", target); !remembered) return std::unexpected(remembered.error());
    return pause_note;
  }
  Result<void> Resume(const PauseTarget& target) override { return Remember("resume", target); }
  std::vector<PauseTarget> Pauses() override { return pauses; }
  Result<void> VisitBacklog(const std::function<void(const queue::DomainBacklog&)>& visit) override {
    if (failure) return std::unexpected(*failure);
    std::ranges::for_each(backlog, visit);
    return {};
  }
  Result<std::vector<FoundJob>> Find(std::string_view address) override {
    const std::scoped_lock lock(mutex_);
    found_address = address;
    return jobs;
  }
  Result<void> ExportRemaining(std::string_view, const std::function<bool(std::string_view)>& write) override {
    for (const std::string& line : remaining) {
      if (!write(line)) return {};
    }
    if (failure) return std::unexpected(*failure);
    return {};
  }
  Result<std::string> Reload() override {
    ++reloads;
    if (failure) return std::unexpected(*failure);
    return reload_note;
  }
  std::string Trouble() override { return trouble; }

  void AddCampaign(std::string name, queue::CampaignState state, queue::CampaignTotals totals = {}) {
    auto campaign = std::make_shared<queue::Campaign>();
    campaign->id = campaigns.size() + 1;
    campaign->spec.name = std::move(name);
    campaign->state = state;
    campaign->totals = totals;
    if (state >= queue::CampaignState::kCancelled) campaign->ended_at = Wall(std::chrono::seconds(campaign->id));
    campaigns.push_back(std::move(campaign));
  }

  // Of this and what stands beside it.
  Controls All() { return {*this, suppressions, throttle, traces, retry}; }

  FakeRetry retry;
  FakeSuppressions suppressions;
  FakeThrottle throttle;
  FakeTraces traces;
  Snapshot snapshot;
  UnmatchedReplies unmatched;
  std::vector<queue::CampaignPtr> campaigns;
  std::vector<PauseTarget> pauses;
  std::string reload_note;
  std::vector<queue::DomainBacklog> backlog;
  std::vector<FoundJob> jobs;
  std::vector<std::string> remaining;
  std::string trouble;
  std::optional<Error> failure;
  std::string pause_note;

  std::vector<std::pair<std::string, queue::CampaignState>> states;
  std::vector<std::string> asked;
  std::string found_address;
  int reloads = 0;

 private:
  Result<void> Remember(std::string what, const PauseTarget& target) {
    using Target = delivery::CoreCommand::Target;
    const std::scoped_lock lock(mutex_);
    if (failure) return std::unexpected(*failure);
    what += target.target == Target::kAll          ? " all"
            : target.target == Target::kSite       ? " site "
            : target.target == Target::kCampaignAt ? " campaign "
                                                   : " source ";
    asked.push_back(what + target.name + (target.at.empty() ? "" : " at " + target.at));
    return {};
  }

  std::mutex mutex_;
};

}  // namespace postrider::observe
