#include "tools/log_reply.h"

#include <unistd.h>

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/observe/rfc3339.h"

namespace postrider::tools {
namespace {

using nlohmann::json;

constexpr std::size_t kPieceBytes = 256 << 10;
constexpr std::size_t kLineBytesMax = 1 << 20;

std::optional<Scope> ParseScope(std::string_view name) {
  for (int i = 0; i <= static_cast<int>(Scope::kSender); ++i) {
    if (name == ToString(static_cast<Scope>(i))) return static_cast<Scope>(i);
  }
  return std::nullopt;
}

std::string TextOf(const json& object, const char* key) {
  const auto found = object.find(key);
  return found != object.end() && found->is_string() ? found->get<std::string>() : std::string();
}

// "stop-path by rule TSS04: 421 ..." -> the reply alone; what an action did is put in front of it in the log.
std::string_view WithoutAction(std::string_view text) {
  constexpr std::string_view kBy = " by rule ";
  const std::size_t by = text.find(kBy);
  if (by == std::string_view::npos ||
      text.substr(0, by).find_first_not_of("abcdefghijklmnopqrstuvwxyz-") != text.npos) {
    return text;
  }
  const std::size_t end = text.find(": ", by + kBy.size());
  return end == std::string_view::npos ? text : text.substr(end + 2);
}

bool IsAboutPath(Scope scope) { return scope == Scope::kPath || scope == Scope::kHost || scope == Scope::kConnection; }

}  // namespace

Result<std::optional<LogReply>> ParseLogReply(std::string_view line) {
  // Most lines of a good day; they need not be taken apart.
  if (line.find("\"event\":\"delivered\"") != std::string_view::npos) return std::nullopt;
  const json object = json::parse(line, nullptr, false);
  if (!object.is_object() || !object.contains("event")) {
    return Fail(ErrorCode::kInvalid, "expected a line of the delivery log, a JSON object with \"event\"");
  }
  const std::string kind = TextOf(object, "event");
  const auto code = object.find("code");
  if (code == object.end() || !code->is_number_integer()) return std::nullopt;
  LogReply logged;
  if (kind == "deferred" || kind == "bounced" || kind == "unknown") {
    logged.about_recipient = true;
    logged.fate = kind == "bounced" ? Fate::kBounced : Fate::kDeferred;
  } else if (kind != "path") {
    return std::nullopt;
  }
  const std::string text = TextOf(object, "reply");
  std::string_view said = text;
  if (const auto scope = ParseScope(TextOf(object, "scope"))) logged.scope = *scope;
  if (!logged.about_recipient) {
    said = WithoutAction(text);
    // What a reply about a recipient set off stands in that recipient's own line too.
    if (said.size() != text.size() && !IsAboutPath(logged.scope)) return std::nullopt;
  }
  auto reply = ParseReplyText(fmt::format("{} {}", code->get<std::int64_t>(), said));
  if (!reply) return Fail(ErrorCode::kInvalid, "expected in \"code\" a reply's code from 200 to 599");
  if (reply->Positive()) return std::nullopt;
  logged.reply = *std::move(reply);
  if (const auto time = observe::ParseRfc3339(TextOf(object, "time"))) logged.time = *time;
  const auto final = object.find("final");
  logged.final = final != object.end() && final->is_boolean() && final->get<bool>();
  logged.category = ParseCategory(TextOf(object, "category")).value_or(Category::kNone);
  logged.stage = ParseStage(TextOf(object, "stage")).value_or(Stage::kNone);
  logged.campaign = TextOf(object, "campaign");
  logged.recipient = TextOf(object, "recipient");
  logged.site = TextOf(object, "site");
  logged.provider = TextOf(object, "provider");
  logged.source = TextOf(object, "source");
  return logged;
}

Result<LogLines> LogLines::Open(const std::filesystem::path& file) {
  LogLines lines;
  if (file == "-") return lines;
  lines.files_ = queue::MakeSystemFiles();
  std::error_code ignored;
  auto input = intake::OpenListInput(*lines.files_, std::filesystem::absolute(file, ignored));
  if (!input) return std::unexpected(std::move(input).error());
  lines.input_ = *std::move(input);
  return lines;
}

Result<std::size_t> LogLines::Read(char* to, std::size_t size) {
  if (input_ != nullptr) return input_->Read(to, size);
  const ssize_t count = read(STDIN_FILENO, to, size);
  if (count < 0) return Fail(ErrorCode::kIo, "standard input cannot be read");
  return static_cast<std::size_t>(count);
}

Result<std::optional<std::string_view>> LogLines::Next() {
  current_.clear();
  while (true) {
    const std::size_t end = buffer_.find('\n', at_);
    const std::size_t stop = std::min(end, buffer_.size());
    const std::size_t room = kLineBytesMax - std::min(kLineBytesMax, current_.size());
    if (end != std::string::npos) {
      const std::string_view rest = std::string_view(buffer_).substr(at_, stop - at_);
      at_ = end + 1;
      ++line_;
      if (current_.empty()) return rest.substr(0, kLineBytesMax);
      current_.append(rest.substr(0, room));
      return current_;
    }
    current_.append(std::string_view(buffer_).substr(at_).substr(0, room));
    at_ = 0;
    buffer_.resize(kPieceBytes);
    const Result<std::size_t> count = ended_ ? Result<std::size_t>(0) : Read(buffer_.data(), buffer_.size());
    buffer_.resize(count.value_or(0));
    ended_ |= !count || *count == 0;
    if (!count) return std::unexpected(count.error());
    bytes_ += *count;
    if (*count > 0) continue;
    if (current_.empty()) return std::nullopt;
    ++line_;
    return current_;
  }
}

}  // namespace postrider::tools
