#pragma once
// Intake's way into the queue: what writes is staged by the store thread with the next batch and returns when that
// batch is synced; what reads asks the store at once. Used by the intake thread alone, but for SetOptions.

#include <mutex>
#include <string>

#include "config/options.h"
#include "engine/store_call.h"
#include "queue/campaign_writer.h"

namespace postrider::engine {

class IntakeDoor : public queue::CampaignWriter {
 public:
  IntakeDoor(StoreDoor& door, queue::JobStore& store, OptionsPtr options)
      : door_(door), store_(store), options_(std::move(options)) {}

  // Any thread: a reload comes while intake works.
  void SetOptions(OptionsPtr options) {
    const std::lock_guard lock(mutex_);
    options_ = std::move(options);
  }

  queue::CampaignPtr Find(std::string_view name) override { return store_.FindCampaign(name); }
  Result<std::vector<std::size_t>> FindSuppressed(std::span<const queue::Recipient> recipients, Wall now) override {
    return store_.FindSuppressed(recipients, now);
  }
  Result<queue::CampaignId> Begin(const queue::CampaignSpec& spec, std::string_view message) override;
  Result<void> Append(const queue::EnqueueBatch& batch) override;
  Result<void> Finish(queue::CampaignId campaign, queue::CampaignState state, std::string_view note) override;

 private:
  [[nodiscard]] std::string HostName();

  StoreDoor& door_;
  queue::JobStore& store_;
  std::mutex mutex_;
  OptionsPtr options_;  // guarded by mutex_
};

// The delivery log's line about a campaign: what happened to it, with a sentence.
void AppendCampaignEvent(StoreTurn& turn, const queue::CampaignSpec& spec, queue::CampaignId id, std::string_view what,
                         std::string_view note);

}  // namespace postrider::engine
