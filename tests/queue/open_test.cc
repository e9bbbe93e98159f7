// What opening a queue refuses, what survives a kill, and what a failed write leaves.

#include <gmock/gmock.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <unistd.h>

#include <csignal>
#include <cstdlib>
#include <fstream>

#include "queue/record.h"
#include "queue/tables.h"
#include "tests/queue/store_fixture.h"

namespace postrider::queue {
namespace {

using testing::ElementsAre;
using testing::HasSubstr;

QueueOptions In(const std::filesystem::path& directory) {
  QueueOptions options;
  options.directory = directory;
  options.write_buffer_bytes = 4 << 20;
  options.block_cache_bytes = 1 << 20;
  return options;
}

Error OpenError(const QueueOptions& options) {
  auto store = OpenJobStore(options, At(0));
  return store ? Error{ErrorCode::kInvalid, "it opened"} : store.error();
}

// Writes a value where the store keeps its own numbers.
void Forge(const QueueOptions& options, Table table, std::string_view key, std::string_view value) {
  auto tables = Tables::Open(options);
  ASSERT_TRUE(tables) << tables.error().message;
  TableBatch batch = (*tables)->NewBatch();
  batch.Put(table, key, value);
  ASSERT_TRUE((*tables)->Write(batch));
}

TEST(OpenJobStore, MakesAPrivateDirectoryWithItsParents) {
  const TemporaryDirectory directory;
  const QueueOptions options = In(directory.path() / "var" / "queue");
  ASSERT_TRUE(OpenJobStore(options, At(0)));
  struct stat found {};
  ASSERT_EQ(::stat(options.directory.c_str(), &found), 0);
  EXPECT_EQ(found.st_mode & 0777, 0700u);
}

TEST(OpenJobStore, RefusesAQueueThatAnotherHolds) {
  const TemporaryDirectory directory;
  const QueueOptions options = In(directory.path() / "queue");
  auto first = OpenJobStore(options, At(0));
  ASSERT_TRUE(first);
  const Error error = OpenError(options);
  EXPECT_EQ(error.code, ErrorCode::kBusy);
  EXPECT_THAT(error.message, HasSubstr("in use by process " + std::to_string(::getpid())));
  first->reset();
  EXPECT_TRUE(OpenJobStore(options, At(0)));
}

TEST(OpenJobStore, RefusesADirectoryOfOtherThings) {
  const TemporaryDirectory directory;
  std::ofstream(directory.path() / "letters.txt") << "hello";
  const Error error = OpenError(In(directory.path()));
  EXPECT_EQ(error.code, ErrorCode::kInvalid);
  EXPECT_THAT(error.message, HasSubstr("is not a queue: it holds \"letters.txt\""));
  EXPECT_FALSE(std::filesystem::exists(directory.path() / "CURRENT"));
}

TEST(OpenJobStore, RefusesAFileInPlaceOfTheDirectory) {
  const TemporaryDirectory directory;
  std::ofstream(directory.path() / "queue") << "hello";
  const Error error = OpenError(In(directory.path() / "queue"));
  EXPECT_THAT(error.message, HasSubstr("is not a directory"));
}

TEST(OpenJobStore, RefusesANewerFormat) {
  const TemporaryDirectory directory;
  const QueueOptions options = In(directory.path() / "queue");
  ASSERT_TRUE(OpenJobStore(options, At(0)));
  Forge(options, Table::kState, SystemStateKey("format"), EncodeCount(kFormatVersion + 1));
  const Error error = OpenError(options);
  EXPECT_EQ(error.code, ErrorCode::kUnsupported);
  EXPECT_THAT(error.message, HasSubstr("has format 4, this postrider knows formats up to 3"));
}

TEST(OpenJobStore, TakesOverAQueueOfFormat1) {
  const TemporaryDirectory directory;
  const QueueOptions options = In(directory.path() / "queue");
  ASSERT_TRUE(OpenJobStore(options, At(0)));
  Forge(options, Table::kState, SystemStateKey("format"), EncodeCount(1));
  ASSERT_TRUE(OpenJobStore(options, At(0)));
  auto tables = Tables::Open(options);
  ASSERT_TRUE(tables);
  const auto format = (*tables)->Get(Table::kState, SystemStateKey("format"));
  ASSERT_TRUE(format);
  EXPECT_EQ(*format, EncodeCount(3));
}

TEST(OpenJobStore, RefusesDamage) {
  const TemporaryDirectory directory;
  const QueueOptions options = In(directory.path() / "queue");
  ASSERT_TRUE(OpenJobStore(options, At(0)));
  Forge(options, Table::kCampaigns, CampaignKey(1), "\x01garbage");
  EXPECT_EQ(OpenError(options).code, ErrorCode::kCorrupt);
}

TEST(OpenJobStore, RefusesCampaignsWithoutAFormat) {
  const TemporaryDirectory directory;
  const QueueOptions options = In(directory.path() / "queue");
  std::filesystem::create_directory(options.directory);
  Forge(options, Table::kCampaigns, CampaignKey(1), "x");
  const Error error = OpenError(options);
  EXPECT_EQ(error.code, ErrorCode::kCorrupt);
  EXPECT_THAT(error.message, HasSubstr("no format record"));
}

TEST(OpenJobStore, FinishesAQueueWhoseMakingWasCutOff) {
  const TemporaryDirectory directory;
  const QueueOptions options = In(directory.path() / "queue");
  std::filesystem::create_directory(options.directory);
  ASSERT_TRUE(Tables::Open(options));
  auto store = OpenJobStore(options, At(0));
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_EQ((*store)->run(), 1u);
}

TEST(OpenJobStore, KeepsTheShardsItWasMadeWith) {
  const TemporaryDirectory directory;
  QueueOptions options = In(directory.path() / "queue");
  options.shards = 4;
  {
    auto store = OpenJobStore(options, At(0));
    ASSERT_TRUE(store);
    const auto id = (*store)->BeginCampaign(Named("offer"), "", At(0));
    ASSERT_TRUE(id);
    const std::vector<NewRow> rows{{1, "a.test", "ana@a.test", "", "", false}};
    ASSERT_TRUE((*store)->Enqueue({.campaign = *id, .rows = rows, .rows_read = 1}, At(0)));
    ASSERT_TRUE((*store)->SetState(*id, CampaignState::kRunning, At(0), std::chrono::hours(1)));
    ASSERT_TRUE((*store)->Commit());
  }
  options.shards = 64;
  auto store = OpenJobStore(options, At(0));
  ASSERT_TRUE(store) << store.error().message;
  EXPECT_EQ((*store)->Take({.domain = "a.test", .now = At(0)})->jobs.size(), 1u);
  const auto scan = (*store)->ScanDomains({.core = ShardOf("a.test", 4), .cores = 4, .now = At(0)});
  EXPECT_THAT(scan->domains, ElementsAre("a.test"));
}

TEST(OpenJobStore, RefusesAnImpossibleNumberOfShards) {
  const TemporaryDirectory directory;
  QueueOptions options = In(directory.path() / "queue");
  options.shards = 0;
  EXPECT_EQ(OpenError(options).code, ErrorCode::kInvalid);
}

// Files may grow no further than this many bytes while it lives: what a full disk does, without one.
class FileSizeLimit {
 public:
  explicit FileSizeLimit(rlim_t bytes) {
    old_action_ = std::signal(SIGXFSZ, SIG_IGN);
    ::getrlimit(RLIMIT_FSIZE, &old_);
    const rlimit limit{bytes, old_.rlim_max};
    ::setrlimit(RLIMIT_FSIZE, &limit);
  }
  ~FileSizeLimit() {
    ::setrlimit(RLIMIT_FSIZE, &old_);
    std::signal(SIGXFSZ, old_action_);
  }

