#include "tests/queue/store_fixture.h"

#include <algorithm>
#include <cstdlib>

#include "queue/outcome.h"

namespace postrider::queue {

TemporaryDirectory::TemporaryDirectory() {
  std::string name = (std::filesystem::temp_directory_path() / "postrider-queue-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) std::abort();
  path_ = name;
}

TemporaryDirectory::~TemporaryDirectory() {
  std::error_code error;
  std::filesystem::remove_all(path_, error);
}

QueueOptions StoreTest::options() const {
  QueueOptions options;
  options.directory = directory_.path() / "queue";
  options.shards = 8;
  options.write_buffer_bytes = 4 << 20;
  options.block_cache_bytes = 4 << 20;
  return options;
}

void StoreTest::Open() {
  auto store = OpenJobStore(options(), now_);
  ASSERT_TRUE(store) << store.error().message;
  store_ = std::move(*store);
}

void StoreTest::Reopen() {
  store_.reset();
  Open();
}

CampaignId StoreTest::Begin(const CampaignSpec& spec) {
  auto id = store_->BeginCampaign(spec, "Subject: to {{name}}\r\n\r\nhello\r\n", now_, "list.sender.test");
  EXPECT_TRUE(id) << id.error().message;
  return id.value_or(0);
}

CampaignId StoreTest::Begin(const std::string& name) { return Begin(Named(name)); }

namespace {
std::vector<NewRow> Views(const std::vector<TestRow>& rows, std::vector<std::string>& texts) {
  // Both lists are as long as they get from the start: the views must not move.
  texts.reserve(rows.size() * 2);
  std::vector<NewRow> views;
  for (const TestRow& row : rows) {
    const std::string& domain = texts.emplace_back(DomainOf(row.address));
    const std::string& id = texts.emplace_back("id" + std::to_string(row.row));
    views.push_back({.row = row.row,
                     .domain = domain,
                     .address = row.address,
                     .row_id = id,
                     .fields = "fields",
                     .needs_smtputf8 = false});
  }
  return views;
}
}  // namespace

void StoreTest::Add(CampaignId campaign, const std::vector<TestRow>& rows) {
  std::vector<std::string> texts;
  const std::vector<NewRow> views = Views(rows, texts);
  EnqueueBatch batch;
  batch.campaign = campaign;
  batch.rows = views;
  batch.rows_read = views.size();
  batch.position = {.bytes = rows.empty() ? 0 : rows.back().row * 100, .line = rows.empty() ? 0 : rows.back().row};
  const auto enqueued = store_->Enqueue(batch, now_);
  EXPECT_TRUE(enqueued) << enqueued.error().message;
}

void StoreTest::AddStanding(CampaignId campaign, const std::vector<TestRow>& rows, std::string_view message) {
  std::vector<std::string> texts;
  const std::vector<NewRow> views = Views(rows, texts);
  EnqueueBatch batch;
  batch.campaign = campaign;
  batch.rows = views;
  batch.rows_read = views.size();
  batch.message = message;
  batch.host_name = "one.sender.test";
  const auto enqueued = store_->Enqueue(batch, now_);
  EXPECT_TRUE(enqueued) << enqueued.error().message;
}

void StoreTest::SetState(CampaignId campaign, CampaignState state) {
  const auto set = store_->SetState(campaign, state, now_, std::chrono::hours(48));
  EXPECT_TRUE(set) << set.error().message;
}

void StoreTest::Commit() {
  const auto committed = store_->Commit();
  EXPECT_TRUE(committed) << committed.error().message;
}

CampaignId StoreTest::Released(const CampaignSpec& spec, const std::vector<TestRow>& rows) {
  const CampaignId id = Begin(spec);
  Add(id, rows);
  SetState(id, CampaignState::kRunning);
  Commit();
  return id;
}

TakenJobs StoreTest::Take(const std::string& domain, DomainCursor cursor, std::size_t max_jobs) {
  auto taken = store_->Take({.domain = domain, .cursor = std::move(cursor), .max_jobs = max_jobs, .now = now_});
  EXPECT_TRUE(taken) << taken.error().message;
  return taken ? std::move(*taken) : TakenJobs{};
}

std::vector<DomainBacklog> StoreTest::Backlog() const {
  std::vector<DomainBacklog> found;
  const auto visited = store_->VisitBacklog(now_, [&](const DomainBacklog& backlog) { found.push_back(backlog); });
  EXPECT_TRUE(visited) << visited.error().message;
  std::ranges::sort(found, {}, &DomainBacklog::domain);
  return found;
}

std::vector<std::string> StoreTest::Scan(std::uint32_t core, std::uint32_t cores) {
  std::vector<std::string> domains;
  DomainScanRequest request{.core = core, .cores = cores, .cursor = {}, .max_domains = 7, .now = now_};
  while (true) {
    auto scan = store_->ScanDomains(request);
    EXPECT_TRUE(scan) << scan.error().message;
    if (!scan) return domains;
    domains.insert(domains.end(), scan->domains.begin(), scan->domains.end());
    if (scan->lap_done) return domains;
    request.cursor = scan->cursor;
  }
}

namespace {
Outcome OutcomeOf(const Job& job, Wall now, const std::string& domain) {
  Outcome outcome;
  outcome.event.time = now;
  outcome.event.job = job.id;
  outcome.event.attempt = static_cast<std::uint16_t>(job.attempt.attempts + 1);
  outcome.event.mail_class = job.mail_class;
  outcome.event.row_id = job.row_id;
  outcome.event.recipient = job.address;
  outcome.event.domain = domain;
  outcome.event.source = "source-a";
  outcome.place = job.place;
  outcome.template_number = job.template_number;
  outcome.first_attempt = job.attempt.attempts == 0 ? now : job.attempt.first_attempt;
  outcome.fields = job.fields;
  outcome.needs_smtputf8 = job.needs_smtputf8;
  return outcome;
}
}  // namespace

void StoreTest::Finish(const Job& job, EventKind kind, const std::string& domain) {
  Outcome outcome = OutcomeOf(job, now_, domain);
  outcome.event.kind = kind;
  outcome.event.final = true;
  store_->Settle(outcome);
}

void StoreTest::Defer(const Job& job, Wall due, const std::string& domain) {
  Outcome outcome = OutcomeOf(job, now_, domain);
  outcome.event.kind = EventKind::kDeferred;
  outcome.event.site = "mx." + domain;
  outcome.event.next_due = due;
  outcome.event.code = 451;
  outcome.event.stage = Stage::kRcpt;
  outcome.event.category = Category::kThrottled;
  outcome.event.enhanced = EnhancedCode{4, 7, 1};
  outcome.event.reply = "try again later";
  store_->Settle(outcome);
}

std::vector<std::string> AddressesOf(const TakenJobs& taken) {
  std::vector<std::string> addresses;
  for (const Job& job : taken.jobs) addresses.emplace_back(job.address);
  return addresses;
}

std::string DomainOf(std::string_view address) { return std::string(address.substr(address.rfind('@') + 1)); }

CampaignSpec Named(const std::string& name) {
  CampaignSpec spec;
  spec.name = name;
  spec.digest = "digest of " + name;
  return spec;
}

}  // namespace postrider::queue
