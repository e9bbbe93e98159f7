#include "engine/intake/submission.h"

#include <algorithm>
#include <vector>

#include <fmt/format.h>

#include "engine/intake/campaign_source.h"
#include "engine/message/template.h"

namespace postrider::intake {
namespace {

namespace fs = std::filesystem;

Result<std::string> DigestOf(queue::Files& files, const fs::path& directory, const CampaignSource& source) {
  Result<SubmissionDigest> digest = SubmissionDigest::Open(files, directory, source);
  if (!digest) return std::unexpected(digest.error());
  while (true) {
    const Result<bool> whole = digest->Step();
    if (!whole) return std::unexpected(whole.error());
    if (*whole) return digest->digest();
  }
}

Result<void> CopyFile(queue::Files& files, const fs::path& from, const fs::path& to) {
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
    if (Result<void> written = (*appender)->Append(chunk); !written) return written;
  }
}

class Submission {
 public:
  Submission(const Options& options, queue::Files& files, io::Clock& clock, fs::path path)
      : options_(options), files_(files), clock_(clock), path_(std::move(path)), name_(path_.filename().string()) {}

  Result<Submitted> Run() {
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
      if (Result<void> made = files_.MakeDirectory(In(part)); !made) return Fail("spool", made.error());
    }
    return {};
  }

  Result<Submitted> SubmitCampaign() {
    auto source = ReadCampaign(options_, files_, path_, clock_.Read().wall, path_.string() + "/");
    if (!source) return Fail(ErrorCode::kInvalid, ToText(source.error()));
    const Result<std::string> digest = DigestOf(files_, path_, *source);
    if (!digest) return std::unexpected(digest.error());
    Result<bool> already = IsInSpool(*digest);
    if (!already) return std::unexpected(already.error());
    if (*already) return Submitted{name_, true};
    const std::vector<std::string> names = {std::string(kManifestName), std::string(kMessageName), source->list_name};
    const fs::path copy = In("tmp") / name_;
    if (Result<void> made = Fresh(copy); !made) return std::unexpected(made.error());
    if (Result<void> made = files_.MakeDirectory(copy); !made) return std::unexpected(made.error());
    for (const std::string& file : names) {
      if (Result<void> copied = CopyFile(files_, path_ / file, copy / file); !copied) {
        (void)files_.Remove(copy);
        return std::unexpected(copied.error());
      }
    }
    return Hand(copy);
  }

  Result<Submitted> SubmitMessage() {
    if (const std::string problem = NameProblem(name_); !problem.empty()) return Fail(ErrorCode::kInvalid, problem);
    const Result<std::string> message = files_.ReadWhole(path_, options_.spool.message_bytes_max);
    if (!message) return std::unexpected(message.error());
    message::CompileOptions compile;
    compile.file = path_.string();
    compile.size_max = options_.spool.message_bytes_max;
    const auto compiled = message::Template::Compile(*message, compile);
    if (!compiled) return Fail(ErrorCode::kInvalid, ToText(compiled.error()));
    if (files_.Exists(In("new") / name_)) {
      return Fail(ErrorCode::kExists, fmt::format("{} waits in the spool already; wait, or use another name", name_));
    }
    const fs::path copy = In("tmp") / name_;
    if (Result<void> made = Fresh(copy); !made) return std::unexpected(made.error());
    if (Result<void> copied = CopyFile(files_, path_, copy); !copied) {
      (void)files_.Remove(copy);
      return std::unexpected(copied.error());
    }
    return Hand(copy);
  }

  // What an earlier attempt left half done goes.
  Result<void> Fresh(const fs::path& copy) { return files_.Exists(copy) ? files_.Remove(copy) : Result<void>(); }

  Result<Submitted> Hand(const fs::path& copy) {
    if (Result<void> renamed = files_.Rename(copy, In("new") / name_); !renamed) {
      (void)files_.Remove(copy);
      return std::unexpected(renamed.error());
    }
    return Submitted{name_, false};
  }

  // Whether this very submission lies in new/, work/ or done/. kExists if another of that name does.
  Result<bool> IsInSpool(const std::string& digest) {
    std::vector<fs::path> places = {In("new"), In("work")};
    const auto days = files_.List(In("done"));
    if (!days) return std::unexpected(days.error());
    for (const queue::FileEntry& day : *days) {
      if (day.directory) places.push_back(In("done") / day.name);
    }
    for (const fs::path& place : places) {
      const fs::path there = place / name_;
      if (!files_.Exists(there)) continue;
      // Its expiry may have passed since; it is the same submission still.
      const auto source = ReadCampaign(options_, files_, there, Wall::min());
      const Result<std::string> other = source ? DigestOf(files_, there, *source) : std::string();
      if (!other) return std::unexpected(other.error());
      if (*other == digest) return true;
      return Fail(ErrorCode::kExists, fmt::format("the name {} is taken: {} is another submission; use another name",
                                                  name_, there.string()));
    }
    return false;
  }

  const Options& options_;
  queue::Files& files_;
  io::Clock& clock_;
  fs::path path_;
  std::string name_;
};

}  // namespace

Result<Submitted> Submit(const Options& options, queue::Files& files, io::Clock& clock, const fs::path& path) {
  std::error_code ignored;
  fs::path absolute = fs::absolute(path, ignored).lexically_normal();
  if (!absolute.has_filename()) absolute = absolute.parent_path();  // "offer/"
  return Submission(options, files, clock, absolute).Run();
}

}  // namespace postrider::intake
