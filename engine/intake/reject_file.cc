#include "engine/intake/reject_file.h"

#include <utility>

#include <fmt/format.h>

#include "engine/message/charset.h"

namespace postrider::intake {
namespace {

constexpr std::size_t kBlock = 64 << 10;
constexpr std::size_t kShownMax = 320;  // of an address or id: more than a good one has

std::string_view Shown(std::string_view text) { return text.substr(0, kShownMax); }

}  // namespace

void AppendJsonText(std::string_view text, std::string& out) {
  out += '"';
  while (!text.empty()) {
    const auto octet = static_cast<unsigned char>(text.front());
    const std::size_t length = message::Utf8Length(text);
    if (length == 0) {
      out += "\xef\xbf\xbd";
      text.remove_prefix(1);
      continue;
    }
    if (octet == '"' || octet == '\\') {
      out += '\\';
      out += text.front();
    } else if (octet < 32 || octet == 127) {
      out += fmt::format("\\u{:04x}", octet);
    } else {
      out.append(text.substr(0, length));
    }
    text.remove_prefix(length);
  }
  out += '"';
}

Result<void> RejectFile::Begin() {
  waiting_.clear();
  appender_.reset();
  left_out_ = 0;
  counted_ = false;
  return files_.Exists(file_) ? files_.Remove(file_) : Result<void>();
}

void RejectFile::Add(std::uint64_t line, std::string_view to, std::string_view id, std::string_view reason) {
  waiting_ += fmt::format("{{\"line\":{}", line);
  if (!to.empty()) {
    waiting_ += ",\"to\":";
    AppendJsonText(Shown(to), waiting_);
  }
  if (!id.empty()) {
    waiting_ += ",\"id\":";
    AppendJsonText(Shown(id), waiting_);
  }
  waiting_ += ",\"reason\":";
  AppendJsonText(reason, waiting_);
  waiting_ += "}\n";
}

void RejectFile::AddLeftOut(std::uint64_t line, std::string_view to, std::string_view id, std::string_view reason) {
  if (++left_out_ <= kLeftOutMax) Add(line, to, id, reason);
}

Result<void> RejectFile::Flush(bool all) {
  if (waiting_.empty() || (!all && waiting_.size() < kBlock)) return {};
  if (appender_ == nullptr) {
    Result<std::unique_ptr<queue::FileAppender>> opened = files_.OpenAppender(file_, 0);
    if (!opened) return std::unexpected(opened.error());
    appender_ = std::move(*opened);
  }
  if (Result<void> written = appender_->Append(waiting_); !written) return written;
  waiting_.clear();
  return {};
}

Result<void> RejectFile::Sync() {
  if (left_out_ > kLeftOutMax && !std::exchange(counted_, true)) {
    waiting_ += fmt::format("{{\"reason\":\"{} more rows are suppressed or duplicates\"}}\n", left_out_ - kLeftOutMax);
  }
  if (Result<void> flushed = Flush(true); !flushed) return flushed;
  return appender_ == nullptr ? Result<void>() : appender_->Sync();
}

}  // namespace postrider::intake
