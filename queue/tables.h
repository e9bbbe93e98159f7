#pragma once
// The queue's eight ordered maps on disk, with one synced batch over all of them: what the store needs of RocksDB and
// nothing more, so that its headers stay in tables.cc. One thread writes; views and walks may be made by any thread and
// each is used by one.

#include <array>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "config/error.h"
#include "config/options.h"

namespace postrider::queue {

enum class Table : std::uint8_t {
  kCampaigns,
  kTemplates,
  kDomains,
  kBlocks,
  kDone,
  kRetry,
  kSuppression,
  kState,
};
inline constexpr std::size_t kTables = 8;

// Called with a key's place in the request and its value; the view lives for the call.
using FoundValue = std::function<void(std::size_t index, std::string_view value)>;

// Writes that become visible and durable together.
class TableBatch {
 public:
  struct Inner;
  explicit TableBatch(std::unique_ptr<Inner> inner);
  TableBatch(TableBatch&&) noexcept;
  ~TableBatch();
  void Put(Table table, std::string_view key, std::string_view value);
  void Delete(Table table, std::string_view key);
  // [from, to): for a whole campaign at once only, since every later read pays for a range.
  void DeleteRange(Table table, std::string_view from, std::string_view to);
  void Clear();
  [[nodiscard]] std::size_t operations() const;

 private:
  friend class Tables;
  std::unique_ptr<Inner> inner_;
};

// Over the keys of [lower, upper) in order. Ends early on an error: ask status() when Valid() has become false.
class TableWalk {
 public:
  struct Inner;
  explicit TableWalk(std::unique_ptr<Inner> inner);
  TableWalk(TableWalk&&) noexcept;
  TableWalk& operator=(TableWalk&&) noexcept;
  ~TableWalk();
  [[nodiscard]] bool Valid() const;
  void Next();
  void Seek(std::string_view key);  // to the first at or after key
  [[nodiscard]] std::string_view key() const;
  [[nodiscard]] std::string_view value() const;
  [[nodiscard]] Result<void> status() const;

 private:
  std::unique_ptr<Inner> inner_;
};

// What is committed at one moment. Outlives its walks; kept no longer than one request, because old data stays on disk
// as long.
class TableView {
 public:
  struct Inner;
  explicit TableView(std::unique_ptr<Inner> inner);
  ~TableView();
  [[nodiscard]] Result<std::optional<std::string>> Get(Table table, std::string_view key) const;
  // Calls found for each of the keys that is there, in the order of the keys.
  [[nodiscard]] Result<void> MultiGet(Table table, std::span<const std::string_view> keys,
                                      const FoundValue& found) const;
  // upper empty: to the table's end. Stands on the first key.
  [[nodiscard]] TableWalk Walk(Table table, std::string_view lower, std::string_view upper) const;

 private:
  std::unique_ptr<Inner> inner_;
};

struct TablesStats {
  double stall_seconds = 0;  // in which RocksDB slowed or stopped writes
  std::uint64_t memory_bytes = 0;
};

class Tables {
 public:
  // Opens the maps in options.directory, making those that are missing.
  [[nodiscard]] static Result<std::unique_ptr<Tables>> Open(const QueueOptions& options);
  ~Tables();

  [[nodiscard]] TableBatch NewBatch() const;
  // After an error the batch is as it was and may be written again.
  [[nodiscard]] Result<void> Write(TableBatch& batch);
  // The newest committed value.
  [[nodiscard]] Result<std::optional<std::string>> Get(Table table, std::string_view key) const;
  [[nodiscard]] Result<void> MultiGet(Table table, std::span<const std::string_view> keys,
                                      const FoundValue& found) const;
  [[nodiscard]] TableView View() const;
  [[nodiscard]] TablesStats stats() const;

 private:
  struct Inner;
  explicit Tables(std::unique_ptr<Inner> inner);
  std::unique_ptr<Inner> inner_;
};

}  // namespace postrider::queue
