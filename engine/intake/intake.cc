#include "engine/intake/intake.h"

#include <algorithm>
#include <map>
#include <mutex>
#include <optional>
#include <utility>
#include <vector>

#include <fmt/format.h>

#include "engine/intake/campaign_load.h"
#include "engine/intake/campaign_source.h"
#include "engine/intake/message_load.h"
#include "engine/intake/spool.h"
#include "engine/intake/spool_watch.h"
#include "engine/intake/submission.h"

namespace postrider::intake {
namespace {

// So many campaigns are read in turns, batch by batch: a small one need not wait for the end of a large one, and each
// has a table of duplicates of its own.
constexpr std::size_t kLoadsMax = 4;
constexpr std::chrono::seconds kPauseAfterTrouble{1};
constexpr std::chrono::seconds kScanUnwatched{1};
// What is older than spool.remember_names goes within a day; looking costs a directory listing.
constexpr std::chrono::hours kPurgeInterval{1};
constexpr std::string_view kMustOwn = "whoever runs the daemon must own what it takes in (mend that, or remove it)";

// Any name of a file, for one line of a log.
std::string Shown(std::string_view name) {
  constexpr std::size_t kShown = 60;
  std::string shown(name.substr(0, kShown));
  std::ranges::replace_if(
      shown, [](char c) { return c < 32 || c > 126; }, '?');
  return shown + (name.size() > kShown ? "..." : "");
}

}  // namespace

class Intake::Worker {
 public:
  Worker(OptionsPtr options, queue::Files& files, queue::CampaignWriter& writer, io::Clock& clock)
      : spool_(std::move(options), files, writer, clock), messages_(spool_) {}

  Result<void> Open() {
    if (Result<void> made = spool_.MakeDirectories(); !made) return made;
    if (Result<void> read = spool_.RefreshSuppression(); !read) return read;
    // Where nothing can be watched, looking more often does.
    watching_ = watch_.Open(spool_.New()).has_value();
    return {};
  }

  bool RunOnce() {
    TakeOptions();
    const Monotonic now = spool_.clock.Read().monotonic;
    if (now < retry_at_) return false;
    const Result<bool> more = Turn(now);
    if (!more) {
      retry_at_ = now + kPauseAfterTrouble;
      scan_due_ = true;
    }
    Publish(more ? std::string() : more.error().message);
    return more.value_or(false);
  }

  void Wait(std::chrono::nanoseconds max_wait) {
    const Monotonic now = spool_.clock.Read().monotonic;
    if (next_scan_ > now) max_wait = std::min<std::chrono::nanoseconds>(max_wait, next_scan_ - now);
    watch_.Wait(max_wait);
    // News stay in the kernel until a turn takes them; while there is trouble they would end every wait at once.
    if (watch_.TakeNews()) scan_due_ = true;
  }

  std::vector<std::string> TakeFailures() { return spool_.TakeFailures(); }

  void SetOptions(OptionsPtr options) {
    const std::lock_guard lock(mutex_);
    new_options_ = std::move(options);
  }

  IntakeCounts counts() {
    const std::lock_guard lock(mutex_);
    return published_;
  }

 private:
  void TakeOptions() {
    const std::lock_guard lock(mutex_);
    if (new_options_ == nullptr) return;
    spool_.options = std::move(new_options_);
    new_options_ = nullptr;
  }

  void Publish(std::string trouble) {
    const std::lock_guard lock(mutex_);
    counts_.messages_accepted = messages_.counts().accepted;
    for (const Active& active : loads_) {
      if (trouble.empty()) trouble = active.trouble;
    }
    if (trouble.empty()) trouble = SkippedText();
    counts_.trouble = std::move(trouble);
    published_ = counts_;
  }

