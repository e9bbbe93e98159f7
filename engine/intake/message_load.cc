#include "engine/intake/message_load.h"

#include <algorithm>
#include <charconv>
#include <optional>

#include <fmt/format.h>

#include "config/email_address.h"
#include "engine/intake/campaign_source.h"
#include "engine/intake/row_sieve.h"
#include "engine/intake/single_message.h"
#include "engine/message/digest.h"
#include "queue/lifecycle.h"

namespace postrider::intake {
namespace {

constexpr std::size_t kStepMessages = 16;
constexpr std::string_view kJournalName = "messages.journal";
constexpr std::uint64_t kJournalBytesMax = 1 << 20;

std::string DigestOf(std::string_view bytes) {
  message::Sha256 hash;
  hash.Update(bytes);
  return hash.Finish();
}

// One line of the journal: campaign id, first row, rows, digest, campaign, name; separated by blanks.
struct JournalLine {
  queue::CampaignId id = 0;
  std::uint64_t first_row = 0;
  std::uint64_t rows = 0;
  std::string digest;
  std::string campaign;
  std::string name;
};

std::optional<JournalLine> ParseJournalLine(std::string_view line) {
  const auto word = [&] {
    const std::size_t end = std::min(line.find(' '), line.size());
    const std::string_view taken = line.substr(0, end);
    line.remove_prefix(std::min(end + 1, line.size()));
    return taken;
  };
  const auto number = [&](std::uint64_t& value) {
    const std::string_view digits = word();
    const auto [stop, error] = std::from_chars(digits.data(), digits.data() + digits.size(), value);
    return error == std::errc() && stop == digits.data() + digits.size();
  };
  JournalLine read;
  if (!number(read.id) || !number(read.first_row) || !number(read.rows)) return std::nullopt;
  read.digest = word();
  read.campaign = word();
  read.name = line;
  if (read.name.empty() || read.name.find('/') != std::string::npos) return std::nullopt;
  return read;
}

}  // namespace

struct MessageLoad::Ready {
  std::string name;
  std::string bytes;
  queue::CampaignPtr campaign;
  std::uint64_t first_row = 0;
  std::uint64_t row_count = 0;
  std::uint64_t suppressed = 0;
  std::vector<EmailAddress> to;  // who gets it
  std::string no_values;         // packed
  bool needs_smtputf8 = false;
};

Result<void> MessageLoad::Recover() {
  const std::filesystem::path file = spool_.Work() / kJournalName;
  if (!spool_.files.Exists(file)) return {};
  const Result<std::string> journal = spool_.files.ReadWhole(file, kJournalBytesMax);
  if (!journal) return std::unexpected(journal.error());
  std::string_view rest = *journal;
  while (!rest.empty()) {
    const std::size_t end = std::min(rest.find('\n'), rest.size());
    const std::string_view text = rest.substr(0, end);
    const std::optional<JournalLine> line = ParseJournalLine(text);
    rest.remove_prefix(std::min(end + 1, rest.size()));
    if (!line)
      return Fail(ErrorCode::kCorrupt, fmt::format("{} cannot be read: it was changed by something", file.string()));
    const queue::CampaignPtr campaign = spool_.writer.Find(line->campaign);
    const bool in_queue =
        campaign != nullptr && campaign->id == line->id && campaign->position.line >= line->first_row + line->rows - 1;
    const std::filesystem::path message = spool_.New() / line->name;
    if (!in_queue || !spool_.files.Exists(message)) continue;
    const Result<std::string> bytes = spool_.files.ReadWhole(message, spool_.options->spool.message_bytes_max);
    if (!bytes || DigestOf(*bytes) != line->digest) continue;  // another of that name has come since
    if (Result<void> moved = spool_.MoveToDone(message, line->name, line->first_row); !moved) {
      if (moved.error().code != ErrorCode::kDenied) return moved;
      // It waits with its line, or the next look would send it again.
      stuck_[line->name] = {moved.error().message, line->digest, std::string(text), line->first_row};
      continue;
    }
    stuck_.erase(line->name);
    ++counts_.accepted;
  }
  if (Result<void> ended = EndJournal(); !ended) return ended;
  unsettled_ = false;
  return {};
}

std::string MessageLoad::StuckLines() const {
  std::string lines;
  for (const auto& [name, stuck] : stuck_) {
    if (!stuck.journal.empty()) lines += stuck.journal + "\n";
  }
  return lines;
}

Result<void> MessageLoad::EndJournal() {
  const std::filesystem::path file = spool_.Work() / kJournalName;
  const std::string kept = StuckLines();
  if (!kept.empty()) return spool_.files.WriteDurably(file, kept);
  return spool_.files.Exists(file) ? spool_.files.Remove(file) : Result<void>();
}

void MessageLoad::Offer(std::vector<std::string> names) {
  std::erase_if(stuck_, [&](const auto& stuck) { return std::ranges::find(names, stuck.first) == names.end(); });
  waiting_.assign(std::make_move_iterator(names.begin()), std::make_move_iterator(names.end()));
}

Result<void> MessageLoad::Step() {
  if (unsettled_) {
    if (Result<void> recovered = Recover(); !recovered) return recovered;
  }
  std::vector<Ready> ready;
  const std::size_t taken = std::min(waiting_.size(), kStepMessages);
  for (std::size_t i = 0; i < taken; ++i) {
    if (const Result<bool> prepared = Prepare(waiting_[i], ready); !prepared) return std::unexpected(prepared.error());
  }
  if (!ready.empty()) {
    if (Result<void> written = WriteJournal(ready); !written) return written;
    unsettled_ = true;
    for (const Ready& message : ready) {
      Result<void> appended = Append(message);
      if (appended) appended = spool_.MoveToDone(spool_.New() / message.name, message.name, message.first_row);
      if (!appended) {
        // What is in the queue already is told from the journal.
        if (Result<void> recovered = Recover(); !recovered) return recovered;
        return Fail(message.name, appended.error());
      }
      ++counts_.accepted;
    }
    if (Result<void> ended = EndJournal(); !ended) return ended;
    unsettled_ = false;
  }
  waiting_.erase(waiting_.begin(), waiting_.begin() + static_cast<std::ptrdiff_t>(taken));
  return {};
}

Result<void> MessageLoad::Refuse(const std::string& name, std::string_view reason) {
  if (reason.ends_with('\n')) reason.remove_suffix(1);
  const Result<void> moved = spool_.MoveToFailed(spool_.New() / name, name, false, std::string(reason) + "\n");
  if (moved) {
    ++counts_.failed;
  } else if (moved.error().code == ErrorCode::kDenied) {
    stuck_[name] = {fmt::format("{} ({})", moved.error().message, reason), {}, {}, 0};
    return {};
  }
  return moved;
}

// False if it was refused, or is gone.
Result<bool> MessageLoad::Prepare(const std::string& name, std::vector<Ready>& ready) {
  const auto refuse = [&](std::string_view reason) -> Result<bool> {
    if (Result<void> refused = Refuse(name, reason); !refused) return std::unexpected(refused.error());
    return false;
  };
  const std::filesystem::path file = spool_.New() / name;
  if (!spool_.files.Exists(file)) return false;
  Result<std::string> bytes = spool_.files.ReadWhole(file, spool_.options->spool.message_bytes_max);
  if (!bytes) {
    const ErrorCode code = bytes.error().code;
    if (code == ErrorCode::kTooLarge || code == ErrorCode::kDenied) return refuse(bytes.error().message);
    return std::unexpected(bytes.error());
  }
  if (const auto stuck = stuck_.find(name); stuck != stuck_.end()) {
    if (!stuck->second.digest.empty() && stuck->second.digest == DigestOf(*bytes)) {
      // The queue has it; perhaps it may be moved now.
      const Result<void> moved = spool_.MoveToDone(file, name, stuck->second.number);
      if (!moved && moved.error().code != ErrorCode::kDenied) return std::unexpected(moved.error());
      if (moved) {
        stuck_.erase(stuck);
        ++counts_.accepted;
      }
      return false;
    }
    stuck_.erase(stuck);
  }
  auto single = ReadSingleMessage(*spool_.options, *bytes, name);
  if (!single) return refuse(ToText(single.error()));

  Ready message;
  message.name = name;
  message.row_count = single->to.size();
  message.needs_smtputf8 = single->compiled->needs_smtputf8();
  message.no_values = std::move(single->no_values);
  Result<queue::CampaignPtr> campaign = Standing(single->campaign, single->from);
  if (!campaign) {
    if (campaign.error().code == ErrorCode::kExists) return refuse(campaign.error().message);
    return std::unexpected(campaign.error());
  }
  message.campaign = std::move(*campaign);
  auto unsuppressed = LeaveOutSuppressed(message.campaign->spec, std::move(single->to));
  if (!unsuppressed) return std::unexpected(unsuppressed.error());
  message.to = std::move(*unsuppressed);
  message.suppressed = message.row_count - message.to.size();
  message.bytes = std::move(*bytes);
  // Rows of one step that go to the same campaign follow each other.
  message.first_row = message.campaign->position.line + 1;
  for (const Ready& before : ready) {
    if (before.campaign->id == message.campaign->id) message.first_row = before.first_row + before.row_count;
  }
  ready.push_back(std::move(message));
  return true;
}

// Those whom neither the file of suppressions nor the queue's list holds.
Result<std::vector<EmailAddress>> MessageLoad::LeaveOutSuppressed(const queue::CampaignSpec& spec,
                                                                  std::vector<EmailAddress> to) {
  std::vector<std::string> texts;
  std::vector<queue::Recipient> recipients;
  texts.reserve(to.size());  // so that views into it stay
  for (const EmailAddress& address : to) {
    recipients.push_back({queue::ListOf(spec), texts.emplace_back(ToString(address)), address.domain});
  }
  const auto found = spool_.writer.FindSuppressed(recipients, spool_.clock.Read().wall);
  if (!found) return std::unexpected(found.error());
  std::vector<EmailAddress> kept;
  for (std::size_t i = 0; i < to.size(); ++i) {
    const bool in_file = spool_.suppressed != nullptr && spool_.suppressed->Holds(texts[i], to[i].domain);
    if (!in_file && !std::ranges::binary_search(*found, i)) kept.push_back(std::move(to[i]));
  }
  return kept;
}

Result<queue::CampaignPtr> MessageLoad::Standing(const std::string& name, const std::string& envelope_from) {
  queue::CampaignPtr known = spool_.writer.Find(name);
  const bool free = known == nullptr || known->state == queue::CampaignState::kFailed ||
                    (queue::HasEnded(*known) && known->spec.standing);
  if (free) {
    queue::CampaignSpec spec;
    spec.name = name;
    spec.mail_class = MailClass::kTransactional;
    spec.standing = true;
    spec.envelope_from = envelope_from;
    spec.skip_duplicates = false;
    const Result<queue::CampaignId> begun = spool_.writer.Begin(spec, "");
    if (!begun) return std::unexpected(begun.error());
    known = spool_.writer.Find(name);
    if (known == nullptr) return Fail(ErrorCode::kUnavailable, fmt::format("campaign {} is not in the queue", name));
  }
  if (!known->spec.standing) {
    return Fail(ErrorCode::kExists,
                fmt::format("X-Campaign: {} is a campaign with a list, now {}; single messages need "
                            "another name",
                            name, queue::ToString(known->state)));
  }
  if (known->spec.envelope_from != envelope_from) {
    return Fail(ErrorCode::kExists,
                fmt::format("X-Campaign: {} sends as {}, this message as {}; use another X-Campaign", name,
                            known->spec.envelope_from, envelope_from));
  }
  if (known->state == queue::CampaignState::kCancelled) {
    return Fail(ErrorCode::kExists, fmt::format("X-Campaign: {} was cancelled and is not empty yet", name));
  }
  if (known->state == queue::CampaignState::kLoading) {
    const Result<void> released =
        spool_.writer.Finish(known->id, queue::CampaignState::kRunning, "for single messages");
    if (!released) return std::unexpected(released.error());
  }
  return known;
}

Result<void> MessageLoad::WriteJournal(const std::vector<Ready>& ready) {
  std::string text = StuckLines();
  for (const Ready& message : ready) {
    text += fmt::format("{} {} {} {} {} {}\n", message.campaign->id, message.first_row, message.row_count,
                        DigestOf(message.bytes), message.campaign->spec.name, message.name);
  }
  return spool_.files.WriteDurably(spool_.Work() / kJournalName, text);
}

Result<void> MessageLoad::Append(const Ready& message) {
  RowBatch rows;
  std::uint64_t row = message.first_row;
  for (const EmailAddress& address : message.to) {
    rows.Add(row++, ToString(address), address.domain.size(), "", message.no_values,
             address.needs_smtputf8 || message.needs_smtputf8);
  }
  queue::EnqueueBatch batch;
  batch.campaign = message.campaign->id;
  batch.rows = rows.Rows();
  batch.rows_read = message.row_count;
  batch.suppressed = message.suppressed;
  batch.position = {0, message.first_row + message.row_count - 1};
  if (!rows.Rows().empty()) batch.message = message.bytes;
  return spool_.writer.Append(batch);
}

}  // namespace postrider::intake
