#include "queue/tables.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <atomic>
#include <chrono>
#include <cstdarg>
#include <cstdio>
#include <mutex>
#include <set>
#include <shared_mutex>
#include <utility>
#include <vector>

#include <fmt/format.h>
#include <rocksdb/cache.h>
#include <rocksdb/db.h>
#include <rocksdb/env.h>
#include <rocksdb/filter_policy.h>
#include <rocksdb/listener.h>
#include <rocksdb/options.h>
#include <rocksdb/table.h>
#include <rocksdb/utilities/table_properties_collectors.h>
#include <rocksdb/write_batch.h>
#include <rocksdb/write_buffer_manager.h>

#include "config/check.h"

#ifdef __SANITIZE_THREAD__
// Debian's RocksDB is not built for ThreadSanitizer, which therefore misses its atomics and takes a read of a memtable
// or a cached block for a race. What is ours is still seen. It needs the whole history to know RocksDB by its frames.
extern "C" const char* __tsan_default_suppressions();
extern "C" const char* __tsan_default_suppressions() {
  return "called_from_lib:librocksdb.so\nrace:librocksdb.so\nrace:LZ4_decompress_safe\n";
}
extern "C" const char* __tsan_default_options();
extern "C" const char* __tsan_default_options() { return "history_size=7"; }
#endif

namespace postrider::queue {

namespace {

constexpr std::array<const char*, kTables> kNames{"campaigns", "templates", "domains",     "blocks",
                                                  "done",      "retry",     "suppression", "state"};

rocksdb::Slice ToSlice(std::string_view text) { return {text.data(), text.size()}; }
std::string_view ToView(const rocksdb::Slice& slice) { return {slice.data(), slice.size()}; }

Error ToError(const rocksdb::Status& status, std::string_view doing) {
  ErrorCode code = ErrorCode::kIo;
  std::string_view advice = "see the operating system's reason";
  const std::string text = status.ToString();
  if (status.IsNoSpace() || text.find("No space left") != std::string::npos) {
    code = ErrorCode::kNoSpace;
    advice = "make room on its disk";
  } else if (status.IsCorruption()) {
    code = ErrorCode::kCorrupt;
    advice = "restore the queue from a copy, or check the disk";
  } else if (text.find("Permission denied") != std::string::npos || text.find("Read-only") != std::string::npos) {
    code = ErrorCode::kDenied;
    advice = "the directory and its files must be writable for the user that runs postrider";
  } else if (text.find("lock") != std::string::npos && text.find("unavailable") != std::string::npos) {
    code = ErrorCode::kBusy;
    advice = "another process holds it";
  } else if (status.IsBusy() || status.IsTryAgain() || status.IsTimedOut()) {
    code = ErrorCode::kBusy;
    advice = "try again";
  }
  return {code, fmt::format("{}: {}; {}", doing, text, advice)};
}

// Adds up the time in which any column family was slowed down or stopped.
class StallClock : public rocksdb::EventListener {
 public:
  void OnStallConditionsChanged(const rocksdb::WriteStallInfo& info) override {
    const std::lock_guard lock(mutex_);
    const bool was_stalled = !stalled_.empty();
    if (info.condition.cur == rocksdb::WriteStallCondition::kNormal) {
      stalled_.erase(info.cf_name);
    } else {
      stalled_.insert(info.cf_name);
    }
    const auto now = std::chrono::steady_clock::now();
    if (was_stalled && stalled_.empty()) sum_ += now - since_;
    if (!was_stalled && !stalled_.empty()) since_ = now;
  }
  [[nodiscard]] double Seconds() const {
    const std::lock_guard lock(mutex_);
    auto sum = sum_;
    if (!stalled_.empty()) sum += std::chrono::steady_clock::now() - since_;
    return std::chrono::duration<double>(sum).count();
  }

