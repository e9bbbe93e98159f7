#include "queue/store_reader.h"

#include <algorithm>
#include <optional>
#include <utility>
#include <vector>

#include "queue/lifecycle.h"
#include "queue/record.h"
#include "queue/stored_jobs.h"
#include "queue/suppression_table.h"

namespace postrider::queue {

namespace {

// Domain records looked at per scan: about 4 ms, so that the reader comes back to its other work.
constexpr std::size_t kScanned = 4096;

void Lower(std::optional<Wall>& earliest, std::optional<Wall> other) {
  if (other && (!earliest || *other < *earliest)) earliest = other;
}

// Jobs in blocks that may be taken.
std::uint64_t TakeableOf(const DomainRecord& record, const Readiness& ready) {
  return ready.without_rest ? record.waiting - record.rest : record.waiting;
}

bool HasWork(StoreShared& shared, const CampaignPage& page, std::string_view key, CampaignId id,
             const DomainRecord& record, Wall now) {
  // A campaign that was committed after this page was taken is found at the next lap.
  const CampaignPtr campaign = page.Find(id);
  if (campaign == nullptr) return false;
  const Readiness ready = ReadinessOf(*campaign, now);
  if (!ready.now) return false;
  if (TakeableOf(record, ready) > 0 || ready.ending) return true;
  return record.deferred > 0 && shared.heads.From(key, record) <= now;
}

// One Take: gathers stored values in the order in which their jobs go, then makes jobs of them.
class Taking {
 public:
  Taking(StoreShared& shared, const TakeRequest& request)
      : shared_(shared),
        request_(request),
        shard_(ShardOf(request.domain, shared.shards)),
        until_(shared.order.Observe(request.now)),
        // The page before the view: what a page says has happened can then be seen in the view.
        page_(shared.book.page()),
        view_(shared.tables.View()) {}

  Result<TakenJobs> Run(TemplateCache& templates) {
    taken_.domain = request_.domain;
    taken_.cursor.last_campaign = request_.cursor.last_campaign;
    // Beyond what a string keeps inside itself: the jobs' views must survive a move. Little more: of many domains only
    // a row or two is taken, and thousands of answers lie in the cores' windows.
    taken_.bytes.reserve(64);
    if (auto read = ReadSources(); !read) return std::unexpected(read.error());
    for (const MailClass mail_class : {MailClass::kTransactional, MailClass::kBulk}) {
      if (auto retries = TakeRetries(mail_class); !retries) return std::unexpected(retries.error());
      if (auto blocks = TakeBlocks(mail_class); !blocks) return std::unexpected(blocks.error());
    }
    if (auto made = MakeJobs(templates); !made) return std::unexpected(made.error());
    if (auto marked = MarkSuppressed(); !marked) return std::unexpected(marked.error());
    for (const Source& source : sources_) {
      taken_.cursor.campaigns.push_back(source.position);
      if (source.used) taken_.campaigns.push_back(source.campaign);
    }
    return std::move(taken_);
  }

 private:
  // One campaign that has jobs in the domain.
  struct Source {
    CampaignPtr campaign;
    std::string key;  // of its domain record
    DomainRecord record;
    Readiness ready;
    DomainCursor::Position position;
    bool used = false;

    [[nodiscard]] MailClass mail_class() const { return campaign->spec.mail_class; }
    [[nodiscard]] int priority() const { return campaign->spec.priority; }
  };
  struct RetryRun {
    Source* source = nullptr;
    TableWalk walk;
    RetryKeyParts head;
  };
  // A stored value within taken_.bytes.
  struct Piece {
    Source* source = nullptr;
    std::size_t offset = 0;
    std::size_t length = 0;
    JobId job;
    std::optional<Wall> due;  // a retry record; else a block
    std::uint64_t block = 0;
    DoneRecord done;
  };

  [[nodiscard]] bool Full() const { return count_ >= request_.max_jobs; }
  [[nodiscard]] bool IsAskedFor(const Source& source) const {
    if (std::ranges::find(request_.skip, source.campaign->id) != request_.skip.end()) return false;
    return !request_.urgent_only || source.ready.ending || source.mail_class() == MailClass::kTransactional;
  }

