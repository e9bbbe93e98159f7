#include "engine/intake/campaign_source.h"

#include <algorithm>

#include <fmt/format.h>

#include "config/email_address.h"
#include "engine/message/mime_parser.h"

namespace postrider::intake {
namespace {

constexpr std::uint64_t kManifestBytesMax = 1 << 20;
constexpr std::size_t kNameMax = 128;  // with a suffix, a date or a number it still is a file's name

constexpr std::string_view kLists[] = {"recipients.jsonl",  "recipients.csv",       "recipients.jsonl.gz",
                                       "recipients.csv.gz", "recipients.jsonl.zst", "recipients.csv.zst"};

class Loader {
 public:
  Loader(const Options& options, queue::Files& files, const std::filesystem::path& directory, const std::string& place)
      : options_(options), files_(files), directory_(directory), place_(place) {}

  std::expected<CampaignSource, CampaignProblems> Run(Wall now) {
    FindList();
    const std::string manifest = Read(kManifestName, kManifestBytesMax);
    source_.message = Read(kMessageName, options_.spool.message_bytes_max);
    if (const std::string problem = NameProblem(directory_.filename().string()); !problem.empty()) {
      Report("", problem);
    }
    if (!manifest.empty()) TakeManifest(manifest, now);
    if (!source_.message.empty()) Compile();
    if (source_.compiled != nullptr) CompleteSender();
    if (!problems_.list.empty()) return std::unexpected(std::move(problems_));
    source_.digest_prefix = Hash(manifest) + Hash(source_.message);
    return std::move(source_);
  }

 private:
  void Report(std::string_view file, std::string message) {
    std::string where = place_ + std::string(file);
    if (file.empty() && where.ends_with('/')) where.pop_back();
    problems_.list.push_back({{std::move(where), 0, 0}, std::move(message)});
  }

  void Report(std::string_view file, const Error& error) {
    if (!IsAboutTheSubmission(error.code)) problems_.trouble = error;
    Report(file, error.message);
  }

  static std::string Hash(std::string_view bytes) {
    message::Sha256 hash;
    hash.Update(bytes);
    return hash.Finish();
  }

  void FindList() {
    const auto entries = files_.List(directory_);
    if (!entries) {
      Report("", entries.error());
      return;
    }
    for (const queue::FileEntry& entry : *entries) {
      const std::string_view name = entry.name;
      if (std::ranges::find(kLists, name) != std::end(kLists)) {
        if (!source_.list_name.empty()) {
          Report(name, fmt::format("a second list beside {}; a campaign has one", source_.list_name));
        }
        source_.list_name = name;
      } else if (name != kManifestName && name != kMessageName && name != kRejectsName && name != kErrorName &&
                 !name.starts_with('.')) {
        Report(name,
               "not a file of a campaign; expected campaign.toml, message.eml, and recipients.jsonl or "
               "recipients.csv, perhaps with .gz or .zst");
      }
    }
    if (source_.list_name.empty()) Report("recipients.jsonl", "missing; a campaign needs a list of recipients");
  }

  // Empty, and reported, if it cannot be read.
  std::string Read(std::string_view name, std::uint64_t max_bytes) {
    Result<std::string> text = files_.ReadWhole(directory_ / name, max_bytes);
    if (!text && text.error().code == ErrorCode::kNotFound) {
      Report(name, "missing");
      return {};
    }
    if (!text) {
      Report(name, text.error());
      return {};
    }
    if (text->empty()) Report(name, "empty");
    return std::move(*text);
  }

  void TakeManifest(const std::string& text, Wall now) {
    auto parsed = ParseManifest(text, place_ + std::string(kManifestName));
    if (!parsed) {
      problems_.list.insert(problems_.list.end(), parsed.error().begin(), parsed.error().end());
      return;
    }
    source_.manifest = std::move(*parsed);
    const Manifest& manifest = source_.manifest;
    if (manifest.expires && *manifest.expires <= now) {
      Report(kManifestName, "expires: it lies in the past, so nothing would be sent");
    }
    const bool known_pool =
        manifest.pool == "default" ||
        std::ranges::any_of(options_.pools, [&](const PoolOptions& pool) { return pool.name == manifest.pool; });
    if (!known_pool) {
      Report(kManifestName, fmt::format("pool: no pool \"{}\" is configured", manifest.pool));
    }
    FillSpec();
  }

