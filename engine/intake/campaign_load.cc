#include "engine/intake/campaign_load.h"

#include <algorithm>
#include <span>
#include <utility>
#include <vector>

#include <fmt/format.h>

namespace postrider::intake {
namespace {

// A batch costs one sync and, for each domain in it, two keys: so many rows make the first nothing and the second less,
// and still hold the store up for no more than 60 ms (in a list of 100,000 domains; 5 ms in one of 20).
constexpr std::uint64_t kBatchRows = 16384;
constexpr std::size_t kBatchBytes = 4 << 20;
constexpr std::uint64_t kStepBytes = 16 << 20;  // of list

std::string FirstLine(std::string_view text) { return std::string(text.substr(0, text.find('\n'))); }

}  // namespace

CampaignLoad::CampaignLoad(Spool& spool, std::string name)
    : spool_(spool),
      name_(std::move(name)),
      directory_(spool.Work() / name_),
      rejects_(spool.files, directory_ / kRejectsName) {}

CampaignLoad::~CampaignLoad() = default;

Result<std::optional<LoadEnd>> CampaignLoad::Step() {
  Result<void> done;
  switch (stage_) {
    case Stage::kOpen:
      done = Open();
      break;
    case Stage::kDigest:
      done = Digest();
      break;
    case Stage::kBegin:
      done = Begin();
      break;
    case Stage::kHeader:
      done = Header();
      break;
    case Stage::kRows:
      done = Rows();
      break;
    case Stage::kRelease:
      done = Release();
      break;
    case Stage::kFail:
      done = FailCampaign();
      break;
    case Stage::kDone:
      done = MoveAway();
      break;
  }
  const bool ends = stage_ == Stage::kFail || stage_ == Stage::kDone;
  if (!done && !ends && done.error().code == ErrorCode::kNotFound && !spool_.files.Exists(directory_)) {
    GiveUp(fmt::format("{} was removed while it was read", directory_.string()));
    done = {};
  }
  if (!done) return Fail(name_, done.error());
  return ended_ ? std::optional(end_) : std::nullopt;
}

void CampaignLoad::GiveUp(std::string reason) {
  failure_ = std::move(reason);
  if (!failure_.ends_with('\n')) failure_ += '\n';
  stage_ = Stage::kFail;
}

Result<void> CampaignLoad::Open() {
  auto source = ReadCampaign(*spool_.options, spool_.files, directory_, spool_.clock.Read().wall);
  if (!source) {
    if (source.error().trouble) return std::unexpected(*source.error().trouble);
    GiveUp(ToText(source.error().list));
    return {};
  }
  source_ = std::move(*source);
  auto entry = LookAtList();
  if (!entry) return std::unexpected(entry.error());
  list_entry_ = std::move(*entry);
  Result<SubmissionDigest> digest = SubmissionDigest::Open(spool_.files, directory_, source_);
  if (!digest) {
    if (!IsAboutTheSubmission(digest.error().code)) return std::unexpected(digest.error());
    GiveUp(digest.error().message);
    return {};
  }
  digest_.emplace(std::move(*digest));
  stage_ = Stage::kDigest;
  return {};
}

// No value: it is gone.
Result<std::optional<queue::FileEntry>> CampaignLoad::LookAtList() {
  const auto entries = spool_.files.List(directory_);
  if (!entries && entries.error().code != ErrorCode::kNotFound) return std::unexpected(entries.error());
  if (!entries) return std::nullopt;
  const auto found = std::ranges::find(*entries, source_.list_name, &queue::FileEntry::name);
  return found == entries->end() ? std::nullopt : std::optional(*found);
}

Result<void> CampaignLoad::Digest() {
  const Result<bool> whole = digest_->Step();
  if (!whole) {
    stage_ = Stage::kOpen;
    return std::unexpected(whole.error());
  }
  if (!*whole) return {};
  const std::string& expected = source_.manifest.sha256;
  if (!expected.empty() && digest_->list_sha256() != expected) {
    GiveUp(fmt::format("campaign.toml: sha256: expected {}, but {} has {}: it is cut or was changed", expected,
                       source_.list_name, digest_->list_sha256()));
    return {};
  }
  source_.spec.digest = digest_->digest();
  stage_ = Stage::kBegin;
  return {};
}

// Null: the queue does not have it, or not as one whose rows are read: the operator may have cancelled it. Whoever
// fails before the digest is known may have been begun before a restart: then the name tells.
queue::CampaignPtr CampaignLoad::Loading() {
  queue::CampaignPtr known = spool_.writer.Find(name_);
  if (known == nullptr || known->state != queue::CampaignState::kLoading || known->spec.standing) return nullptr;
  const std::string& digest = source_.spec.digest;
  const bool ours = id_ ? known->id == *id_ : digest.empty() || known->spec.digest == digest;
  return ours ? known : nullptr;
}

Result<void> CampaignLoad::Begin() {
  const queue::CampaignPtr known = spool_.writer.Find(name_);
  if (known != nullptr && known->state != queue::CampaignState::kFailed) {
    if (known->spec.digest != source_.spec.digest) {
      GiveUp(
          fmt::format("the name {} is taken by another submission, accepted as campaign {} and now {}; this one "
                      "differs from it: submit it under another name",
                      name_, known->id, queue::ToString(known->state)));
      return {};
    }
    if (known->state != queue::CampaignState::kLoading) {
      end_ = LoadEnd::kAlreadyAccepted;
      stage_ = Stage::kDone;
      return {};
    }
    id_ = known->id;
    synced_ = known->position;
  } else {
    const Result<queue::CampaignId> begun = spool_.writer.Begin(source_.spec, source_.message);
    if (!begun && !IsAboutTheSubmission(begun.error().code)) return std::unexpected(begun.error());
    if (!begun) {
      GiveUp(begun.error().message);
      return {};
    }
    id_ = *begun;
    synced_ = {};
  }
  return OpenList();
}

Result<void> CampaignLoad::OpenList() {
  if (Result<void> begun = rejects_.Begin(); !begun) return begun;
  Result<std::unique_ptr<ListReader>> list =
      ListReader::Open(spool_.files, directory_ / source_.list_name, spool_.options->spool.row_bytes_max);
  if (!list) return std::unexpected(list.error());
  list_ = std::move(*list);
  if (source_.spec.skip_duplicates) seen_ = std::make_unique<DuplicateFilter>(directory_);
  sieve_ = std::make_unique<RowSieve>(name_, RecipientRules(*spool_.options), source_.compiled, list_->format(),
                                      spool_.suppressed, seen_.get());
  batch_waits_ = false;
  list_ended_ = false;
  stage_ = list_->format() == ListFormat::kCsv ? Stage::kHeader : Stage::kRows;
  return {};
}

Result<void> CampaignLoad::Header() {
  Record header;
  const Result<Found> found = list_->Next(header);
  if (!found && !IsAboutTheSubmission(found.error().code)) {
    stage_ = Stage::kBegin;
    return std::unexpected(found.error());
  }
  if (!found) {
    GiveUp(fmt::format("{}: {}", source_.list_name, found.error().message));
    return {};
  }
  if (*found == Found::kNothingYet) return {};
  list_ended_ = *found == Found::kEnd;
  stage_ = Stage::kRows;
  if (list_ended_) return {};
  if (Result<void> read = sieve_->ReadHeader(header); !read) {
    GiveUp(fmt::format("{}:{}: {}", source_.list_name, header.line, read.error().message));
  }
  return {};
}

Result<void> CampaignLoad::Rows() {
  const queue::CampaignPtr known = Loading();
  if (known == nullptr) {
    end_ = LoadEnd::kTakenAway;
    stage_ = Stage::kDone;
    return {};
  }
  // A batch whose writing failed may have arrived all the same.
  if (batch_waits_ && known->position.bytes >= counted_.position.bytes) batch_waits_ = false;
  if (!batch_waits_ && !list_ended_) {
    const Result<bool> filled = FillBatch();
    if (!filled) {
      if (IsAboutTheSubmission(filled.error().code)) {
        GiveUp(fmt::format("{}: {}", source_.list_name, filled.error().message));
        return {};
      }
      // A row may have been lost half way: the list is read again from its beginning.
      stage_ = Stage::kBegin;
      return std::unexpected(filled.error());
    }
    batch_waits_ = *filled;
  }
  if (Result<void> flushed = rejects_.Flush(false); !flushed) return flushed;
  if (batch_waits_) {
    if (Result<void> written = WriteBatch(); !written) return written;
  }
  if (list_ended_ && !batch_waits_) stage_ = Stage::kRelease;
  return {};
}

// The next rows. False if there are none, or all of them are in the queue already.
Result<bool> CampaignLoad::FillBatch() {
  batch_.Clear();
  counted_ = {};
  if (seen_ != nullptr) {
    if (Result<void> room = seen_->Reserve(kBatchRows); !room) return std::unexpected(room.error());
  }
  const bool replayed = list_->position().bytes < synced_.bytes;
  const std::uint64_t begin = list_->position().bytes;
  const auto full = [&] {
    if (replayed && list_->position().bytes >= synced_.bytes) return true;
    return counted_.rows_read >= kBatchRows || batch_.bytes() >= kBatchBytes ||
           list_->position().bytes - begin >= kStepBytes;
  };
  Record record;
  while (!list_ended_ && !full()) {
    const Result<Found> found = list_->Next(record);
    if (!found) return std::unexpected(found.error());
    list_ended_ = *found == Found::kEnd;
    if (*found != Found::kRecord) break;
    ++counted_.rows_read;
    const Result<RowFate> fate = sieve_->Take(record, batch_);
    if (!fate) return std::unexpected(fate.error());
    switch (*fate) {
      case RowFate::kAccepted:
        break;
      case RowFate::kRejected:
        ++counted_.rejected;
        rejects_.Add(record.line, sieve_->row().to, sieve_->row().id, sieve_->reason());
        break;
      case RowFate::kSuppressed:
        ++counted_.suppressed;
        rejects_.AddLeftOut(record.line, sieve_->row().to, sieve_->row().id, "suppressed");
        break;
      case RowFate::kDuplicate:
        ++counted_.duplicate;
        rejects_.AddLeftOut(record.line, sieve_->row().to, sieve_->row().id, "duplicate");
        break;
    }
  }
  if (Result<void> asked = LeaveOutSuppressed(); !asked) return std::unexpected(asked.error());
  if (replayed) {
    if (list_->position().bytes <= synced_.bytes && (!list_ended_ || list_->position().bytes == synced_.bytes))
      return false;
    return Fail(ErrorCode::kCorrupt,
                "it does not read as it did before the restart, so nobody can tell which rows are in "
                "the queue already");
  }
  counted_.campaign = *id_;
  counted_.position = list_->position();
  return counted_.rows_read > 0;
}

// Those of the batch whom the queue's suppression list holds.
Result<void> CampaignLoad::LeaveOutSuppressed() {
  const std::span<const queue::NewRow> rows = batch_.Rows();
  std::vector<queue::Recipient> recipients;
  recipients.reserve(rows.size());
  for (const queue::NewRow& row : rows) {
    recipients.push_back({queue::ListOf(source_.spec), row.address, row.domain});
  }
  const auto found = spool_.writer.FindSuppressed(recipients, spool_.clock.Read().wall);
  if (!found) return std::unexpected(found.error());
  for (const std::size_t place : *found) {
    const queue::NewRow& row = rows[place];
    rejects_.AddLeftOut(row.row, row.address, row.row_id, "suppressed");
  }
  counted_.suppressed += found->size();
  batch_.Remove(*found);
  return {};
}

Result<void> CampaignLoad::WriteBatch() {
  counted_.rows = batch_.Rows();
  if (Result<void> written = spool_.writer.Append(counted_); !written) return written;
  ++batches_;
  batch_waits_ = false;
  return {};
}

Result<void> CampaignLoad::Release() {
  const queue::CampaignPtr known = Loading();
  if (known == nullptr) {
    end_ = LoadEnd::kTakenAway;
    stage_ = Stage::kDone;
    return {};
  }
  // It was read twice, for its digest and for its rows; of one that changed between, nobody knows what was read.
  const auto entry = LookAtList();
  if (!entry) return std::unexpected(entry.error());
  if (entry->has_value() && list_entry_ &&
      ((*entry)->bytes != list_entry_->bytes || (*entry)->modified != list_entry_->modified)) {
    GiveUp(fmt::format("{}: something changed it while it was read: it had {} octets and has {}; submit it again",
                       source_.list_name, list_entry_->bytes, (*entry)->bytes));
    return {};
  }
  const queue::CampaignTotals& totals = known->totals;
  const std::optional<std::uint64_t> expected = source_.manifest.recipients;
  if (expected && *expected != totals.rows) {
    GiveUp(fmt::format("campaign.toml: recipients: expected {} rows, found {} in {}: it is cut, or the number is wrong",
                       *expected, totals.rows, source_.list_name));
    return {};
  }
  if (totals.rows == 0) {
    GiveUp(fmt::format("{}: the list holds no rows", source_.list_name));
    return {};
  }
  if (totals.rejected == totals.rows) {
    GiveUp(fmt::format("{}: none of its {} rows can be used; rejects.jsonl says why", source_.list_name, totals.rows));
    if (Result<void> synced = rejects_.Sync(); !synced) return synced;
    return {};
  }
  if (Result<void> synced = rejects_.Sync(); !synced) return synced;
  const double share = static_cast<double>(totals.rejected) / static_cast<double>(totals.rows);
  const double allowed = source_.manifest.max_reject_share.value_or(spool_.options->spool.max_reject_share);
  const bool held = share > allowed && totals.rejected > spool_.options->spool.max_rejects_free;
  const std::string note =
      held ? fmt::format(
                 "{} of {} rows were rejected, more than {:.2f} %; done/*/{}/rejects.jsonl in the spool says why",
                 totals.rejected, totals.rows, allowed * 100, name_)
           : fmt::format("{} rows: {} accepted, {} rejected, {} duplicate, {} suppressed", totals.rows, totals.accepted,
                         totals.rejected, totals.duplicate, totals.suppressed_at_intake);
  const queue::CampaignState state = held ? queue::CampaignState::kHeld : queue::CampaignState::kRunning;
  if (Result<void> finished = spool_.writer.Finish(*id_, state, note); !finished) return finished;
  end_ = LoadEnd::kAccepted;
  stage_ = Stage::kDone;
  return {};
}

// Rows of a campaign that starts whole are gone with it, and nothing was sent. One that streams may have sent: it is
// held, for the operator to decide.
Result<void> CampaignLoad::FailCampaign() {
  if (const queue::CampaignPtr known = Loading()) {
    const bool may_have_sent = known->spec.start == queue::StartMode::kStreaming && known->totals.accepted > 0;
    const queue::CampaignState state = may_have_sent ? queue::CampaignState::kHeld : queue::CampaignState::kFailed;
    if (may_have_sent) {
      failure_ += fmt::format(
          "It streams, so some of its {} accepted rows may have been sent already. The queue holds the "
          "rest: `postrider resume {}` sends them, `postrider cancel {}` drops them.\n",
          known->totals.accepted, name_, name_);
    }
    if (Result<void> finished = spool_.writer.Finish(known->id, state, FirstLine(failure_)); !finished) return finished;
  }
  if (spool_.files.Exists(directory_)) {
    if (Result<void> flushed = rejects_.Flush(true); !flushed) return flushed;
  }
  if (Result<void> moved = spool_.MoveToFailed(directory_, name_, true, failure_); !moved) return moved;
  end_ = LoadEnd::kFailed;
  ended_ = true;
  return {};
}

Result<void> CampaignLoad::MoveAway() {
  list_.reset();
  // Its rows are in the queue; what something took away need not be moved.
  if (!spool_.files.Exists(directory_)) {
    ended_ = true;
    return {};
  }
  const bool again = end_ == LoadEnd::kAlreadyAccepted;
  const Result<bool> is_done = again ? spool_.IsDone(name_) : Result<bool>(false);
  if (!is_done) return std::unexpected(is_done.error());
  Result<void> moved;
  if (*is_done) {
    moved = spool_.files.Remove(directory_);
  } else {
    if (spool_.files.Exists(directory_ / kErrorName)) {
      if (Result<void> removed = spool_.files.Remove(directory_ / kErrorName); !removed) return removed;
    }
    moved = spool_.MoveToDone(directory_, name_, id_.value_or(0));
    if (again && moved) end_ = LoadEnd::kAccepted;
  }
  if (moved) ended_ = true;
  return moved;
}

}  // namespace postrider::intake