  Result<void> ReadSources() {
    const std::string prefix = DomainPrefix(shard_, request_.domain);
    TableWalk walk = view_.Walk(Table::kDomains, prefix, PrefixEnd(prefix));
    const auto& positions = request_.cursor.campaigns;
    auto position = positions.begin();
    for (; walk.Valid(); walk.Next()) {
      const Result<DomainKeyParts> parts = ParseDomainKey(walk.key());
      if (!parts) return std::unexpected(parts.error());
      const Result<DomainRecord> record = DecodeDomain(walk.value());
      if (!record) return std::unexpected(record.error());
      // Both are in the order of campaigns. A position without a record is dropped: its jobs have all ended, and new
      // ones get later block numbers and due moments.
      while (position != positions.end() && position->campaign < parts->campaign) ++position;
      const bool known = position != positions.end() && position->campaign == parts->campaign;
      Source source;
      source.campaign = page_->Find(parts->campaign);
      if (source.campaign == nullptr) continue;
      source.key = walk.key();
      source.record = *record;
      source.ready = ReadinessOf(*source.campaign, until_);
      if (!IsAskedFor(source)) source.ready = {};
      if (known) source.position = *position;
      source.position.campaign = parts->campaign;
      Lower(taken_.next_due, source.ready.opens_at);
      if (source.ready.without_rest && source.record.rest > 0) {
        Lower(taken_.next_due, source.campaign->canary.rest_at);
      }
      sources_.push_back(std::move(source));
    }
    return walk.status();
  }

  // Opens a walk at the first retry record of the source that this cursor has not taken.
  Result<std::optional<RetryRun>> OpenRetries(Source& source) {
    const CampaignId id = source.campaign->id;
    std::string lower = RetryKey(shard_, request_.domain, {id, 0}, shared_.heads.From(source.key, source.record));
    bool from_front = true;
    if (source.position.retry_due) {
      std::string next = RetryKey(shard_, request_.domain, {id, source.position.retry_row}, *source.position.retry_due);
      next.push_back('\0');  // the first key after it
      if (next > lower) {
        lower = std::move(next);
        from_front = false;
      }
    }
    RetryRun run{&source, view_.Walk(Table::kRetry, lower, PrefixEnd(source.key)), {}};
    if (auto status = run.walk.status(); !status) return std::unexpected(status.error());
    if (auto read = ReadHead(run); !read) return std::unexpected(read.error());
    if (from_front) shared_.heads.Learn(source.key, source.record, run.walk.Valid() ? run.head.due : kEndingFrom);
    if (!run.walk.Valid()) return std::nullopt;
    return run;
  }

  static Result<void> ReadHead(RetryRun& run) {
    if (!run.walk.Valid()) return run.walk.status();
    const Result<RetryKeyParts> parts = ParseRetryKey(run.walk.key());
    if (!parts) return std::unexpected(parts.error());
    run.head = *parts;
    return {};
  }

  // The earliest of those that may go now: due ones, and all of a campaign that is ending.
  std::vector<RetryRun>::iterator FirstDue(std::vector<RetryRun>& runs) const {
    auto first = runs.end();
    for (auto run = runs.begin(); run != runs.end(); ++run) {
      if (!run->source->ready.ending && run->head.due > until_) continue;
      if (first == runs.end() || run->head.due < first->head.due) first = run;
    }
    return first;
  }

  Result<void> TakeRetries(MailClass mail_class) {
    std::vector<RetryRun> runs;
    for (Source& source : sources_) {
      if (taken_.more) return {};
      if (source.mail_class() != mail_class || source.record.deferred == 0 || !source.ready.now) continue;
      auto run = OpenRetries(source);
      if (!run) return std::unexpected(run.error());
      if (*run) runs.push_back(std::move(**run));
    }
    for (auto run = FirstDue(runs); run != runs.end(); run = FirstDue(runs)) {
      if (auto taken = TakeRetry(*run); !taken) return taken;
      if (taken_.more) return {};
      if (!run->walk.Valid()) runs.erase(run);
    }
    for (const RetryRun& run : runs) {
      Lower(taken_.next_due, run.head.due);
      Lower(taken_.next_due, ExpiryOf(*run.source->campaign));
    }
    return {};
  }

