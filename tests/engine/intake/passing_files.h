#pragma once
// Files that pass every call on; a test overrides the one in which something else is to happen.

#include <filesystem>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "queue/files.h"

namespace postrider::intake {

class PassingFiles : public queue::Files {
 public:
  using Path = std::filesystem::path;

  explicit PassingFiles(queue::Files& files) : files_(files) {}

  Result<std::vector<queue::FileEntry>> List(const Path& path) override { return files_.List(path); }
  Result<std::string> ReadWhole(const Path& path, std::uint64_t max) override { return files_.ReadWhole(path, max); }
  Result<std::unique_ptr<queue::FileReader>> OpenReader(const Path& path) override { return files_.OpenReader(path); }
  Result<std::unique_ptr<queue::FileAppender>> OpenAppender(const Path& path, std::uint64_t keep) override {
    return files_.OpenAppender(path, keep);
  }
  Result<void> WriteDurably(const Path& path, std::string_view bytes) override {
    return files_.WriteDurably(path, bytes);
  }
  Result<void> Rename(const Path& from, const Path& to) override { return files_.Rename(from, to); }
  Result<void> MakeDirectory(const Path& path) override { return files_.MakeDirectory(path); }
  Result<void> Remove(const Path& path) override { return files_.Remove(path); }
  Result<void> GiveToOwnerOf(const Path& like, const Path& path) override { return files_.GiveToOwnerOf(like, path); }
  bool Exists(const Path& path) override { return files_.Exists(path); }
  Result<double> FreeShare(const Path& path) override { return files_.FreeShare(path); }

 private:
  queue::Files& files_;
};

}  // namespace postrider::intake
