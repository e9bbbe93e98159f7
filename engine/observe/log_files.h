#pragma once
// The files of a log: <prefix><UTC time>-<run><suffix> while written and until compressed, then the same name with
// .zst; a .zst.tmp is a compression that a crash cut short. Times in names rise strictly, so names in order are files
// in order. Also the few system calls that all who touch these files share. Any thread.

#include <cstdint>
#include <filesystem>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/error.h"
#include "config/time.h"

namespace postrider::observe {

// What the files of one log are called.
struct LogSeries {
  std::string_view prefix;
  std::string_view suffix;
};
inline constexpr LogSeries kDeliveryFiles{"delivery-", ".jsonl"};
inline constexpr LogSeries kAccountingFiles{"acct-", ".csv"};

struct LogFile {
  std::filesystem::path path;
  Wall opened{};
  std::uint64_t run = 0;
  bool compressed = false;
};

[[nodiscard]] std::string LogFileName(Wall opened, std::uint64_t run, const LogSeries& series = kDeliveryFiles);
// nullopt for names that are not of the series.
[[nodiscard]] std::optional<LogFile> ParseLogFileName(const std::filesystem::path& path,
                                                      const LogSeries& series = kDeliveryFiles);

// Oldest first. A file that is there both plain and compressed (a crash came between the two) is listed compressed.
[[nodiscard]] Result<std::vector<LogFile>> ListLogFiles(const std::filesystem::path& directory,
                                                        const LogSeries& series = kDeliveryFiles);

// A file descriptor that closes itself.
class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int fd) : fd_(fd) {}
  ~Descriptor() { Close(); }
  Descriptor(Descriptor&& other) noexcept : fd_(std::exchange(other.fd_, -1)) {}
  Descriptor& operator=(Descriptor&& other) noexcept {
    Close();
    fd_ = std::exchange(other.fd_, -1);
    return *this;
  }
  void Close();
  [[nodiscard]] int get() const { return fd_; }
  [[nodiscard]] bool valid() const { return fd_ >= 0; }

 private:
  int fd_ = -1;
};

// What errno says about a path, as an Error: "cannot <action> <path>: <reason>".
[[nodiscard]] std::unexpected<Error> FailErrno(std::string_view action, const std::filesystem::path& path);

// Never follows a symbolic link; files are made with mode 0600.
[[nodiscard]] Result<Descriptor> OpenLogFile(const std::filesystem::path& path, int flags);
// Writes all; `written` says how far it came, also on failure.
[[nodiscard]] Result<void> WriteAll(int fd, std::string_view bytes, const std::filesystem::path& path,
                                    std::size_t& written);
// Makes names made, renamed or removed in it durable.
[[nodiscard]] Result<void> SyncDirectory(const std::filesystem::path& directory);

}  // namespace postrider::observe
