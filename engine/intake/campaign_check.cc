#include "engine/intake/campaign_check.h"

#include <algorithm>
#include <optional>

#include <fmt/format.h>

#include "engine/intake/campaign_source.h"
#include "engine/intake/duplicate_filter.h"
#include "engine/intake/list_reader.h"
#include "engine/intake/row_sieve.h"
#include "engine/intake/single_message.h"
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

std::expected<SingleMessage, Diagnostics> ReadSingle(const Options& options, queue::Files& files,
                                                     const fs::path& path) {
  const Result<std::string> message = files.ReadWhole(path, options.spool.message_bytes_max);
  if (!message) return std::unexpected(Diagnostics{{{path.string(), 0, 0}, message.error().message}});
  return ReadSingleMessage(options, *message, path.string());
}

// When a file was last changed: what is rendered from it is the same until it changes again.
Wall LastChange(queue::Files& files, const fs::path& file) {
  const auto entries = files.List(file.parent_path());
  if (!entries) return {};
  const auto found = std::ranges::find(*entries, file.filename().string(), &queue::FileEntry::name);
  return found == entries->end() ? Wall() : found->modified;
}

Result<std::string> Rendered(const message::Template& compiled, message::RenderJob job) {
  job.campaign_id = 1;
  std::string out;
  if (Result<void> checked = compiled.Check(job); !checked) return std::unexpected(checked.error());
  if (Result<void> rendered = compiled.Render(job, out); !rendered) return std::unexpected(rendered.error());
  return out;
}

Result<std::string> RenderSingle(const Options& options, queue::Files& files, const fs::path& path,
                                 std::uint64_t number) {
  const auto single = ReadSingle(options, files, path);
  if (!single) return Fail(ErrorCode::kInvalid, ToText(single.error()));
  const std::vector<EmailAddress>& to = single->to;
  if (number == 0 || number > to.size()) {
    return Fail(ErrorCode::kNotFound,
                fmt::format("{} has {} recipients, so none of number {}", path.string(), to.size(), number));
  }
  const std::string address = ToString(to[static_cast<std::size_t>(number - 1)]);
  message::RenderJob job;
  job.row = number;
  job.campaign = single->campaign;
  job.to = address;
  job.fields = single->no_values;
  job.accepted_at = LastChange(files, path);
  job.host_name = options.host_name;
  return Rendered(*single->compiled, job);
}

class Checker {
 public:
  Checker(const Options& options, queue::Files& files, io::Clock& clock, const fs::path& path,
          const std::function<void(const queue::NewRow&)>& accepted)
      : options_(options),
        files_(files),
        clock_(clock),
        accepted_(accepted),
        path_(path),
        place_(path.string() + "/") {}

  CampaignReport Run() {
    if (path_.filename().string().ends_with(".eml")) {
      CheckMessage();
      return std::move(report_);
    }
    auto source = ReadCampaign(options_, files_, path_, clock_.Read().wall, place_);
    if (!source) {
      report_.problems = std::move(source.error().list);
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
    auto single = ReadSingle(options_, files_, path_);
    if (!single) report_.problems = std::move(single.error());
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
    if (source_.spec.skip_duplicates) {
      std::error_code none;
      const fs::path temporary = fs::temp_directory_path(none);
      seen.emplace(none ? fs::path("/tmp") : temporary);
    }
    RowSieve sieve(source_.spec.name, RecipientRules(options_), source_.compiled, (*list)->format(), suppressed,
                   seen ? &*seen : nullptr);
    RowBatch batch;
    Record record;
    bool header = (*list)->format() == ListFormat::kCsv;
    constexpr std::size_t kRoom = 1024;
    for (std::size_t room = 0;; room == 0 ? 0 : --room) {
      const Result<Found> found = (*list)->Next(record);
      if (!found) Problem(source_.list_name, 0, found.error().message);
      if (!found || *found == Found::kEnd) return;
      if (*found == Found::kNothingYet) continue;
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
        if (accepted_) accepted_(batch.Rows().front());
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
  const std::function<void(const queue::NewRow&)>& accepted_;
  fs::path path_;
  std::string place_;
  CampaignSource source_;
  CampaignReport report_;
};

}  // namespace

CampaignReport CheckCampaign(const Options& options, queue::Files& files, io::Clock& clock, const fs::path& path,
                             const std::function<void(const queue::NewRow& row)>& accepted) {
  return Checker(options, files, clock, Absolute(path), accepted).Run();
}

std::string RejectedText(const CampaignReport& report) {
  const RejectedRow& first = report.first_rejects.front();
  return fmt::format("{} of {} rows will be rejected; line {}: {} (`postrider check` shows more)", report.rejected,
                     report.rows, first.line, first.reason);
}

Result<std::string> RenderRow(const Options& options, queue::Files& files, io::Clock& clock, const fs::path& named,
                              std::uint64_t line) {
  const fs::path path = Absolute(named);
  if (path.filename().string().ends_with(".eml")) return RenderSingle(options, files, path, line);
  auto source = ReadCampaign(options, files, path, clock.Read().wall, path.string() + "/");
  if (!source) return Fail(ErrorCode::kInvalid, ToText(source.error().list));
  auto list = ListReader::Open(files, path / source->list_name, options.spool.row_bytes_max);
  if (!list) return std::unexpected(list.error());
  RowSieve sieve(source->spec.name, RecipientRules(options), source->compiled, (*list)->format(), nullptr, nullptr);
  RowBatch batch;
  Record record;
  bool header = (*list)->format() == ListFormat::kCsv;
  while (true) {
    const Result<Found> found = (*list)->Next(record);
    if (!found) return std::unexpected(found.error());
    if (*found == Found::kNothingYet) continue;
    if (*found == Found::kEnd || record.line > line) {
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
  job.row = row.row;
  job.campaign = source->spec.name;
  job.to = row.address;
  job.row_id = row.row_id;
  job.fields = row.fields;
  job.accepted_at = LastChange(files, path / kMessageName);
  job.host_name = options.host_name;
  return Rendered(*source->compiled, job);
}

}  // namespace postrider::intake
