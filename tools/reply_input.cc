#include "tools/reply_input.h"

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/text.h"

namespace postrider::tools {
namespace {

using nlohmann::json;

constexpr std::size_t kLineBytesMax = 1 << 20;
constexpr std::size_t kLinesMax = 100;  // of one reply in text

bool IsBlank(std::string_view line) { return line.find_first_not_of(" \t\r") == line.npos; }

// "550-" : more lines of the reply follow.
bool IsContinued(std::string_view line) {
  return line.size() > 3 && line[3] == '-' && line.substr(0, 3).find_first_not_of("0123456789") == line.npos;
}

std::optional<std::string> TextOf(const json& object, const char* key) {
  const auto found = object.find(key);
  if (found == object.end() || found->is_null()) return std::string();
  return found->is_string() ? std::optional(found->get<std::string>()) : std::nullopt;
}

}  // namespace

std::unexpected<Error> ReplyReader::Bad(std::size_t line, const std::string& message) const {
  return Fail(ErrorCode::kInvalid, fmt::format("{}:{}: {}", name_, line, message));
}

bool ReplyReader::ReadLine(std::string& line) {
  if (pushed_back_) {
    line = *std::move(pushed_back_);
    pushed_back_.reset();
  } else if (!std::getline(input_, line)) {
    return false;
  }
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (line_ == 0 && line.starts_with(kByteOrderMark)) line.erase(0, kByteOrderMark.size());
  ++line_;
  return true;
}

std::optional<Result<ReplyRow>> ReplyReader::Next() {
  std::string line;
  while (ReadLine(line)) {
    if (IsBlank(line)) continue;
    if (line.size() > kLineBytesMax) return Bad(line_, "expected a reply, found a line of more than 1 MiB");
    if (line.front() != '{') return FromText(std::move(line));
    if (std::optional<Result<ReplyRow>> row = FromJson(line)) return row;
  }
  return std::nullopt;
}

Result<ReplyRow> ReplyReader::FromText(std::string text) {
  const std::size_t first = line_;
  const std::string code = text.substr(0, 3);
  std::string line = text;
  for (std::size_t lines = 1; IsContinued(line) && lines < kLinesMax && ReadLine(line); ++lines) {
    if (!line.starts_with(code) || line.size() > kLineBytesMax) {
      // Only the first line of it was copied.
      pushed_back_ = std::move(line);
      --line_;
      break;
    }
    text += '\n' + line;
  }
  std::optional<Reply> reply = ParseReplyText(text);
  if (!reply) {
    return Bad(first, fmt::format("expected a reply that begins with its code, as in \"550 5.1.1 no such user\", found "
                                  "\"{}\"",
                                  Shorten(Printable(text), 60)));
  }
  ReplyRow row;
  row.line = first;
  row.reply = *std::move(reply);
  row.shown = Printable(text);
  row.stage = defaults_.stage;
  row.provider = defaults_.provider;
  return row;
}

std::optional<Result<ReplyRow>> ReplyReader::FromJson(const std::string& line) {
  const json object = json::parse(line, nullptr, false);
  if (!object.is_object()) return Bad(line_, "expected a JSON object, found something that is none");
  const auto text = TextOf(object, "reply");
  const auto stage = TextOf(object, "stage");
  const auto provider = TextOf(object, "provider");
  const auto expected = TextOf(object, "expected");
  if (!text || !stage || !provider || !expected) {
    return Bad(line_, "expected texts in reply, stage, provider and expected");
  }
  std::string said = *text;
  const auto code = object.find("code");
  const bool of_log = object.contains("v") && object.contains("event");
  if (code != object.end() && code->is_number_integer()) {
    said.insert(0, fmt::format("{} ", code->get<std::int64_t>()));
  } else if (of_log) {
    return std::nullopt;
  }
  ReplyRow row;
  row.line = line_;
  std::optional<Reply> reply = ParseReplyText(said);
  if (!reply) {
    return Bad(line_, fmt::format("expected \"reply\" with a text that begins with its code, found \"{}\"",
                                  Shorten(Printable(said), 60)));
  }
  row.reply = *std::move(reply);
  row.shown = Printable(said);
  row.stage = defaults_.stage;
  if (!stage->empty()) {
    const std::optional<Stage> known = ParseStage(*stage);
    if (!known) return Bad(line_, fmt::format("there is no stage \"{}\"", Shorten(Printable(*stage), 40)));
    row.stage = *known;
  }
  // People's files name providers that nobody wrote rules for, and "unknown".
  const ProviderOptions* known = provider->empty() ? nullptr : providers_.FindByAnyName(*provider);
  row.provider = known != nullptr ? known->name : provider->empty() ? defaults_.provider : std::string();
  if (!expected->empty()) row.expected = ParseCategory(*expected);
  if (!expected->empty() && !row.expected) {
    return Bad(line_, fmt::format("there is no category \"{}\"", Shorten(Printable(*expected), 40)));
  }
  const auto accept = object.find("accept");
  if (accept == object.end()) return row;
  if (!accept->is_array()) return Bad(line_, "expected a list of categories in accept");
  for (const json& name : *accept) {
    const std::optional<Category> category =
        name.is_string() ? ParseCategory(name.get_ref<const std::string&>()) : std::nullopt;
    if (!category) return Bad(line_, "expected a list of categories in accept");
    row.accept.push_back(*category);
  }
  return row;
}

}  // namespace postrider::tools
