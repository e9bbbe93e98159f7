#pragma once
// The replies that a delivery log tells of (fields in observe/README.md), and the lines of its files, compressed or
// not. One thread.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include "config/error.h"
#include "config/reply.h"
#include "config/time.h"
#include "config/verdict.h"
#include "engine/intake/list_input.h"
#include "queue/files.h"

namespace postrider::tools {

// A negative reply, and what the machine made of it.
struct LogReply {
  Wall time{};
  bool about_recipient = false;  // else about a host or path
  bool final = false;
  Fate fate = Fate::kDeferred;
  Category category = Category::kNone;
  Scope scope = Scope::kRecipient;
  std::string campaign;
  std::string recipient;
  std::string site;
  std::string provider;
  std::string source;
  Stage stage = Stage::kNone;
  Reply reply;
};

// nullopt: a line that tells of no negative reply, or of one that another line tells of too. An error: no line of a
// delivery log.
[[nodiscard]] Result<std::optional<LogReply>> ParseLogReply(std::string_view line);

// The lines of one file: .gz and .zst are decompressed, "-" is standard input.
class LogLines {
 public:
  static Result<LogLines> Open(const std::filesystem::path& file);

  // The next line without its end, valid until the next call; nullopt at the end. What is longer than a line of ours
  // can be is cut. An error, once: the file cannot be read on.
  [[nodiscard]] Result<std::optional<std::string_view>> Next();
  [[nodiscard]] std::uint64_t line() const { return line_; }
  [[nodiscard]] std::uint64_t bytes() const { return bytes_; }  // decompressed

 private:
  Result<std::size_t> Read(char* to, std::size_t size);

  std::unique_ptr<queue::Files> files_;
  std::unique_ptr<intake::ListInput> input_;  // null: standard input
  std::string buffer_;
  std::size_t at_ = 0;  // of what was not handed out yet
  std::string current_;
  std::uint64_t line_ = 0;
  std::uint64_t bytes_ = 0;
  bool ended_ = false;
};

}  // namespace postrider::tools
