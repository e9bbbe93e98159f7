#pragma once
// Accepted messages on disk: a JSON line per recipient (--record) and the bytes of each message as a file (--store).
// One per core, used by its thread; the cores append whole lines to one file.
//
// A line: {"time":"2026-11-24T10:00:00.123Z","recipient":"ana@example.org","from":"news@example.com","size":10240,
// "message_id":"<...>","attempt":1,"accepted":1,"local":"127.0.0.2:2525","personality":"gmail","connection":7,"nth":3,
// "tls":true,"resumed":false,"bdat":true,"client":"127.0.0.1","auth":"user","file":"7-3.eml"}
// attempt counts the RCPTs for this recipient, accepted its accepted messages (2 and more are repeats), nth the
// messages of the connection; auth and file only where there is one.

#include <filesystem>
#include <optional>
#include <string>

#include "config/error.h"
#include "tools/sink/session.h"

namespace postrider::sink {

// A file open for appending; closed with the object.
class AppendFile {
 public:
  // Starts it anew.
  static Result<AppendFile> Create(const std::filesystem::path& path);
  AppendFile(AppendFile&& other) noexcept;
  AppendFile& operator=(AppendFile&&) = delete;
  ~AppendFile();

  // Whole lines; several threads may append at once.
  [[nodiscard]] Result<void> Append(std::string_view lines) const;

 private:
  AppendFile(int descriptor, std::filesystem::path path) : descriptor_(descriptor), path_(std::move(path)) {}
  int descriptor_;
  std::filesystem::path path_;
};

class Recorder final : public MessageObserver {
 public:
  // file may be null, store_directory empty; the directory exists.
  Recorder(const AppendFile* file, std::filesystem::path store_directory);

  void OnAccepted(const AcceptedMessage& message) override;
  // At the end of a turn: writes when enough has gathered, or all if asked.
  void Flush(bool all);
  [[nodiscard]] bool has_unwritten() const { return !lines_.empty(); }
  // The first failure to write; what was accepted since then is not on disk.
  [[nodiscard]] const std::optional<Error>& problem() const { return problem_; }

 private:
  void Store(const AcceptedMessage& message, const std::string& name);

  const AppendFile* file_;
  std::filesystem::path store_directory_;
  std::string lines_;
  std::string name_;
  std::optional<Error> problem_;
};

// Appends text as a JSON string in quotes; bytes that are not UTF-8 become '?'.
void AppendJsonString(std::string& out, std::string_view text);

}  // namespace postrider::sink
