#include "engine/observe/suppression_text.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "config/list_name.h"
#include "engine/observe/json_text.h"
#include "engine/observe/rfc3339.h"
#include "engine/observe/utf8_text.h"

namespace postrider::observe {
namespace {

using queue::Suppression;

constexpr std::size_t kLineMax = 64 << 10;
constexpr std::string_view kCsvHeader = "address,list,when,by,who,why,campaign,row,site,provider,reply,expires\r\n";
// What the lists of others call the column.
constexpr std::array<std::string_view, 4> kAddressColumns{"address", "email", "recipient", "domain"};

std::string_view Trimmed(std::string_view text) {
  constexpr std::string_view kBlank = " \t\r";
  const std::size_t begin = text.find_first_not_of(kBlank);
  if (begin == std::string_view::npos) return {};
  return text.substr(begin, text.find_last_not_of(kBlank) + 1 - begin);
}

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c + ('a' - 'A'));
  }
  return lower;
}

bool IsAddressColumn(std::string_view name) {
  return std::ranges::find(kAddressColumns, name) != kAddressColumns.end();
}

void AppendField(std::string& out, std::string_view text) {
  if (text.find_first_of(",\"\r\n") == std::string_view::npos) {
    out += text;
    return;
  }
  out += '"';
  for (const char c : text) {
    if (c == '"') out += '"';
    // A record stays on one line.
    out += c == '\r' || c == '\n' ? ' ' : c;
  }
  out += '"';
}

// RFC 4180, one record a line.
Result<std::vector<std::string>> SplitCsv(std::string_view line) {
  std::vector<std::string> fields;
  std::size_t at = 0;
  while (true) {
    std::string& field = fields.emplace_back();
    if (at < line.size() && line[at] == '"') {
      ++at;
      while (true) {
        if (at >= line.size()) {
          return Fail(ErrorCode::kInvalid, "a quoted field does not end on its line; an entry is one line");
        }
        if (line[at] != '"') {
          field += line[at++];
        } else if (at + 1 < line.size() && line[at + 1] == '"') {
          field += '"';
          at += 2;
        } else {
          ++at;
          break;
        }
      }
      if (at < line.size() && line[at] != ',') {
        return Fail(ErrorCode::kInvalid, fmt::format("column {}: after a quoted field a comma is expected", at + 1));
      }
    } else {
      const std::size_t end = std::min(line.find(',', at), line.size());
      field = Trimmed(line.substr(at, end - at));
      at = end;
    }
    if (at >= line.size()) return fields;
    ++at;
  }
}

// Sets one field of an entry by its name; names that are none of ours are left alone, for the files of others have
// columns of their own.
Result<void> SetField(Suppression& entry, std::string_view name, std::string_view text) {
  const auto moment = [&](auto& member) -> Result<void> {
    const std::optional<Wall> read = ParseMoment(text);
    if (!read) {
      return Fail(ErrorCode::kInvalid,
                  fmt::format("{}: expected a moment like 2026-11-24T09:00:00Z, found \"{}\"", name, text));
    }
    member = *read;
    return {};
  };
  if (IsAddressColumn(name)) {
    // Beside an address, its domain says nothing; alone, it means the whole domain.
    if (text.empty() || (name == "domain" && !entry.address.empty())) return {};
    // A column for domains may leave the "@" out, even of a domain without a dot.
    const std::string with_at = name == "domain" && text.find('@') == text.npos ? "@" + std::string(text) : "";
    Result<std::string> address = queue::ParseSuppressed(with_at.empty() ? text : std::string_view(with_at));
    if (!address) return std::unexpected(address.error());
    entry.address = *std::move(address);
    return {};
  }
  if (text.empty()) return {};
  if (name == "list") {
    Result<std::string> list = ParseListName(text);
    if (!list) return Fail("list", list.error());
    entry.list = *std::move(list);
  } else if (name == "when") {
    return moment(entry.when);
  } else if (name == "expires") {
    return moment(entry.expires);
  } else if (name == "by") {
    const auto origin = queue::ParseSuppressionOrigin(text);
    if (!origin) return Fail(ErrorCode::kInvalid, "by: expected \"rule\", \"hand\" or \"import\"");
    entry.origin = *origin;
  } else if (name == "row") {
    const auto [end, error] = std::from_chars(text.data(), text.data() + text.size(), entry.row);
    if (error != std::errc() || end != text.data() + text.size()) {
      return Fail(ErrorCode::kInvalid, "row: expected a number");
    }
  } else {
    constexpr std::array<std::pair<std::string_view, std::string Suppression::*>, 6> kTexts{
        {{"who", &Suppression::who},
         {"why", &Suppression::why},
         {"campaign", &Suppression::campaign},
         {"site", &Suppression::site},
         {"provider", &Suppression::provider},
         {"reply", &Suppression::reply}}};
    for (const auto& [key, member] : kTexts) {
      if (name == key) entry.*member = text;
    }
  }
  return {};
}

