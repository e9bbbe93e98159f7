#include "engine/observe/log_files.h"

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <charconv>
#include <cstring>

#include <fmt/format.h>

#include "engine/observe/rfc3339.h"

namespace postrider::observe {
namespace {

constexpr std::string_view kCompressed = ".zst";
// RFC 3339 without what shells and other systems dislike in names: 20261124T054400.123Z.
constexpr std::size_t kStampLength = 20;

std::string Stamp(Wall time) {
  std::string stamp = FormatRfc3339(time);
  std::erase_if(stamp, [](char c) { return c == '-' || c == ':'; });
  return stamp;
}

std::optional<Wall> ParseStamp(std::string_view stamp) {
  if (stamp.size() != kStampLength) return std::nullopt;
  std::string text(stamp);
  for (const std::size_t at : {4u, 7u}) text.insert(at, "-");
  for (const std::size_t at : {13u, 16u}) text.insert(at, ":");
  return ParseRfc3339(text);
}

ErrorCode CodeOf(int error) {
  switch (error) {
    case ENOSPC:
    case EDQUOT:
    case EFBIG:
      return ErrorCode::kNoSpace;
    case EACCES:
    case EPERM:
    case EROFS:
    case ELOOP:
      return ErrorCode::kDenied;
    case ENOENT:
      return ErrorCode::kNotFound;
    case EEXIST:
      return ErrorCode::kExists;
    default:
      return ErrorCode::kIo;
  }
}

}  // namespace

void Descriptor::Close() {
  if (fd_ >= 0) close(std::exchange(fd_, -1));
}

std::string LogFileName(Wall opened, std::uint64_t run, const LogSeries& series) {
  return fmt::format("{}{}-{}{}", series.prefix, Stamp(opened), run, series.suffix);
}

std::optional<LogFile> ParseLogFileName(const std::filesystem::path& path, const LogSeries& series) {
  const std::string name = path.filename();
  std::string_view rest = name;
  if (!rest.starts_with(series.prefix)) return std::nullopt;
  rest.remove_prefix(series.prefix.size());
  LogFile file;
  file.path = path;
  file.compressed = rest.ends_with(kCompressed);
  if (file.compressed) rest.remove_suffix(kCompressed.size());
  if (!rest.ends_with(series.suffix)) return std::nullopt;
  rest.remove_suffix(series.suffix.size());
  const std::optional<Wall> opened = ParseStamp(rest.substr(0, kStampLength));
  if (!opened || rest.size() < kStampLength + 2 || rest[kStampLength] != '-') return std::nullopt;
  file.opened = *opened;
  rest.remove_prefix(kStampLength + 1);
  const char* end = rest.data() + rest.size();
  const auto [stop, error] = std::from_chars(rest.data(), end, file.run);
  if (error != std::errc() || stop != end) return std::nullopt;
  return file;
}

Result<std::vector<LogFile>> ListLogFiles(const std::filesystem::path& directory, const LogSeries& series) {
  std::error_code error;
  std::filesystem::directory_iterator entries(directory, error);
  if (error) {
    errno = error.value();
    return FailErrno("list the log directory", directory);
  }
  std::vector<LogFile> files;
  for (; entries != std::filesystem::directory_iterator(); entries.increment(error)) {
    if (std::optional<LogFile> file = ParseLogFileName(entries->path(), series)) files.push_back(*std::move(file));
    if (error) break;
  }
  if (error) {
    errno = error.value();
    return FailErrno("list the log directory", directory);
  }
  // Compressed before plain of the same name, so that unique keeps the compressed one.
  std::ranges::sort(files, [](const LogFile& a, const LogFile& b) {
    return std::tuple(a.opened, a.run, !a.compressed) < std::tuple(b.opened, b.run, !b.compressed);
  });
  const auto same = [](const LogFile& a, const LogFile& b) { return a.opened == b.opened && a.run == b.run; };
  files.erase(std::unique(files.begin(), files.end(), same), files.end());
  return files;
}

std::unexpected<Error> FailErrno(std::string_view action, const std::filesystem::path& path) {
  const int error = errno;
  return Fail(CodeOf(error), fmt::format("cannot {} {}: {}", action, path.string(), std::strerror(error)));
}

Result<Descriptor> OpenLogFile(const std::filesystem::path& path, int flags) {
  Descriptor descriptor(open(path.c_str(), flags | O_NOFOLLOW | O_CLOEXEC, S_IRUSR | S_IWUSR));
  if (!descriptor.valid()) return FailErrno("open the log file", path);
  return descriptor;
}

Result<void> WriteAll(int fd, std::string_view bytes, const std::filesystem::path& path, std::size_t& written) {
  while (written < bytes.size()) {
    const ssize_t count = write(fd, bytes.data() + written, bytes.size() - written);
    if (count < 0 && errno == EINTR) continue;
    if (count < 0) return FailErrno("write the log file", path);
    written += static_cast<std::size_t>(count);
  }
  return {};
}

Result<void> SyncDirectory(const std::filesystem::path& directory) {
  const Descriptor descriptor(open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
  if (!descriptor.valid() || fsync(descriptor.get()) != 0) return FailErrno("sync the log directory", directory);
  return {};
}

}  // namespace postrider::observe