 private:
  mutable std::mutex mutex_;
  std::set<std::string> stalled_;
  std::chrono::steady_clock::time_point since_{};
  std::chrono::steady_clock::duration sum_{};
};

// RocksDB's warnings, in a file beside its own. Its own logger keeps using a file after a failed write, which stops the
// whole program in builds with assertions, as Debian's is: just when the disk is full. This one drops what it cannot
// write.
class WarningLog : public rocksdb::Logger {
 public:
  explicit WarningLog(const std::string& path)
      : Logger(rocksdb::WARN_LEVEL), fd_(::open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600)) {}
  ~WarningLog() override {
    if (fd_ >= 0) ::close(fd_);
  }
  using Logger::Logv;
  void Logv(const char* format, va_list arguments) override {
    char line[1024];
    const int length = std::vsnprintf(line, sizeof line - 1, format, arguments);
    if (fd_ < 0 || length <= 0) return;
    std::size_t bytes = std::min(static_cast<std::size_t>(length), sizeof line - 2);
    line[bytes++] = '\n';
    if (written_.fetch_add(bytes) > kBytesMax) return;
    if (::write(fd_, line, bytes) < 0) return;
  }

 private:
  static constexpr std::size_t kBytesMax = 4 << 20;

  int fd_;
  std::atomic<std::size_t> written_ = 0;
};

rocksdb::ColumnFamilyOptions FamilyOptions(Table table, const QueueOptions& options,
                                           const std::shared_ptr<rocksdb::Cache>& cache) {
  const bool bulky = table == Table::kBlocks || table == Table::kRetry || table == Table::kTemplates;
  rocksdb::ColumnFamilyOptions family;
  // The write-buffer manager bounds the sum over all families; a single one may take half of it before it is flushed.
  family.write_buffer_size = std::max<std::size_t>(options.write_buffer_bytes / 2, 1 << 20);
  family.max_write_buffer_number = 3;
  family.arena_block_size = 256 << 10;
  family.compression = rocksdb::kLZ4Compression;
  family.level_compaction_dynamic_level_bytes = true;
  family.target_file_size_base = 32 << 20;
  rocksdb::BlockBasedTableOptions table_options;
  table_options.block_cache = cache;
  table_options.block_size = bulky ? 16 << 10 : 8 << 10;
  table_options.format_version = 5;
  // Index and filter blocks count against the cache, so that memory stays bounded however long the queue is.
  table_options.cache_index_and_filter_blocks = true;
  table_options.cache_index_and_filter_blocks_with_high_priority = true;
  table_options.pin_l0_filter_and_index_blocks_in_cache = true;
  // Single keys are looked up here, mostly ones that are not there.
  if (table == Table::kDone || table == Table::kDomains || table == Table::kSuppression) {
    table_options.filter_policy.reset(rocksdb::NewBloomFilterPolicy(10));
  }
  family.table_factory.reset(rocksdb::NewBlockBasedTableFactory(table_options));
  // Finished work leaves tombstones side by side; a file with half of 1024 neighbours deleted is compacted early.
  if (table != Table::kCampaigns && table != Table::kState && table != Table::kSuppression) {
    family.table_properties_collector_factories.push_back(rocksdb::NewCompactOnDeletionCollectorFactory(1024, 512));
  }
  return family;
}

rocksdb::DBOptions DatabaseOptions(const QueueOptions& options) {
  rocksdb::DBOptions database;
  database.create_if_missing = true;
  database.create_missing_column_families = true;
  database.write_buffer_manager = std::make_shared<rocksdb::WriteBufferManager>(options.write_buffer_bytes);
  // Bounds what a restart has to replay, a second or two of it: a family that is seldom written would else hold old
  // logs for ever.
  database.max_total_wal_size = options.write_buffer_bytes;
  database.max_background_jobs = 2;  // one flush, one compaction: the cores are there for sending
  database.max_open_files = 512;     // about 20 GB of queue; beyond that, files are opened again as needed
  database.max_file_opening_threads = 2;
  database.bytes_per_sync = 1 << 20;
  database.stats_dump_period_sec = 0;
  database.stats_persist_period_sec = 0;
  database.info_log = std::make_shared<WarningLog>((options.directory / "LOG").string());
  database.max_manifest_file_size = 16 << 20;
  return database;
}

// Stands for a column family where only its number matters: a batch outlives the handles of a queue that is opened
// anew.
class FamilyNumber : public rocksdb::ColumnFamilyHandle {
 public:
  void Set(const rocksdb::ColumnFamilyHandle& family) {
    number_ = family.GetID();
    name_ = family.GetName();
  }
  [[nodiscard]] const std::string& GetName() const override { return name_; }
  [[nodiscard]] std::uint32_t GetID() const override { return number_; }
  rocksdb::Status GetDescriptor(rocksdb::ColumnFamilyDescriptor* /*descriptor*/) override {
    return rocksdb::Status::NotSupported();
  }
  [[nodiscard]] const rocksdb::Comparator* GetComparator() const override { return rocksdb::BytewiseComparator(); }

