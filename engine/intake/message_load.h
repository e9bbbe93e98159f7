#pragma once
// Single messages, spool/new/*.eml: the low-volume door. Each joins the standing campaign its X-Campaign header names,
// or one made for its sender. X-Sender and X-Receiver give the envelope, else From and To, Cc, Bcc. Messages are taken
// a few at a time: a journal in work/ first says which rows each will be, so that after a crash those that the queue
// has are moved away and the others sent, none twice. One that may not be moved stays where it is, and keeps its line
// in the journal if the queue has it; the others do not wait for it. One thread.

#include <cstdint>
#include <deque>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include "config/email_address.h"
#include "config/error.h"
#include "engine/intake/spool.h"
#include "queue/campaign.h"

namespace postrider::intake {

struct MessageCounts {
  std::uint64_t accepted = 0;
  std::uint64_t failed = 0;
};

class MessageLoad {
 public:
  explicit MessageLoad(Spool& spool) : spool_(spool) {}

  // Ends what a crash left half done; before anything else.
  [[nodiscard]] Result<void> Recover();
  // Names of files in new/.
  void Offer(std::vector<std::string> names);
  [[nodiscard]] bool HasWork() const { return !waiting_.empty(); }
  // Takes a few. On error those not done yet wait for the next call.
  [[nodiscard]] Result<void> Step();
  [[nodiscard]] const MessageCounts& counts() const { return counts_; }
  // What may not be moved, with the reasons; by name.
  struct Stuck {
    std::string problem;
    std::string digest;   // of the message that the queue has already; else empty
    std::string journal;  // its line
    std::uint64_t number = 0;
  };
  [[nodiscard]] const std::map<std::string, Stuck>& stuck() const { return stuck_; }

 private:
  // A message that was read and checked, with the rows it will be.
  struct Ready;

  Result<bool> Prepare(const std::string& name, std::vector<Ready>& ready);
  Result<queue::CampaignPtr> Standing(const std::string& campaign, const std::string& envelope_from);
  Result<std::vector<EmailAddress>> LeaveOutSuppressed(const queue::CampaignSpec& spec, std::vector<EmailAddress> to);
  Result<void> WriteJournal(const std::vector<Ready>& ready);
  Result<void> Append(const Ready& message);
  Result<void> Refuse(const std::string& name, std::string_view reason);
  // Keeps the journal's lines of what is stuck, and no others.
  Result<void> EndJournal();
  [[nodiscard]] std::string StuckLines() const;

  Spool& spool_;
  std::deque<std::string> waiting_;
  std::map<std::string, Stuck> stuck_;
  bool unsettled_ = false;  // the journal tells of messages that may be in the queue
  MessageCounts counts_;
};

}  // namespace postrider::intake