  void FillSpec() {
    const Manifest& manifest = source_.manifest;
    queue::CampaignSpec& spec = source_.spec;
    spec.name = directory_.filename().string();
    spec.mail_class = manifest.mail_class;
    spec.from = manifest.from;
    spec.envelope_from = manifest.envelope_from.value_or("");
    spec.pool = manifest.pool;
    spec.list = manifest.list;
    spec.start = manifest.streaming ? queue::StartMode::kStreaming : queue::StartMode::kWhole;
    spec.not_before = manifest.not_before;
    spec.expires = manifest.expires;
    spec.messages_per_second = manifest.messages_per_second;
    spec.priority = manifest.priority;
    spec.weight = static_cast<std::uint32_t>(manifest.weight);
    spec.canary_share = manifest.canary_share;
    if (manifest.canary_share > 0) spec.canary_wait = manifest.canary_wait;
    spec.windows = manifest.windows;
    spec.time_zone = manifest.time_zone;
    spec.skip_duplicates = manifest.skip_duplicates;
    spec.on_unknown = manifest.report_unknown ? queue::OnUnknown::kReport : queue::OnUnknown::kRetry;
    spec.eight_bit = manifest.eight_bit;
    spec.headers = manifest.headers;
    if (!manifest.subject) return;
    if (message::HasHeader(source_.message, "Subject")) {
      Report(kManifestName, "subject: message.eml has a Subject of its own; write one of the two");
    }
    spec.headers.emplace_back("Subject", *manifest.subject);
  }

  void Compile() {
    message::CompileOptions compile;
    compile.file = place_ + std::string(kMessageName);
    compile.eight_bit = source_.manifest.eight_bit;
    compile.size_max = options_.spool.message_bytes_max;
    compile.headers = source_.spec.headers;
    compile.default_from = source_.manifest.from;
    auto compiled = message::Template::Compile(source_.message, compile);
    if (!compiled) {
      problems_.list.insert(problems_.list.end(), compiled.error().begin(), compiled.error().end());
      return;
    }
    source_.compiled = std::move(*compiled);
  }

  void CompleteSender() {
    if (source_.manifest.envelope_from) return;
    source_.spec.envelope_from = source_.compiled->from_address();
    if (source_.spec.envelope_from.empty()) {
      Report(kManifestName, "envelope_from: missing, and the From header is not one fixed address to take instead");
      return;
    }
    const Result<EmailAddress> address = EmailAddress::Parse(source_.spec.envelope_from);
    if (!address || address->needs_smtputf8) {
      Report(kManifestName,
             "envelope_from: missing, and the From address cannot stand in for it: only ASCII may stand "
             "before its \"@\"");
    }
  }

  const Options& options_;
  queue::Files& files_;
  const std::filesystem::path& directory_;
  std::string place_;
  CampaignSource source_;
  CampaignProblems problems_;
};

}  // namespace

bool IsAboutTheSubmission(ErrorCode code) {
  switch (code) {
    case ErrorCode::kInvalid:
    case ErrorCode::kNotFound:
    case ErrorCode::kExists:
    case ErrorCode::kCorrupt:
    case ErrorCode::kUnsupported:
    case ErrorCode::kTooLarge:
    case ErrorCode::kDenied:
      return true;
    case ErrorCode::kIo:
    case ErrorCode::kNoSpace:
    case ErrorCode::kBusy:
    case ErrorCode::kUnavailable:
      return false;
  }
  return false;
}

std::expected<CampaignSource, CampaignProblems> ReadCampaign(const Options& options, queue::Files& files,
                                                             const std::filesystem::path& directory, Wall now,
                                                             const std::string& place) {
  return Loader(options, files, directory, place).Run(now);
}

Result<SubmissionDigest> SubmissionDigest::Open(queue::Files& files, const std::filesystem::path& directory,
                                                const CampaignSource& source) {
  Result<std::unique_ptr<queue::FileReader>> reader = files.OpenReader(directory / source.list_name);
  if (!reader) return std::unexpected(reader.error());
  return SubmissionDigest(std::move(*reader), source.digest_prefix + source.list_name);
}

Result<bool> SubmissionDigest::Step() {
  constexpr std::size_t kStep = 8 << 20;
  constexpr std::size_t kChunk = 1 << 20;
  for (std::size_t read_so_far = 0; read_so_far < kStep;) {
    buffer_.clear();
    const Result<std::size_t> read = reader_->Read(buffer_, kChunk);
    if (!read) return std::unexpected(read.error());
    if (*read == 0) {
      list_sha256_ = list_.Finish();
      message::Sha256 whole;
      whole.Update(prefix_);
      whole.Update(list_sha256_);
      digest_ = whole.Finish();
      return true;
    }
    list_.Update(buffer_);
    read_so_far += *read;
  }
  return false;
}

std::string NameProblem(std::string_view name) {
  const bool plain = std::ranges::all_of(name, [](char c) {
    return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z') || (c >= '0' && c <= '9') || c == '.' || c == '_' ||
           c == '-' || c == '+' || c == '@';
  });
  if (plain && !name.empty() && name.size() <= kNameMax && name.front() != '.' && name.front() != '-') return {};
  return fmt::format(
      "not a name for a submission: at most {} letters, digits and \"._-+@\", not beginning with \".\" or "
      "\"-\"",
      kNameMax);
}

std::string ToText(const Diagnostics& diagnostics) {
  std::string text;
  for (const Diagnostic& diagnostic : diagnostics) text += ToString(diagnostic) + "\n";
  return text;
}

}  // namespace postrider::intake