Result<Suppression> Complete(Suppression entry) {
  if (entry.address.empty()) return Fail(ErrorCode::kInvalid, "neither an address nor a domain");
  return entry;
}

// A name and what it holds, if anything.
void AppendJsonField(std::string& out, std::string_view name, std::string_view text) {
  if (text.empty()) return;
  out.append(",\"").append(name).append("\":");
  AppendJsonString(out, text);
}

// Everything of an entry, without the braces.
void AppendJsonFields(std::string& out, const Suppression& entry) {
  out += "\"address\":";
  AppendJsonString(out, entry.address);
  AppendJsonField(out, "list", ShownListName(entry.list));
  AppendJsonField(out, "when", FormatRfc3339(entry.when));
  AppendJsonField(out, "by", ToString(entry.origin));
  AppendJsonField(out, "who", entry.who);
  AppendJsonField(out, "why", entry.why);
  AppendJsonField(out, "campaign", entry.campaign);
  if (entry.row != 0) out.append(",\"row\":").append(std::to_string(entry.row));
  AppendJsonField(out, "site", entry.site);
  AppendJsonField(out, "provider", entry.provider);
  AppendJsonField(out, "reply", entry.reply);
  if (entry.expires) AppendJsonField(out, "expires", FormatRfc3339(*entry.expires));
}

}  // namespace

std::optional<SuppressionForm> ParseSuppressionForm(std::string_view name) {
  if (name == "text") return SuppressionForm::kText;
  if (name == "csv") return SuppressionForm::kCsv;
  if (name == "jsonl") return SuppressionForm::kJson;
  return std::nullopt;
}

std::string_view SuppressionHeader(SuppressionForm form) {
  return form == SuppressionForm::kCsv ? kCsvHeader : std::string_view();
}

void AppendSuppressionJson(std::string& out, const Suppression& entry) {
  out += '{';
  AppendJsonFields(out, entry);
  out += '}';
}

void AppendPastSuppressionJson(std::string& out, const queue::PastSuppression& past) {
  out += "{\"ended\":";
  AppendJsonString(out, ToString(past.end));
  AppendJsonField(out, "ended_when", FormatRfc3339(past.when));
  AppendJsonField(out, "ended_who", past.who);
  AppendJsonField(out, "ended_why", past.why);
  out += ',';
  AppendJsonFields(out, past.entry);
  out += '}';
}

void AppendSuppression(std::string& out, const Suppression& entry, SuppressionForm form) {
  switch (form) {
    case SuppressionForm::kText:
      out.append(entry.address).append("\n");
      return;
    case SuppressionForm::kJson:
      AppendSuppressionJson(out, entry);
      out += '\n';
      return;
    case SuppressionForm::kCsv:
      break;
  }
  const std::string row = entry.row == 0 ? std::string() : std::to_string(entry.row);
  const std::string expires = entry.expires ? FormatRfc3339(*entry.expires) : std::string();
  const std::string when = FormatRfc3339(entry.when);
  const std::array<std::string_view, 12> fields{entry.address,  ShownListName(entry.list),
                                                when,           ToString(entry.origin),
                                                entry.who,      entry.why,
                                                entry.campaign, row,
                                                entry.site,     entry.provider,
                                                entry.reply,    std::string_view(expires)};
  for (std::size_t i = 0; i < fields.size(); ++i) {
    if (i > 0) out += ',';
    AppendField(out, fields[i]);
  }
  out += "\r\n";
}

std::optional<Wall> ParseMoment(std::string_view text) {
  constexpr std::size_t kDay = 10;
  constexpr std::size_t kSecond = 19;
  if (text.size() == kDay) return ParseRfc3339(std::string(text) + "T00:00:00.000Z");
  if (text.size() == kSecond + 1 && text.ends_with('Z')) {
    return ParseRfc3339(std::string(text.substr(0, kSecond)) + ".000Z");
  }
  return ParseRfc3339(text);
}