  Result<void> TakeRetry(RetryRun& run) {
    if (Full()) {
      taken_.more = true;
      return {};
    }
    Keep(*run.source, run.walk.value()).due = run.head.due;
    pieces_.back().job = run.head.job;
    run.source->position.retry_due = run.head.due;
    run.source->position.retry_row = run.head.job.row;
    ++count_;
    run.walk.Next();
    return ReadHead(run);
  }

  Result<void> TakeBlocks(MailClass mail_class) {
    std::vector<Source*> ready;
    for (Source& source : sources_) {
      if (source.mail_class() != mail_class || !source.ready.now) continue;
      if (TakeableOf(source.record, source.ready) > 0) ready.push_back(&source);
    }
    std::stable_sort(ready.begin(), ready.end(),
                     [](const Source* a, const Source* b) { return a->priority() > b->priority(); });
    for (auto group = ready.begin(); group != ready.end() && !taken_.more;) {
      const auto end = std::find_if(group, ready.end(),
                                    [&](const Source* source) { return source->priority() != (*group)->priority(); });
      // Equals take turns; the first is the one after whoever was last.
      const auto turn = std::find_if(
          group, end, [this](const Source* source) { return source->campaign->id > taken_.cursor.last_campaign; });
      std::rotate(group, turn, end);
      if (auto taken = TakeTurns({group, end}); !taken) return taken;
      group = end;
    }
    return {};
  }

  // One block of each source in turn, until nothing is left or enough is taken.
  Result<void> TakeTurns(std::vector<Source*> sources) {
    std::vector<std::optional<TableWalk>> walks(sources.size());
    std::size_t open = sources.size();
    for (std::size_t i = 0; open > 0; i = (i + 1) % sources.size()) {
      if (sources[i] == nullptr) continue;
      // Only opened at its turn: often the first few have enough.
      if (!walks[i]) walks[i] = OpenBlocks(*sources[i]);
      if (auto taken = TakeBlock(*sources[i], *walks[i]); !taken) return taken;
      if (taken_.more) return {};
      if (walks[i]->Valid()) continue;
      sources[i] = nullptr;
      --open;
    }
    return {};
  }

  TableWalk OpenBlocks(const Source& source) {
    const CampaignId id = source.campaign->id;
    const DomainRecord& record = source.record;
    const std::uint64_t first = BlockNumber(record.first_sequence, 1);
    // What is gone in front of the rest is not walked over once the canary is through.
    const std::uint64_t front = record.rest > 0 && record.rest == record.waiting ? kRestBlock | first : first;
    const std::string end = source.ready.without_rest ? BlockKey(id, request_.domain, kRestBlock)
                                                      : PrefixEnd(BlockPrefix(id, request_.domain));
    return view_.Walk(Table::kBlocks, BlockKey(id, request_.domain, std::max(front, source.position.next_block)), end);
  }

  Result<void> TakeBlock(Source& source, TableWalk& walk) {
    if (!walk.Valid()) return walk.status();
    if (Full()) {
      taken_.more = true;
      return {};
    }
    const Result<BlockKeyParts> parts = ParseBlockKey(walk.key());
    if (!parts) return std::unexpected(parts.error());
    const Result<DoneRecord> done = ReadDone(view_, walk.key(), parts->block);
    if (!done) return std::unexpected(done.error());
    Piece& piece = Keep(source, walk.value());
    piece.block = parts->block;
    piece.done = *done;
    count_ += BlockRows(parts->block) - done->Count();
    source.position.next_block = parts->block + 1;
    taken_.cursor.last_campaign = source.campaign->id;
    walk.Next();
    return walk.status();
  }

  Piece& Keep(Source& source, std::string_view value) {
    source.used = true;
    Piece& piece = pieces_.emplace_back();
    piece.source = &source;
    piece.offset = taken_.bytes.size();
    piece.length = value.size();
    taken_.bytes.append(value);
    return piece;
  }

