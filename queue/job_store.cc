#include "queue/job_store.h"

#include <atomic>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "queue/campaign_book.h"
#include "queue/queue_directory.h"
#include "queue/record.h"
#include "queue/store_reader.h"
#include "queue/store_survey.h"
#include "queue/store_writer.h"
#include "queue/suppression_table.h"
#include "queue/tables.h"
#include "queue/template_cache.h"

namespace postrider::queue {

namespace {

constexpr std::string_view kFormat = "format";
constexpr std::string_view kShards = "shards";
constexpr std::string_view kRun = "run";

class DiskStore : public JobStore {
 public:
  DiskStore(QueueDirectory directory, std::unique_ptr<Tables> tables, std::uint32_t shards, std::uint64_t run)
      : directory_(std::move(directory)),
        tables_(std::move(tables)),
        shared_{*tables_, shards, run, {}, RetryOrder(run), {}, {}},
        templates_(*tables_),
        writer_(shared_),
        reader_(shared_, templates_),
        survey_(shared_) {}

  Result<void> Load(Wall now) { return writer_.Load(now); }

  Result<CampaignId> BeginCampaign(const CampaignSpec& spec, std::string_view message, Wall now,
                                   std::string_view host_name) override {
    return Counted(writer_.BeginCampaign(spec, message, now, host_name));
  }
  Result<void> Enqueue(const EnqueueBatch& batch, Wall now) override { return Counted(writer_.Enqueue(batch, now)); }
  Result<void> SetState(CampaignId campaign, CampaignState state, Wall now, std::chrono::seconds expiry,
                        std::string_view note) override {
    return Counted(writer_.SetState(campaign, state, now, expiry, note));
  }
  Result<bool> StopCanary(CampaignId campaign, Wall now, std::string_view note) override {
    return Counted(writer_.StopCanary(campaign, now, note));
  }
  std::vector<CampaignId> ReleaseRests(Wall now) override {
    std::vector<CampaignId> released = writer_.ReleaseRests(now);
    staged_ += released.size();
    return released;
  }
  Result<ForwardStep> BringForward(const ForwardRequest& request) override {
    return Counted(writer_.BringForward(request));
  }
  void Settle(const Outcome& outcome) override {
    ++staged_;
    writer_.Settle(outcome);
  }
  void PutState(std::string_view key, std::string_view value) override {
    ++staged_;
    writer_.PutState(key, value);
  }
  void DeleteState(std::string_view key) override {
    ++staged_;
    writer_.DeleteState(key);
  }
  Result<SuppressionTally> PutSuppressions(std::span<const Suppression> entries) override {
    return Counted(writer_.suppressions().Put(entries));
  }
  Result<std::size_t> DeleteSuppressions(std::span<const SuppressionRemoval> removals) override {
    return Counted(writer_.suppressions().Delete(removals));
  }
  void PurgeSuppressions(Wall now) override {
    ++staged_;
    // What cannot be read now stays until the next lap; it counts for nobody any more.
    (void)writer_.suppressions().Purge(now);
  }
  Result<void> Commit() override {
    const auto start = std::chrono::steady_clock::now();
    auto committed = writer_.Commit();
    if (!committed || staged_ == 0) return committed;
    const auto took = std::chrono::steady_clock::now() - start;
    sync_nanoseconds_ += static_cast<std::uint64_t>(std::chrono::nanoseconds(took).count());
    operations_ += std::exchange(staged_, 0);
    ++commits_;
    return {};
  }
  std::vector<CampaignPtr> TakeFinished() override { return writer_.TakeFinished(); }
  void Purge(Wall ended_before) override {
    ++staged_;
    writer_.Purge(ended_before);
  }

  Result<DomainScan> ScanDomains(const DomainScanRequest& request) override { return reader_.ScanDomains(request); }
  Result<TakenJobs> Take(const TakeRequest& request) override { return reader_.Take(request); }
  std::vector<CampaignPtr> Campaigns() const override { return shared_.book.page()->All(); }
  CampaignPtr FindCampaign(std::string_view name) const override { return shared_.book.page()->Find(name); }
  CampaignPtr FindCampaign(CampaignId id) const override { return shared_.book.page()->Find(id); }
  CampaignTotals Totals() const override { return shared_.book.page()->Totals(); }
  Result<std::vector<std::pair<std::string, std::string>>> ReadState(std::string_view prefix) const override {
    const TableView view = tables_->View();
    const std::string from = UserStateKey(prefix);
    std::vector<std::pair<std::string, std::string>> found;
    TableWalk walk = view.Walk(Table::kState, from, PrefixEnd(from));
    for (; walk.Valid(); walk.Next()) found.emplace_back(walk.key().substr(1), walk.value());
    if (auto status = walk.status(); !status) return std::unexpected(std::move(status).error());
    return found;
  }
  Result<void> VisitBacklog(Wall now, const std::function<void(const DomainBacklog&)>& visit) const override {
    return survey_.VisitBacklog(now, visit);
  }
  Result<void> VisitAddress(std::string_view domain, std::string_view address,
                            const std::function<bool(const Job&)>& visit) const override {
    return survey_.VisitAddress(domain, address, visit);
  }
  Result<void> VisitRemaining(CampaignId campaign, const std::function<bool(const Job&)>& visit) const override {
    return survey_.VisitRemaining(campaign, visit);
  }
  Result<StoredTemplatePtr> ReadTemplate(CampaignId campaign, std::uint32_t number) const override {
    return templates_.Read(campaign, number);
  }
  Result<std::vector<std::size_t>> FindSuppressed(std::span<const Recipient> recipients, Wall now) const override {
    const SuppressionStatsPtr stats = shared_.suppressions.page();
    if (stats->lists.empty()) return std::vector<std::size_t>();
    return queue::FindSuppressed(tables_->View(), *stats, recipients, now);
  }
  Result<SuppressionMatches> MatchSuppressions(std::string_view address) const override {
    const SuppressionStatsPtr stats = shared_.suppressions.page();
    return queue::MatchSuppressions(tables_->View(), *stats, address);
  }
  Result<SuppressionPage> ListSuppressions(const SuppressionQuery& query, std::string_view cursor,
                                           std::size_t most) const override {
    const SuppressionStatsPtr stats = shared_.suppressions.page();
    return queue::ListSuppressions(tables_->View(), *stats, query, cursor, most);
  }
  Result<PastSuppressionPage> ListPastSuppressions(const SuppressionQuery& query, std::string_view cursor,
                                                   std::size_t most) const override {
    return queue::ListPastSuppressions(tables_->View(), query, cursor, most);
  }
  SuppressionStatsPtr suppression_stats() const override { return shared_.suppressions.page(); }
  std::uint64_t run() const override { return shared_.run; }
  StoreStats stats() const override {
    const TablesStats tables = tables_->stats();
    return {.commits = commits_,
            .operations = operations_,
            .sync_seconds = static_cast<double>(sync_nanoseconds_) * 1e-9,
            .stall_seconds = tables.stall_seconds,
            .disk_bytes = directory_.Bytes(),
            .memory_bytes = tables.memory_bytes};
  }

