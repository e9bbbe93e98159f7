#include "queue/files.h"

#include <dirent.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

#include <algorithm>
#include <utility>

#include <fmt/format.h>

#include "queue/system_error.h"

namespace postrider::queue {

namespace {

namespace fs = std::filesystem;

// Deeper than any spool is; what nests further was not made by a submitter in good faith.
constexpr int kRemoveDepthMax = 32;

class Descriptor {
 public:
  explicit Descriptor(int fd = -1) : fd_(fd) {}
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    std::swap(fd_, other.fd_);
    return *this;
  }
  ~Descriptor() {
    if (fd_ >= 0) ::close(fd_);
  }
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] int Release() { return std::exchange(fd_, -1); }

 private:
  int fd_;
};

std::unexpected<Error> OpenFailure(std::string_view doing, const fs::path& path) {
  const int error = errno;
  // O_NOFOLLOW says ELOOP for a link, and ENOTDIR together with O_DIRECTORY.
  struct stat found {};
  if (error == ELOOP || (error == ENOTDIR && ::lstat(path.c_str(), &found) == 0 && S_ISLNK(found.st_mode))) {
    return Fail(
        ErrorCode::kDenied,
        fmt::format("{} {}: it is a symbolic link, and these are not followed; name its target", doing, path.string()));
  }
  return SystemFailure(doing, path, error);
}

