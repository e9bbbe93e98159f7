#include "queue/stored_jobs.h"

#include <fmt/format.h>

namespace postrider::queue {

Result<DoneRecord> ReadDone(const TableView& view, std::string_view key, std::uint64_t block) {
  DoneRecord clear;
  clear.rows = static_cast<std::uint16_t>(BlockRows(block));
  // A block of one row goes with its row.
  if (clear.rows == 1) return clear;
  auto value = view.Get(Table::kDone, key);
  if (!value) return std::unexpected(value.error());
  if (!*value) return clear;
  return DecodeDone(**value);
}

Result<void> AppendBlockJobs(std::string_view value, const DoneRecord& done, CampaignId campaign, std::uint64_t block,
                             MailClass mail_class, std::vector<Job>& jobs) {
  const Result<Block> decoded = DecodeBlock(value);
  if (!decoded) return std::unexpected(decoded.error());
  if (decoded->rows.size() != BlockRows(block) || done.rows != decoded->rows.size()) {
    return Fail(ErrorCode::kCorrupt,
                fmt::format("block {} of campaign {} holds {} rows, its key says {} and its bitmap {}", block, campaign,
                            decoded->rows.size(), BlockRows(block), done.rows));
  }
  for (std::size_t i = 0; i < decoded->rows.size(); ++i) {
    if (done.Has(i)) continue;
    const BlockRow& row = decoded->rows[i];
    Job& job = jobs.emplace_back();
    job.id = {campaign, row.row};
    job.place = {.block = block, .index = static_cast<std::uint8_t>(i), .retry_due = std::nullopt};
    job.template_number = decoded->template_number;
    job.mail_class = mail_class;
    job.needs_smtputf8 = row.needs_smtputf8;
    job.address = row.address;
    job.row_id = row.row_id;
    job.fields = row.fields;
  }
  return {};
}

Result<Job> ReadRetryJob(JobId id, Wall due, std::string_view value) {
  Result<Job> job = DecodeRetry(value);
  if (!job) return job;
  job->id = id;
  job->place.retry_due = due;
  return job;
}

}  // namespace postrider::queue
