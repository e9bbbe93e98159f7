#pragma once
// From stored records to jobs: what taking work and looking at work have in common.

#include <string_view>
#include <vector>

#include "config/error.h"
#include "queue/job.h"
#include "queue/record.h"
#include "queue/tables.h"

namespace postrider::queue {

// The bitmap of a block; all clear if none is stored.
[[nodiscard]] Result<DoneRecord> ReadDone(const TableView& view, std::string_view key, std::uint64_t block);

// Appends the rows whose bit is clear. The jobs' views point into value.
[[nodiscard]] Result<void> AppendBlockJobs(std::string_view value, const DoneRecord& done, CampaignId campaign,
                                           std::uint64_t block, MailClass mail_class, std::vector<Job>& jobs);

// The job's views point into value.
[[nodiscard]] Result<Job> ReadRetryJob(JobId id, Wall due, std::string_view value);

}  // namespace postrider::queue
