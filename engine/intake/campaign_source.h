#pragma once
// A campaign directory as its submitter wrote it: manifest and message read and checked, the list found but not read.
// What is wrong is reported all at once, each with file:line:column. Used by intake, `check`, `render` and `submit`.

#include <expected>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "config/error.h"
#include "config/manifest.h"
#include "config/options.h"
#include "engine/message/digest.h"
#include "engine/message/template.h"
#include "queue/campaign.h"
#include "queue/files.h"

namespace postrider::intake {

inline constexpr std::string_view kManifestName = "campaign.toml";
inline constexpr std::string_view kMessageName = "message.eml";
inline constexpr std::string_view kRejectsName = "rejects.jsonl";  // written by intake
inline constexpr std::string_view kErrorName = "error.txt";        // written by intake

struct CampaignSource {
  Manifest manifest;
  queue::CampaignSpec spec;  // all but the digest
  std::string message;
  std::shared_ptr<const message::Template> compiled;
  std::string list_name;
  std::string digest_prefix;  // what the digest says of manifest and message
};

struct CampaignProblems {
  Diagnostics list;
  std::optional<Error> trouble;  // one of them is the machine's, and says nothing of the campaign: try again later
};

// Whether an error says something about the submission, not about the machine: trying again would not help.
[[nodiscard]] bool IsAboutTheSubmission(ErrorCode code);

// now: what expires before it is refused. place goes before the names of files in diagnostics ("offer/").
[[nodiscard]] std::expected<CampaignSource, CampaignProblems> ReadCampaign(const Options& options, queue::Files& files,
                                                                           const std::filesystem::path& directory,
                                                                           Wall now, const std::string& place = "");

// The digest of a submission: over manifest, message, and name and content of the list. The list may be large, so it is
// read in steps.
class SubmissionDigest {
 public:
  static Result<SubmissionDigest> Open(queue::Files& files, const std::filesystem::path& directory,
                                       const CampaignSource& source);
  // Reads some megabytes; true at the end.
  [[nodiscard]] Result<bool> Step();
  // After the end.
  [[nodiscard]] const std::string& list_sha256() const { return list_sha256_; }
  [[nodiscard]] const std::string& digest() const { return digest_; }

 private:
  SubmissionDigest(std::unique_ptr<queue::FileReader> reader, std::string prefix)
      : reader_(std::move(reader)), prefix_(std::move(prefix)) {}

  std::unique_ptr<queue::FileReader> reader_;
  std::string prefix_;
  message::Sha256 list_;
  std::string buffer_;
  std::string list_sha256_;
  std::string digest_;
};

// What a campaign, or a single message, may be called: it becomes a file's name and stands in logs. Empty if it may.
[[nodiscard]] std::string NameProblem(std::string_view name);

// Each on a line of its own.
[[nodiscard]] std::string ToText(const Diagnostics& diagnostics);

}  // namespace postrider::intake
