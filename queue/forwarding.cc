// StoreWriter's way to bring the due moments of deferred jobs forward.

#include <algorithm>
#include <string>
#include <utility>

#include "queue/lifecycle.h"
#include "queue/store_writer.h"

namespace postrider::queue {

namespace {

// In one piece of work: domain records looked at, retry records read, and of these moved. A few milliseconds each, so
// that nobody waits long for the store meanwhile.
constexpr std::size_t kLookedAtMost = 4096;
constexpr std::size_t kReadMost = 4096;
constexpr std::size_t kMovedMost = 1024;
constexpr std::size_t kSitesMost = 1000;  // that an answer names

// Within [0, over], by chance but always the same for a job.
std::chrono::milliseconds SpreadOf(JobId job, std::chrono::milliseconds over) {
  if (over.count() <= 0) return std::chrono::milliseconds(0);
  std::uint64_t value = job.campaign * 0x9e3779b97f4a7c15 + job.row;
  value = (value ^ value >> 30) * 0xbf58476d1ce4e5b9;
  value = (value ^ value >> 27) * 0x94d049bb133111eb;
  value ^= value >> 31;
  return std::chrono::milliseconds(static_cast<std::int64_t>(value % (static_cast<std::uint64_t>(over.count()) + 1)));
}

}  // namespace

Result<ForwardStep> StoreWriter::BringForward(const ForwardRequest& request) {
  if (brought_forward_) {
    return Fail(ErrorCode::kBusy, "due moments are being brought forward already; try again in a moment");
  }
  const TableView view = shared_.tables.View();
  const std::string prefix =
      request.domain.empty() ? std::string() : DomainPrefix(ShardOf(request.domain, shared_.shards), request.domain);
  TableWalk domains =
      view.Walk(Table::kDomains, request.domain_key.empty() ? prefix : request.domain_key, PrefixEnd(prefix));
  ForwardStep step;
  std::size_t looked_at = 0;
  for (; domains.Valid(); domains.Next()) {
    if (++looked_at > kLookedAtMost) {
      step.domain_key = domains.key();
      return step;
    }
    const Result<DomainKeyParts> parts = ParseDomainKey(domains.key());
    if (!parts) return std::unexpected(parts.error());
    if (request.campaign != 0 && parts->campaign != request.campaign) continue;
    const Result<DomainRecord> record = DecodeDomain(domains.value());
    if (!record) return std::unexpected(record.error());
    if (record->deferred == 0 || (!request.site.empty() && record->site != request.site)) continue;
    const bool continued = !request.retry_key.empty() && domains.key() == request.domain_key;
    if (!continued) step.deferred += record->deferred;
    if (step.moved >= kMovedMost) {
      step.deferred -= record->deferred;
      step.domain_key = domains.key();
      return step;
    }
    const Result<bool> whole = ForwardDomain(request, view, domains.key(), *parts, step);
    if (!whole) return std::unexpected(whole.error());
    if (!*whole) return step;
  }
  if (auto status = domains.status(); !status) return std::unexpected(status.error());
  step.done = true;
  return step;
}

// One campaign's in one domain. False: not all of them, and the step says where to go on.
//
// A job that a reader may have taken stays where it is, for its outcome will name that place: RetryOrder tells. Neither
// is one moved that this batch has put or taken away: what lies on disk under a later moment than readers have seen is
// nobody's, but for the jobs of a campaign that is ending.
Result<bool> StoreWriter::ForwardDomain(const ForwardRequest& request, const TableView& view, std::string_view key,
                                        const DomainKeyParts& parts, ForwardStep& step) {
  const LiveCampaign* live = FindLive(parts.campaign);
  if (live == nullptr || HasEnded(live->record.campaign)) return true;
  const Clock clock = ClockOf(live->record.campaign);
  if (clock.ending || (clock.expires && *clock.expires <= request.now)) return true;
  auto domain = LoadDomain(std::string(key), *live);
  if (!domain) return std::unexpected(domain.error());
  DomainState& state = (*domain)->second;
  if (!state.exists) return true;

  const bool continued = !request.retry_key.empty() && key == request.domain_key;
  TableWalk retries = view.Walk(
      Table::kRetry,
      continued ? request.retry_key
                : RetryKey(parts.shard, parts.domain, {parts.campaign, 0}, shared_.heads.From(key, state.record)),
      PrefixEnd(std::string(key)));
  const std::size_t moved_before = step.moved;
  bool whole = true;
  for (std::size_t read = 0; retries.Valid(); retries.Next(), ++read) {
    if (read >= kReadMost || step.moved >= kMovedMost) {
      step.domain_key = key;
      step.retry_key = retries.key();
      whole = false;
      break;
    }
    const Result<RetryKeyParts> at = ParseRetryKey(retries.key());
    if (!at) return std::unexpected(at.error());
    const Wall wanted = request.now + SpreadOf(at->job, request.over);
    const std::optional<Wall> due = shared_.order.Advance(at->due, wanted, clock.expires);
    if (!due) continue;
    batch_.Delete(Table::kRetry, retries.key());
    batch_.Put(Table::kRetry, RetryKey(parts.shard, parts.domain, at->job, *due), retries.value());
    NoteHead(**domain, *due);
    ++step.moved;
  }
  if (auto status = retries.status(); !status) return std::unexpected(status.error());
  if (step.moved == moved_before) return whole;
  brought_forward_ = true;
  Touch(**domain);
  const std::string& site = state.record.site;
  if (!site.empty() && step.sites.size() < kSitesMost && std::ranges::find(step.sites, site) == step.sites.end()) {
    step.sites.push_back(site);
  }
  return whole;
}

}  // namespace postrider::queue
