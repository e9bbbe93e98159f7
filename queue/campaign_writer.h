#pragma once
// The door through which intake puts campaigns into the queue: a call that writes returns when its effect is synced. In
// the daemon it goes through the store thread's mailbox; tests may put it straight onto a JobStore.

#include <cstddef>
#include <span>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/time.h"
#include "queue/campaign.h"
#include "queue/job_store.h"

namespace postrider::queue {

class CampaignWriter {
 public:
  virtual ~CampaignWriter() = default;
  [[nodiscard]] virtual CampaignPtr Find(std::string_view name) = 0;
  // As JobStore has it: the places of those that get no mail now, rising.
  [[nodiscard]] virtual Result<std::vector<std::size_t>> FindSuppressed(std::span<const Recipient> recipients,
                                                                        Wall now) = 0;
  [[nodiscard]] virtual Result<CampaignId> Begin(const CampaignSpec& spec, std::string_view message) = 0;
  [[nodiscard]] virtual Result<void> Append(const EnqueueBatch& batch) = 0;
  // To kRunning, kHeld or kFailed, with the sentence for the campaign's event.
  [[nodiscard]] virtual Result<void> Finish(CampaignId campaign, CampaignState state, std::string_view note) = 0;
};

}  // namespace postrider::queue
