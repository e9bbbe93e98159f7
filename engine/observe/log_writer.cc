#include "engine/observe/log_writer.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <utility>
#include <vector>

#include <fmt/format.h>

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

bool BeginsWith(int fd, std::string_view header) {
  std::string begin(header.size(), '\0');
  const ssize_t count = pread(fd, begin.data(), begin.size(), 0);
  return count == static_cast<ssize_t>(header.size()) && begin == header;
}

}  // namespace

Result<std::unique_ptr<LogWriter>> LogWriter::Open(LogWriterSettings settings, std::uint64_t run, Wall now) {
  std::unique_ptr<LogWriter> writer(new LogWriter(std::move(settings), run, now));
  if (Result<void> opened = writer->OpenFiles(); !opened) return std::unexpected(std::move(opened.error()));
  return writer;
}

// Plain files whose compressed twin is whole go, and so does what a crash left half compressed.
Result<void> LogWriter::TidyUp(std::vector<LogFile>& files) {
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
  return SyncDirectory(settings_.directory);
}

Result<void> LogWriter::MakeDirectory() {
  std::error_code error;
  if (std::filesystem::is_directory(settings_.directory, error)) return {};
  std::filesystem::create_directories(settings_.directory.parent_path(), error);
  if (mkdir(settings_.directory.c_str(), S_IRWXU) == 0) return {};
  return FailErrno(fmt::format("make the log directory ({})", settings_.option), settings_.directory);
}

Result<void> LogWriter::OpenFiles() {
  if (Result<void> made = MakeDirectory(); !made) return made;
  // The log and the accounting file may share a directory. With a dot in front, so that nobody takes it for a log.
  auto lock = queue::DirectoryLock::Take(settings_.directory / fmt::format(".{}lock", settings_.series.prefix),
                                         std::string(settings_.what), std::string(settings_.option));
  if (!lock) return std::unexpected(std::move(lock.error()));
  lock_ = std::move(*lock);
  Result<std::vector<LogFile>> files = ListLogFiles(settings_.directory, settings_.series);
  if (!files) return std::unexpected(std::move(files.error()));
  if (!files->empty()) file_.opened = files->back().opened;
  const bool may_continue = !files->empty() && !files->back().compressed;
  // What is not compressed by us is not ours to tidy up.
  if (settings_.compress) {
    if (Result<void> tidied = TidyUp(*files); !tidied) return tidied;
  }
  bool continued = false;
  if (may_continue) {
    const Result<bool> result = Continue(files->back());
    if (!result) return std::unexpected(result.error());
    continued = *result;
    if (continued) files->pop_back();
  }
  if (!continued) {
    if (Result<void> begun = Begin(); !begun) return begun;
  }
  for (const LogFile& file : *files) Close(file.path);
  return {};
}

// False: it is not ours to continue.
Result<bool> LogWriter::Continue(const LogFile& file) {
  Result<Descriptor> descriptor = OpenLogFile(file.path, O_RDWR | O_APPEND);
  if (!descriptor) return std::unexpected(std::move(descriptor.error()));
  struct stat status {};
  if (fstat(descriptor->get(), &status) != 0) return FailErrno("look at the log file", file.path);
  if (!S_ISREG(status.st_mode)) {
    return Fail(ErrorCode::kDenied, fmt::format("{} is not a regular file; move it away", file.path.string()));
  }
  const auto size = static_cast<std::uint64_t>(status.st_size);
  Result<std::uint64_t> end = EndOfLastLine(descriptor->get(), size, file.path);
  if (!end) return std::unexpected(end.error());
  if (*end > 0 && !BeginsWith(descriptor->get(), settings_.header)) return false;
  // What is beyond was never synced, so nothing relied on it.
  if (*end < size && (ftruncate(descriptor->get(), static_cast<off_t>(*end)) != 0 || fsync(descriptor->get()) != 0)) {
    return FailErrno("cut the torn last line of", file.path);
  }
  if (*end == 0) {
    if (Result<void> written = WriteHeader(descriptor->get(), file.path); !written) {
      return std::unexpected(std::move(written.error()));
    }
    *end = settings_.header.size();
  }
  file_ = file;
  descriptor_ = *std::move(descriptor);
  synced_bytes_ = *end;
  return true;
}

Result<void> LogWriter::WriteHeader(int fd, const std::filesystem::path& path) {
  std::size_t written = 0;
  return WriteAll(fd, settings_.header, path, written);
}

