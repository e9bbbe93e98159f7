#pragma once
// How a message that the queue keeps is compiled again: as its campaign said when it was taken in. Pure; for all who
// send, show or export what waits.

#include "engine/message/template.h"
#include "queue/campaign.h"
#include "queue/job.h"

namespace postrider::delivery {

// What intake accepted compiles whatever its size: the limit may have been lowered since.
[[nodiscard]] message::CompileOptions CompileOptionsOf(const queue::CampaignSpec& spec,
                                                       const queue::StoredTemplate& stored);

}  // namespace postrider::delivery
