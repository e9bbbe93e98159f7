#include "queue/store_writer.h"

#include <algorithm>
#include <unordered_map>
#include <utility>

#include <fmt/format.h>

#include "config/check.h"
#include "queue/lifecycle.h"

namespace postrider::queue {

namespace {

// Entries per generation. A domain's costs about 200 bytes, a bitmap's 180: at most 26 + 24 MB with both generations
// full, and then settling still reads nothing for the 65,000 domains and blocks touched last.
constexpr std::size_t kDomainsCached = 65'536;
constexpr std::size_t kBlocksCached = 65'536;
constexpr std::size_t kOpenCached = 16'384;
constexpr std::size_t kNoteMax = 1000;  // of a campaign; a sentence or two
constexpr std::size_t kDoneAheadMax = 256;
// How many blocks leave a domain before its front is looked for on disk: one seek, against as many tombstones for every
// reader to pass.
constexpr std::uint32_t kLookForFrontAfter = 64;
constexpr std::size_t kPurgedPerCall = 1'000;

constexpr std::string_view kLastCampaign = "last_campaign";
constexpr std::string_view kPurgedTotals = "purged_totals";

bool IsAboutRecipient(EventKind kind) { return kind != EventKind::kPath && kind != EventKind::kCampaign; }

void CountFinal(CampaignTotals& totals, EventKind kind) {
  switch (kind) {
    case EventKind::kDelivered:
      ++totals.delivered;
      return;
    case EventKind::kBounced:
      ++totals.bounced;
      return;
    case EventKind::kExpired:
      ++totals.expired;
      return;
    case EventKind::kSuppressed:
      ++totals.suppressed;
      return;
    case EventKind::kCancelled:
      ++totals.cancelled;
      return;
    case EventKind::kUnknown:
      ++totals.unknown;
      return;
    case EventKind::kDeferred:
    case EventKind::kPath:
    case EventKind::kCampaign:
      CHECK(false);
  }
}

// What the rule that judged an outcome puts on the suppression list.
Suppression EntryOf(const Outcome& outcome) {
  const Event& event = outcome.event;
  Suppression entry;
  entry.list = outcome.suppression->list;
  entry.address = outcome.suppression->whole_domain ? "@" + event.domain : SuppressedAddress(event.recipient);
  entry.when = event.time;
  entry.origin = SuppressionOrigin::kRule;
  entry.why = outcome.suppression->rule;
  entry.campaign = event.campaign;
  entry.row = event.job.row;
  entry.site = event.site;
  entry.provider = event.provider;
  entry.reply = event.code == 0 ? event.reply : fmt::format("{} {}", event.code, event.reply);
  return entry;
}

std::shared_ptr<const SendSchedule> ScheduleOf(const CampaignSpec& spec) {
  return spec.windows.empty() ? nullptr : std::make_shared<const SendSchedule>(spec.windows, spec.time_zone);
}

std::unexpected<Error> UnknownCampaign(CampaignId id) {
  return Fail(ErrorCode::kNotFound, fmt::format("the queue has no campaign with number {}", id));
}

}  // namespace

StoreWriter::StoreWriter(StoreShared& shared)
    : shared_(shared),
      batch_(shared.tables.NewBatch()),
      suppressions_(shared.tables, batch_, shared.suppressions, shared.run),
      domains_(kDomainsCached),
      blocks_(kBlocksCached),
      open_(kOpenCached) {}

Result<void> StoreWriter::Load(Wall now) {
  latest_ = now;
  const TableView view = shared_.tables.View();
  TableWalk walk = view.Walk(Table::kCampaigns, {}, {});
  std::vector<CampaignPtr> all;
  for (; walk.Valid(); walk.Next()) {
    Result<CampaignRecord> record = DecodeCampaign(walk.value());
    if (!record) return std::unexpected(record.error());
    const CampaignId id = record->campaign.id;
    record->campaign.schedule = ScheduleOf(record->campaign.spec);
    all.push_back(std::make_shared<const Campaign>(record->campaign));
    names_[record->campaign.spec.name] = id;
    last_campaign_ = std::max(last_campaign_, id);
    campaigns_.emplace(id, LiveCampaign{std::move(*record)});
  }
  if (auto status = walk.status(); !status) return status;

  auto last = view.Get(Table::kState, SystemStateKey(kLastCampaign));
  if (!last) return std::unexpected(last.error());
  if (*last) {
    const Result<std::uint64_t> number = DecodeCount(**last);
    if (!number) return std::unexpected(number.error());
    last_campaign_ = std::max(last_campaign_, *number);
  }
  auto purged = view.Get(Table::kState, SystemStateKey(kPurgedTotals));
  if (!purged) return std::unexpected(purged.error());
  if (*purged) {
    const Result<CampaignTotals> totals = DecodeTotals(**purged);
    if (!totals) return std::unexpected(totals.error());
    purged_ = *totals;
  }
  shared_.book.Publish(all, {}, purged_);
  return suppressions_.Load();
}

// -- Campaigns

StoreWriter::LiveCampaign* StoreWriter::FindLive(CampaignId id) {
  const auto found = campaigns_.find(id);
  return found == campaigns_.end() ? nullptr : &found->second;
}

void StoreWriter::Touch(LiveCampaign& campaign) {
  if (campaign.dirty) return;
  campaign.dirty = true;
  dirty_campaigns_.push_back(&campaign);
}

void StoreWriter::Touch(DomainEntry& domain) {
  if (domain.second.dirty) return;
  domain.second.dirty = true;
  dirty_domains_.push_back(&domain);
}

Result<CampaignId> StoreWriter::BeginCampaign(const CampaignSpec& spec, std::string_view message, Wall now,
                                              std::string_view host_name) {
  latest_ = std::max(latest_, now);
  if (const auto taken = names_.find(spec.name); taken != names_.end()) {
    const LiveCampaign* other = FindLive(taken->second);
    CHECK(other != nullptr);
    const Campaign& campaign = other->record.campaign;
    const bool free_again =
        campaign.state == CampaignState::kFailed || (HasEnded(campaign) && campaign.spec.standing && spec.standing);
    if (!free_again) {
      return Fail(ErrorCode::kExists,
                  fmt::format("the name {} is taken by campaign {}, which is {}; submit under another name", spec.name,
                              campaign.id, ToString(campaign.state)));
    }
  }
  const CampaignId id = ++last_campaign_;
  LiveCampaign& live = campaigns_[id];
  Campaign& campaign = live.record.campaign;
  campaign.id = id;
  campaign.spec = spec;
  campaign.schedule = ScheduleOf(spec);
  if (HasCanary(spec)) campaign.canary.phase = CanaryPhase::kSending;
  campaign.accepted_at = now;
  live.losses_at_begin = domains_.losses();
  names_[spec.name] = id;
  Touch(live);
  if (!spec.standing) {
    batch_.Put(Table::kTemplates, TemplateKey(id, 0),
               EncodeTemplate({.accepted_at = now, .message = message, .host_name = host_name}));
  }
  batch_.Put(Table::kState, SystemStateKey(kLastCampaign), EncodeCount(id));
  return id;
}

void StoreWriter::PausedNow(Campaign& campaign, Wall now) {
  const std::optional<Wall> expires = ExpiryOf(campaign);
  // If readers have it as expired already, so it stays.
  if (expires && !shared_.order.PauseBefore(*expires)) campaign.paused_at = std::max(now, *expires);
}

Result<void> StoreWriter::SetState(CampaignId id, CampaignState state, Wall now, std::chrono::seconds expiry,
                                   std::string_view note) {
  latest_ = std::max(latest_, now);
  LiveCampaign* live = FindLive(id);
  if (live == nullptr) return UnknownCampaign(id);
  if (state == CampaignState::kFailed) {
    Campaign trial = live->record.campaign;
    if (auto step = Step(trial, state, now, expiry); !step) return step;
    if (auto erased = EraseRows(*live); !erased) return erased;
  }
  Campaign& campaign = live->record.campaign;
  if (auto step = Step(campaign, state, now, expiry); !step) return step;
  if (state == CampaignState::kPaused) PausedNow(campaign, now);
  campaign.note.clear();
  if (state != CampaignState::kRunning && state != CampaignState::kCancelled) campaign.note = note.substr(0, kNoteMax);
  Touch(*live);
  return {};
}

Result<bool> StoreWriter::StopCanary(CampaignId id, Wall now, std::string_view note) {
  LiveCampaign* live = FindLive(id);
  if (live == nullptr) return UnknownCampaign(id);
  Campaign& campaign = live->record.campaign;
  const bool was_paused = campaign.state == CampaignState::kPaused;
  if (!queue::StopCanary(campaign, now)) return false;
  if (!was_paused) PausedNow(campaign, now);
  campaign.note = note.substr(0, kNoteMax);
  Touch(*live);
  return true;
}

std::vector<CampaignId> StoreWriter::ReleaseRests(Wall now) {
  std::vector<CampaignId> released;
  for (auto& [id, live] : campaigns_) {
    if (!RestIsDue(live.record.campaign, now)) continue;
    ReleaseRest(live.record.campaign, now);
    Touch(live);
    released.push_back(id);
  }
  return released;
}

// -- Rows in

Result<void> StoreWriter::CheckBatch(const LiveCampaign& live, const EnqueueBatch& batch) const {
  const Campaign& campaign = live.record.campaign;
  if (!TakesRows(campaign)) {
    return Fail(ErrorCode::kInvalid,
                fmt::format("campaign {} is {} and takes no more rows", campaign.spec.name, ToString(campaign.state)));
  }
  if (batch.rows_read != batch.rows.size() + batch.rejected + batch.duplicate + batch.suppressed) {
    return Fail(ErrorCode::kInvalid,
                fmt::format("{} rows were read of campaign {}, but {} accepted, {} rejected, {} duplicate and {} "
                            "suppressed do not add up to them",
                            batch.rows_read, campaign.spec.name, batch.rows.size(), batch.rejected, batch.duplicate,
                            batch.suppressed));
  }
  if (campaign.spec.standing ? (!batch.message && !batch.rows.empty()) : batch.message.has_value()) {
    return Fail(ErrorCode::kInvalid, fmt::format("rows of the {} campaign {} come {} a message of their own",
                                                 campaign.spec.standing ? "standing" : "listed", campaign.spec.name,
                                                 campaign.spec.standing ? "with" : "without"));
  }
  for (const NewRow& row : batch.rows) {
    if (!IsStorableDomain(row.domain)) {
      return Fail(ErrorCode::kInvalid,
                  fmt::format("row {} of campaign {} has a domain of {} octets, or one with a NUL; 1 to {} can be kept",
                              row.row, campaign.spec.name, row.domain.size(), kDomainMax));
    }
    if (row.address.size() + row.row_id.size() + row.fields.size() > kRowBytesMax) {
      return Fail(ErrorCode::kTooLarge, fmt::format("row {} of campaign {} is longer than {} bytes", row.row,
                                                    campaign.spec.name, kRowBytesMax));
    }
  }
  return {};
}

Result<void> StoreWriter::Enqueue(const EnqueueBatch& batch, Wall now) {
  latest_ = std::max(latest_, now);
  LiveCampaign* live = FindLive(batch.campaign);
  if (live == nullptr) return UnknownCampaign(batch.campaign);
  if (auto checked = CheckBatch(*live, batch); !checked) return checked;

  const std::uint32_t number = batch.message && !batch.rows.empty() ? live->record.next_template : 0;
  if (auto staged = StageRows(*live, batch, number); !staged) return staged;
  if (number != 0) {
    ++live->record.next_template;
    batch_.Put(Table::kTemplates, TemplateKey(batch.campaign, number),
               EncodeTemplate({.accepted_at = now, .message = *batch.message, .host_name = batch.host_name}));
    OpenEntry& open = open_.Insert(TemplateOpenKey(batch.campaign, number), {batch.rows.size(), true});
    dirty_open_.push_back(&open);
  }
  CampaignTotals& totals = live->record.campaign.totals;
  totals.rows += batch.rows_read;
  totals.accepted += batch.rows.size();
  totals.rejected += batch.rejected;
  totals.duplicate += batch.duplicate;
  totals.suppressed_at_intake += batch.suppressed;
  live->record.campaign.position = batch.position;
  Touch(*live);
  return {};
}

// -- Caches

Result<StoreWriter::DomainEntry*> StoreWriter::LoadDomain(const std::string& key, const LiveCampaign& campaign) {
  if (DomainEntry* cached = domains_.Find(key)) return cached;
  if (campaign.losses_at_begin == domains_.losses()) return &domains_.Insert(key, {});
  auto stored = shared_.tables.Get(Table::kDomains, key);
  if (!stored) return FailAt("domains", key, stored.error());
  DomainState state;
  if (*stored) {
    Result<DomainRecord> record = DecodeDomain(**stored);
    if (!record) return FailAt("domains", key, record.error());
    state.record = *record;
    state.exists = true;
  }
  return &domains_.Insert(key, std::move(state));
}

Result<StoreWriter::BlockEntry*> StoreWriter::LoadBlock(const std::string& key, std::uint64_t block) {
  if (BlockEntry* cached = blocks_.Find(key)) return cached;
  BlockState state;
  const auto rows = static_cast<std::uint16_t>(BlockRows(block));
  state.done.rows = rows;
  state.left = rows;
  // A block of one row goes with its row and never has a bitmap.
  if (rows > 1) {
    auto stored = shared_.tables.Get(Table::kDone, key);
    if (!stored) return FailAt("done", key, stored.error());
    if (*stored) {
      Result<DoneRecord> done = DecodeDone(**stored);
      if (!done) return FailAt("done", key, done.error());
      if (done->rows != rows) {
        return FailAt("done", key, {ErrorCode::kCorrupt, "a bitmap is of another size than its block"});
      }
      state.done = *done;
      state.left = static_cast<std::uint16_t>(rows - done->Count());
      state.stored = true;
    }
  }
  return &blocks_.Insert(key, state);
}

Result<StoreWriter::OpenEntry*> StoreWriter::LoadOpen(CampaignId id, std::uint32_t number) {
  const std::string key = TemplateOpenKey(id, number);
  if (OpenEntry* cached = open_.Find(key)) return cached;
  auto stored = shared_.tables.Get(Table::kTemplates, key);
  if (!stored) return FailAt("templates", key, stored.error());
  OpenCount open;
  if (*stored) {
    const Result<std::uint64_t> count = DecodeCount(**stored);
    if (!count) return FailAt("templates", key, count.error());
    open.count = *count;
  }
  return &open_.Insert(key, open);
}

// -- Rows out

void StoreWriter::Settle(const Outcome& outcome) {
  latest_ = std::max(latest_, outcome.event.time);
  // In order: nothing overtakes what could not be read for.
  if (!unsettled_.empty() || !TrySettle(outcome)) unsettled_.push_back(outcome);
}

Result<void> StoreWriter::TrySettle(const Outcome& outcome) {
  const Event& event = outcome.event;
  CHECK(IsAboutRecipient(event.kind));
  CHECK(!event.final || event.kind != EventKind::kDeferred);
  LiveCampaign* live = FindLive(event.job.campaign);
  // A campaign that failed while streaming took its rows along; what was in flight then has no record to change.
  if (live == nullptr || HasEnded(live->record.campaign)) return {};
  Campaign& campaign = live->record.campaign;
  auto domain = LoadDomain(DomainKey(ShardOf(event.domain, shared_.shards), event.domain, event.job.campaign), *live);
  if (!domain) return std::unexpected(domain.error());
  OpenEntry* open = nullptr;
  if (event.final && campaign.spec.standing && outcome.template_number != 0) {
    auto loaded = LoadOpen(event.job.campaign, outcome.template_number);
    if (!loaded) return std::unexpected(loaded.error());
    open = *loaded;
  }
  std::optional<Suppression> suppression;
  if (outcome.suppression) {
    suppression = EntryOf(outcome);
    if (auto read = suppressions_.Prepare(*suppression, outcome.suppression->on_second); !read) return read;
  }
  const Result<bool> left = Leave(outcome, **domain);
  if (!left) return std::unexpected(left.error());
  if (!*left) return {};
  if (suppression) suppressions_.PutPrepared(*suppression, outcome.suppression->on_second);

  Touch(**domain);
  Touch(*live);
  const bool was_canary = !outcome.place.retry_due && !IsRestBlock(outcome.place.block);
  if (was_canary && campaign.canary.phase != CanaryPhase::kNone) CanaryTried(campaign, event.time);
  if (event.kind == EventKind::kDeferred) ++campaign.totals.deferrals;
  if (!event.final) {
    PutRetry(*live, outcome, **domain);
    return {};
  }
  CountFinal(campaign.totals, event.kind);
  if (open != nullptr && open->second.count > 0) {
    --open->second.count;
    if (!open->second.dirty) {
      open->second.dirty = true;
      dirty_open_.push_back(open);
    }
  }
  return {};
}

Result<bool> StoreWriter::Leave(const Outcome& outcome, DomainEntry& domain) {
  const Event& event = outcome.event;
  DomainRecord& record = domain.second.record;
  if (!domain.second.exists) return false;
  if (outcome.place.retry_due) {
    if (record.deferred == 0) return false;
    batch_.Delete(Table::kRetry,
                  RetryKey(ShardOf(event.domain, shared_.shards), event.domain, event.job, *outcome.place.retry_due));
    --record.deferred;
    return true;
  }
  const std::uint64_t block = outcome.place.block;
  const std::uint64_t sequence = BlockSequence(block);
  if (record.waiting == 0 || sequence < record.first_sequence || sequence >= record.next_sequence) return false;
  const std::string key = BlockKey(event.job.campaign, event.domain, block);
  auto loaded = LoadBlock(key, block);
  if (!loaded) return std::unexpected(loaded.error());
  BlockState& state = (*loaded)->second;
  if (outcome.place.index >= state.done.rows || state.done.Has(outcome.place.index)) return false;
  state.done.Set(outcome.place.index);
  --state.left;
  --record.waiting;
  if (IsRestBlock(block)) --record.rest;
  if (!state.dirty) dirty_blocks_.push_back(*loaded);
  state.dirty = true;
  if (state.left > 0) return true;
  LeaveBlock(domain.second, block);
  if (++domain.second.left_unlooked >= kLookForFrontAfter) {
    domain.second.left_unlooked = 0;
    FindFront(domain.second, event);
  }
  return true;
}

void StoreWriter::LeaveBlock(DomainState& domain, std::uint64_t block) {
  const std::uint64_t sequence = BlockSequence(block);
  std::uint64_t& first = domain.record.first_sequence;
  auto& ahead = domain.done_ahead;
  if (sequence != first) {
    if (ahead.size() < kDoneAheadMax) ahead.insert(std::lower_bound(ahead.begin(), ahead.end(), sequence), sequence);
    return;
  }
  ++first;
  std::size_t reached = 0;
  while (reached < ahead.size() && ahead[reached] == first) {
    ++first;
    ++reached;
  }
  ahead.erase(ahead.begin(), ahead.begin() + static_cast<std::ptrdiff_t>(reached));
}

// What was done ahead is forgotten by a restart, or if it is too much; then first_sequence would stand for ever at a
// block that is gone. Staged blocks come after all that are stored, so nothing is jumped over that is there.
void StoreWriter::FindFront(DomainState& domain, const Event& event) {
  DomainRecord& record = domain.record;
  if (record.first_sequence >= record.next_sequence) return;
  const CampaignId id = event.job.campaign;
  const std::uint64_t first = BlockNumber(record.first_sequence, 1);
  const TableView view = shared_.tables.View();
  std::optional<std::uint64_t> front;
  const auto look = [&](std::uint64_t from, const std::string& end) {
    const TableWalk walk = view.Walk(Table::kBlocks, BlockKey(id, event.domain, from), end);
    if (!walk.Valid()) return;
    const Result<BlockKeyParts> parts = ParseBlockKey(walk.key());
    if (!parts) return;
    const std::uint64_t sequence = BlockSequence(parts->block);
    front = std::min(front.value_or(sequence), sequence);
  };
  // The canary's blocks and those of the rest share their sequences.
  look(first, BlockKey(id, event.domain, kRestBlock));
  if (record.rest > 0) look(kRestBlock | first, PrefixEnd(BlockPrefix(id, event.domain)));
  if (!front || *front <= record.first_sequence) return;
  record.first_sequence = *front;
  std::erase_if(domain.done_ahead, [&](std::uint64_t done) { return done < record.first_sequence; });
}

StoreWriter::Clock StoreWriter::ClockOf(const Campaign& campaign) {
  const std::optional<Wall> expires = ExpiryOf(campaign);
  if (campaign.state != CampaignState::kPaused) return {expires, campaign.state == CampaignState::kCancelled};
  // The expiry clock stands still: it counts only if it had run out before the pause.
  return {std::nullopt, expires && campaign.paused_at && *expires <= *campaign.paused_at};
}

void StoreWriter::PutRetry(const LiveCampaign& live, const Outcome& outcome, DomainEntry& domain) {
  const Event& event = outcome.event;
  const Campaign& campaign = live.record.campaign;
  const Clock clock = ClockOf(campaign);
  const Wall due = shared_.order.Place(event.next_due.value_or(event.time), clock.expires, clock.ending);

  Job job;
  job.template_number = outcome.template_number;
  job.mail_class = event.mail_class;
  job.needs_smtputf8 = outcome.needs_smtputf8;
  job.address = event.recipient;
  job.row_id = event.row_id;
  job.fields = outcome.fields;
  job.attempt = {.attempts = event.attempt,
                 .first_attempt = outcome.first_attempt,
                 .source = event.source,
                 .stage = event.stage,
                 .category = event.category,
                 .code = event.code,
                 .enhanced = event.enhanced,
                 .reply_text = event.reply,
                 .unknown_count = outcome.unknown_count,
                 .bad_mailbox_count = outcome.bad_mailbox_count,
                 .last_bad_mailbox = outcome.last_bad_mailbox};
  batch_.Put(Table::kRetry, RetryKey(ShardOf(event.domain, shared_.shards), event.domain, event.job, due),
             EncodeRetry(job));

  DomainRecord& record = domain.second.record;
  NoteHead(domain, due);
  ++record.deferred;
  if (!event.site.empty()) record.site = event.site;
}

// A retry record is put under `due`.
void StoreWriter::NoteHead(DomainEntry& domain, Wall due) {
  DomainRecord& record = domain.second.record;
  // What readers learned of the head holds for the last time, before the stamp changes.
  const Wall head = record.deferred == 0 ? due : shared_.heads.From(domain.first, record);
  record.retry_from = std::min(head, due);
  record.retry_stamp = shared_.run << 40 | ++retry_stamps_;
}

// -- The rest

void StoreWriter::PutState(std::string_view key, std::string_view value) {
  batch_.Put(Table::kState, UserStateKey(key), value);
}

void StoreWriter::DeleteState(std::string_view key) { batch_.Delete(Table::kState, UserStateKey(key)); }

void StoreWriter::Purge(Wall ended_before) {
  std::size_t budget = kPurgedPerCall;
  for (auto it = campaigns_.begin(); it != campaigns_.end() && budget > 0;) {
    const Campaign& campaign = it->second.record.campaign;
    if (!HasEnded(campaign) || it->second.dirty || !campaign.ended_at || *campaign.ended_at >= ended_before) {
      ++it;
      continue;
    }
    AddTotals(purged_, campaign.totals);
    batch_.Delete(Table::kCampaigns, CampaignKey(campaign.id));
    removed_.push_back(campaign.id);
    if (const auto name = names_.find(campaign.spec.name); name != names_.end() && name->second == campaign.id) {
      names_.erase(name);
    }
    it = campaigns_.erase(it);
    --budget;
  }
  if (budget < kPurgedPerCall) {
    batch_.Put(Table::kState, SystemStateKey(kPurgedTotals), EncodeTotals(purged_));
  }
}

void StoreWriter::FinishIfDone(LiveCampaign& live) {
  Campaign& campaign = live.record.campaign;
  if (!IsFinished(campaign)) return;
  if (campaign.state != CampaignState::kCancelled) campaign.state = CampaignState::kDone;
  campaign.ended_at = latest_;
  finishing_.push_back(campaign.id);
  // Its blocks, bitmaps and domain records went with their last rows; so did a standing campaign's messages.
  if (!campaign.spec.standing) batch_.Delete(Table::kTemplates, TemplateKey(campaign.id, 0));
}

// Turns what changed in memory into writes; once per commit, however often it changed.
void StoreWriter::StageDirty() {
  // In the order of the keys, as in StageRows.
  const auto by_key = [](const auto* a, const auto* b) { return a->first < b->first; };
  std::sort(dirty_blocks_.begin(), dirty_blocks_.end(), by_key);
  std::sort(dirty_domains_.begin(), dirty_domains_.end(), by_key);
  for (BlockEntry* block : dirty_blocks_) {
    BlockState& state = block->second;
    state.dirty = false;
    if (state.left > 0) {
      batch_.Put(Table::kDone, block->first, EncodeDone(state.done));
      state.stored = true;
      continue;
    }
    batch_.Delete(Table::kBlocks, block->first);
    if (state.stored) batch_.Delete(Table::kDone, block->first);
    // Kept until the commit, so that a second outcome of one of its rows is still seen to be one too many.
    erased_blocks_.push_back(block);
  }
  for (DomainEntry* domain : dirty_domains_) {
    DomainState& state = domain->second;
    state.dirty = false;
    if (state.record.waiting == 0 && state.record.deferred == 0) {
      state = {};
      batch_.Delete(Table::kDomains, domain->first);
    } else {
      batch_.Put(Table::kDomains, domain->first, EncodeDomain(state.record));
    }
  }
  for (OpenEntry* open : dirty_open_) {
    open->second.dirty = false;
    if (open->second.count > 0) {
      batch_.Put(Table::kTemplates, open->first, EncodeCount(open->second.count));
      continue;
    }
    std::string message_key = open->first;
    message_key.back() = 'm';
    batch_.Delete(Table::kTemplates, message_key);
    batch_.Delete(Table::kTemplates, open->first);
  }
  for (LiveCampaign* campaign : dirty_campaigns_) {
    campaign->dirty = false;
    FinishIfDone(*campaign);
    batch_.Put(Table::kCampaigns, CampaignKey(campaign->record.campaign.id), EncodeCampaign(campaign->record));
    unpublished_.push_back(campaign->record.campaign.id);
  }
  dirty_blocks_.clear();
  dirty_domains_.clear();
  dirty_open_.clear();
  dirty_campaigns_.clear();
}

// What cannot be settled may not be dropped: it would be sent again. So all stands still, and a person must know where.
std::unexpected<Error> StoreWriter::CannotSettle(const Outcome& outcome, Error error) {
  const Event& event = outcome.event;
  if (error.code == ErrorCode::kCorrupt) {
    error.message +=
        "; nothing is sent until the queue is restored from a copy, or begun anew in an empty directory; `postrider "
        "export --remaining` still tells what other campaigns have left";
  }
  const LiveCampaign* live = FindLive(event.job.campaign);
  CHECK(live != nullptr);  // or it would have been settled
  return Fail(fmt::format("settling row {} of campaign {}, to {}", event.job.row, live->record.campaign.spec.name,
                          event.domain),
              std::move(error));
}

Result<void> StoreWriter::Commit() {
  while (!unsettled_.empty()) {
    const Outcome& next = unsettled_.front();
    if (auto settled = TrySettle(next); !settled) return CannotSettle(next, settled.error());
    unsettled_.erase(unsettled_.begin());
  }
  StageDirty();
  suppressions_.StageCounts();
  if (batch_.operations() == 0) {
    // What was read and found to need no change is forgotten all the same.
    suppressions_.Committed();
    return {};
  }
  if (auto written = shared_.tables.Write(batch_); !written) return written;
  batch_.Clear();
  // Published before new records may be read past: a reader takes its page first and its view second.
  std::sort(unpublished_.begin(), unpublished_.end());
  unpublished_.erase(std::unique(unpublished_.begin(), unpublished_.end()), unpublished_.end());
  std::vector<CampaignPtr> changed;
  for (const CampaignId id : unpublished_) {
    if (const LiveCampaign* live = FindLive(id))
      changed.push_back(std::make_shared<const Campaign>(live->record.campaign));
  }
  for (const CampaignPtr& campaign : changed) {
    if (std::find(finishing_.begin(), finishing_.end(), campaign->id) != finishing_.end())
      finished_.push_back(campaign);
  }
  if (!changed.empty() || !removed_.empty()) shared_.book.Publish(changed, removed_, purged_);
  unpublished_.clear();
  removed_.clear();
  finishing_.clear();
  shared_.order.Committed();
  brought_forward_ = false;
  suppressions_.Committed();
  for (const BlockEntry* block : erased_blocks_) blocks_.Erase(block->first);
  erased_blocks_.clear();
  domains_.Turn();
  blocks_.Turn();
  open_.Turn();
  return {};
}

std::vector<CampaignPtr> StoreWriter::TakeFinished() { return std::exchange(finished_, {}); }

}  // namespace postrider::queue
