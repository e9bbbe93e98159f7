#include "engine/intake/campaign_check.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "engine/intake/campaign_source.h"
#include "engine/intake/duplicate_filter.h"
#include "engine/intake/list_reader.h"
#include "engine/intake/row_sieve.h"
#include "engine/intake/suppression_list.h"

namespace postrider::intake {
namespace {

namespace fs = std::filesystem;

constexpr std::size_t kRejectsShown = 100;

fs::path Absolute(const fs::path& path) {
  std::error_code ignored;
  fs::path absolute = fs::absolute(path, ignored).lexically_normal();
  return absolute.has_filename() ? absolute : absolute.parent_path();
}

class Checker {
 public:
  Checker(const Options& options, queue::Files& files, io::Clock& clock, const fs::path& path)
      : options_(options), files_(files), clock_(clock), path_(path), place_(path.string() + "/") {}

  CampaignReport Run() {
    if (path_.filename().string().ends_with(".eml")) {
      CheckMessage();
      return std::move(report_);
    }
    auto source = ReadCampaign(options_, files_, path_, clock_.Read().wall, place_);
    if (!source) {
      report_.problems = std::move(source.error());
      return std::move(report_);
    }
    source_ = std::move(*source);
    CheckDigest();
    CheckRows();
    CheckTotals();
    return std::move(report_);
  }

 private:
  void Problem(std::string_view file, std::uint64_t line, std::string message) {
    report_.problems.push_back({{place_ + std::string(file), static_cast<int>(line), 0}, std::move(message)});
  }

  void CheckMessage() {
    const Result<std::string> message = files_.ReadWhole(path_, options_.spool.message_bytes_max);
    if (!message) {
      report_.problems.push_back({{path_.string(), 0, 0}, message.error().message});
      return;
    }
    message::CompileOptions compile;
    compile.file = path_.string();
    compile.size_max = options_.spool.message_bytes_max;
    auto compiled = message::Template::Compile(*message, compile);
    if (!compiled) report_.problems = std::move(compiled.error());
  }

  void CheckDigest() {
    const std::string& expected = source_.manifest.sha256;
    if (expected.empty()) return;
    Result<SubmissionDigest> digest = SubmissionDigest::Open(files_, path_, source_);
    Result<bool> whole = digest ? Result<bool>(false) : std::unexpected(digest.error());
    while (whole && !*whole) whole = digest->Step();
    if (!whole) {
      Problem(source_.list_name, 0, whole.error().message);
    } else if (digest->list_sha256() != expected) {
      Problem(kManifestName, 0,
              fmt::format("sha256: expected {}, but {} has {}: it is cut or was changed", expected, source_.list_name,
                          digest->list_sha256()));
    }
  }

  void CheckRows() {
    std::shared_ptr<const SuppressionList> suppressed;
    if (!options_.spool.suppression_file.empty()) {
      auto read = SuppressionList::Read(files_, options_.spool.suppression_file);
      if (!read) {
        report_.problems.insert(report_.problems.end(), read.error().begin(), read.error().end());
        return;
      }
      suppressed = std::move(*read);
    }
    auto list = ListReader::Open(files_, path_ / source_.list_name, options_.spool.row_bytes_max);
    if (!list) {
      Problem(source_.list_name, 0, list.error().message);
      return;
    }
    std::optional<DuplicateFilter> seen;
    if (source_.spec.skip_duplicates) seen.emplace(fs::temp_directory_path());
    RowSieve sieve(source_.spec.name, RecipientRules(options_), source_.compiled, (*list)->format(), suppressed,
                   seen ? &*seen : nullptr);
    RowBatch batch;
    Record record;
    bool header = (*list)->format() == ListFormat::kCsv;
    constexpr std::size_t kRoom = 1024;
    for (std::size_t room = 0;; room == 0 ? 0 : --room) {
      const Result<bool> found = (*list)->Next(record);
      if (!found) Problem(source_.list_name, 0, found.error().message);
      if (!found || !*found) return;
      if (std::exchange(header, false)) {
        if (Result<void> read = sieve.ReadHeader(record); !read) {
          Problem(source_.list_name, record.line, read.error().message);
          return;
        }
        continue;
      }
      Result<void> reserved;
      if (seen && room == 0) reserved = seen->Reserve(room = kRoom);
      const Result<RowFate> fate = reserved ? sieve.Take(record, batch) : std::unexpected(reserved.error());
      if (!fate) {
        Problem(source_.list_name, record.line, fate.error().message);
        return;
      }
      Count(*fate, record, sieve, batch);
    }
  }

