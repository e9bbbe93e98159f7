#pragma once
// The spool's directories and what all of intake shares: seams, the present options, the suppression list. Moves into
// done/ and failed/ are here, so that every kind of submission ends the same way. One thread.

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/error.h"
#include "config/options.h"
#include "engine/intake/suppression_list.h"
#include "engine/io/clock.h"
#include "queue/campaign_writer.h"
#include "queue/directory_lock.h"
#include "queue/files.h"

namespace postrider::intake {

class Spool {
 public:
  Spool(OptionsPtr first_options, queue::Files& files_used, queue::CampaignWriter& writer_used, io::Clock& clock_used);

  OptionsPtr options;
  queue::Files& files;
  queue::CampaignWriter& writer;
  io::Clock& clock;
  std::shared_ptr<const SuppressionList> suppressed;  // null: none is configured

  [[nodiscard]] std::filesystem::path New() const { return root_ / "new"; }
  [[nodiscard]] std::filesystem::path Work() const { return root_ / "work"; }
  [[nodiscard]] std::filesystem::path Tmp() const { return root_ / "tmp"; }
  [[nodiscard]] std::filesystem::path Done() const { return root_ / "done"; }
  [[nodiscard]] std::filesystem::path Failed() const { return root_ / "failed"; }

  // And tries whether they can be written, and keeps other processes from working here.
  [[nodiscard]] Result<void> MakeDirectories();
  // Should be asked now and then: a spool that was removed and made again is anybody's.
  [[nodiscard]] Result<void> RenewLock() { return lock_.Renew(); }
  // Whether a submission of that name is below done/, on whatever day.
  [[nodiscard]] Result<bool> IsDone(const std::string& name);
  // path to done/<today>/name; if that is taken, to a name with the number in front.
  [[nodiscard]] Result<void> MoveToDone(const std::filesystem::path& path, const std::string& name,
                                        std::uint64_t number);
  // path to failed/name, in place of an earlier failure of that name, with the reason: in a directory as error.txt, of
  // a file as name.error.txt beside it. If path is gone, the reason alone.
  [[nodiscard]] Result<void> MoveToFailed(const std::filesystem::path& path, const std::string& name, bool directory,
                                          std::string_view reason);
  // Removes what was accepted longer ago than spool.remember_names, the oldest day first, a few submissions a call.
  // True: there is more to remove.
  [[nodiscard]] Result<bool> PurgeDone();
  // A sentence for each MoveToFailed since the last call, for the operator's log.
  [[nodiscard]] std::vector<std::string> TakeFailures() { return std::exchange(failures_, {}); }
  // Reads the suppression file if it is another, or was changed. On error the list in use stays.
  [[nodiscard]] Result<void> RefreshSuppression();
  // Why nothing may be taken in now, because the disk is nearly full; else empty.
  [[nodiscard]] std::string DiskTrouble();

 private:
  std::filesystem::path root_;
  queue::DirectoryLock lock_;
  std::vector<std::string> failures_;
  std::filesystem::path suppression_file_;
  Wall suppression_modified_{};
  std::uint64_t suppression_bytes_ = 0;
};

}  // namespace postrider::intake