 private:
  template <typename T>
  Result<T> Counted(Result<T> result) {
    if (result) ++staged_;
    return result;
  }

  QueueDirectory directory_;  // claimed first, given up last
  std::unique_ptr<Tables> tables_;
  StoreShared shared_;
  mutable TemplateCache templates_;
  StoreWriter writer_;
  StoreReader reader_;
  StoreSurvey survey_;
  std::uint64_t staged_ = 0;  // of the store thread alone
  std::atomic<std::uint64_t> commits_ = 0;
  std::atomic<std::uint64_t> operations_ = 0;
  std::atomic<std::uint64_t> sync_nanoseconds_ = 0;
};

Result<std::optional<std::uint64_t>> ReadNumber(const Tables& tables, std::string_view name) {
  auto value = tables.Get(Table::kState, SystemStateKey(name));
  if (!value) return std::unexpected(value.error());
  if (!*value) return std::nullopt;
  const Result<std::uint64_t> number = DecodeCount(**value);
  if (!number) return std::unexpected(number.error());
  return *number;
}

bool HasAnyCampaign(const Tables& tables) {
  const TableView view = tables.View();
  return view.Walk(Table::kCampaigns, {}, {}).Valid() || view.Walk(Table::kState, {}, {}).Valid();
}

struct Numbers {
  std::uint32_t shards = 0;
  std::uint64_t run = 0;
};

// Reads what the queue says of itself, or writes it into a new one; and counts this run.
Result<Numbers> ReadNumbers(Tables& tables, const QueueOptions& options) {
  const std::string path = options.directory.string();
  auto format = ReadNumber(tables, kFormat);
  if (!format) return std::unexpected(format.error());
  if (!*format && HasAnyCampaign(tables)) {
    return Fail(ErrorCode::kCorrupt, fmt::format("{} holds campaigns but no format record; it is damaged, or was not "
                                                 "made by postrider: restore it from a copy",
                                                 path));
  }
  if (*format && (**format == 0 || **format > kFormatVersion)) {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("the queue {} has format {}, this postrider knows formats up to {}: run the version that "
                            "made it, or name another directory",
                            path, **format, kFormatVersion));
  }
  auto shards = ReadNumber(tables, kShards);
  if (!shards) return std::unexpected(shards.error());
  auto run = ReadNumber(tables, kRun);
  if (!run) return std::unexpected(run.error());

  Numbers numbers{static_cast<std::uint32_t>(shards->value_or(static_cast<std::uint64_t>(options.shards))),
                  run->value_or(0) + 1};
  if (numbers.shards == 0 || numbers.shards > 0xffff) {
    return Fail(ErrorCode::kInvalid,
                fmt::format("the queue {} cannot have {} shards: 1 to 65535", path, numbers.shards));
  }
  TableBatch batch = tables.NewBatch();
  batch.Put(Table::kState, SystemStateKey(kFormat), EncodeCount(kFormatVersion));
  batch.Put(Table::kState, SystemStateKey(kShards), EncodeCount(numbers.shards));
  batch.Put(Table::kState, SystemStateKey(kRun), EncodeCount(numbers.run));
  if (auto written = tables.Write(batch); !written) return std::unexpected(written.error());
  return numbers;
}

}  // namespace

Result<std::unique_ptr<JobStore>> OpenJobStore(const QueueOptions& options, Wall now) {
  auto directory = QueueDirectory::Claim(options.directory);
  if (!directory) return std::unexpected(directory.error());
  auto tables = Tables::Open(options);
  if (!tables) return std::unexpected(tables.error());
  const Result<Numbers> numbers = ReadNumbers(**tables, options);
  if (!numbers) return std::unexpected(numbers.error());
  auto store = std::make_unique<DiskStore>(std::move(*directory), std::move(*tables), numbers->shards, numbers->run);
  if (auto loaded = store->Load(now); !loaded) return std::unexpected(loaded.error());
  return store;
}

}  // namespace postrider::queue
