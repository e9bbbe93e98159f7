#pragma once
// What an operator asks about recipients that still wait: the jobs of an address, and the rest of a campaign in the
// form of its own recipients file, the way out if this host dies. Reads the queue beside the threads that send.

#include <functional>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "engine/observe/control.h"
#include "queue/job_store.h"

namespace postrider::engine {

// kNotFound says where names are to be found.
[[nodiscard]] Result<queue::CampaignPtr> FindCampaign(const queue::JobStore& store, std::string_view name);

[[nodiscard]] Result<std::vector<observe::FoundJob>> FindJobs(const queue::JobStore& store, std::string_view address);

// One JSON object per line, without the line's end: {"to":...,"id":...,"vars":{...}}. write returns false to stop.
[[nodiscard]] Result<void> ExportRemaining(const queue::JobStore& store, const queue::Campaign& campaign,
                                           const std::function<bool(std::string_view line)>& write);

}  // namespace postrider::engine
