#include "engine/intake/spool.h"

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "engine/intake/campaign_source.h"

namespace postrider::intake {
namespace {

// With a dot in front, so that nothing takes it for a submission.
constexpr std::string_view kTrialName = ".writable";
constexpr std::string_view kLockName = "postrider.lock";

// A submission is a few files, one of which may be large: so many are removed in well under a tenth of a second.
constexpr int kPurgedAtOnce = 16;

std::string Day(Wall now) {
  const std::chrono::year_month_day date(std::chrono::floor<std::chrono::days>(now));
  return fmt::format("{:04}-{:02}-{:02}", static_cast<int>(date.year()), static_cast<unsigned>(date.month()),
                     static_cast<unsigned>(date.day()));
}

// "2026-11-23"
bool IsDay(std::string_view name) {
  constexpr std::string_view kShape = "0000-00-00";
  if (name.size() != kShape.size()) return false;
  for (std::size_t i = 0; i < kShape.size(); ++i) {
    const bool digit = name[i] >= '0' && name[i] <= '9';
    if (kShape[i] == '0' ? !digit : name[i] != kShape[i]) return false;
  }
  return true;
}

}  // namespace

Spool::Spool(OptionsPtr first_options, queue::Files& files_used, queue::CampaignWriter& writer_used,
             io::Clock& clock_used)
    : options(std::move(first_options)),
      files(files_used),
      writer(writer_used),
      clock(clock_used),
      root_(options->spool.directory) {}

Result<void> Spool::MakeDirectories() {
  for (const std::filesystem::path& directory : {Tmp(), New(), Work(), Done(), Failed()}) {
    if (Result<void> made = files.MakeDirectory(directory); !made) return made;
  }
  // They may have been there on a disk that is read-only now, or belong to another user.
  for (const std::filesystem::path& directory : {Tmp(), New(), Work(), Done(), Failed()}) {
    const std::filesystem::path trial = directory / kTrialName;
    const Result<void> written = files.WriteDurably(trial, "");
    // A full disk is told by DiskTrouble; meanwhile what is queued can be sent.
    if (!written && written.error().code == ErrorCode::kNoSpace) break;
    if (!written) return written;
    if (Result<void> removed = files.Remove(trial); !removed) return removed;
  }
  auto lock = queue::DirectoryLock::Take(root_ / kLockName, "the spool", "spool.directory");
  if (!lock) return std::unexpected(lock.error());
  lock_ = std::move(*lock);
  return {};
}

Result<bool> Spool::IsDone(const std::string& name) {
  const auto days = files.List(Done());
  if (!days) return std::unexpected(days.error());
  for (const queue::FileEntry& day : *days) {
    if (day.directory && files.Exists(Done() / day.name / name)) return true;
  }
  return false;
}

Result<void> Spool::MoveToDone(const std::filesystem::path& path, const std::string& name, std::uint64_t number) {
  const std::filesystem::path day = Done() / Day(clock.Read().wall);
  if (Result<void> made = files.MakeDirectory(day); !made) return made;
  std::filesystem::path target = day / name;
  if (files.Exists(target)) target = day / fmt::format("{}-{}", number, name);
  return files.Rename(path, target);
}

Result<bool> Spool::PurgeDone() {
  // A day is over when its last moment is old enough. Names sort as days do; what is no day's name is not ours.
  const std::string last = Day(clock.Read().wall - options->spool.remember_names - std::chrono::days(1));
  const auto days = files.List(Done());
  if (!days) return std::unexpected(days.error());
  int removed = 0;
  for (const queue::FileEntry& day : *days) {
    if (!day.directory || !IsDay(day.name) || day.name > last) continue;
    const auto entries = files.List(Done() / day.name);
    if (!entries) return std::unexpected(entries.error());
    for (const queue::FileEntry& entry : *entries) {
      if (removed++ == kPurgedAtOnce) return true;
      if (Result<void> gone = files.Remove(Done() / day.name / entry.name); !gone) return std::unexpected(gone.error());
    }
    if (Result<void> gone = files.Remove(Done() / day.name); !gone) return std::unexpected(gone.error());
  }
  return false;
}

Result<void> Spool::MoveToFailed(const std::filesystem::path& path, const std::string& name, bool directory,
                                 std::string_view reason) {
  const std::filesystem::path target = Failed() / name;
  const bool gone = !files.Exists(path);
  const std::filesystem::path note = directory && !gone ? path / kErrorName : Failed() / (name + ".error.txt");
  if (Result<void> written = files.WriteDurably(note, reason); !written) return written;
  if (!gone && files.Exists(target)) {
    if (Result<void> removed = files.Remove(target); !removed) return removed;
  }
  if (!gone) {
    if (Result<void> moved = files.Rename(path, target); !moved) return moved;
  }
  const std::string_view first_line = reason.substr(0, reason.find('\n'));
  const std::size_t more = static_cast<std::size_t>(std::ranges::count(reason, '\n'));
  failures_.push_back(
      fmt::format("{} was not accepted: {}{}; {} {}", name, first_line,
                  more > 1 ? fmt::format(" (and {} more, see {})", more - 1, note.filename().string()) : "",
                  gone ? "told in" : "moved to", gone ? note.string() : target.string()));
  return {};
}

Result<void> Spool::RefreshSuppression() {
  const std::filesystem::path& file = options->spool.suppression_file;
  if (file.empty()) {
    suppressed = nullptr;
    suppression_file_.clear();
    return {};
  }
  // The directory tells of a change without the file being read.
  const auto entries = files.List(file.parent_path());
  if (!entries) return Fail("suppression_file", entries.error());
  for (const queue::FileEntry& entry : *entries) {
    if (entry.name != file.filename().string()) continue;
    const bool same = file == suppression_file_ && entry.modified == suppression_modified_ &&
                      entry.bytes == suppression_bytes_ && suppressed != nullptr;
    if (same) return {};
    auto read = SuppressionList::Read(files, file);
    if (!read) return Fail(ErrorCode::kInvalid, fmt::format("suppression_file: {}", ToText(read.error())));
    suppressed = std::move(*read);
    suppression_file_ = file;
    suppression_modified_ = entry.modified;
    suppression_bytes_ = entry.bytes;
    return {};
  }
  return Fail(ErrorCode::kNotFound, fmt::format("suppression_file: {} does not exist; nothing is taken in without it, "
                                                "lest suppressed addresses get mail",
                                                file.string()));
}

std::string Spool::DiskTrouble() {
  for (const std::filesystem::path& place : {root_, options->queue.directory}) {
    const Result<double> free = files.FreeShare(place);
    if (!free) return free.error().message;
    if (*free >= options->disk.stop_intake_below) continue;
    return fmt::format(
        "{:.1f} % of the disk that holds {} is free; intake stops below {:.0f} % (disk.stop_intake_below) "
        "and goes on by itself",
        *free * 100, place.string(), options->disk.stop_intake_below * 100);
  }
  return {};
}

}  // namespace postrider::intake
