#include "queue/store_survey.h"

#include <algorithm>
#include <string>
#include <utility>

#include "queue/record.h"
#include "queue/stored_jobs.h"

namespace postrider::queue {

namespace {

using Visit = std::function<bool(const Job&)>;

char LowerCase(char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c; }

bool IsSameAddress(std::string_view a, std::string_view b) {
  return std::ranges::equal(a, b, {}, LowerCase, LowerCase);
}

// All blocks in [lower, upper). false: the visitor has seen enough.
Result<bool> VisitBlocks(const TableView& view, const CampaignPage& page, std::string_view lower,
                         std::string_view upper, const Visit& visit) {
  std::vector<Job> jobs;
  TableWalk walk = view.Walk(Table::kBlocks, lower, upper);
  for (; walk.Valid(); walk.Next()) {
    const Result<BlockKeyParts> parts = ParseBlockKey(walk.key());
    if (!parts) return std::unexpected(parts.error());
    const Result<DoneRecord> done = ReadDone(view, walk.key(), parts->block);
    if (!done) return std::unexpected(done.error());
    const CampaignPtr campaign = page.Find(parts->campaign);
    const MailClass mail_class = campaign ? campaign->spec.mail_class : MailClass::kBulk;
    jobs.clear();
    if (auto read = AppendBlockJobs(walk.value(), *done, parts->campaign, parts->block, mail_class, jobs); !read) {
      return std::unexpected(read.error());
    }
    for (const Job& job : jobs) {
      if (!visit(job)) return false;
    }
  }
  if (auto status = walk.status(); !status) return std::unexpected(status.error());
  return true;
}

Result<bool> VisitRetries(const TableView& view, std::string_view lower, std::string_view upper, const Visit& visit) {
  TableWalk walk = view.Walk(Table::kRetry, lower, upper);
  for (; walk.Valid(); walk.Next()) {
    const Result<RetryKeyParts> parts = ParseRetryKey(walk.key());
    if (!parts) return std::unexpected(parts.error());
    const Result<Job> job = ReadRetryJob(parts->job, parts->due, walk.value());
    if (!job) return std::unexpected(job.error());
    if (!visit(*job)) return false;
  }
  if (auto status = walk.status(); !status) return std::unexpected(status.error());
  return true;
}

void KeepEarlier(std::optional<Wall>& earliest, Wall other) {
  if (!earliest || other < *earliest) earliest = other;
}

void CountAge(DomainBacklog& backlog, Wall now, Wall accepted, std::uint64_t jobs) {
  if (jobs == 0) return;
  KeepEarlier(backlog.oldest, accepted);
  const auto limit = std::upper_bound(kAgeLimits.begin(), kAgeLimits.end(), now - accepted);
  backlog.by_age[static_cast<std::size_t>(limit - kAgeLimits.begin())] += jobs;
}

// The ages of a standing campaign's mail in one domain, message by message.
class MessageAges {
 public:
  MessageAges(const TableView& view, Wall now) : view_(view), now_(now) {}

  Result<void> Count(const DomainKeyParts& key, std::string_view domain_key, const DomainRecord& record, Wall begun,
                     DomainBacklog& backlog) {
    if (auto counted = CountBlocks(key, record, begun, backlog); !counted) return counted;
    return CountRetries(domain_key, record, begun, backlog);
  }

 private:
  Result<void> CountBlocks(const DomainKeyParts& key, const DomainRecord& record, Wall begun, DomainBacklog& backlog) {
    std::uint64_t left = record.waiting;
    Wall youngest = begun;
    const std::string blocks = BlockPrefix(key.campaign, key.domain);
    TableWalk walk = view_.Walk(Table::kBlocks, blocks, PrefixEnd(blocks));
    for (; walk.Valid() && left > 0 && reads_left_ > 0; walk.Next(), --reads_left_) {
      const Result<BlockKeyParts> parts = ParseBlockKey(walk.key());
      if (!parts) return std::unexpected(parts.error());
      const Result<Block> block = DecodeBlock(walk.value());
      if (!block) return std::unexpected(block.error());
      const Result<DoneRecord> done = ReadDone(view_, walk.key(), parts->block);
      if (!done) return std::unexpected(done.error());
      const Result<Wall> accepted = AcceptedAt(key.campaign, block->template_number, youngest);
      if (!accepted) return std::unexpected(accepted.error());
      youngest = *accepted;
      const std::uint64_t jobs = std::min<std::uint64_t>(left, BlockRows(parts->block) - done->Count());
      CountAge(backlog, now_, youngest, jobs);
      left -= jobs;
    }
    CountAge(backlog, now_, youngest, left);
    return walk.status();
  }

  // A retry record does not say when its message was accepted, but when it was first tried, which was soon after.
  Result<void> CountRetries(std::string_view domain_key, const DomainRecord& record, Wall begun,
                            DomainBacklog& backlog) {
    if (record.deferred == 0) return {};
    std::uint64_t left = record.deferred;
    Wall youngest = begun;
    TableWalk walk = view_.Walk(Table::kRetry, domain_key, PrefixEnd(std::string(domain_key)));
    for (; walk.Valid() && left > 0 && reads_left_ > 0; walk.Next(), --reads_left_) {
      const Result<RetryKeyParts> parts = ParseRetryKey(walk.key());
      if (!parts) return std::unexpected(parts.error());
      const Result<Job> job = ReadRetryJob(parts->job, parts->due, walk.value());
      if (!job) return std::unexpected(job.error());
      youngest = std::max(youngest, job->attempt.first_attempt);
      CountAge(backlog, now_, job->attempt.first_attempt, 1);
      --left;
    }
    CountAge(backlog, now_, youngest, left);
    return walk.status();
  }

