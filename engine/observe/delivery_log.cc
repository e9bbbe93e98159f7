#include "engine/observe/delivery_log.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>

#include "engine/observe/event_line.h"
#include "engine/observe/log_compressor.h"
#include "engine/observe/log_files.h"

namespace postrider::observe {
namespace {

// Where the last whole line of a file ends.
Result<std::uint64_t> EndOfLastLine(int fd, std::uint64_t size, const std::filesystem::path& path) {
  std::string piece(4096, '\0');
  for (std::uint64_t end = size; end > 0;) {
    const std::uint64_t begin = end > piece.size() ? end - piece.size() : 0;
    const ssize_t count = pread(fd, piece.data(), end - begin, static_cast<off_t>(begin));
    if (count < 0 || static_cast<std::uint64_t>(count) != end - begin) return FailErrno("read the log file", path);
    const std::size_t newline = std::string_view(piece.data(), end - begin).rfind('\n');
    if (newline != std::string_view::npos) return begin + newline + 1;
    end = begin;
  }
  return 0;
}

class FileDeliveryLog final : public DeliveryLog {
 public:
  FileDeliveryLog(const LogOptions& options, std::uint64_t run, Wall now)
      : options_(options), run_(run), line_(run), now_(now) {}

  Result<void> Open();

  void Append(const queue::Event& event) override { line_.Append(event, pending_); }
  Result<void> Sync() override;
  void Rotate(Wall now) override;
  bool Compress() override { return compressor_.Step(); }
  std::string TakeProblem() override;
  std::uint64_t bytes_written() const override { return bytes_written_; }

 private:
  Result<void> TidyUp(std::vector<LogFile>& files);
  Result<void> Continue(const LogFile& file);
  Result<void> Begin();
  void GiveUpFile();

