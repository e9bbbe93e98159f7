// Lines are put together by hand: a JSON tree for each message would cost more than receiving it.

#include "tools/sink/record.h"

#include <fcntl.h>
#include <fmt/chrono.h>
#include <fmt/format.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <iterator>
#include <utility>

#include "tools/sink/content.h"
#include "tools/sink/path.h"

namespace postrider::sink {
namespace {

constexpr std::size_t kFlushBytes = 64 << 10;

Result<void> WriteAll(int descriptor, std::string_view bytes, const std::filesystem::path& path) {
  while (!bytes.empty()) {
    const ssize_t written = write(descriptor, bytes.data(), bytes.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) {
      const ErrorCode code = errno == ENOSPC || errno == EDQUOT ? ErrorCode::kNoSpace : ErrorCode::kIo;
      return Fail(code, fmt::format("cannot write {}: {}", path.string(), std::strerror(errno)));
    }
    bytes.remove_prefix(static_cast<std::size_t>(written));
  }
  return {};
}

}  // namespace

Result<AppendFile> AppendFile::Create(const std::filesystem::path& path) {
  const int descriptor = open(path.c_str(), O_WRONLY | O_CREAT | O_TRUNC | O_APPEND | O_CLOEXEC, 0644);
  if (descriptor < 0) {
    return Fail(ErrorCode::kIo, fmt::format("cannot create {}: {}", path.string(), std::strerror(errno)));
  }
  return AppendFile(descriptor, path);
}

AppendFile::AppendFile(AppendFile&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)), path_(std::move(other.path_)) {}

AppendFile::~AppendFile() {
  if (descriptor_ >= 0) close(descriptor_);
}

Result<void> AppendFile::Append(std::string_view lines) const { return WriteAll(descriptor_, lines, path_); }

Recorder::Recorder(const AppendFile* file, std::filesystem::path store_directory)
    : file_(file), store_directory_(std::move(store_directory)) {}

void Recorder::OnAccepted(const AcceptedMessage& message) {
  if (problem_) return;
  name_.clear();
  if (!store_directory_.empty()) {
    fmt::format_to(std::back_inserter(name_), "{}-{}.eml", message.connection, message.nth_on_connection);
    Store(message, name_);
  }
  if (file_ == nullptr) return;
  const std::string_view message_id = FindMessageId(message.content);
  const auto out = std::back_inserter(lines_);
  for (const AcceptedRecipient& recipient : message.recipients) {
    const auto seconds = std::chrono::floor<std::chrono::seconds>(message.time);
    fmt::format_to(out, "{{\"time\":\"{:%Y-%m-%dT%H:%M:%S}.{:03}Z\",\"recipient\":",
                   fmt::gmtime(std::chrono::system_clock::to_time_t(seconds)), (message.time - seconds).count());
    AppendJsonString(lines_, recipient.address);
    lines_ += ",\"from\":";
    AppendJsonString(lines_, message.from);
    fmt::format_to(out, ",\"size\":{},\"message_id\":", message.bytes);
    AppendJsonString(lines_, message_id);
    fmt::format_to(out,
                   ",\"attempt\":{},\"accepted\":{},\"local\":\"{}\",\"personality\":\"{}\",\"connection\":{},"
                   "\"nth\":{},\"tls\":{},\"resumed\":{},\"bdat\":{},\"client\":",
                   recipient.attempt, recipient.accepted, ToString(message.receiver.options.address),
                   message.receiver.personality.name, message.connection, message.nth_on_connection, message.tls.on,
                   message.tls.resumed, message.by_bdat);
    AppendJsonString(lines_, message.client);
    if (!message.auth_user.empty()) {
      lines_ += ",\"auth\":";
      AppendJsonString(lines_, message.auth_user);
    }
    if (!name_.empty()) fmt::format_to(out, ",\"file\":\"{}\"", name_);
    lines_ += "}\n";
  }
}

void Recorder::Store(const AcceptedMessage& message, const std::string& name) {
  const std::filesystem::path path = store_directory_ / name;
  Result<AppendFile> file = AppendFile::Create(path);
  Result<void> written = file ? file->Append(message.content) : std::unexpected(file.error());
  if (!written) problem_ = written.error();
}

void Recorder::Flush(bool all) {
  if (lines_.empty() || (!all && lines_.size() < kFlushBytes)) return;
  Result<void> written = file_->Append(lines_);
  lines_.clear();
  if (!written && !problem_) problem_ = written.error();
}

void AppendJsonString(std::string& out, std::string_view text) {
  const bool valid = IsUtf8(text);
  out += '"';
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (c == '"' || c == '\\') {
      out += '\\';
      out += c;
    } else if (byte < 0x20) {
      fmt::format_to(std::back_inserter(out), "\\u{:04x}", byte);
    } else {
      out += byte >= 0x80 && !valid ? '?' : c;
    }
  }
  out += '"';
}

}  // namespace postrider::sink