 private:
  std::uint32_t number_ = 0;
  std::string name_;
};
using FamilyNumbers = std::array<FamilyNumber, kTables>;

// An open RocksDB with the handles of its families.
class Database {
 public:
  static Result<std::unique_ptr<Database>> Open(const QueueOptions& options, const rocksdb::DBOptions& database,
                                                const std::shared_ptr<rocksdb::Cache>& cache) {
    const std::string path = options.directory.string();
    std::vector<rocksdb::ColumnFamilyDescriptor> descriptors;
    descriptors.emplace_back(rocksdb::kDefaultColumnFamilyName, rocksdb::ColumnFamilyOptions());
    for (std::size_t i = 0; i < kTables; ++i) {
      descriptors.emplace_back(kNames[i], FamilyOptions(static_cast<Table>(i), options, cache));
    }
    std::vector<rocksdb::ColumnFamilyHandle*> handles;
    rocksdb::DB* opened = nullptr;
    const rocksdb::Status status = rocksdb::DB::Open(database, path, descriptors, &handles, &opened);
    if (!status.ok()) return std::unexpected(ToError(status, "opening the queue " + path));
    return std::unique_ptr<Database>(new Database(opened, std::move(handles)));
  }
  ~Database() {
    for (rocksdb::ColumnFamilyHandle* handle : handles_) {
      database_->DestroyColumnFamilyHandle(handle).PermitUncheckedError();
    }
    database_->Close().PermitUncheckedError();
  }
  Database(const Database&) = delete;
  Database& operator=(const Database&) = delete;

  [[nodiscard]] rocksdb::DB& db() const { return *database_; }
  // The first handle is that of the family "default", which stays empty.
  [[nodiscard]] rocksdb::ColumnFamilyHandle* Of(Table table) const {
    return handles_[static_cast<std::size_t>(table) + 1];
  }

  [[nodiscard]] Result<std::optional<std::string>> Get(const rocksdb::ReadOptions& options, Table table,
                                                       std::string_view key) const {
    std::string value;
    const rocksdb::Status status = database_->Get(options, Of(table), ToSlice(key), &value);
    if (status.IsNotFound()) return std::nullopt;
    if (!status.ok()) return std::unexpected(ToError(status, "reading the queue"));
    return value;
  }

