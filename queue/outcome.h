#pragma once
// What a core reports about one job, on its way to the store thread: the event for the log and what to do with the job.
// Lives in a mailbox slot and is reused: Clear keeps capacity.

#include <cstdint>
#include <optional>
#include <string>

#include "config/time.h"
#include "queue/event.h"
#include "queue/job.h"

namespace postrider::queue {

// That a rule takes the recipient as one who gets no more mail.
struct SuppressionOrder {
  std::string list{};         // empty: the global one
  std::string rule{};         // its name
  bool whole_domain = false;  // else the address alone
  bool on_second = false;     // only if it bounced by such a rule before, a day ago or longer
};

struct Outcome {
  Event event;  // event.final decides: true: the job is finished as event.kind says; false: it moves to the retry index
  JobPlace place;
  std::uint32_t template_number = 0;

  // For a job that goes on (event.final == false). event.next_due is its new moment.
  Wall first_attempt{};
  std::uint8_t unknown_count = 0;
  std::uint8_t bad_mailbox_count = 0;
  Wall last_bad_mailbox{};
  bool needs_smtputf8 = false;
  std::string fields;  // the merge values again, since the block may go

  // Written in the same batch, or not at all.
  std::optional<SuppressionOrder> suppression;

  void Clear();
};

}  // namespace postrider::queue
