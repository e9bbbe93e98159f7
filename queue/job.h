#pragma once
// A recipient in the queue, as the reader hands it to a core. Views point into the TakenJobs that owns the bytes.

#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/mail_class.h"
#include "config/reply.h"
#include "config/time.h"
#include "config/verdict.h"
#include "queue/campaign.h"

namespace postrider::queue {

struct JobId {
  CampaignId campaign = 0;
  std::uint64_t row = 0;  // the line of the list, from 1; for a standing campaign a running number

  friend auto operator<=>(const JobId&, const JobId&) = default;
};

// Where the job's record stands now. A job is in exactly one place.
struct JobPlace {
  std::uint64_t block = 0;        // the block's number, if retry_due is unset
  std::uint8_t index = 0;         // within the block
  std::optional<Wall> retry_due;  // set: in the retry index under this moment
};

// What earlier attempts left. In the retry index only; all of it is in the record format from version 1.
struct AttemptState {
  std::uint16_t attempts = 0;  // made so far
  Wall first_attempt{};
  std::string_view source;  // of the last attempt; greylisting wants the same again
  Stage stage = Stage::kNone;
  Category category = Category::kNone;
  std::uint16_t code = 0;
  std::optional<EnhancedCode> enhanced;
  std::string_view reply_text;  // shortened
  std::uint8_t unknown_count = 0;
  std::uint8_t bad_mailbox_count = 0;
  Wall last_bad_mailbox{};
};

// A message as stored: one per campaign, one per message in a standing campaign.
struct StoredTemplate {
  CampaignId campaign = 0;
  std::uint32_t number = 0;
  Wall accepted_at{};   // the Date of its messages
  std::string message;  // the file's bytes, as submitted
  // Right of the @ in their Message-IDs, whatever the host is called later. Empty: stored before it was kept.
  std::string host_name{};
};
using StoredTemplatePtr = std::shared_ptr<const StoredTemplate>;

struct Job {
  JobId id;
  JobPlace place;
  std::uint32_t template_number = 0;
  MailClass mail_class = MailClass::kBulk;
  bool needs_smtputf8 = false;
  bool suppressed = false;   // on the suppression list when it was taken: it ends without an attempt
  std::string_view address;  // as it goes into RCPT TO
  std::string_view row_id;
  std::string_view fields;  // merge values, packed (engine/message)
  AttemptState attempt;
};

// Where reading one domain stands; a plain value that the asker keeps and hands back with its next request. An empty
// one starts at the front. It may be dropped only when every job taken with it is settled and committed, or given up.
struct DomainCursor {
  struct Position {
    CampaignId campaign = 0;
    std::uint64_t next_block = 0;   // blocks before it were taken
    std::optional<Wall> retry_due;  // retry records up to this moment, and of this moment up to retry_row, were taken
    std::uint64_t retry_row = 0;
  };
  std::vector<Position> campaigns;  // by campaign id
  CampaignId last_campaign = 0;     // whose turn it was: campaigns of one class take turns, block by block
};

struct TakeRequest {
  std::string domain;
  DomainCursor cursor{};
  std::size_t max_jobs = 256;  // a hint: whole blocks are taken
  // Only transactional mail, and what is to end unsent.
  bool urgent_only = false;
  // Nothing of these campaigns, whatever has become of them; their positions stay.
  std::vector<CampaignId> skip{};
  Wall now{};
};

struct TakenJobs {
  std::string domain;
  std::string bytes;      // what the views of jobs point into; never touched again
  std::vector<Job> jobs;  // transactional before bulk, in each due retries before blocks; a campaign in list order
  std::vector<CampaignPtr> campaigns;        // of these jobs, each once
  std::vector<StoredTemplatePtr> templates;  // of these jobs, each once
  DomainCursor cursor;
  bool more = false;             // another such Take would find jobs now
  std::optional<Wall> next_due;  // else when: the earliest retry, or when a campaign opens or releases its rest
};

}  // namespace postrider::queue