  [[nodiscard]] Result<void> MultiGet(const rocksdb::ReadOptions& options, Table table,
                                      std::span<const std::string_view> keys, const FoundValue& found) const {
    // Pieces that fit the stack. RocksDB itself works through 32 keys at a time.
    constexpr std::size_t kPiece = 128;
    std::array<rocksdb::Slice, kPiece> slices;
    std::array<rocksdb::PinnableSlice, kPiece> values;
    std::array<rocksdb::Status, kPiece> statuses;
    for (std::size_t begin = 0; begin < keys.size(); begin += kPiece) {
      const std::size_t count = std::min(kPiece, keys.size() - begin);
      for (std::size_t i = 0; i < count; ++i) slices[i] = ToSlice(keys[begin + i]);
      database_->MultiGet(options, Of(table), count, slices.data(), values.data(), statuses.data());
      for (std::size_t i = 0; i < count; ++i) {
        if (statuses[i].ok()) {
          found(begin + i, ToView(values[i]));
          values[i].Reset();
        } else if (!statuses[i].IsNotFound()) {
          return std::unexpected(ToError(statuses[i], "reading the queue"));
        }
      }
    }
    return {};
  }

 private:
  Database(rocksdb::DB* database, std::vector<rocksdb::ColumnFamilyHandle*> handles)
      : database_(database), handles_(std::move(handles)) {}

  std::unique_ptr<rocksdb::DB> database_;
  std::vector<rocksdb::ColumnFamilyHandle*> handles_;
};

Error ClosedError() {
  return {ErrorCode::kUnavailable,
          "the queue is closed since a write failed and it could not be opened again; see "
          "what the last write says"};
}

Result<void> CheckFamilies(const rocksdb::DBOptions& options, const std::string& path) {
  std::vector<std::string> names;
  const rocksdb::Status status = rocksdb::DB::ListColumnFamilies(options, path, &names);
  if (!status.ok()) return std::unexpected(ToError(status, "opening the queue " + path));
  for (const std::string& name : names) {
    if (name == rocksdb::kDefaultColumnFamilyName || std::find(kNames.begin(), kNames.end(), name) != kNames.end()) {
      continue;
    }
    return Fail(ErrorCode::kUnsupported,
                fmt::format("{} holds a column family \"{}\" that this version does not know: it was made by a newer "
                            "postrider, or by another program; run the newer one, or name another directory",
                            path, name));
  }
  if (names.size() > 1) return {};
  // Only "default": another program's, unless our making of it was cut off at the very start, when it is empty. It is
  // looked at without being changed.
  rocksdb::DB* opened = nullptr;
  const rocksdb::Status looked = rocksdb::DB::OpenForReadOnly(rocksdb::Options(), path, &opened);
  if (!looked.ok()) return std::unexpected(ToError(looked, "opening the queue " + path));
  const std::unique_ptr<rocksdb::DB> database(opened);
  const std::unique_ptr<rocksdb::Iterator> foreign(database->NewIterator(rocksdb::ReadOptions()));
  foreign->SeekToFirst();
  if (!foreign->Valid()) return {};
  return Fail(ErrorCode::kInvalid, fmt::format("{} is a RocksDB of another program; name a directory that is empty, "
                                               "missing, or was made by postrider",
                                               path));
}

}  // namespace

// -- Batch

struct TableBatch::Inner {
  FamilyNumbers& families;
  rocksdb::WriteBatch batch;

  [[nodiscard]] FamilyNumber* Of(Table table) const { return &families[static_cast<std::size_t>(table)]; }
};

TableBatch::TableBatch(std::unique_ptr<Inner> inner) : inner_(std::move(inner)) {}
TableBatch::TableBatch(TableBatch&&) noexcept = default;
TableBatch::~TableBatch() = default;

// A WriteBatch refuses only what no record here can be (over 4 GiB, or beyond a size limit that is not set).
void TableBatch::Put(Table table, std::string_view key, std::string_view value) {
  CHECK(inner_->batch.Put(inner_->Of(table), ToSlice(key), ToSlice(value)).ok());
}
void TableBatch::Delete(Table table, std::string_view key) {
  CHECK(inner_->batch.Delete(inner_->Of(table), ToSlice(key)).ok());
}
void TableBatch::DeleteRange(Table table, std::string_view from, std::string_view to) {
  CHECK(inner_->batch.DeleteRange(inner_->Of(table), ToSlice(from), ToSlice(to)).ok());
}
void TableBatch::Clear() { inner_->batch.Clear(); }
std::size_t TableBatch::operations() const { return static_cast<std::size_t>(inner_->batch.Count()); }

