#include "queue/store_survey.h"

#include <algorithm>
#include <string>
#include <utility>

#include "queue/record.h"
#include "queue/stored_jobs.h"

namespace postrider::queue {

namespace {

using Visit = std::function<bool(const Job&)>;

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

bool HasMore(const DomainBacklog& a, const DomainBacklog& b) {
  return std::pair(a.waiting, a.deferred) > std::pair(b.waiting, b.deferred);
}

// The `most` largest of what is offered, as a heap whose front is the least of them.
class Largest {
 public:
  explicit Largest(std::size_t most) : most_(most) {}

  void Offer(DomainBacklog&& backlog) {
    if (most_ == 0 || backlog.domain.empty()) return;
    if (heap_.size() == most_) {
      if (!HasMore(backlog, heap_.front())) return;
      std::pop_heap(heap_.begin(), heap_.end(), HasMore);
      heap_.pop_back();
    }
    heap_.push_back(std::move(backlog));
    std::push_heap(heap_.begin(), heap_.end(), HasMore);
  }
  std::vector<DomainBacklog> Sorted() && {
    std::sort_heap(heap_.begin(), heap_.end(), HasMore);
    return std::move(heap_);
  }

 private:
  std::size_t most_;
  std::vector<DomainBacklog> heap_;
};

void KeepEarlier(std::optional<Wall>& earliest, Wall other) {
  if (!earliest || other < *earliest) earliest = other;
}

}  // namespace

Result<std::vector<DomainBacklog>> StoreSurvey::Backlog(std::size_t most) const {
  const CampaignPagePtr page = shared_.book.page();
  const TableView view = shared_.tables.View();
  Largest largest(most);
  DomainBacklog current;
  TableWalk walk = view.Walk(Table::kDomains, {}, {});
  for (; walk.Valid(); walk.Next()) {
    const Result<DomainKeyParts> parts = ParseDomainKey(walk.key());
    if (!parts) return std::unexpected(parts.error());
    const Result<DomainRecord> record = DecodeDomain(walk.value());
    if (!record) return std::unexpected(record.error());
    if (parts->domain != current.domain) {
      largest.Offer(std::exchange(current, {}));
      current.domain = parts->domain;
    }
    current.waiting += record->waiting;
    current.deferred += record->deferred;
    if (const CampaignPtr campaign = page->Find(parts->campaign)) KeepEarlier(current.oldest, campaign->accepted_at);
    if (record->deferred == 0) continue;
    const Wall due = shared_.heads.From(walk.key(), *record);
    // Jobs of ended campaigns have no moment of their own.
    if (due < kEndingFrom) KeepEarlier(current.next_due, due);
  }
  if (auto status = walk.status(); !status) return std::unexpected(status.error());
  largest.Offer(std::move(current));
  return std::move(largest).Sorted();
}

Result<void> StoreSurvey::VisitAddress(std::string_view domain, std::string_view address, const Visit& visit) const {
  const CampaignPagePtr page = shared_.book.page();
  const TableView view = shared_.tables.View();
  const auto visit_match = [&](const Job& job) { return job.address != address || visit(job); };
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
