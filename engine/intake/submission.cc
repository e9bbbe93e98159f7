#include "engine/intake/submission.h"

#include <unistd.h>

#include <algorithm>
#include <chrono>
#include <memory>
#include <optional>
#include <vector>

#include <fmt/format.h>

#include "engine/intake/campaign_source.h"
#include "engine/intake/single_message.h"
#include "engine/io/random.h"

namespace postrider::intake {
namespace {

namespace fs = std::filesystem;

// Between the name and what makes a copy's place in tmp/ its call's own. No submission's name holds one.
constexpr char kOwnMark = '~';
// A copy that is older was left by a call that did not end; none takes that long.
constexpr std::chrono::hours kLeftBehind{24};
// While intake moves a submission from one place to the next, it is looked for again.
constexpr int kLooksMax = 20;

Result<std::string> DigestOf(queue::Files& files, const fs::path& directory, const CampaignSource& source) {
  Result<SubmissionDigest> digest = SubmissionDigest::Open(files, directory, source);
  if (!digest) return std::unexpected(digest.error());
  while (true) {
    const Result<bool> whole = digest->Step();
    if (!whole) return std::unexpected(whole.error());
    if (*whole) return digest->digest();
  }
}

Error Interrupted() { return {ErrorCode::kUnavailable, "interrupted; nothing was submitted"}; }

Result<void> CopyFile(queue::Files& files, const fs::path& from, const fs::path& to,
                      const std::function<bool()>& interrupted) {
  Result<std::unique_ptr<queue::FileReader>> reader = files.OpenReader(from);
  if (!reader) return std::unexpected(reader.error());
  Result<std::unique_ptr<queue::FileAppender>> appender = files.OpenAppender(to, 0);
  if (!appender) return std::unexpected(appender.error());
  constexpr std::size_t kChunk = 1 << 20;
  std::string chunk;
  while (true) {
    chunk.clear();
    const Result<std::size_t> read = (*reader)->Read(chunk, kChunk);
    if (!read) return std::unexpected(read.error());
    if (*read == 0) return (*appender)->Sync();
    if (interrupted()) return std::unexpected(Interrupted());
    if (Result<void> written = (*appender)->Append(chunk); !written) return written;
  }
}

class Submission {
 public:
  Submission(const Options& options, queue::Files& files, io::Clock& clock, fs::path path,
             const std::function<bool()>& interrupted)
      : options_(options),
        files_(files),
        clock_(clock),
        path_(std::move(path)),
        name_(path_.filename().string()),
        interrupted_(interrupted) {}

  Result<Submitted> Run() {
    if (name_.empty()) {
      return Fail(ErrorCode::kInvalid,
                  fmt::format("{} is neither a campaign's directory nor a message *.eml", path_.string()));
    }
    const auto entries = files_.List(path_.parent_path());
    if (!entries) return std::unexpected(entries.error());
    const auto entry = std::ranges::find(*entries, name_, &queue::FileEntry::name);
    if (entry == entries->end()) {
      return Fail(ErrorCode::kNotFound, fmt::format("{} does not exist", path_.string()));
    }
    if (Result<void> there = SpoolIsThere(); !there) return std::unexpected(there.error());
    if (entry->directory) return SubmitCampaign();
    if (name_.ends_with(".eml")) return SubmitMessage();
    return Fail(ErrorCode::kInvalid,
                fmt::format("{} is neither a campaign's directory nor a message *.eml", path_.string()));
  }

 private:
  [[nodiscard]] fs::path In(std::string_view part) const { return options_.spool.directory / part; }

  Result<void> SpoolIsThere() {
    for (const char* part : {"tmp", "new", "work", "done", "failed"}) {
      const bool missing = !files_.Exists(In(part));
      Result<void> made = files_.MakeDirectory(In(part));
      // What root makes must not keep the daemon out of its own spool.
      if (made && missing) made = files_.GiveToOwnerOf(options_.spool.directory, In(part));
      if (!made && made.error().code == ErrorCode::kDenied) {
        return Fail(ErrorCode::kDenied, fmt::format("spool: {}; submit as the user that the daemon runs as, or as root",
                                                    made.error().message));
      }
      if (!made) return Fail("spool", made.error());
    }
    return {};
  }

  Result<Submitted> SubmitCampaign() {
    auto source = ReadCampaign(options_, files_, path_, clock_.Read().wall, path_.string() + "/");
    if (!source) return Fail(ErrorCode::kInvalid, ToText(source.error().list));
    const Result<std::string> digest = DigestOf(files_, path_, *source);
    if (!digest) return std::unexpected(digest.error());
    Result<bool> already = IsInSpool(*digest);
    if (!already) return std::unexpected(already.error());
    if (*already) return Submitted{name_, true};
    const std::vector<std::string> names = {std::string(kManifestName), std::string(kMessageName), source->list_name};
    const fs::path copy = OwnPlace();
    Result<void> done = files_.MakeDirectory(copy);
    // Before a large list is copied in vain.
    if (done) done = files_.GiveToOwnerOf(options_.spool.directory, copy);
    for (const std::string& file : names) {
      if (done) done = CopyFile(files_, path_ / file, copy / file, interrupted_);
    }
    if (done) done = files_.GiveToOwnerOf(options_.spool.directory, copy);
    return done ? Hand(copy, *digest) : GiveUp(copy, done.error());
  }