// -- Walk

struct TableWalk::Inner {
  std::string lower;
  std::string upper;
  rocksdb::Slice lower_slice;
  rocksdb::Slice upper_slice;
  std::unique_ptr<rocksdb::Iterator> iterator;  // none if the queue is closed
};

TableWalk::TableWalk(std::unique_ptr<Inner> inner) : inner_(std::move(inner)) {}
TableWalk::TableWalk(TableWalk&&) noexcept = default;
TableWalk& TableWalk::operator=(TableWalk&&) noexcept = default;
TableWalk::~TableWalk() = default;
bool TableWalk::Valid() const { return inner_->iterator != nullptr && inner_->iterator->Valid(); }
void TableWalk::Next() { inner_->iterator->Next(); }
void TableWalk::Seek(std::string_view key) { inner_->iterator->Seek(ToSlice(key)); }
std::string_view TableWalk::key() const { return ToView(inner_->iterator->key()); }
std::string_view TableWalk::value() const { return ToView(inner_->iterator->value()); }
Result<void> TableWalk::status() const {
  if (inner_->iterator == nullptr) return std::unexpected(ClosedError());
  const rocksdb::Status status = inner_->iterator->status();
  if (!status.ok()) return std::unexpected(ToError(status, "reading the queue"));
  return {};
}

// -- View

struct TableView::Inner {
  std::shared_lock<std::shared_mutex> gate;  // the queue is not closed while a view lives
  const Database* database;                  // nullptr: it is closed
  const rocksdb::Snapshot* snapshot;
};

TableView::TableView(std::unique_ptr<Inner> inner) : inner_(std::move(inner)) {}
TableView::~TableView() {
  if (inner_->database != nullptr) inner_->database->db().ReleaseSnapshot(inner_->snapshot);
}

Result<std::optional<std::string>> TableView::Get(Table table, std::string_view key) const {
  if (inner_->database == nullptr) return std::unexpected(ClosedError());
  rocksdb::ReadOptions options;
  options.snapshot = inner_->snapshot;
  return inner_->database->Get(options, table, key);
}

Result<void> TableView::MultiGet(Table table, std::span<const std::string_view> keys, const FoundValue& found) const {
  if (inner_->database == nullptr) return std::unexpected(ClosedError());
  rocksdb::ReadOptions options;
  options.snapshot = inner_->snapshot;
  return inner_->database->MultiGet(options, table, keys, found);
}

TableWalk TableView::Walk(Table table, std::string_view lower, std::string_view upper) const {
  auto walk = std::make_unique<TableWalk::Inner>();
  if (inner_->database == nullptr) return TableWalk(std::move(walk));
  walk->lower = lower;
  walk->upper = upper;
  walk->lower_slice = walk->lower;
  walk->upper_slice = walk->upper;
  rocksdb::ReadOptions options;
  options.snapshot = inner_->snapshot;
  options.iterate_lower_bound = &walk->lower_slice;
  if (!upper.empty()) options.iterate_upper_bound = &walk->upper_slice;
  walk->iterator.reset(inner_->database->db().NewIterator(options, inner_->database->Of(table)));
  walk->iterator->Seek(walk->lower_slice);
  return TableWalk(std::move(walk));
}

// -- Tables

struct Tables::Inner {
  QueueOptions options;
  std::shared_ptr<rocksdb::Cache> cache;
  std::shared_ptr<StallClock> stalls = std::make_shared<StallClock>();
  rocksdb::DBOptions database_options;
  FamilyNumbers families;
  // Shared by all that read, taken alone to open the queue anew. Only the writing thread changes what follows.
  mutable std::shared_mutex gate;
  std::unique_ptr<Database> database;
  bool failed = false;  // the last write did