Result<Descriptor> OpenDirectory(const fs::path& directory) {
  Descriptor fd(::open(directory.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (fd.get() < 0) return OpenFailure("opening the directory", directory);
  return fd;
}

// Of a path, its directory, opened without following a link, and the name in it.
struct Place {
  Descriptor directory;
  std::string name;
};
Result<Place> OpenPlace(const fs::path& path) {
  std::string name = path.filename().string();
  if (!path.is_absolute() || name.empty() || name == "." || name == "..") {
    return Fail(ErrorCode::kInvalid,
                fmt::format("\"{}\" is not an absolute path to a file or directory", path.string()));
  }
  auto directory = OpenDirectory(path.parent_path());
  if (!directory) return std::unexpected(directory.error());
  return Place{std::move(*directory), std::move(name)};
}

Result<void> SyncDirectory(int directory, const fs::path& path) {
  if (::fsync(directory) != 0) return SystemFailure("syncing the directory", path);
  return {};
}

// Not blocking: a FIFO in a spool must not hold up its reader.
Result<Descriptor> OpenForReading(const fs::path& file, std::uint64_t* bytes) {
  auto place = OpenPlace(file);
  if (!place) return std::unexpected(place.error());
  Descriptor fd(::openat(place->directory.get(), place->name.c_str(), O_RDONLY | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC));
  if (fd.get() < 0) return OpenFailure("opening", file);
  struct stat found {};
  if (::fstat(fd.get(), &found) != 0) return SystemFailure("looking at", file);
  if (!S_ISREG(found.st_mode)) {
    return Fail(ErrorCode::kDenied, fmt::format("opening {}: it is not a regular file", file.string()));
  }
  if (bytes != nullptr) *bytes = static_cast<std::uint64_t>(found.st_size);
  return fd;
}

Result<void> WriteAll(int fd, std::string_view bytes, const fs::path& file) {
  while (!bytes.empty()) {
    const ssize_t written = ::write(fd, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return SystemFailure("writing", file);
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

class SystemReader : public FileReader {
 public:
  SystemReader(Descriptor fd, fs::path file) : fd_(std::move(fd)), file_(std::move(file)) {}

  Result<std::size_t> Read(std::string& out, std::size_t max) override {
    const std::size_t before = out.size();
    out.resize(before + max);
    ssize_t length = 0;
    do {
      length = ::read(fd_.get(), out.data() + before, max);
    } while (length < 0 && errno == EINTR);
    const int error = errno;
    out.resize(before + static_cast<std::size_t>(std::max<ssize_t>(length, 0)));
    if (length < 0) return SystemFailure("reading", file_, error);
    return static_cast<std::size_t>(length);
  }

 private:
  Descriptor fd_;
  fs::path file_;
};

class SystemAppender : public FileAppender {
 public:
  SystemAppender(Descriptor fd, fs::path file) : fd_(std::move(fd)), file_(std::move(file)) {}

  Result<void> Append(std::string_view bytes) override { return WriteAll(fd_.get(), bytes, file_); }
  Result<void> Sync() override {
    if (::fdatasync(fd_.get()) != 0) return SystemFailure("syncing", file_);
    return {};
  }

 private:
  Descriptor fd_;
  fs::path file_;
};

// Takes `name` in `directory` away, and if it is a directory all in it first. Links are removed, not followed.
Result<void> RemoveAt(int directory, const std::string& name, const fs::path& path, int depth) {
  if (::unlinkat(directory, name.c_str(), 0) == 0) return {};
  // Linux says EISDIR for a directory, POSIX EPERM.
  if (errno != EISDIR && errno != EPERM) return SystemFailure("removing", path);
  if (depth >= kRemoveDepthMax) {
    return Fail(ErrorCode::kTooLarge,
                fmt::format("removing {}: it nests deeper than {}", path.string(), kRemoveDepthMax));
  }
  Descriptor inner(::openat(directory, name.c_str(), O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC));
  if (inner.get() < 0) return OpenFailure("removing", path);
  std::vector<std::string> names;
  {
    DIR* entries = ::fdopendir(::dup(inner.get()));
    if (entries == nullptr) return SystemFailure("listing", path);
    while (const dirent* entry = ::readdir(entries)) {
      const std::string_view found = entry->d_name;
      if (found != "." && found != "..") names.emplace_back(found);
    }
    ::closedir(entries);
  }
  for (const std::string& child : names) {
    if (auto removed = RemoveAt(inner.get(), child, path / child, depth + 1); !removed) return removed;
  }
  if (::unlinkat(directory, name.c_str(), AT_REMOVEDIR) != 0) return SystemFailure("removing", path);
  return {};
}

class SystemFiles : public Files {
 public:
  Result<std::vector<FileEntry>> List(const fs::path& directory) override {
    auto opened = OpenDirectory(directory);
    if (!opened) return std::unexpected(opened.error());
    DIR* entries = ::fdopendir(opened->get());
    if (entries == nullptr) return SystemFailure("listing", directory);
    const int fd = opened->Release();  // closedir closes it
    std::vector<FileEntry> found;
    while (const dirent* entry = ::readdir(entries)) {
      const std::string_view name = entry->d_name;
      if (name == "." || name == "..") continue;
      struct stat about {};
      // Gone again: then it was never there.
      if (::fstatat(fd, entry->d_name, &about, AT_SYMLINK_NOFOLLOW) != 0) continue;
      const auto modified =
          std::chrono::seconds(about.st_mtim.tv_sec) + std::chrono::nanoseconds(about.st_mtim.tv_nsec);
      found.push_back({.name = std::string(name),
                       .directory = S_ISDIR(about.st_mode),
                       .bytes = static_cast<std::uint64_t>(about.st_size),
                       .modified = Wall(std::chrono::floor<std::chrono::milliseconds>(modified))});
    }
    ::closedir(entries);
    std::sort(found.begin(), found.end(), [](const FileEntry& a, const FileEntry& b) { return a.name < b.name; });
    return found;
  }

  Result<std::string> ReadWhole(const fs::path& file, std::uint64_t max_bytes) override {
    std::uint64_t bytes = 0;
    auto fd = OpenForReading(file, &bytes);
    if (!fd) return std::unexpected(fd.error());
    SystemReader reader(std::move(*fd), file);
    std::string text;
    while (true) {
      // One more than allowed, to notice a file that is too large even if it grows meanwhile.
      const std::uint64_t wanted = std::min<std::uint64_t>(std::max<std::uint64_t>(bytes, 4096), max_bytes) + 1;
      const auto length = reader.Read(text, static_cast<std::size_t>(wanted));
      if (!length) return std::unexpected(length.error());
      if (text.size() > max_bytes) {
        return Fail(ErrorCode::kTooLarge, fmt::format("{} is larger than {} bytes", file.string(), max_bytes));
      }
      if (*length == 0) return text;
    }
  }

  Result<std::unique_ptr<FileReader>> OpenReader(const fs::path& file) override {
    auto fd = OpenForReading(file, nullptr);
    if (!fd) return std::unexpected(fd.error());
    return std::make_unique<SystemReader>(std::move(*fd), file);
  }

  Result<std::unique_ptr<FileAppender>> OpenAppender(const fs::path& file, std::uint64_t keep_bytes) override {
    auto place = OpenPlace(file);
    if (!place) return std::unexpected(place.error());
    Descriptor fd(::openat(place->directory.get(), place->name.c_str(),
                           O_WRONLY | O_CREAT | O_APPEND | O_NOFOLLOW | O_NONBLOCK | O_CLOEXEC, 0600));
    if (fd.get() < 0) return OpenFailure("opening", file);
    struct stat found {};
    if (::fstat(fd.get(), &found) != 0) return SystemFailure("looking at", file);
    if (!S_ISREG(found.st_mode)) {
      return Fail(ErrorCode::kDenied, fmt::format("opening {}: it is not a regular file", file.string()));
    }
    const auto bytes = static_cast<std::uint64_t>(found.st_size);
    if (bytes < keep_bytes) {
      return Fail(ErrorCode::kCorrupt,
                  fmt::format("{} has {} bytes, but {} had been written and synced; something cut it", file.string(),
                              bytes, keep_bytes));
    }
    if (bytes > keep_bytes && ::ftruncate(fd.get(), static_cast<off_t>(keep_bytes)) != 0) {
      return SystemFailure("cutting", file);
    }
    if (auto synced = SyncDirectory(place->directory.get(), file.parent_path()); !synced) {
      return std::unexpected(synced.error());
    }
    return std::make_unique<SystemAppender>(std::move(fd), file);
  }

  Result<void> WriteDurably(const fs::path& file, std::string_view bytes) override {
    auto place = OpenPlace(file);
    if (!place) return std::unexpected(place.error());
    const int directory = place->directory.get();
    // One fixed name: what a crash leaves is overwritten by the next attempt.
    const std::string temporary = "." + place->name + ".tmp";
    if (::unlinkat(directory, temporary.c_str(), 0) != 0 && errno != ENOENT) return SystemFailure("replacing", file);
    Descriptor fd(::openat(directory, temporary.c_str(), O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, 0600));
    if (fd.get() < 0) return OpenFailure("writing", file);
    Result<void> written = WriteAll(fd.get(), bytes, file);
    if (written && ::fsync(fd.get()) != 0) written = SystemFailure("syncing", file);
    if (written && ::renameat(directory, temporary.c_str(), directory, place->name.c_str()) != 0) {
      written = SystemFailure("renaming", file);
    }
    if (!written) {
      ::unlinkat(directory, temporary.c_str(), 0);
      return written;
    }
    return SyncDirectory(directory, file.parent_path());
  }

  Result<void> Rename(const fs::path& from, const fs::path& to) override {
    auto old_place = OpenPlace(from);
    if (!old_place) return std::unexpected(old_place.error());
    auto new_place = OpenPlace(to);
    if (!new_place) return std::unexpected(new_place.error());
    const std::string doing = fmt::format("renaming {} to", from.string());
    // Never over something else: a second campaign of one name must not take the first one's place.
    if (::renameat2(old_place->directory.get(), old_place->name.c_str(), new_place->directory.get(),
                    new_place->name.c_str(), RENAME_NOREPLACE) != 0) {
      return SystemFailure(doing, to);
    }
    // The new name first: a crash between the two leaves the thing under both names rather than none.
    if (auto synced = SyncDirectory(new_place->directory.get(), to.parent_path()); !synced) return synced;
    return SyncDirectory(old_place->directory.get(), from.parent_path());
  }

  Result<void> MakeDirectory(const fs::path& directory) override {
    if (!directory.is_absolute()) {
      return Fail(ErrorCode::kInvalid, fmt::format("\"{}\" is not an absolute path", directory.string()));
    }
    fs::path path = directory.has_filename() ? directory : directory.parent_path();
    std::vector<fs::path> missing;
    // What may not be looked at is found out by mkdir.
    std::error_code ignored;
    for (; !fs::exists(fs::symlink_status(path, ignored)) && path.has_relative_path(); path = path.parent_path()) {
      missing.push_back(path);
    }
    for (auto next = missing.rbegin(); next != missing.rend(); ++next) {
      if (::mkdir(next->c_str(), 0700) != 0 && errno != EEXIST) return SystemFailure("making the directory", *next);
      Descriptor parent(::open(next->parent_path().c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC));
      if (parent.get() < 0) return OpenFailure("opening the directory", next->parent_path());
      if (auto synced = SyncDirectory(parent.get(), next->parent_path()); !synced) return synced;
    }
    auto made = OpenDirectory(directory.has_filename() ? directory : directory.parent_path());
    if (!made) return std::unexpected(made.error());
    return {};
  }

  Result<void> Remove(const fs::path& path) override {
    auto place = OpenPlace(path);
    if (!place) return std::unexpected(place.error());
    if (auto removed = RemoveAt(place->directory.get(), place->name, path, 0); !removed) return removed;
    return SyncDirectory(place->directory.get(), path.parent_path());
  }

  Result<void> GiveToOwnerOf(const fs::path& like, const fs::path& path) override {
    struct stat wanted {};
    if (::stat(like.c_str(), &wanted) != 0) return SystemFailure("looking at", like);
    std::vector<fs::path> given = {path};
    std::error_code error;
    struct stat found {};
    if (::lstat(path.c_str(), &found) != 0) return SystemFailure("looking at", path);
    if (S_ISDIR(found.st_mode)) {
      for (fs::recursive_directory_iterator it(path, error), end; !error && it != end; it.increment(error)) {
        given.push_back(it->path());
      }
      if (error) return SystemFailure("listing", path, error.value());
    }
    for (const fs::path& one : given) {
      if (::lstat(one.c_str(), &found) != 0) return SystemFailure("looking at", one);
      if (found.st_uid == wanted.st_uid) continue;
      if (::lchown(one.c_str(), wanted.st_uid, wanted.st_gid) == 0) continue;
      if (errno != EPERM) return SystemFailure("giving away", one);
      return Fail(
          ErrorCode::kDenied,
          fmt::format("{} belongs to user {}, and what user {} puts there it cannot use: do this as user {}, or "
                      "as root",
                      like.string(), wanted.st_uid, found.st_uid, wanted.st_uid));
    }
    return {};
  }

  bool Exists(const fs::path& path) override {
    struct stat found {};
    return ::lstat(path.c_str(), &found) == 0;
  }

  Result<double> FreeShare(const fs::path& path) override {
    struct statvfs about {};
    if (::statvfs(path.c_str(), &about) != 0) return SystemFailure("asking for the free space of", path);
    // As df counts: what is kept back for root is neither used nor free.
    const double free = static_cast<double>(about.f_bavail);
    const double used = static_cast<double>(about.f_blocks - about.f_bfree);
    return free + used > 0 ? free / (free + used) : 1.0;
  }
};

}  // namespace

std::unique_ptr<Files> MakeSystemFiles() { return std::make_unique<SystemFiles>(); }

}  // namespace postrider::queue
