#include "engine/observe/suppression_api.h"

#include <algorithm>
#include <array>
#include <charconv>
#include <chrono>
#include <map>
#include <optional>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "config/duration.h"
#include "config/email_address.h"
#include "config/list_name.h"
#include "engine/observe/api_json.h"
#include "engine/observe/json_text.h"
#include "engine/observe/rfc3339.h"
#include "engine/observe/suppression_text.h"
#include "engine/observe/url_text.h"

namespace postrider::observe {
namespace {

using queue::Suppression;
using queue::SuppressionQuery;

constexpr std::size_t kShown = 100;
constexpr std::size_t kShownMost = 1000;
constexpr std::size_t kBatch = 4096;    // entries of one synced step of import and undo
constexpr std::size_t kAddMost = 1000;  // in one request; more are an import
constexpr std::size_t kProblemsShown = 100;
constexpr std::size_t kExamples = 10;
// Longer than any address lasts; far from where a moment could no longer be computed.
constexpr std::chrono::hours kLongest{24 * 36'500};
constexpr std::size_t kPieceBytes = 64 << 10;  // of a body; never on the stack: civetweb's threads have 100 KB of it
constexpr std::string_view kUnknownAsker = "api";

ApiAnswer WrongMethod(std::string_view allow) {
  ApiAnswer answer = ErrorAnswer(405, fmt::format("this path knows only {}", allow));
  answer.allow = allow;
  return answer;
}

std::string ToHex(std::string_view bytes) {
  std::string hex;
  for (const char c : bytes) fmt::format_to(std::back_inserter(hex), "{:02x}", static_cast<unsigned char>(c));
  return hex;
}

std::optional<std::string> FromHex(std::string_view hex) {
  if (hex.size() % 2 != 0) return std::nullopt;
  std::string bytes;
  for (std::size_t i = 0; i < hex.size(); i += 2) {
    unsigned value = 0;
    const auto [end, error] = std::from_chars(hex.data() + i, hex.data() + i + 2, value, 16);
    if (error != std::errc() || end != hex.data() + i + 2) return std::nullopt;
    bytes += static_cast<char>(value);
  }
  return bytes;
}

// What a request says, by name: of its query, or of its body. A name that is not known is refused, for it may be a
// misspelt condition, and then more would be removed than was meant.
class Fields {
 public:
  static Result<Fields> OfQuery(std::string_view query, std::initializer_list<std::string_view> known) {
    const std::optional<QueryFields> parsed = ParseQuery(query);
    if (!parsed) return Fail(ErrorCode::kInvalid, "the query holds a broken %-escape");
    Fields fields;
    for (const auto& [name, value] : *parsed) {
      if (auto set = fields.Set(name, value, known); !set) return std::unexpected(set.error());
    }
    return fields;
  }
  static Result<Fields> OfBody(const nlohmann::json& json, std::initializer_list<std::string_view> known) {
    if (!json.is_object()) return Fail(ErrorCode::kInvalid, "expected a JSON object as the body");
    Fields fields;
    for (const auto& [name, value] : json.items()) {
      if (name == "addresses") continue;
      const bool flag = value.is_boolean() && value.get<bool>();
      if (!value.is_string() && !value.is_boolean()) {
        return Fail(ErrorCode::kInvalid, fmt::format("{}: expected a text", name));
      }
      const std::string text = value.is_string() ? value.get<std::string>() : flag ? "1" : "";
      if (auto set = fields.Set(name, text, known); !set) return std::unexpected(set.error());
    }
    return fields;
  }

  // Empty if it was not said.
  [[nodiscard]] const std::string& Text(std::string_view name) const {
    static const std::string nothing;
    const auto found = values_.find(name);
    return found == values_.end() ? nothing : found->second;
  }
  [[nodiscard]] bool Has(std::string_view name) const { return !Text(name).empty(); }
  [[nodiscard]] Result<std::optional<Wall>> Moment(std::string_view name) const {
    const std::string& text = Text(name);
    if (text.empty()) return std::nullopt;
    const std::optional<Wall> moment = ParseMoment(text);
    if (!moment) {
      return Fail(ErrorCode::kInvalid,
                  fmt::format("{}: expected a moment in UTC like 2026-11-24T09:00:00Z, or a day", name));
    }
    return moment;
  }
  [[nodiscard]] Result<std::string> List() const {
    Result<std::string> list = ParseListName(Text("list"));
    if (!list) return Fail("list", list.error());
    return list;
  }
  // "expires", or "for" from now on.
  [[nodiscard]] Result<std::optional<Wall>> End(Wall now) const {
    if (!Has("for")) return Moment("expires");
    const auto lasts = ParseDuration(Text("for"));
    if (!lasts) return Fail("for", lasts.error());
    if (*lasts < std::chrono::seconds(1) || *lasts > kLongest) {
      return Fail(ErrorCode::kInvalid,
                  fmt::format("for: expected a time from \"1s\" to \"{}\"; without it, it is for good",
                              FormatDuration(kLongest)));
    }
    return now + *lasts;
  }

 private:
  Result<void> Set(const std::string& name, const std::string& value, std::initializer_list<std::string_view> known) {
    if (std::ranges::find(known, name) == known.end()) {
      std::string names;
      for (const std::string_view one : known) names.append(names.empty() ? "" : ", ").append(one);
      return Fail(ErrorCode::kInvalid, fmt::format("\"{}\" is not known here; known are {}", name, names));
    }
    if (!values_.try_emplace(name, value).second) {
      return Fail(ErrorCode::kInvalid, fmt::format("{} is said twice", name));
    }
    return {};
  }

  std::map<std::string, std::string, std::less<>> values_;
};

// The conditions that list, export and undo share.
Result<SuppressionQuery> ToQuery(const Fields& fields) {
  SuppressionQuery query;
  if (fields.Has("list")) {
    auto list = fields.List();
    if (!list) return std::unexpected(list.error());
    query.list = *std::move(list);
  }
  if (fields.Has("domain")) {
    const std::string_view text = fields.Text("domain");
    auto domain = ParseMailDomain(text.starts_with('@') ? text.substr(1) : text);
    if (!domain) return Fail("domain", domain.error());
    query.domain = *std::move(domain);
  }
  if (fields.Has("by")) {
    query.origin = queue::ParseSuppressionOrigin(fields.Text("by"));
    if (!query.origin) return Fail(ErrorCode::kInvalid, "by: expected \"rule\", \"hand\" or \"import\"");
  }
  query.rule = fields.Text("rule");
  query.site = fields.Text("site");
  query.provider = fields.Text("provider");
  for (const auto& [name, member] : {std::pair("since", &query.since), std::pair("until", &query.until)}) {
    const auto moment = fields.Moment(name);
    if (!moment) return std::unexpected(moment.error());
    *member = *moment;
  }
  return query;
}

std::string TallyJson(const queue::SuppressionTally& tally) {
  return fmt::format("{{\"added\":{},\"replaced\":{},\"unchanged\":{}}}\n", tally.added, tally.replaced,
                     tally.unchanged);
}

// Their JSON texts, in brackets.
template <typename Entries, typename Append>
void AppendArray(std::string& out, const Entries& entries, Append append) {
  out += '[';
  for (const auto& entry : entries) {
    if (out.back() != '[') out += ',';
    append(out, entry);
  }
  out += ']';
}

// Takes the body to its end, so that whoever sends it reads the answer.
void Drain(const BodyReader& stream) {
  std::vector<char> piece(kPieceBytes);
  while (stream(piece).value_or(0) > 0) {
  }
}

// One import under way.
class Importing {
 public:
  explicit Importing(SuppressionControl& control) : control_(control) {}

  void Take(std::uint64_t line, Result<Suppression> entry) {
    if (entry) {
      batch_.push_back(*std::move(entry));
      return;
    }
    ++rejected_;
    if (problems_.size() < kProblemsShown) problems_.emplace_back(line, std::move(entry.error().message));
  }
  // Writes what has gathered in whole batches, and at the last all of it.
  Result<void> Write(bool last) {
    std::size_t begin = 0;
    while (batch_.size() - begin >= kBatch || (last && begin < batch_.size())) {
      const std::size_t count = std::min(kBatch, batch_.size() - begin);
      const auto added = control_.Add(std::span(batch_).subspan(begin, count));
      if (!added) return std::unexpected(added.error());
      tally_ += *added;
      begin += count;
    }
    batch_.erase(batch_.begin(), batch_.begin() + static_cast<std::ptrdiff_t>(begin));
    return {};
  }
  [[nodiscard]] std::string ToJson(std::uint64_t lines) const {
    std::string out = fmt::format("{{\"lines\":{},\"added\":{},\"replaced\":{},\"unchanged\":{},\"rejected\":{}", lines,
                                  tally_.added, tally_.replaced, tally_.unchanged, rejected_);
    out += ",\"problems\":";
    AppendArray(out, problems_, [](std::string& text, const auto& problem) {
      fmt::format_to(std::back_inserter(text), "{{\"line\":{},\"problem\":", problem.first);
      AppendJsonString(text, problem.second);
      text += '}';
    });
    return out + "}\n";
  }
  [[nodiscard]] std::uint64_t written() const { return tally_.added + tally_.replaced + tally_.unchanged; }

 private:
  SuppressionControl& control_;
  std::vector<Suppression> batch_;
  queue::SuppressionTally tally_;
  std::uint64_t rejected_ = 0;
  std::vector<std::pair<std::uint64_t, std::string>> problems_;
};

}  // namespace

ApiAnswer SuppressionApi::Handle(const ApiRequest& request, const std::vector<std::string>& path) {
  const bool read = request.method == "GET" || request.method == "HEAD";
  const std::string_view page = path.size() == 4 ? std::string_view(path[3]) : std::string_view();
  if (path.size() == 3) {
    if (read) return Look(request);
    if (request.method == "POST") return Add(request);
    if (request.method == "DELETE") return Remove(request);
    return WrongMethod("GET, HEAD, POST, DELETE");
  }
  if (page == "lists") return read ? Lists() : WrongMethod("GET, HEAD");
  if (page == "export") return request.method == "GET" ? Export(request) : WrongMethod("GET");
  if (page == "import") return request.method == "POST" ? Import(request) : WrongMethod("POST");
  if (page == "undo") return request.method == "POST" ? Undo(request) : WrongMethod("POST");
  return ErrorAnswer(404, "no such page; there are /api/v1/suppressions, and below it lists, export, import and undo");
}

ApiAnswer SuppressionApi::Look(const ApiRequest& request) {
  const auto fields = Fields::OfQuery(request.query, {"address", "list", "domain", "by", "rule", "site", "provider",
                                                      "since", "until", "expired", "after", "limit"});
  if (!fields) return ErrorAnswer(fields.error());
  if (fields->Has("address")) {
    const auto list = fields->List();
    if (!list) return ErrorAnswer(list.error());
    return Check(fields->Text("address"), *list);
  }
  auto query = ToQuery(*fields);
  if (!query) return ErrorAnswer(query.error());
  if (!fields->Has("expired")) query->valid_at = control_.now();
  const std::string& limit = fields->Text("limit");
  std::size_t most = kShown;
  const auto [end, error] = std::from_chars(limit.data(), limit.data() + limit.size(), most);
  if (!limit.empty() &&
      (error != std::errc() || end != limit.data() + limit.size() || most == 0 || most > kShownMost)) {
    return ErrorAnswer(400, fmt::format("expected limit= a number from 1 to {}", kShownMost));
  }
  const std::optional<std::string> cursor = FromHex(fields->Text("after"));
  if (!cursor) return ErrorAnswer(400, "after: expected what `next` said in the answer before");
  auto page = control_.List(*query, *cursor, most);
  // A page may be empty though there is more; whoever asks is spared that as long as it does not take long.
  for (int pieces = 1; page && page->entries.empty() && !page->cursor.empty() && pieces < 50 && !stopping_();
       ++pieces) {
    page = control_.List(*query, page->cursor, most);
  }
  if (!page) return ErrorAnswer(page.error());
  ApiAnswer answer;
  answer.body = "{\"entries\":";
  AppendArray(answer.body, page->entries, AppendSuppressionJson);
  if (!page->cursor.empty()) answer.body += ",\"next\":\"" + ToHex(page->cursor) + "\"";
  answer.body += "}\n";
  return answer;
}

ApiAnswer SuppressionApi::Check(const std::string& text, const std::string& list) {
  const auto address = queue::ParseSuppressed(text);
  if (!address) return ErrorAnswer(address.error());
  const auto matches = control_.Match(*address);
  if (!matches) return ErrorAnswer(matches.error());
  const Wall now = control_.now();
  const bool suppressed = std::ranges::any_of(matches->entries, [&](const Suppression& entry) {
    return (entry.list.empty() || entry.list == list) && !entry.Expired(now);
  });
  ApiAnswer answer;
  answer.body = "{\"address\":";
  AppendJsonString(answer.body, *address);
  answer.body += ",\"list\":";
  AppendJsonString(answer.body, ShownListName(list));
  answer.body += suppressed ? ",\"suppressed\":true,\"entries\":" : ",\"suppressed\":false,\"entries\":";
  AppendArray(answer.body, matches->entries, AppendSuppressionJson);
  answer.body += ",\"history\":";
  AppendArray(answer.body, matches->past, AppendPastSuppressionJson);
  answer.body += "}\n";
  return answer;
}

ApiAnswer SuppressionApi::Lists() {
  ApiAnswer answer;
  answer.body = "{\"lists\":";
  AppendArray(answer.body, control_.Stats()->lists, [](std::string& out, const auto& list) {
    out += "{\"list\":";
    AppendJsonString(out, ShownListName(list.first));
    fmt::format_to(std::back_inserter(out), ",\"addresses\":{},\"domains\":{},\"expiring\":{}}}", list.second.addresses,
                   list.second.domains, list.second.expiring);
  });
  answer.body += "}\n";
  return answer;
}

ApiAnswer SuppressionApi::Add(const ApiRequest& request) {
  const nlohmann::json json = nlohmann::json::parse(request.body, nullptr, false);
  const auto fields = Fields::OfBody(json, {"address", "list", "who", "why", "for", "expires"});
  if (!fields) return ErrorAnswer(fields.error());
  std::vector<std::string> addresses;
  if (fields->Has("address")) addresses.push_back(fields->Text("address"));
  if (const auto more = json.find("addresses"); more != json.end()) {
    if (!more->is_array() || !std::ranges::all_of(*more, [](const auto& one) { return one.is_string(); })) {
      return ErrorAnswer(400, "addresses: expected a list of texts");
    }
    for (const auto& one : *more) addresses.push_back(one.template get<std::string>());
  }
  if (addresses.empty() || addresses.size() > kAddMost) {
    return ErrorAnswer(400,
                       fmt::format("expected {{\"address\": \"ana@example.org\"}}, or \"addresses\" with up to {} of "
                                   "them; more are for /api/v1/suppressions/import",
                                   kAddMost));
  }
  Suppression entry;
  entry.when = control_.now();
  const auto list = fields->List();
  if (!list) return ErrorAnswer(list.error());
  const auto end = fields->End(entry.when);
  if (!end) return ErrorAnswer(end.error());
  entry.list = *list;
  entry.expires = *end;
  entry.who = fields->Has("who") ? fields->Text("who") : std::string(kUnknownAsker);
  entry.why = fields->Text("why");
  std::vector<Suppression> entries;
  for (const std::string& text : addresses) {
    const auto address = queue::ParseSuppressed(text);
    if (!address) return ErrorAnswer(400, fmt::format("\"{}\": {}", text, address.error().message));
    entry.address = *address;
    entries.push_back(entry);
  }
  const auto added = control_.Add(entries);
  if (!added) return ErrorAnswer(added.error());
  ApiAnswer answer;
  answer.body = TallyJson(*added);
  return answer;
}

ApiAnswer SuppressionApi::Remove(const ApiRequest& request) {
  const auto fields = Fields::OfQuery(request.query, {"address", "list", "who", "why"});
  if (!fields) return ErrorAnswer(fields.error());
  const auto address = queue::ParseSuppressed(fields->Text("address"));
  if (!address) return ErrorAnswer(address.error());
  const auto list = fields->List();
  if (!list) return ErrorAnswer(list.error());
  queue::SuppressionRemoval removal;
  removal.list = *list;
  removal.address = *address;
  removal.when = control_.now();
  removal.who = fields->Has("who") ? fields->Text("who") : std::string(kUnknownAsker);
  removal.why = fields->Text("why");
  const auto removed = control_.Remove({&removal, 1});
  if (!removed) return ErrorAnswer(removed.error());
  if (*removed == 0) {
    return ErrorAnswer(404, fmt::format("{} is not in the list {}; ?address={} shows where it is", *address,
                                        ShownListName(*list), *address));
  }
  ApiAnswer answer;
  answer.body = "{\"removed\":1}\n";
  return answer;
}

ApiAnswer SuppressionApi::Import(const ApiRequest& request) {
  const auto refuse = [&](ApiAnswer answer) {
    if (request.stream) Drain(request.stream);
    return answer;
  };
  const auto fields = Fields::OfQuery(request.query, {"list", "who", "why", "format", "for", "expires"});
  if (!fields) return refuse(ErrorAnswer(fields.error()));
  Suppression defaults;
  defaults.when = control_.now();
  defaults.origin = queue::SuppressionOrigin::kImport;
  const auto list = fields->List();
  if (!list) return refuse(ErrorAnswer(list.error()));
  const auto expires = fields->End(defaults.when);
  if (!expires) return refuse(ErrorAnswer(expires.error()));
  defaults.list = *list;
  defaults.expires = *expires;
  defaults.who = fields->Has("who") ? fields->Text("who") : std::string(kUnknownAsker);
  defaults.why = fields->Text("why");
  const std::optional<SuppressionForm> form = ParseSuppressionForm(fields->Text("format"));
  if (fields->Has("format") && !form) return refuse(ErrorAnswer(400, "format: expected text, csv or jsonl"));
  if (!request.stream) return ErrorAnswer(400, "expected the lines to import as the body");

  SuppressionLines lines(form, std::move(defaults));
  Importing importing(control_);
  const auto take = [&](std::uint64_t line, Result<Suppression> entry) { importing.Take(line, std::move(entry)); };
  std::vector<char> piece(kPieceBytes);
  while (true) {
    const std::optional<std::size_t> count = stopping_() ? std::nullopt : request.stream(piece);
    if (!count) {
      return ErrorAnswer(
          stopping_() ? 503 : 400,
          fmt::format("the lines broke off after line {}; what came in before, {} entries, stays; import "
                      "them once more, what is there already is left as it is",
                      lines.lines(), importing.written()));
    }
    lines.Feed({piece.data(), *count}, take);
    if (*count == 0) lines.Finish(take);
    if (const auto written = importing.Write(*count == 0); !written) {
      Error error = written.error();
      error.message = fmt::format("near line {}: {}; {} entries before it are in", lines.lines(), error.message,
                                  importing.written());
      return refuse(ErrorAnswer(error));
    }
    if (*count == 0) break;
  }
  ApiAnswer answer;
  answer.body = importing.ToJson(lines.lines());
  return answer;
}

ApiAnswer SuppressionApi::Export(const ApiRequest& request) {
  const auto fields = Fields::OfQuery(request.query, {"list", "domain", "by", "rule", "site", "provider", "since",
                                                      "until", "expired", "format", "history"});
  if (!fields) return ErrorAnswer(fields.error());
  auto query = ToQuery(*fields);
  if (!query) return ErrorAnswer(query.error());
  const bool history = fields->Has("history");
  if (!fields->Has("expired") && !history) query->valid_at = control_.now();
  const auto form = fields->Has("format") ? ParseSuppressionForm(fields->Text("format")) : SuppressionForm::kJson;
  if (!form || (history && *form != SuppressionForm::kJson)) {
    return ErrorAnswer(400, "format: expected text, csv or jsonl; history has jsonl only");
  }
  ApiAnswer answer;
  answer.content_type = *form == SuppressionForm::kJson  ? "application/x-ndjson"
                        : *form == SuppressionForm::kCsv ? "text/csv; charset=utf-8; header=present"
                                                         : "text/plain; charset=utf-8";
  answer.stream = [this, query = *std::move(query), form = *form,
                   history](const ApiAnswer::Write& write) -> Result<void> {
    std::string piece(SuppressionHeader(form));
    std::string cursor;
    do {
      if (stopping_()) return Fail(ErrorCode::kUnavailable, "the program is stopping");
      if (history) {
        auto page = control_.ListPast(query, cursor, kBatch);
        if (!page) return std::unexpected(page.error());
        for (const queue::PastSuppression& past : page->entries) {
          AppendPastSuppressionJson(piece, past);
          piece += '\n';
        }
        cursor = std::move(page->cursor);
      } else {
        auto page = control_.List(query, cursor, kBatch);
        if (!page) return std::unexpected(page.error());
        for (const Suppression& entry : page->entries) AppendSuppression(piece, entry, form);
        cursor = std::move(page->cursor);
      }
      if (!piece.empty() && !write(piece)) return {};
      piece.clear();
    } while (!cursor.empty());
    return {};
  };
  return answer;
}

ApiAnswer SuppressionApi::Undo(const ApiRequest& request) {
  const nlohmann::json json = nlohmann::json::parse(request.body, nullptr, false);
  const auto fields =
      Fields::OfBody(json, {"site", "provider", "domain", "rule", "list", "since", "until", "who", "why", "dry_run"});
  if (!fields) return ErrorAnswer(fields.error());
  auto query = ToQuery(*fields);
  if (!query) return ErrorAnswer(query.error());
  if (query->site.empty() && query->provider.empty() && query->domain.empty() && query->rule.empty()) {
    return ErrorAnswer(400, "expected a site, provider, domain or rule whose entries are to go");
  }
  query->origin = queue::SuppressionOrigin::kRule;
  const bool dry_run = fields->Has("dry_run");
  queue::SuppressionRemoval removal;
  removal.when = control_.now();
  removal.who = fields->Has("who") ? fields->Text("who") : std::string(kUnknownAsker);
  removal.why = fields->Has("why") ? fields->Text("why") : "undo";
  std::uint64_t found = 0;
  std::uint64_t removed = 0;
  std::vector<Suppression> examples;
  std::vector<queue::SuppressionRemoval> removals;
  std::string cursor;
  do {
    if (stopping_()) return ErrorAnswer(503, fmt::format("the program is stopping; {} entries are removed", removed));
    auto page = control_.List(*query, cursor, kBatch);
    if (!page) return ErrorAnswer(page.error());
    cursor = std::move(page->cursor);
    found += page->entries.size();
    removals.clear();
    for (Suppression& entry : page->entries) {
      removal.list = entry.list;
      removal.address = entry.address;
      removal.only_by_rule_of = entry.when;
      removals.push_back(removal);
      if (examples.size() < kExamples) examples.push_back(std::move(entry));
    }
    if (dry_run || removals.empty()) continue;
    const auto done = control_.Remove(removals);
    if (!done) {
      Error error = done.error();
      error.message += fmt::format("; {} entries were removed before", removed);
      return ErrorAnswer(error);
    }
    removed += *done;
  } while (!cursor.empty());
  ApiAnswer answer;
  answer.body = fmt::format("{{\"found\":{},\"removed\":{},\"examples\":", found, removed);
  AppendArray(answer.body, examples, AppendSuppressionJson);
  answer.body += "}\n";
  return answer;
}

}  // namespace postrider::observe