  void Count(RowFate fate, const Record& record, const RowSieve& sieve, RowBatch& batch) {
    ++report_.rows;
    switch (fate) {
      case RowFate::kAccepted:
        ++report_.accepted;
        report_.largest_message_bytes =
            std::max(report_.largest_message_bytes, source_.compiled->EstimateSize(batch.Rows().front().fields));
        batch.Clear();
        break;
      case RowFate::kRejected:
        ++report_.rejected;
        if (report_.first_rejects.size() < kRejectsShown) {
          report_.first_rejects.push_back({record.line, std::string(sieve.row().to), sieve.reason()});
        }
        break;
      case RowFate::kSuppressed:
        ++report_.suppressed;
        break;
      case RowFate::kDuplicate:
        ++report_.duplicate;
        break;
    }
  }

  void CheckTotals() {
    if (!report_.problems.empty()) return;
    const std::optional<std::uint64_t> expected = source_.manifest.recipients;
    if (expected && *expected != report_.rows) {
      Problem(kManifestName, 0, fmt::format("recipients: expected {} rows, found {}", *expected, report_.rows));
    }
    if (report_.rows == 0) Problem(source_.list_name, 0, "the list holds no rows");
    if (report_.rows == 0 || report_.rejected == 0) return;
    if (report_.rejected == report_.rows) Problem(source_.list_name, 0, "none of its rows can be used");
    const double share = static_cast<double>(report_.rejected) / static_cast<double>(report_.rows);
    const double allowed = source_.manifest.max_reject_share.value_or(options_.spool.max_reject_share);
    if (share > allowed && report_.rejected > options_.spool.max_rejects_free) {
      report_.held = fmt::format("{} of {} rows would be rejected, more than {:.2f} %", report_.rejected, report_.rows,
                                 allowed * 100);
    }
  }

  const Options& options_;
  queue::Files& files_;
  io::Clock& clock_;
  fs::path path_;
  std::string place_;
  CampaignSource source_;
  CampaignReport report_;
};

}  // namespace

CampaignReport CheckCampaign(const Options& options, queue::Files& files, io::Clock& clock, const fs::path& path) {
  return Checker(options, files, clock, Absolute(path)).Run();
}

Result<std::string> RenderRow(const Options& options, queue::Files& files, io::Clock& clock, const fs::path& directory,
                              std::uint64_t line) {
  const fs::path path = Absolute(directory);
  const Wall now = clock.Read().wall;
  auto source = ReadCampaign(options, files, path, now, path.string() + "/");
  if (!source) return Fail(ErrorCode::kInvalid, ToText(source.error()));
  auto list = ListReader::Open(files, path / source->list_name, options.spool.row_bytes_max);
  if (!list) return std::unexpected(list.error());
  RowSieve sieve(source->spec.name, RecipientRules(options), source->compiled, (*list)->format(), nullptr, nullptr);
  RowBatch batch;
  Record record;
  bool header = (*list)->format() == ListFormat::kCsv;
  while (true) {
    const Result<bool> found = (*list)->Next(record);
    if (!found) return std::unexpected(found.error());
    if (!*found || record.line > line) {
      return Fail(ErrorCode::kNotFound, fmt::format("{} has no row that begins on line {}", source->list_name, line));
    }
    if (std::exchange(header, false)) {
      if (Result<void> read = sieve.ReadHeader(record); !read) return std::unexpected(read.error());
    } else if (record.line == line) {
      break;
    }
  }
  const Result<RowFate> fate = sieve.Take(record, batch);
  if (!fate) return std::unexpected(fate.error());
  if (*fate == RowFate::kRejected) {
    return Fail(ErrorCode::kInvalid, fmt::format("{}:{}: {}", source->list_name, line, sieve.reason()));
  }
  const queue::NewRow row = batch.Rows().front();
  message::RenderJob job;
  job.campaign_id = 1;
  job.row = row.row;
  job.campaign = source->spec.name;
  job.to = row.address;
  job.row_id = row.row_id;
  job.fields = row.fields;
  job.accepted_at = now;
  job.host_name = options.host_name;
  std::string out;
  if (Result<void> rendered = source->compiled->Render(job, out); !rendered) return std::unexpected(rendered.error());
  return out;
}

}  // namespace postrider::intake