// -- Reading

SuppressionLines::SuppressionLines(std::optional<SuppressionForm> form, Suppression defaults)
    : form_(form), defaults_(std::move(defaults)) {}

void SuppressionLines::Feed(std::string_view bytes, const Take& take) {
  for (std::size_t end; (end = bytes.find('\n')) != std::string_view::npos; bytes.remove_prefix(end + 1)) {
    const std::string_view piece = bytes.substr(0, end);
    if (rest_.empty()) {
      Line(piece, take);
    } else {
      rest_.append(piece.substr(0, kLineMax + 1));
      Line(rest_, take);
      rest_.clear();
    }
  }
  // Of a line without an end no more is kept than shows that it is too long.
  if (rest_.size() <= kLineMax) rest_.append(bytes.substr(0, kLineMax + 1));
}

void SuppressionLines::Finish(const Take& take) {
  if (!rest_.empty()) Line(std::exchange(rest_, {}), take);
}

void SuppressionLines::Line(std::string_view line, const Take& take) {
  ++line_;
  constexpr std::string_view kByteOrderMark = "\xef\xbb\xbf";
  if (line_ == 1 && line.starts_with(kByteOrderMark)) line.remove_prefix(kByteOrderMark.size());
  if (line.size() > kLineMax) {
    return take(line_, Fail(ErrorCode::kTooLarge, fmt::format("longer than {} bytes", kLineMax)));
  }
  line = Trimmed(line);
  if (line.empty()) return;
  if (!form_) {
    if (line.starts_with('#')) return;
    const auto fields = SplitCsv(line);
    const bool is_header =
        fields && std::ranges::any_of(*fields, [](const std::string& field) { return IsAddressColumn(Lower(field)); });
    form_ = line.starts_with('{') ? SuppressionForm::kJson : is_header ? SuppressionForm::kCsv : SuppressionForm::kText;
  }
  switch (*form_) {
    case SuppressionForm::kJson:
      return take(line_, ReadJson(line));
    case SuppressionForm::kCsv:
      if (!header_read_) return ReadHeader(line, take);
      if (!header_bad_) take(line_, ReadCsv(line));
      return;
    case SuppressionForm::kText:
      break;
  }
  if (line.starts_with('#')) return;
  Suppression entry = defaults_;
  const Result<void> set = SetField(entry, "address", line);
  take(line_, set ? Complete(std::move(entry)) : std::unexpected(set.error()));
}

void SuppressionLines::ReadHeader(std::string_view line, const Take& take) {
  header_read_ = true;
  auto fields = SplitCsv(line);
  if (fields) {
    for (const std::string& field : *fields) columns_.push_back(Lower(field));
  }
  if (std::ranges::any_of(columns_, IsAddressColumn)) return;
  header_bad_ = true;
  take(line_, Fail(ErrorCode::kInvalid,
                   "expected a header row with a column \"address\", \"email\", \"recipient\" or \"domain\""));
}

Result<Suppression> SuppressionLines::ReadCsv(std::string_view line) const {
  auto fields = SplitCsv(line);
  if (!fields) return std::unexpected(fields.error());
  if (fields->size() != columns_.size()) {
    return Fail(ErrorCode::kInvalid, fmt::format("{} fields, but the header has {}", fields->size(), columns_.size()));
  }
  Suppression entry = defaults_;
  for (std::size_t i = 0; i < columns_.size(); ++i) {
    if (auto set = SetField(entry, columns_[i], (*fields)[i]); !set) return std::unexpected(set.error());
  }
  return Complete(std::move(entry));
}

Result<Suppression> SuppressionLines::ReadJson(std::string_view line) const {
  const nlohmann::json json = nlohmann::json::parse(line, nullptr, false);
  if (!json.is_object()) return Fail(ErrorCode::kInvalid, "expected one JSON object");
  Suppression entry = defaults_;
  for (const auto& [key, value] : json.items()) {
    std::string text;
    if (value.is_string()) {
      text = value.get<std::string>();
    } else if (value.is_number_unsigned()) {
      text = std::to_string(value.get<std::uint64_t>());
    } else if (value.is_null()) {
      continue;
    } else if (IsAddressColumn(key)) {
      return Fail(ErrorCode::kInvalid, fmt::format("{}: expected a text", key));
    }
    if (auto set = SetField(entry, key, text); !set) return std::unexpected(set.error());
  }
  return Complete(std::move(entry));
}

}  // namespace postrider::observe
