#include "engine/intake_door.h"

#include <string>

namespace postrider::engine {

void AppendCampaignEvent(StoreTurn& turn, const queue::CampaignSpec& spec, queue::CampaignId id, std::string_view what,
                         std::string_view note) {
  queue::Event event;
  event.kind = queue::EventKind::kCampaign;
  event.time = turn.now;
  event.job.campaign = id;
  event.campaign = spec.name;
  event.mail_class = spec.mail_class;
  event.reply = what;
  if (!note.empty()) event.reply.append(": ").append(note);
  turn.log.Append(event);
}

std::string IntakeDoor::HostName() {
  const std::lock_guard lock(mutex_);
  return options_->host_name;
}

Result<queue::CampaignId> IntakeDoor::Begin(const queue::CampaignSpec& spec, std::string_view message) {
  queue::CampaignId id = 0;
  const std::string host_name = HostName();
  auto done = door_.Run([&](StoreTurn& turn) -> Result<void> {
    auto begun = turn.store.BeginCampaign(spec, message, turn.now, host_name);
    if (!begun) return std::unexpected(std::move(begun).error());
    id = *begun;
    turn.changed.push_back(id);
    AppendCampaignEvent(turn, spec, id, "accepted", "");
    return {};
  });
  if (!done) return std::unexpected(std::move(done).error());
  return id;
}

Result<void> IntakeDoor::Append(const queue::EnqueueBatch& batch) {
  const std::string host_name = HostName();
  queue::EnqueueBatch named = batch;
  named.host_name = host_name;
  return door_.Run([&](StoreTurn& turn) -> Result<void> { return turn.store.Enqueue(named, turn.now); });
}

Result<void> IntakeDoor::Finish(queue::CampaignId campaign, queue::CampaignState state, std::string_view note) {
  const queue::CampaignPtr known = store_.FindCampaign(campaign);
  if (!known) return Fail(ErrorCode::kNotFound, "campaign " + std::to_string(campaign) + " is not in the queue");
  std::chrono::seconds expiry{};
  {
    const std::lock_guard lock(mutex_);
    expiry = options_->RetryFor(known->spec.mail_class).expiry;
  }
  return door_.Run([&](StoreTurn& turn) -> Result<void> {
    // To find all rows of a failed campaign the store commits what is staged: the log goes first, here too.
    if (state == queue::CampaignState::kFailed) {
      if (auto synced = turn.log.Sync(); !synced) return synced;
    }
    if (auto set = turn.store.SetState(campaign, state, turn.now, expiry, note); !set) return set;
    turn.changed.push_back(campaign);
    AppendCampaignEvent(turn, known->spec, campaign, queue::ToString(state), note);
    return {};
  });
}

}  // namespace postrider::engine
