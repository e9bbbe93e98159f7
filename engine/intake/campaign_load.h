#pragma once
// One directory campaign on its way from spool/work into the queue, step by step: read and check, digest, begin, rows
// in synced batches, release, move away. Whatever step a crash falls into, a new CampaignLoad on the same directory
// goes on from what the queue has synced. One thread.
//
//   the queue says           the directory is in work/ because of       what is done
//   unknown, failed          a crash before Begin; a new try            from the beginning
//   loading                  a crash while rows were read               the list is read again up to the synced
//   position
//                                                                       (duplicates and rejects are found anew), then
//                                                                       on
//   anything later           a crash between release and move; or       moved to done/, or removed if it lies there
//                            it was submitted twice
//   another digest           another submission of that name            moved to failed/; the queue is left alone
//
// A list that changes while it is read is a failed campaign. A directory that something removes is one too, unless all
// of it had been read.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>

#include "config/error.h"
#include "engine/intake/campaign_source.h"
#include "engine/intake/duplicate_filter.h"
#include "engine/intake/list_reader.h"
#include "engine/intake/reject_file.h"
#include "engine/intake/row_sieve.h"
#include "engine/intake/spool.h"
#include "queue/campaign.h"

namespace postrider::intake {

enum class LoadEnd { kAccepted, kAlreadyAccepted, kFailed, kTakenAway };

class CampaignLoad {
 public:
  CampaignLoad(Spool& spool, std::string name);
  ~CampaignLoad();

  // One bounded step. No value: more are needed. An error (disk, queue) leaves everything as it was; try again later.
  [[nodiscard]] Result<std::optional<LoadEnd>> Step();
  [[nodiscard]] const std::string& name() const { return name_; }
  [[nodiscard]] std::uint64_t batches() const { return batches_; }
  // Of the table of duplicates; the rest does not depend on the list either.
  [[nodiscard]] std::size_t memory_bytes() const { return seen_ == nullptr ? 0 : seen_->memory_bytes(); }

 private:
  enum class Stage { kOpen, kDigest, kBegin, kHeader, kRows, kRelease, kFail, kDone };

  Result<void> Open();
  Result<void> Digest();
  queue::CampaignPtr Loading();
  Result<void> Begin();
  Result<void> OpenList();
  Result<void> Header();
  Result<void> Rows();
  Result<bool> FillBatch();
  Result<void> LeaveOutSuppressed();
  Result<void> WriteBatch();
  Result<void> Release();
  Result<void> FailCampaign();
  Result<void> MoveAway();
  Result<std::optional<queue::FileEntry>> LookAtList();
  void GiveUp(std::string reason);

  Spool& spool_;
  std::string name_;
  std::filesystem::path directory_;
  Stage stage_ = Stage::kOpen;
  LoadEnd end_ = LoadEnd::kAccepted;
  bool ended_ = false;
  std::string failure_;

  CampaignSource source_;
  std::optional<SubmissionDigest> digest_;
  std::optional<queue::FileEntry> list_entry_;  // as it was before the digest
  std::optional<queue::CampaignId> id_;         // once it is ours in the queue
  queue::ListPosition synced_;                  // rows up to here are in the queue already
  std::unique_ptr<ListReader> list_;
  std::unique_ptr<DuplicateFilter> seen_;
  std::unique_ptr<RowSieve> sieve_;
  RejectFile rejects_;
  RowBatch batch_;
  queue::EnqueueBatch counted_;  // the counts and the position of batch_
  bool batch_waits_ = false;     // filled, but not yet in the queue
  bool list_ended_ = false;
  std::uint64_t batches_ = 0;
};

}  // namespace postrider::intake