Result<void> LogWriter::Begin() {
  // Something may have removed it.
  if (Result<void> made = MakeDirectory(); !made) return made;
  if (Result<void> locked = lock_.Renew(); !locked) return locked;
  LogFile file;
  file.opened = std::max(now_, file_.opened + std::chrono::milliseconds(1));
  file.run = run_;
  file.path = settings_.directory / LogFileName(file.opened, run_, settings_.series);
  Result<Descriptor> descriptor = OpenLogFile(file.path, O_RDWR | O_APPEND | O_CREAT | O_EXCL);
  if (!descriptor) return std::unexpected(std::move(descriptor.error()));
  Result<void> ready = WriteHeader(descriptor->get(), file.path);
  if (ready) ready = SyncDirectory(settings_.directory);
  if (!ready) {
    unlink(file.path.c_str());
    return ready;
  }
  if (descriptor_.valid()) Close(file_.path);
  file_ = std::move(file);
  descriptor_ = *std::move(descriptor);
  synced_bytes_ = settings_.header.size();
  pending_written_ = 0;
  next_file_due_ = false;
  return {};
}

void LogWriter::Close(const std::filesystem::path& path) {
  if (settings_.compress) compressor_.Add(path);
}

Result<void> LogWriter::Sync() {
  Result<void> synced = SyncOnce();
  // What was written into a file that something removed meanwhile is written again.
  if (synced && !descriptor_.valid()) synced = SyncOnce();
  if (synced && !descriptor_.valid()) {
    synced = Fail(ErrorCode::kIo, fmt::format("something removes {} as soon as it is written", file_.path.string()));
  }
  if (synced) return {};
  return Fail(fmt::format("{}; sending stops until it can be written again", settings_.what), synced.error());
}

// Without error and without a file: it was lost, with all that is pending.
Result<void> LogWriter::SyncOnce() {
  if (descriptor_.valid() && IsGone()) LoseFile();
  if (!descriptor_.valid() || next_file_due_) {
    if (Result<void> begun = Begin(); !begun) return begun;
  }
  if (pending_.empty()) return {};
  if (Result<void> written = WriteAll(descriptor_.get(), pending_, file_.path, pending_written_); !written) {
    return written;
  }
  if (fdatasync(descriptor_.get()) != 0) {
    std::unexpected<Error> error = FailErrno("sync the log file", file_.path);
    GiveUpFile();
    return error;
  }
  if (IsGone()) {
    LoseFile();
    return {};
  }
  synced_bytes_ += pending_.size();
  bytes_written_ += pending_.size();
  pending_.clear();
  pending_written_ = 0;
  return {};
}

// Whether the name leads to another file than the one being written, or to none. Looking costs nothing beside a sync.
bool LogWriter::IsGone() const {
  struct stat opened {};
  struct stat named {};
  if (lstat(file_.path.c_str(), &named) != 0) return errno == ENOENT || errno == ENOTDIR;
  return fstat(descriptor_.get(), &opened) != 0 || opened.st_ino != named.st_ino || opened.st_dev != named.st_dev;
}

void LogWriter::LoseFile() {
  problem_ = fmt::format(
      "{} is gone: something removed it or moved it away, with all that was in it; {} goes on in a "
      "new file",
      file_.path.string(), settings_.what);
  descriptor_.Close();
  pending_written_ = 0;
}

// After a failed sync the kernel may have dropped what was written and will not say so again: the next try writes all
// of it into a new file.
void LogWriter::GiveUpFile() {
  if (ftruncate(descriptor_.get(), static_cast<off_t>(synced_bytes_)) != 0) {
    problem_ = fmt::format("{} ends in lines that the next file repeats", file_.path.string());
  }
  descriptor_.Close();
  Close(file_.path);
  pending_written_ = 0;
}

void LogWriter::Rotate(Wall now) {
  now_ = now;
  const bool holds_lines = synced_bytes_ > settings_.header.size();
  const bool full = synced_bytes_ >= settings_.rotate_bytes;
  const bool old = now - file_.opened >= settings_.rotate_age;
  // Lines half written belong whole into the file that has their first half.
  if (!descriptor_.valid() || pending_written_ > 0 || !holds_lines || !(full || old)) return;
  // A reason not to is told by Sync, until there is none.
  if (!Begin()) next_file_due_ = true;
}

std::string LogWriter::TakeProblem() {
  std::string problem = std::exchange(problem_, {});
  return problem.empty() ? compressor_.TakeProblem() : problem;
}

}  // namespace postrider::observe