  // True: more to do at once.
  Result<bool> Turn(Monotonic now) {
    const bool there = spool_.files.Exists(spool_.New());
    lost_ |= !there;
    if (!recovered_) {
      if (Result<void> done = Recover(); !done) return std::unexpected(done.error());
    }
    const std::string disk = spool_.DiskTrouble();
    counts_.stopped_by_disk = there && !disk.empty();
    if (!disk.empty()) return Fail(ErrorCode::kNoSpace, disk);
    if (watch_.TakeNews() || now >= next_scan_) scan_due_ = true;
    if (scan_due_) {
      if (Result<void> scanned = Scan(now); !scanned) return std::unexpected(scanned.error());
    }
    if (Result<void> admitted = Admit(); !admitted) return std::unexpected(admitted.error());
    StepLoads(now);
    if (messages_.HasWork()) {
      if (Result<void> taken = messages_.Step(); !taken) return std::unexpected(taken.error());
    }
    bool purging = false;
    if (now >= next_purge_) {
      RemoveLeftCopies(spool_.files, spool_.Tmp(), spool_.clock.Read().wall);
      const Result<bool> more = spool_.PurgeDone();
      purging = more.value_or(false);
      if (!purging) next_purge_ = now + kPurgeInterval;
      if (!more) return Fail("removing what was accepted long ago", more.error());
    }
    const bool load_ready = std::ranges::any_of(loads_, [&](const Active& active) { return active.retry_at <= now; });
    return scan_due_ || purging || messages_.HasWork() || load_ready ||
           (!waiting_.empty() && loads_.size() < kLoadsMax);
  }

  // What stands in work/ was being read when the daemon stopped.
  Result<void> Recover() {
    if (Result<void> done = messages_.Recover(); !done) return done;
    const auto entries = spool_.files.List(spool_.Work());
    if (!entries) return std::unexpected(entries.error());
    for (const queue::FileEntry& entry : *entries) {
      if (entry.directory && !entry.name.starts_with('.')) claimed_.push_back(entry.name);
    }
    recovered_ = true;
    return {};
  }

  Result<void> Scan(Monotonic now) {
    if (Result<void> read = spool_.RefreshSuppression(); !read) return read;
    const auto entries = spool_.files.List(spool_.New());
    Result<void> ours = entries ? spool_.RenewLock() : std::unexpected(entries.error());
    if (!ours) {
      lost_ = true;
      return ours;
    }
    // What is watched may be a directory that is there no more.
    if (std::exchange(lost_, false)) watching_ = watch_.Open(spool_.New()).has_value();
    std::erase_if(skipped_, [&](const auto& skipped) {
      return std::ranges::find(*entries, skipped.first, &queue::FileEntry::name) == entries->end();
    });
    std::vector<std::string> messages;
    waiting_.clear();
    for (const queue::FileEntry& entry : *entries) {
      if (entry.name.starts_with('.')) continue;
      if (const std::string problem = NameProblem(entry.name); !problem.empty()) {
        skipped_[entry.name] =
            fmt::format("{}: {}; rename or remove it", (spool_.New() / Shown(entry.name)).string(), problem);
        continue;
      }
      if (entry.directory) {
        waiting_.push_back(entry.name);
      } else if (entry.name.ends_with(".eml")) {
        messages.push_back(entry.name);
      } else if (Result<void> moved = spool_.MoveToFailed(
                     spool_.New() / entry.name, entry.name, false,
                     "expected a campaign's directory, or a single message *.eml; this is neither\n");
                 !moved && !Skip(entry.name, moved.error())) {
        return moved;
      }
    }
    // From the back they are taken first.
    std::ranges::reverse(waiting_);
    messages_.Offer(std::move(messages));
    scan_due_ = false;
    next_scan_ = now + (watching_ ? spool_.options->spool.scan_interval : kScanUnwatched);
    return {};
  }

  // From new/ to work/, as far as there is room.
  Result<void> Admit() {
    while (loads_.size() < kLoadsMax && !claimed_.empty()) {
      Begin(std::move(claimed_.back()));
      claimed_.pop_back();
    }
    while (loads_.size() < kLoadsMax && !waiting_.empty()) {
      const std::string name = std::move(waiting_.back());
      waiting_.pop_back();
      // While the one before it of that name is being read it stays; the scan after that one's end finds it again.
      const bool being_read = spool_.files.Exists(spool_.Work() / name);
      passed_over_ |= being_read;
      if (being_read || !spool_.files.Exists(spool_.New() / name)) continue;
      if (Result<void> claimed = spool_.files.Rename(spool_.New() / name, spool_.Work() / name); !claimed) {
        if (Skip(name, claimed.error())) continue;
        return claimed;
      }
      skipped_.erase(name);
      Begin(name);
    }
    return {};
  }