 private:
  rlimit old_{};
  void (*old_action_)(int) = nullptr;
};

using FailedWrite = StoreTest;

TEST_F(FailedWrite, KeepsWhatWasStagedForTheNextCommit) {
  const CampaignId id = Released(Named("offer"), {{1, "ana@a.test"}, {2, "eve@a.test"}});
  const TakenJobs taken = Take("a.test");
  Finish(taken.jobs[0], EventKind::kDelivered, "a.test");
  {
    const FileSizeLimit limit(16);
    const auto failed = store_->Commit();
    ASSERT_FALSE(failed);
    EXPECT_THAT(failed.error().message, HasSubstr("writing the queue"));
    // Still no room: it cannot even be opened anew, and says so to readers.
    EXPECT_FALSE(store_->Commit());
    const auto refused = store_->Take({.domain = "a.test", .now = now_});
    ASSERT_FALSE(refused);
    EXPECT_EQ(refused.error().code, ErrorCode::kUnavailable);
    EXPECT_FALSE(store_->ScanDomains({.now = now_}));
  }
  EXPECT_EQ(TotalsOf(id).delivered, 0u);
  Defer(taken.jobs[1], now_ + std::chrono::seconds(5), "a.test");
  Commit();
  EXPECT_EQ(TotalsOf(id).delivered, 1u);
  EXPECT_EQ(TotalsOf(id).deferrals, 1u);
  Reopen();
  EXPECT_EQ(TotalsOf(id).delivered, 1u);
  EXPECT_EQ(TotalsOf(id).queued(), 1u);
  now_ += std::chrono::seconds(5);
  EXPECT_THAT(AddressesOf(Take("a.test")), ElementsAre("eve@a.test"));
}

// Runs in a process of its own: commits batches, tells each commit, and dies with something staged.
[[noreturn]] void WriteUntilKilled(const std::filesystem::path& directory, std::uint64_t commits) {
  auto store = OpenJobStore(In(directory), At(0));
  if (!store) std::exit(1);
  const CampaignPtr campaign = (*store)->FindCampaign("offer");
  const CampaignId id = campaign ? campaign->id : *(*store)->BeginCampaign(Named("offer"), "message", At(0));
  std::uint64_t row = campaign ? campaign->position.line : 0;
  for (std::uint64_t commit = 0; commit <= commits; ++commit) {
    std::vector<std::string> domains;
    for (int i = 0; i < 50; ++i) domains.push_back("d" + std::to_string(i % 7) + ".test");
    std::vector<NewRow> rows;
    for (const std::string& domain : domains) rows.push_back({++row, domain, "ana@example.org", "", "", false});
    EnqueueBatch batch{.campaign = id, .rows = rows, .rows_read = rows.size()};
    batch.position.line = row;
    if (!(*store)->Enqueue(batch, At(0))) std::exit(1);
    if (commit < commits && !(*store)->Commit()) std::exit(1);
  }
  ::kill(::getpid(), SIGKILL);
  std::exit(1);
}

TEST(KilledStore, HoldsExactlyWhatWasCommitted) {
  GTEST_FLAG_SET(death_test_style, "threadsafe");
  // The process that is to die runs this test anew, and must find the same directory.
  const TemporaryDirectory directory;
  ::setenv("POSTRIDER_KILLED_STORE", directory.path().c_str(), /*overwrite=*/0);
  const std::filesystem::path queue = std::filesystem::path(::getenv("POSTRIDER_KILLED_STORE")) / "queue";
  std::uint64_t expected = 0;
  for (const std::uint64_t commits : {1u, 4u, 9u}) {
    EXPECT_EXIT(WriteUntilKilled(queue, commits), testing::KilledBySignal(SIGKILL), "");
    expected += commits * 50;
    auto store = OpenJobStore(In(queue), At(0));
    ASSERT_TRUE(store) << store.error().message;
    const CampaignPtr campaign = (*store)->FindCampaign("offer");
    ASSERT_NE(campaign, nullptr);
    EXPECT_EQ(campaign->position.line, expected);
    EXPECT_EQ(campaign->totals.accepted, expected);
    std::uint64_t rows = 0;
    ASSERT_TRUE((*store)->VisitRemaining(campaign->id, [&](const Job&) { return ++rows > 0; }));
    EXPECT_EQ(rows, expected);
  }
  ::unsetenv("POSTRIDER_KILLED_STORE");
}

}  // namespace
}  // namespace postrider::queue