  Result<void> MakeJobs(TemplateCache& templates) {
    taken_.jobs.reserve(count_);
    for (const Piece& piece : pieces_) {
      const std::string_view value = std::string_view(taken_.bytes).substr(piece.offset, piece.length);
      const CampaignId id = piece.source->campaign->id;
      if (piece.due) {
        Result<Job> job = ReadRetryJob(piece.job, *piece.due, value);
        if (!job) return std::unexpected(job.error());
        taken_.jobs.push_back(*job);
      } else if (auto appended =
                     AppendBlockJobs(value, piece.done, id, piece.block, piece.source->mail_class(), taken_.jobs);
                 !appended) {
        return appended;
      }
      if (taken_.jobs.empty()) continue;
      if (auto added = AddTemplate(templates, id, taken_.jobs.back().template_number); !added) return added;
    }
    return {};
  }

  Result<void> MarkSuppressed() {
    const SuppressionStatsPtr stats = shared_.suppressions.page();
    if (stats->lists.empty()) return {};
    std::vector<Recipient> recipients;
    recipients.reserve(taken_.jobs.size());
    const Source* source = nullptr;
    for (const Job& job : taken_.jobs) {
      if (source == nullptr || source->campaign->id != job.id.campaign) {
        source = &*std::ranges::find(sources_, job.id.campaign, [](const Source& one) { return one.campaign->id; });
      }
      recipients.push_back({ListOf(source->campaign->spec), job.address, request_.domain});
    }
    const auto hits = FindSuppressed(view_, *stats, recipients, request_.now);
    if (!hits) return std::unexpected(hits.error());
    for (const std::size_t hit : *hits) taken_.jobs[hit].suppressed = true;
    return {};
  }

  Result<void> AddTemplate(TemplateCache& templates, CampaignId id, std::uint32_t number) {
    const auto known = std::find_if(
        taken_.templates.rbegin(), taken_.templates.rend(),
        [&](const StoredTemplatePtr& stored) { return stored->campaign == id && stored->number == number; });
    if (known != taken_.templates.rend()) return {};
    auto stored = templates.Read(id, number);
    if (!stored) return std::unexpected(stored.error());
    taken_.templates.push_back(std::move(*stored));
    return {};
  }

  StoreShared& shared_;
  const TakeRequest& request_;
  const std::uint32_t shard_;
  const Wall until_;
  const CampaignPagePtr page_;
  const TableView view_;
  std::vector<Source> sources_;
  std::vector<Piece> pieces_;
  std::size_t count_ = 0;
  TakenJobs taken_;
};

}  // namespace

Result<DomainScan> StoreReader::ScanDomains(const DomainScanRequest& request) {
  DomainScan scan;
  const CampaignPagePtr page = shared_.book.page();
  const TableView view = shared_.tables.View();
  const std::uint32_t cores = std::max<std::uint32_t>(request.cores, 1);
  TableWalk walk = view.Walk(Table::kDomains, request.cursor.empty() ? ShardPrefix(request.core) : request.cursor, {});
  for (std::size_t looked_at = 0; walk.Valid(); ++looked_at) {
    if (looked_at >= kScanned || scan.domains.size() >= request.max_domains) {
      scan.cursor = walk.key();
      return scan;
    }
    const Result<DomainKeyParts> parts = ParseDomainKey(walk.key());
    if (!parts) return std::unexpected(parts.error());
    if (parts->shard % cores != request.core) {
      const std::uint32_t next = parts->shard + 1;
      const std::uint32_t ours = next + (request.core + cores - next % cores) % cores;
      if (ours >= shared_.shards) break;
      walk.Seek(ShardPrefix(ours));
      continue;
    }
    const Result<DomainRecord> record = DecodeDomain(walk.value());
    if (!record) return std::unexpected(record.error());
    if (!HasWork(shared_, *page, walk.key(), parts->campaign, *record, request.now)) {
      walk.Next();
      continue;
    }
    scan.domains.emplace_back(parts->domain);
    // Past the other campaigns of this domain.
    const std::string prefix = DomainPrefix(parts->shard, scan.domains.back());
    walk.Next();
    if (walk.Valid() && walk.key().starts_with(prefix)) walk.Seek(PrefixEnd(prefix));
  }
  if (auto status = walk.status(); !status) return std::unexpected(status.error());
  scan.lap_done = true;
  return scan;
}

Result<TakenJobs> StoreReader::Take(const TakeRequest& request) { return Taking(shared_, request).Run(templates_); }

}  // namespace postrider::queue
