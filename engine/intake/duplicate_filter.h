#pragma once
// Which addresses a list has had already: a bounded table of 128-bit hashes that spills sorted runs to a nameless
// temporary file, with a filter of fixed size in front of it. So ten million rows need no more memory than one. What is
// spilled needs no durability: after a crash the list is read again from its beginning. One thread.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <vector>

#include "config/error.h"
#include "engine/intake/address_hash.h"

namespace postrider::intake {

class DuplicateFilter {
 public:
  // About a million hashes (16 MiB), then runs; a test asks for less. The temporary file goes into directory.
  static constexpr std::size_t kTableMax = 1 << 20;
  explicit DuplicateFilter(std::filesystem::path directory, std::size_t table_max = kTableMax);
  ~DuplicateFilter();

  // Makes room for so many more, at most half the table, writing a run if it must. After an error (disk full) nothing
  // is lost: it may be called again.
  [[nodiscard]] Result<void> Reserve(std::size_t count);
  // True if hash is new; it is remembered. Room must have been reserved.
  [[nodiscard]] Result<bool> Insert(const AddressHash& hash);

  [[nodiscard]] std::uint64_t size() const { return in_table_ + in_runs_; }
  [[nodiscard]] std::size_t memory_bytes() const;
  [[nodiscard]] std::size_t runs() const { return runs_.size(); }

 private:
  // A sorted stretch of the temporary file, and every so many-th hash of it.
  struct Run {
    std::uint64_t offset = 0;
    std::uint64_t count = 0;
    std::vector<AddressHash> index;
  };

  [[nodiscard]] bool InTable(const AddressHash& hash, std::size_t& slot) const;
  [[nodiscard]] Result<bool> InRuns(const AddressHash& hash) const;
  [[nodiscard]] Result<bool> InRun(const Run& run, const AddressHash& hash) const;
  void Grow(std::size_t slots);
  Result<void> Spill();
  Result<void> MergeRuns();
  Result<void> OpenFile();
  Result<Run> WriteRun(const std::vector<AddressHash>& sorted);

  std::filesystem::path directory_;
  std::size_t table_max_;
  std::vector<AddressHash> table_;  // open addressing; all zero is empty
  bool has_zero_ = false;           // the one hash the table cannot hold
  std::size_t in_table_ = 0;
  std::uint64_t in_runs_ = 0;
  std::vector<Run> runs_;
  std::vector<std::uint64_t> seen_;  // Bloom filter over all runs
  int file_ = -1;
  std::uint64_t file_end_ = 0;
};

}  // namespace postrider::intake