  // The message may be gone with its last job; then its neighbour's moment stands for it.
  [[nodiscard]] Result<Wall> AcceptedAt(CampaignId campaign, std::uint32_t number, Wall otherwise) const {
    const std::string key = TemplateKey(campaign, number);
    const TableWalk walk = view_.Walk(Table::kTemplates, key, PrefixEnd(key));
    if (!walk.Valid()) {
      const Result<void> status = walk.status();
      return status ? Result<Wall>(otherwise) : std::unexpected(status.error());
    }
    const Result<TemplateRecord> record = DecodeTemplate(walk.value());
    if (!record) return std::unexpected(record.error());
    return record->accepted_at;
  }

  const TableView& view_;
  const Wall now_;
  std::size_t reads_left_ = StoreSurvey::kMessagesMost;
};

}  // namespace

Result<void> StoreSurvey::VisitBacklog(Wall now, const std::function<void(const DomainBacklog&)>& visit) const {
  const CampaignPagePtr page = shared_.book.page();
  const TableView view = shared_.tables.View();
  MessageAges messages(view, now);
  DomainBacklog current;
  const auto finish = [&] {
    if (!current.domain.empty()) visit(current);
  };
  TableWalk walk = view.Walk(Table::kDomains, {}, {});
  for (; walk.Valid(); walk.Next()) {
    const Result<DomainKeyParts> parts = ParseDomainKey(walk.key());
    if (!parts) return std::unexpected(parts.error());
    const Result<DomainRecord> record = DecodeDomain(walk.value());
    if (!record) return std::unexpected(record.error());
    if (parts->domain != current.domain) {
      finish();
      current = {};
      current.domain = parts->domain;
    }
    current.waiting += record->waiting;
    current.deferred += record->deferred;
    if (const CampaignPtr campaign = page->Find(parts->campaign)) {
      if (campaign->spec.standing) {
        auto counted = messages.Count(*parts, walk.key(), *record, campaign->accepted_at, current);
        if (!counted) return counted;
      } else {
        CountAge(current, now, campaign->accepted_at, record->waiting + record->deferred);
      }
    }
    if (record->deferred == 0) continue;
    const Wall due = shared_.heads.From(walk.key(), *record);
    // Jobs of ended campaigns have no moment of their own.
    if (due < kEndingFrom) KeepEarlier(current.next_due, due);
  }
  if (auto status = walk.status(); !status) return status;
  finish();
  return {};
}

Result<void> StoreSurvey::VisitAddress(std::string_view domain, std::string_view address, const Visit& visit) const {
  const CampaignPagePtr page = shared_.book.page();
  const TableView view = shared_.tables.View();
  const auto visit_match = [&](const Job& job) { return !IsSameAddress(job.address, address) || visit(job); };
  const std::string prefix = DomainPrefix(ShardOf(domain, shared_.shards), domain);
  TableWalk walk = view.Walk(Table::kDomains, prefix, PrefixEnd(prefix));
  for (; walk.Valid(); walk.Next()) {
    const Result<DomainKeyParts> parts = ParseDomainKey(walk.key());
    if (!parts) return std::unexpected(parts.error());
    const std::string blocks = BlockPrefix(parts->campaign, domain);
    const Result<bool> goes_on = VisitBlocks(view, *page, blocks, PrefixEnd(blocks), visit_match);
    if (!goes_on) return std::unexpected(goes_on.error());
    if (!*goes_on) return {};
  }
  if (auto status = walk.status(); !status) return status;
  const Result<bool> visited = VisitRetries(view, prefix, PrefixEnd(prefix), visit_match);
  if (!visited) return std::unexpected(visited.error());
  return {};
}

Result<void> StoreSurvey::VisitRemaining(CampaignId campaign, const Visit& visit) const {
  const CampaignPagePtr page = shared_.book.page();
  const TableView view = shared_.tables.View();
  const std::string blocks = CampaignKey(campaign);
  const Result<bool> goes_on = VisitBlocks(view, *page, blocks, PrefixEnd(blocks), visit);
  if (!goes_on) return std::unexpected(goes_on.error());
  if (!*goes_on) return {};
  TableWalk walk = view.Walk(Table::kDomains, {}, {});
  for (; walk.Valid(); walk.Next()) {
    const Result<DomainKeyParts> parts = ParseDomainKey(walk.key());
    if (!parts) return std::unexpected(parts.error());
    if (parts->campaign != campaign) continue;
    const Result<DomainRecord> record = DecodeDomain(walk.value());
    if (!record) return std::unexpected(record.error());
    if (record->deferred == 0) continue;
    // A retry key starts as its domain key does.
    const Result<bool> retries = VisitRetries(view, walk.key(), PrefixEnd(std::string(walk.key())), visit);
    if (!retries) return std::unexpected(retries.error());
    if (!*retries) return {};
  }
  return walk.status();
}

}  // namespace postrider::queue
