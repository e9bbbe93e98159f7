#include "engine/intake/duplicate_filter.h"

#include <fcntl.h>
#include <unistd.h>

#include <algorithm>
#include <array>
#include <bit>
#include <cerrno>
#include <cstring>
#include <string>

#include <fmt/format.h>

#include "config/check.h"

namespace postrider::intake {
namespace {

constexpr std::size_t kFirstSlots = 1 << 12;
constexpr std::size_t kIndexEvery = 256;  // hashes: one read of 4 KiB finds any of them
constexpr std::size_t kRunsMax = 8;       // then they are merged into one
// 16 MiB: at ten million hashes one in a hundred that is new costs a read, at a hundred million every second one does.
constexpr std::size_t kFilterWords = 1 << 21;
constexpr int kFilterProbes = 4;
constexpr std::size_t kWriteHashes = 1 << 15;

std::unexpected<Error> FileFailure(std::string_view doing, const std::filesystem::path& directory, int error) {
  const ErrorCode code = error == ENOSPC || error == EDQUOT ? ErrorCode::kNoSpace : ErrorCode::kIo;
  return Fail(code, fmt::format("{} the temporary file of addresses seen, in {}: {}", doing, directory.string(),
                                std::strerror(error)));
}

Result<void> WriteAt(int file, const AddressHash* hashes, std::size_t count, std::uint64_t offset,
                     const std::filesystem::path& directory) {
  const char* from = reinterpret_cast<const char*>(hashes);
  std::size_t left = count * sizeof(AddressHash);
  while (left > 0) {
    const ssize_t written = ::pwrite(file, from, left, static_cast<off_t>(offset));
    if (written < 0 && errno == EINTR) continue;
    if (written <= 0) return FileFailure("writing", directory, written < 0 ? errno : ENOSPC);
    from += written;
    left -= static_cast<std::size_t>(written);
    offset += static_cast<std::uint64_t>(written);
  }
  return {};
}

Result<void> ReadAt(int file, AddressHash* hashes, std::size_t count, std::uint64_t offset,
                    const std::filesystem::path& directory) {
  char* to = reinterpret_cast<char*>(hashes);
  std::size_t left = count * sizeof(AddressHash);
  while (left > 0) {
    const ssize_t read = ::pread(file, to, left, static_cast<off_t>(offset));
    if (read < 0 && errno == EINTR) continue;
    if (read <= 0) return FileFailure("reading", directory, read < 0 ? errno : EIO);
    to += read;
    left -= static_cast<std::size_t>(read);
    offset += static_cast<std::uint64_t>(read);
  }
  return {};
}

template <typename Visit>
void ForEachFilterBit(const AddressHash& hash, Visit visit) {
  std::uint64_t probe = hash.high;
  for (int i = 0; i < kFilterProbes; ++i, probe += hash.low | 1) {
    visit((probe >> 6) % kFilterWords, std::uint64_t{1} << (probe & 63));
  }
}

// Reads one run from its front, a block at a time.
class RunReader {
 public:
  RunReader(int file, std::uint64_t offset, std::uint64_t count, const std::filesystem::path& directory)
      : file_(file), offset_(offset), left_(count), directory_(directory) {}

  Result<bool> Load() {
    if (at_ < block_.size()) return true;
    if (left_ == 0) return false;
    block_.resize(std::min<std::uint64_t>(left_, kWriteHashes / kRunsMax));
    at_ = 0;
    if (Result<void> read = ReadAt(file_, block_.data(), block_.size(), offset_, directory_); !read) {
      return std::unexpected(read.error());
    }
    offset_ += block_.size() * sizeof(AddressHash);
    left_ -= block_.size();
    return true;
  }
  [[nodiscard]] const AddressHash& front() const { return block_[at_]; }
  void Pop() { ++at_; }

