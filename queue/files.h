#pragma once
// The seam through which the spool is read and moved: a few durable operations on directories and files. One real
// implementation, one in the simulation that forgets what was not synced. Paths are absolute. Symbolic links are never
// followed: they are an error (kDenied).

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/time.h"

namespace postrider::queue {

class FileReader {
 public:
  virtual ~FileReader() = default;
  // Up to max bytes, appended; 0 appended means the end.
  [[nodiscard]] virtual Result<std::size_t> Read(std::string& out, std::size_t max) = 0;
};

// Appends; Sync makes what was appended durable.
class FileAppender {
 public:
  virtual ~FileAppender() = default;
  [[nodiscard]] virtual Result<void> Append(std::string_view bytes) = 0;
  [[nodiscard]] virtual Result<void> Sync() = 0;
};

struct FileEntry {
  std::string name;
  bool directory = false;
  std::uint64_t bytes = 0;
  Wall modified{};
};

class Files {
 public:
  virtual ~Files() = default;
  [[nodiscard]] virtual Result<std::vector<FileEntry>> List(const std::filesystem::path& directory) = 0;  // by name
  [[nodiscard]] virtual Result<std::string> ReadWhole(const std::filesystem::path& file, std::uint64_t max_bytes) = 0;
  [[nodiscard]] virtual Result<std::unique_ptr<FileReader>> OpenReader(const std::filesystem::path& file) = 0;
  // Creates (0600) or opens at size `keep_bytes`, cutting what is beyond.
  [[nodiscard]] virtual Result<std::unique_ptr<FileAppender>> OpenAppender(const std::filesystem::path& file,
                                                                           std::uint64_t keep_bytes) = 0;
  // Whole or not at all: temporary name, sync, rename, sync of the directory. Mode 0600.
  [[nodiscard]] virtual Result<void> WriteDurably(const std::filesystem::path& file, std::string_view bytes) = 0;
  // Both directories are synced.
  [[nodiscard]] virtual Result<void> Rename(const std::filesystem::path& from, const std::filesystem::path& to) = 0;
  [[nodiscard]] virtual Result<void> MakeDirectory(const std::filesystem::path& directory) = 0;  // 0700, with parents
  [[nodiscard]] virtual Result<void> Remove(
      const std::filesystem::path& path) = 0;  // a file, or a directory with all in it
  // path, and all in it, shall belong to whom `like` belongs to. What does already stays as it is; else only root may
  // (kDenied).
  [[nodiscard]] virtual Result<void> GiveToOwnerOf(const std::filesystem::path& like,
                                                   const std::filesystem::path& path) = 0;
  [[nodiscard]] virtual bool Exists(const std::filesystem::path& path) = 0;
  // Free share of the file system that holds path, 0..1.
  [[nodiscard]] virtual Result<double> FreeShare(const std::filesystem::path& path) = 0;
};

[[nodiscard]] std::unique_ptr<Files> MakeSystemFiles();

}  // namespace postrider::queue
