#pragma once
// Looking at a campaign without submitting it: `postrider check` and `postrider render`. The same code decides as at
// intake, so that what passes here is accepted there; but the queue, and so its suppression list, is not asked.

#include <cstdint>
#include <filesystem>
#include <functional>
#include <string>
#include <vector>

#include "config/error.h"
#include "config/options.h"
#include "engine/io/clock.h"
#include "queue/files.h"
#include "queue/job_store.h"

namespace postrider::intake {

struct RejectedRow {
  std::uint64_t line = 0;
  std::string to;
  std::string reason;
};

struct CampaignReport {
  Diagnostics problems;  // of manifest, message, list as a whole; empty: it would be accepted
  std::string held;      // why it would be held until the operator looks; empty: it would not
  std::uint64_t rows = 0;
  std::uint64_t accepted = 0;
  std::uint64_t rejected = 0;
  std::uint64_t duplicate = 0;
  std::uint64_t suppressed = 0;             // by spool.suppression_file; the queue is not asked
  std::vector<RejectedRow> first_rejects;   // at most a hundred
  std::uint64_t largest_message_bytes = 0;  // an upper estimate, over the accepted rows
};

// path is a directory, or a file *.eml (then there are only problems). Each row that would be accepted is shown to
// accepted, if there is one.
[[nodiscard]] CampaignReport CheckCampaign(const Options& options, queue::Files& files, io::Clock& clock,
                                           const std::filesystem::path& path,
                                           const std::function<void(const queue::NewRow& row)>& accepted = {});

// How many rows of a report that has rejected ones are, and why the first is.
[[nodiscard]] std::string RejectedText(const CampaignReport& report);

// The exact message of the row that begins at that line of the list; of a file *.eml, to its so-manieth recipient. As
// it would be sent if the first campaign of the queue had been accepted when the message was last changed: Date and
// Message-ID alone depend on that, and are the same at each call.
[[nodiscard]] Result<std::string> RenderRow(const Options& options, queue::Files& files, io::Clock& clock,
                                            const std::filesystem::path& path, std::uint64_t line);

}  // namespace postrider::intake