 private:
  int file_;
  std::uint64_t offset_;
  std::uint64_t left_;
  const std::filesystem::path& directory_;
  std::vector<AddressHash> block_;
  std::size_t at_ = 0;
};

}  // namespace

DuplicateFilter::DuplicateFilter(std::filesystem::path directory, std::size_t table_max)
    : directory_(std::move(directory)), table_max_(std::bit_ceil(table_max)) {
  table_.resize(std::min(kFirstSlots, table_max_));
}

DuplicateFilter::~DuplicateFilter() {
  if (file_ >= 0) ::close(file_);
}

std::size_t DuplicateFilter::memory_bytes() const {
  std::size_t bytes = table_.capacity() * sizeof(AddressHash) + seen_.capacity() * sizeof(std::uint64_t);
  for (const Run& run : runs_) bytes += run.index.capacity() * sizeof(AddressHash);
  return bytes;
}

bool DuplicateFilter::InTable(const AddressHash& hash, std::size_t& slot) const {
  const std::size_t mask = table_.size() - 1;
  slot = hash.low & mask;
  while (table_[slot] != AddressHash{}) {
    if (table_[slot] == hash) return true;
    slot = (slot + 1) & mask;
  }
  return false;
}

void DuplicateFilter::Grow(std::size_t slots) {
  std::vector<AddressHash> old(slots);
  old.swap(table_);
  for (const AddressHash& hash : old) {
    if (hash == AddressHash{}) continue;
    std::size_t slot = 0;
    (void)InTable(hash, slot);
    table_[slot] = hash;
  }
}

Result<void> DuplicateFilter::Reserve(std::size_t count) {
  // Three quarters full at most: beyond that a search takes ever more steps.
  const auto fits = [&](std::size_t slots) { return (in_table_ + count) * 4 <= slots * 3; };
  CHECK(count * 2 <= table_max_);
  std::size_t slots = table_.size();
  while (!fits(slots) && slots < table_max_) slots *= 2;
  if (!fits(slots)) return Spill();
  if (slots != table_.size()) Grow(slots);
  return {};
}

Result<bool> DuplicateFilter::Insert(const AddressHash& hash) {
  if (hash == AddressHash{}) return !std::exchange(has_zero_, true);
  std::size_t slot = 0;
  if (InTable(hash, slot)) return false;
  if (!runs_.empty()) {
    const Result<bool> found = InRuns(hash);
    if (!found || *found) return found ? Result<bool>(false) : found;
  }
  table_[slot] = hash;
  ++in_table_;
  return true;
}

Result<bool> DuplicateFilter::InRuns(const AddressHash& hash) const {
  bool perhaps = true;
  ForEachFilterBit(hash, [&](std::size_t word, std::uint64_t bit) { perhaps = perhaps && (seen_[word] & bit) != 0; });
  if (!perhaps) return false;
  for (const Run& run : runs_) {
    const Result<bool> found = InRun(run, hash);
    if (!found || *found) return found;
  }
  return false;
}

Result<bool> DuplicateFilter::InRun(const Run& run, const AddressHash& hash) const {
  const auto after = std::upper_bound(run.index.begin(), run.index.end(), hash);
  if (after == run.index.begin()) return false;
  const std::uint64_t first = static_cast<std::uint64_t>(after - run.index.begin() - 1) * kIndexEvery;
  const std::size_t count = std::min<std::uint64_t>(kIndexEvery, run.count - first);
  std::array<AddressHash, kIndexEvery> block;
  const std::uint64_t offset = run.offset + first * sizeof(AddressHash);
  if (Result<void> read = ReadAt(file_, block.data(), count, offset, directory_); !read) {
    return std::unexpected(read.error());
  }
  return std::binary_search(block.begin(), block.begin() + static_cast<std::ptrdiff_t>(count), hash);
}

Result<void> DuplicateFilter::OpenFile() {
  if (file_ >= 0) return {};
  file_ = ::open(directory_.c_str(), O_TMPFILE | O_RDWR | O_CLOEXEC, 0600);
  if (file_ < 0 && (errno == EOPNOTSUPP || errno == EISDIR)) {
    // A file system without nameless files: one with a name, taken away at once.
    std::string name = (directory_ / ".seen-XXXXXX").string();
    file_ = ::mkostemp(name.data(), O_CLOEXEC);
    if (file_ >= 0) ::unlink(name.c_str());
  }
  if (file_ < 0) return FileFailure("opening", directory_, errno);
  return {};
}

Result<DuplicateFilter::Run> DuplicateFilter::WriteRun(const std::vector<AddressHash>& sorted) {
  Run run;
  run.offset = file_end_;
  run.count = sorted.size();
  if (Result<void> written = WriteAt(file_, sorted.data(), sorted.size(), file_end_, directory_); !written) {
    return std::unexpected(written.error());
  }
  for (std::size_t i = 0; i < sorted.size(); i += kIndexEvery) run.index.push_back(sorted[i]);
  return run;
}

Result<void> DuplicateFilter::Spill() {
  if (Result<void> opened = OpenFile(); !opened) return opened;
  if (runs_.size() >= kRunsMax) {
    if (Result<void> merged = MergeRuns(); !merged) return merged;
  }
  std::vector<AddressHash> sorted;
  sorted.reserve(in_table_);
  std::ranges::copy_if(table_, std::back_inserter(sorted),
                       [](const AddressHash& hash) { return hash != AddressHash{}; });
  std::ranges::sort(sorted);
  Result<Run> run = WriteRun(sorted);
  if (!run) return std::unexpected(run.error());
  file_end_ += run->count * sizeof(AddressHash);
  runs_.push_back(std::move(*run));
  seen_.resize(kFilterWords);
  for (const AddressHash& hash : sorted) {
    ForEachFilterBit(hash, [&](std::size_t word, std::uint64_t bit) { seen_[word] |= bit; });
  }
  in_runs_ += in_table_;
  in_table_ = 0;
  std::ranges::fill(table_, AddressHash{});
  return {};
}

// All runs into one, behind them in the file; the room before it is given back to the disk.
Result<void> DuplicateFilter::MergeRuns() {
  std::vector<RunReader> readers;
  readers.reserve(runs_.size());
  for (const Run& run : runs_) readers.emplace_back(file_, run.offset, run.count, directory_);
  Run merged;
  merged.offset = file_end_;
  std::vector<AddressHash> block;
  block.reserve(kWriteHashes);
  const auto flush = [&]() -> Result<void> {
    const std::uint64_t offset = merged.offset + (merged.count - block.size()) * sizeof(AddressHash);
    Result<void> written = WriteAt(file_, block.data(), block.size(), offset, directory_);
    block.clear();
    return written;
  };
  while (true) {
    RunReader* least = nullptr;
    for (RunReader& reader : readers) {
      const Result<bool> loaded = reader.Load();
      if (!loaded) return std::unexpected(loaded.error());
      if (*loaded && (least == nullptr || reader.front() < least->front())) least = &reader;
    }
    if (least == nullptr) break;
    if (merged.count % kIndexEvery == 0) merged.index.push_back(least->front());
    block.push_back(least->front());
    ++merged.count;
    least->Pop();
    if (block.size() < kWriteHashes) continue;
    if (Result<void> written = flush(); !written) return written;
  }
  if (Result<void> written = flush(); !written) return written;
  ::fallocate(file_, FALLOC_FL_PUNCH_HOLE | FALLOC_FL_KEEP_SIZE, 0, static_cast<off_t>(merged.offset));
  file_end_ = merged.offset + merged.count * sizeof(AddressHash);
  runs_.clear();
  runs_.push_back(std::move(merged));
  return {};
}

}  // namespace postrider::intake