  // What may not be moved, perhaps as it belongs to another user, stays where it is, and the others do not wait for it.
  // False: it is another trouble.
  bool Skip(const std::string& name, const Error& error) {
    if (error.code != ErrorCode::kDenied) return false;
    skipped_[name] = fmt::format("{}; {}", error.message, kMustOwn);
    return true;
  }

  // The first by name stands for all.
  [[nodiscard]] std::string SkippedText() const {
    const std::size_t count = skipped_.size() + messages_.stuck().size();
    if (count == 0) return {};
    const std::string first = skipped_.empty()
                                  ? fmt::format("{}; {}", messages_.stuck().begin()->second.problem, kMustOwn)
                                  : skipped_.begin()->second;
    return fmt::format("{}{}; all else is taken in", first,
                       count > 1 ? fmt::format("; and {} more like it", count - 1) : "");
  }

  void Begin(std::string name) {
    loads_.push_back({std::make_unique<CampaignLoad>(spool_, std::move(name)), Monotonic{}, {}});
  }

  // One step of the next campaign that can go on. One in trouble waits a while, the others do not wait for it.
  void StepLoads(Monotonic now) {
    for (std::size_t tried = 0; tried < loads_.size(); ++tried) {
      next_load_ = next_load_ + 1 < loads_.size() ? next_load_ + 1 : 0;
      Active& active = loads_[next_load_];
      if (now < active.retry_at) continue;
      const std::uint64_t batches = active.load->batches();
      const Result<std::optional<LoadEnd>> step = active.load->Step();
      counts_.batches += active.load->batches() - batches;
      active.trouble = step ? std::string() : step.error().message;
      if (!step) active.retry_at = now + kPauseAfterTrouble;
      if (!step || !step->has_value()) return;
      if (**step == LoadEnd::kAccepted) ++counts_.campaigns_accepted;
      if (**step == LoadEnd::kFailed) ++counts_.campaigns_failed;
      loads_.erase(loads_.begin() + static_cast<std::ptrdiff_t>(next_load_));
      if (std::exchange(passed_over_, false)) scan_due_ = true;
      return;
    }
  }

  struct Active {
    std::unique_ptr<CampaignLoad> load;
    Monotonic retry_at;
    std::string trouble;
  };

  Spool spool_;
  SpoolWatch watch_;
  MessageLoad messages_;
  std::vector<std::string> claimed_;            // in work/ since before the start
  std::vector<std::string> waiting_;            // in new/, the last first
  std::map<std::string, std::string> skipped_;  // in new/, where they stay, and why
  std::vector<Active> loads_;
  std::size_t next_load_ = 0;
  bool watching_ = false;
  bool recovered_ = false;
  bool scan_due_ = true;
  bool passed_over_ = false;
  bool lost_ = false;  // the spool could not be read
  Monotonic next_scan_{};
  Monotonic next_purge_{};
  Monotonic retry_at_{};
  IntakeCounts counts_;

  std::mutex mutex_;  // guards what other threads see
  OptionsPtr new_options_;
  IntakeCounts published_;
};

Intake::Intake(OptionsPtr options, queue::Files& files, queue::CampaignWriter& writer, io::Clock& clock)
    : worker_(std::make_unique<Worker>(std::move(options), files, writer, clock)) {}

Intake::~Intake() = default;

Result<void> Intake::Open() { return worker_->Open(); }
bool Intake::RunOnce() { return worker_->RunOnce(); }
void Intake::Wait(std::chrono::nanoseconds max_wait) { worker_->Wait(max_wait); }
std::vector<std::string> Intake::TakeFailures() { return worker_->TakeFailures(); }
void Intake::SetOptions(OptionsPtr options) { worker_->SetOptions(std::move(options)); }
IntakeCounts Intake::counts() const { return worker_->counts(); }

}  // namespace postrider::intake