  Result<Submitted> SubmitMessage() {
    if (const std::string problem = NameProblem(name_); !problem.empty()) return Fail(ErrorCode::kInvalid, problem);
    const Result<std::string> message = files_.ReadWhole(path_, options_.spool.message_bytes_max);
    if (!message) return std::unexpected(message.error());
    if (const auto read = ReadSingleMessage(options_, *message, path_.string()); !read) {
      return Fail(ErrorCode::kInvalid, ToText(read.error()));
    }
    const fs::path copy = OwnPlace();
    Result<void> done = files_.WriteDurably(copy, *message);
    if (done) done = files_.GiveToOwnerOf(options_.spool.directory, copy);
    return done ? Hand(copy, std::nullopt) : GiveUp(copy, done.error());
  }

  // Where this call alone makes its copy.
  fs::path OwnPlace() {
    RemoveLeftCopies(files_, In("tmp"), clock_.Read().wall);
    fs::path place;
    do {
      place = In("tmp") / fmt::format("{}{}{}-{:016x}", name_, kOwnMark, ::getpid(), random_->Next());
    } while (files_.Exists(place));
    return place;
  }

  Result<Submitted> GiveUp(const fs::path& copy, Error error) {
    (void)files_.Remove(copy);
    return std::unexpected(std::move(error));
  }

  // The rename replaces nothing: of two calls at once the second finds the name taken, by the same or by another. No
  // digest: a single message, which is never the same as another.
  Result<Submitted> Hand(const fs::path& copy, const std::optional<std::string>& digest) {
    for (int look = 0; look < kLooksMax; ++look) {
      if (digest) {
        const Result<bool> already = IsInSpool(*digest);
        if (!already) return GiveUp(copy, already.error());
        if (*already) {
          (void)files_.Remove(copy);
          return Submitted{name_, true};
        }
      }
      if (interrupted_()) return GiveUp(copy, Interrupted());
      const Result<void> renamed = files_.Rename(copy, In("new") / name_);
      if (renamed) return Submitted{name_, false};
      if (renamed.error().code != ErrorCode::kExists) return GiveUp(copy, renamed.error());
      if (!digest) {
        return GiveUp(
            copy, {ErrorCode::kExists, fmt::format("{} waits in the spool already; wait, or use another name", name_)});
      }
    }
    return GiveUp(copy,
                  {ErrorCode::kBusy, fmt::format("submissions named {} come and go in the spool; try again", name_)});
  }

  // Whether this very submission lies in new/, work/ or done/. kExists if another of that name does.
  Result<bool> IsInSpool(const std::string& digest) {
    for (int look = 0; look < kLooksMax; ++look) {
      bool moved = false;
      const Result<bool> found = LookInSpool(digest, moved);
      if (!moved) return found;
    }
    return Fail(ErrorCode::kBusy, fmt::format("submissions named {} come and go in the spool; try again", name_));
  }

  // Intake moves it from place to place in the order in which they are looked at. moved: it went while it was read.
  Result<bool> LookInSpool(const std::string& digest, bool& moved) {
    for (const char* part : {"new", "work"}) {
      const fs::path there = In(part) / name_;
      if (files_.Exists(there)) return IsSame(there, digest, moved);
    }
    const auto days = files_.List(In("done"));
    if (!days) return std::unexpected(days.error());
    for (const queue::FileEntry& day : *days) {
      const fs::path there = In("done") / day.name / name_;
      if (day.directory && files_.Exists(there)) return IsSame(there, digest, moved);
    }
    return false;
  }

  Result<bool> IsSame(const fs::path& there, const std::string& digest, bool& moved) {
    // Its expiry may have passed since; it is the same submission still.
    const auto source = ReadCampaign(options_, files_, there, Wall::min());
    const Result<std::string> other = source ? DigestOf(files_, there, *source) : std::string();
    if (other && *other == digest) return true;
    moved = !files_.Exists(there);
    if (!other) return std::unexpected(other.error());
    return Fail(ErrorCode::kExists,
                fmt::format("the name {} is taken: {} is another submission; use another name", name_, there.string()));
  }

  const Options& options_;
  queue::Files& files_;
  io::Clock& clock_;
  fs::path path_;
  std::string name_;
  const std::function<bool()>& interrupted_;
  std::unique_ptr<io::Random> random_ = io::MakeSystemRandom();
};

}  // namespace

Result<Submitted> Submit(const Options& options, queue::Files& files, io::Clock& clock, const fs::path& path,
                         const std::function<bool()>& interrupted) {
  std::error_code ignored;
  fs::path absolute = fs::absolute(path, ignored).lexically_normal();
  if (!absolute.has_filename() && absolute.has_relative_path()) absolute = absolute.parent_path();  // "offer/"
  return Submission(options, files, clock, absolute, interrupted).Run();
}

void RemoveLeftCopies(queue::Files& files, const fs::path& tmp, Wall now) {
  const auto entries = files.List(tmp);
  if (!entries) return;
  for (const queue::FileEntry& entry : *entries) {
    const bool copy = entry.name.find(kOwnMark) != std::string::npos;
    if (copy && entry.modified < now - kLeftBehind) (void)files.Remove(tmp / entry.name);
  }
}

}  // namespace postrider::intake