  const LogOptions options_;
  const std::uint64_t run_;
  EventLine line_;
  Wall now_;
  LogFile file_;  // the one being written
  Descriptor descriptor_;
  std::uint64_t synced_bytes_ = 0;  // of the file
  std::string pending_;             // lines not yet synced
  std::size_t pending_written_ = 0;
  std::uint64_t bytes_written_ = 0;
  LogCompressor compressor_;
  std::string problem_;
};

// Plain files whose compressed twin is whole go, and so does what a crash left half compressed.
Result<void> FileDeliveryLog::TidyUp(std::vector<LogFile>& files) {
  for (const LogFile& file : files) {
    std::string stem = file.path.string();
    if (file.compressed) {
      stem.resize(stem.size() - std::string_view(".zst").size());
      unlink(stem.c_str());
    } else {
      unlink((stem + ".zst.tmp").c_str());
    }
  }
  std::erase_if(files, [](const LogFile& file) { return file.compressed; });
  return SyncDirectory(options_.directory);
}

Result<void> FileDeliveryLog::Open() {
  std::error_code error;
  if (!std::filesystem::is_directory(options_.directory, error)) {
    std::filesystem::create_directories(options_.directory.parent_path(), error);
    if (mkdir(options_.directory.c_str(), S_IRWXU) != 0) {
      return FailErrno("make the log directory (log.directory)", options_.directory);
    }
  }
  Result<std::vector<LogFile>> files = ListLogFiles(options_.directory);
  if (!files) return std::unexpected(std::move(files.error()));
  if (!files->empty()) file_.opened = files->back().opened;
  const bool may_continue = !files->empty() && !files->back().compressed;
  if (Result<void> tidied = TidyUp(*files); !tidied) return tidied;
  if (may_continue) {
    const LogFile newest = std::move(files->back());
    files->pop_back();
    if (Result<void> continued = Continue(newest); !continued) return continued;
  } else if (Result<void> begun = Begin(); !begun) {
    return begun;
  }
  for (LogFile& file : *files) compressor_.Add(std::move(file.path));
  return {};
}

Result<void> FileDeliveryLog::Continue(const LogFile& file) {
  Result<Descriptor> descriptor = OpenLogFile(file.path, O_RDWR | O_APPEND);
  if (!descriptor) return std::unexpected(std::move(descriptor.error()));
  struct stat status {};
  if (fstat(descriptor->get(), &status) != 0) return FailErrno("look at the log file", file.path);
  if (!S_ISREG(status.st_mode)) {
    return Fail(ErrorCode::kDenied, fmt::format("{} is not a regular file; move it away", file.path.string()));
  }
  const auto size = static_cast<std::uint64_t>(status.st_size);
  const Result<std::uint64_t> end = EndOfLastLine(descriptor->get(), size, file.path);
  if (!end) return std::unexpected(end.error());
  // What is beyond was never synced, so nothing relied on it.
  if (*end < size && (ftruncate(descriptor->get(), static_cast<off_t>(*end)) != 0 || fsync(descriptor->get()) != 0)) {
    return FailErrno("cut the torn last line of", file.path);
  }
  file_ = file;
  descriptor_ = *std::move(descriptor);
  synced_bytes_ = *end;
  return {};
}

Result<void> FileDeliveryLog::Begin() {
  LogFile file;
  file.opened = std::max(now_, file_.opened + std::chrono::milliseconds(1));
  file.run = run_;
  file.path = options_.directory / LogFileName(file.opened, run_);
  Result<Descriptor> descriptor = OpenLogFile(file.path, O_RDWR | O_APPEND | O_CREAT | O_EXCL);
  if (!descriptor) return std::unexpected(std::move(descriptor.error()));
  if (Result<void> synced = SyncDirectory(options_.directory); !synced) {
    unlink(file.path.c_str());
    return synced;
  }
  if (descriptor_.valid()) compressor_.Add(file_.path);
  file_ = std::move(file);
  descriptor_ = *std::move(descriptor);
  synced_bytes_ = 0;
  pending_written_ = 0;
  return {};
}

Result<void> FileDeliveryLog::Sync() {
  if (pending_.empty()) return {};
  constexpr std::string_view kAdvice = "the delivery log; sending stops until it can be written again";
  if (!descriptor_.valid()) {
    if (Result<void> begun = Begin(); !begun) return Fail(kAdvice, std::move(begun.error()));
  }
  if (Result<void> written = WriteAll(descriptor_.get(), pending_, file_.path, pending_written_); !written) {
    return Fail(kAdvice, std::move(written.error()));
  }
  if (fdatasync(descriptor_.get()) != 0) {
    const std::unexpected<Error> error = FailErrno("sync the log file", file_.path);
    GiveUpFile();
    return Fail(kAdvice, error.error());
  }
  synced_bytes_ += pending_.size();
  bytes_written_ += pending_.size();
  pending_.clear();
  pending_written_ = 0;
  return {};
}

// After a failed sync the kernel may have dropped what was written and will not say so again: the next try writes all
// of it into a new file.
void FileDeliveryLog::GiveUpFile() {
  if (ftruncate(descriptor_.get(), static_cast<off_t>(synced_bytes_)) != 0) {
    problem_ = fmt::format("{} ends in lines that the next file repeats", file_.path.string());
  }
  descriptor_.Close();
  compressor_.Add(file_.path);
  pending_written_ = 0;
}

void FileDeliveryLog::Rotate(Wall now) {
  now_ = now;
  const bool full = synced_bytes_ >= options_.rotate_bytes;
  const bool old = synced_bytes_ > 0 && now - file_.opened >= options_.rotate_age;
  // Lines half written belong whole into the file that has their first half.
  if (!descriptor_.valid() || pending_written_ > 0 || !(full || old)) return;
  if (const Result<void> begun = Begin(); !begun) problem_ = "rotating the delivery log: " + begun.error().message;
}

std::string FileDeliveryLog::TakeProblem() {
  std::string problem = std::exchange(problem_, {});
  return problem.empty() ? compressor_.TakeProblem() : problem;
}

}  // namespace

Result<std::unique_ptr<DeliveryLog>> OpenDeliveryLog(const LogOptions& options, std::uint64_t run, Wall now) {
  auto log = std::make_unique<FileDeliveryLog>(options, run, now);
  if (Result<void> opened = log->Open(); !opened) return std::unexpected(std::move(opened.error()));
  return log;
}

}  // namespace postrider::observe