  Result<void> Open() {
    auto opened = Database::Open(options, database_options, cache);
    if (!opened) return std::unexpected(opened.error());
    database = std::move(*opened);
    for (std::size_t i = 0; i < kTables; ++i) families[i].Set(*database->Of(static_cast<Table>(i)));
    return {};
  }
};

Tables::Tables(std::unique_ptr<Inner> inner) : inner_(std::move(inner)) {}
Tables::~Tables() = default;

Result<std::unique_ptr<Tables>> Tables::Open(const QueueOptions& options) {
  auto inner = std::make_unique<Inner>();
  inner->options = options;
  inner->cache = rocksdb::NewLRUCache(options.block_cache_bytes, /*num_shard_bits=*/4);
  inner->database_options = DatabaseOptions(options);
  inner->database_options.listeners.push_back(inner->stalls);
  const std::string path = options.directory.string();
  if (inner->database_options.env->FileExists(path + "/CURRENT").ok()) {
    if (auto checked = CheckFamilies(inner->database_options, path); !checked) return std::unexpected(checked.error());
  }
  if (auto opened = inner->Open(); !opened) return std::unexpected(opened.error());
  return std::unique_ptr<Tables>(new Tables(std::move(inner)));
}

TableBatch Tables::NewBatch() const {
  return TableBatch(std::unique_ptr<TableBatch::Inner>(new TableBatch::Inner{inner_->families, rocksdb::WriteBatch()}));
}

Result<void> Tables::Write(TableBatch& batch) {
  if (inner_->failed) {
    // RocksDB 7.8 takes no write after a failed one to its log, not even when told to resume: it has to be opened anew.
    // Whether the failed batch is found then or not, writing it once more gives the same state.
    const std::unique_lock alone(inner_->gate);
    inner_->database.reset();
    if (auto opened = inner_->Open(); !opened) return opened;
    inner_->failed = false;
  }
  rocksdb::WriteOptions options;
  options.sync = true;
  const rocksdb::Status status = inner_->database->db().Write(options, &batch.inner_->batch);
  if (status.ok()) return {};
  inner_->failed = true;
  return std::unexpected(ToError(status, "writing the queue"));
}

Result<std::optional<std::string>> Tables::Get(Table table, std::string_view key) const {
  const std::shared_lock lock(inner_->gate);
  if (inner_->database == nullptr) return std::unexpected(ClosedError());
  return inner_->database->Get(rocksdb::ReadOptions(), table, key);
}

Result<void> Tables::MultiGet(Table table, std::span<const std::string_view> keys, const FoundValue& found) const {
  const std::shared_lock lock(inner_->gate);
  if (inner_->database == nullptr) return std::unexpected(ClosedError());
  return inner_->database->MultiGet(rocksdb::ReadOptions(), table, keys, found);
}

TableView Tables::View() const {
  std::shared_lock lock(inner_->gate);
  const Database* database = inner_->database.get();
  const rocksdb::Snapshot* snapshot = database == nullptr ? nullptr : database->db().GetSnapshot();
  return TableView(std::unique_ptr<TableView::Inner>(new TableView::Inner{std::move(lock), database, snapshot}));
}

TablesStats Tables::stats() const {
  TablesStats stats;
  stats.stall_seconds = inner_->stalls->Seconds();
  stats.memory_bytes = inner_->cache->GetUsage();
  const std::shared_lock lock(inner_->gate);
  if (inner_->database == nullptr) return stats;
  for (std::size_t i = 0; i < kTables; ++i) {
    std::uint64_t bytes = 0;
    if (inner_->database->db().GetIntProperty(inner_->database->Of(static_cast<Table>(i)),
                                              rocksdb::DB::Properties::kSizeAllMemTables, &bytes)) {
      stats.memory_bytes += bytes;
    }
  }
  return stats;
}

}  // namespace postrider::queue
