// `postrider classify`: what replies mean, which rule says so, and how often the rules are right. Needs no daemon, but
// for what the daemon saw and no rule knew.

#include <fstream>
#include <iostream>
#include <memory>
#include <set>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "config/duration.h"
#include "throttle/classify.h"
#include "throttle/reply_classifier.h"
#include "tools/command.h"
#include "tools/config_file.h"
#include "tools/exit_code.h"
#include "tools/reply_input.h"
#include "tools/reply_score.h"
#include "tools/table.h"
#include "tools/terminal.h"
#include "tools/text.h"
#include "tools/unmatched_view.h"

namespace postrider::tools {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char* kName = "classify";

std::string Dump(const Json& json) { return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n"; }

// What the codes alone would have said. Who gives no stage mostly shows what a recipient was answered.
Verdict ByCodes(const ReplyRow& row) {
  return Classify(row.reply, row.stage == Stage::kNone ? Stage::kRcpt : row.stage);
}

// "stop-path for 2h at 3/10min"
std::string Describe(const ReplyAction& action) {
  std::string text(ToString(action.kind));
  switch (action.kind) {
    case ActionKind::kSkipHost:
    case ActionKind::kLowerConnections:
    case ActionKind::kStopPath:
    case ActionKind::kPauseSender:
      text += action.duration.count() > 0 ? " for " + FormatDuration(action.duration) : " until it is resumed";
      break;
    case ActionKind::kLowerRate:
      if (action.messages_per_second) text += fmt::format(" to {:g}/min", *action.messages_per_second * 60);
      break;
    default:
      break;
  }
  if (action.kind == ActionKind::kNone) return text;
  return action.threshold == 1 ? text + " at once"
                               : fmt::format("{} at {}/{}", text, action.threshold, FormatDuration(action.period));
}

std::string_view ToText(ReplyRule::Suppress suppress) {
  switch (suppress) {
    case ReplyRule::Suppress::kNo:
      return "no";
    case ReplyRule::Suppress::kAtOnce:
      return "at-once";
    case ReplyRule::Suppress::kOnSecond:
      return "on-second";
  }
  return "";
}

constexpr std::string_view kLine = "{:<19}  {:<9}  {:<10}  {:<17}  ";

std::string ToText(const ReplyRow& row, const Judgement& judgement, bool explain, const Terminal& terminal) {
  const Verdict& verdict = judgement.verdict;
  const std::string_view action = ToString(judgement.rule == nullptr ? ActionKind::kNone : judgement.rule->action.kind);
  const std::string_view category = verdict.category == Category::kNone ? "-" : ToString(verdict.category);
  std::string out = fmt::format(kLine, category, ToString(verdict.fate), ToString(verdict.scope), action);
  out += terminal.interactive ? Shorten(row.shown, terminal.columns > out.size() ? terminal.columns - out.size() : 0)
                              : row.shown;
  out += '\n';
  if (!explain) return out;
  const Verdict codes = ByCodes(row);
  if (const ReplyRule* rule = judgement.rule) {
    out += fmt::format("    rule {} ({}:{}): {}; suppress: {}\n", rule->name, rule->file, rule->line,
                       Describe(rule->action), ToText(rule->suppress));
    out += fmt::format("    the codes alone: {}, {}, {}\n", ToString(codes.category), ToString(codes.fate),
                       ToString(codes.scope));
  } else {
    out += row.reply.Positive() ? "    no refusal: rules speak of refusals alone\n"
                                : "    no rule knows it; its codes alone decided\n";
  }
  return out;
}

std::string Heads() { return fmt::format(kLine, "category", "fate", "scope", "action") + "reply\n"; }

Json ToJson(const Verdict& verdict) {
  return {
      {"category", ToString(verdict.category)}, {"fate", ToString(verdict.fate)}, {"scope", ToString(verdict.scope)}};
}

std::string ToJson(const ReplyRow& row, const Judgement& judgement, bool explain) {
  Json json = {{"line", row.line}, {"code", row.reply.code}};
  if (row.reply.enhanced) json["enhanced"] = ToString(*row.reply.enhanced);
  json["reply"] = row.reply.text;
  if (row.stage != Stage::kNone) json["stage"] = ToString(row.stage);
  if (!row.provider.empty()) json["provider"] = row.provider;
  json.update(ToJson(judgement.verdict));
  const ReplyRule* rule = judgement.rule;
  const ReplyAction none;
  const ReplyAction& action = rule == nullptr ? none : rule->action;
  json["action"] = ToString(action.kind);
  json["rule"] = rule == nullptr ? Json() : Json(rule->name);
  if (!explain) return Dump(json);
  if (rule != nullptr) {
    json["file"] = rule->file;
    json["rule_line"] = rule->line;
    json["suppress"] = ToText(rule->suppress);
  }
  if (action.kind != ActionKind::kNone) {
    json["threshold"] = action.threshold;
    json["period_seconds"] = action.period.count();
    json["duration_seconds"] = action.duration.count();
    if (action.messages_per_second) json["messages_per_second"] = *action.messages_per_second;
  }
  json["codes_alone"] = ToJson(ByCodes(row));
  return Dump(json);
}

// Standard input, or a file. Null after the error was written.
std::unique_ptr<std::ifstream> OpenFile(const std::filesystem::path& file) {
  std::error_code ignored;
  auto stream = std::make_unique<std::ifstream>(file, std::ios::binary);
  if (*stream && !std::filesystem::is_directory(file, ignored)) return stream;
  (void)Report(kName, {ErrorCode::kIo, fmt::format("{}: cannot read it", file.string())});
  return nullptr;
}

class Classifying {
 public:
  Classifying(const ClassifyRequest& request, const ProviderTable& providers, ReplyReader::Defaults defaults,
              std::vector<ReplyRule> rules, ReplyClassifierPtr classifier)
      : request_(request),
        providers_(providers),
        defaults_(std::move(defaults)),
        rules_(std::move(rules)),
        classifier_(std::move(classifier)) {}

  int Run() const {
    const bool is_score = !request_.score.empty();
    const std::filesystem::path file = is_score ? request_.score : std::filesystem::path(request_.file);
    const bool is_standard_input = file == "-";
    const std::unique_ptr<std::ifstream> opened = is_standard_input ? nullptr : OpenFile(file);
    if (!is_standard_input && opened == nullptr) return kExitFailed;
    ReplyReader reader(is_standard_input ? std::cin : *opened,
                       is_standard_input ? std::string("standard input") : file.string(), providers_, defaults_);
    return is_score ? Score(reader, file.string()) : Show(reader);
  }

 private:
  int Show(ReplyReader& reader) const {
    const Terminal terminal = Terminal::Detect();
    int exit_code = kExitDone;
    bool headed = request_.json;
    while (const std::optional<Result<ReplyRow>> row = reader.Next()) {
      if (!*row) {
        exit_code = Report(kName, row->error());
        continue;
      }
      const Judgement judgement = Judge(*classifier_, **row);
      if (!std::exchange(headed, true) && !Print(Heads())) return kExitFailed;
      if (!Print(request_.json ? ToJson(**row, judgement, request_.explain)
                               : ToText(**row, judgement, request_.explain, terminal))) {
        return kExitFailed;
      }
    }
    return exit_code;
  }

  int Score(ReplyReader& reader, const std::string& name) const {
    std::vector<ReplyRow> rows;
    while (std::optional<Result<ReplyRow>> row = reader.Next()) {
      if (!*row) return Report(kName, row->error());
      if (!(*row)->expected) {
        return Report(kName, {ErrorCode::kInvalid, fmt::format("{}:{}: expected \"expected\", the category that the "
                                                               "reply should get; --score compares with it",
                                                               name, (*row)->line)});
      }
      rows.push_back(**std::move(row));
    }
    if (rows.empty()) return Report(kName, {ErrorCode::kInvalid, fmt::format("{}: no replies in it", name)});
    if (request_.cross_validate > static_cast<int>(rows.size())) {
      return ReportUsage(kName, {ErrorCode::kInvalid, fmt::format("{}: {} replies cannot be parted into {} folds", name,
                                                                  rows.size(), request_.cross_validate)});
    }
    const ReplyScore score = request_.cross_validate > 0 ? CrossValidate(rows) : ScoreAll(rows);
    return Print(request_.json ? score.ToJson() : score.ToText(Terminal::Detect())) ? kExitDone : kExitFailed;
  }

  static Judgement Judge(const ReplyClassifier& classifier, const ReplyRow& row) {
    return classifier.Classify(row.reply, row.stage, row.provider);
  }

  static void Add(ReplyScore& score, const ReplyRow& row, const Judgement& judgement) {
    score.Add(*row.expected, row.accept, judgement.verdict.category, judgement.rule != nullptr);
  }

  ReplyScore ScoreAll(const std::vector<ReplyRow>& rows) const {
    ReplyScore score;
    for (const ReplyRow& row : rows) Add(score, row, Judge(*classifier_, row));
    return score;
  }

  // Row n belongs to fold n mod K. A rule that decides nothing outside a fold could have been written for it alone, so
  // it has no say there.
  ReplyScore CrossValidate(const std::vector<ReplyRow>& rows) const {
    const auto folds = static_cast<std::size_t>(request_.cross_validate);
    std::vector<std::string> deciders;
    for (const ReplyRow& row : rows) {
      const ReplyRule* rule = Judge(*classifier_, row).rule;
      deciders.push_back(rule == nullptr ? std::string() : rule->name);
    }
    ReplyScore score;
    for (std::size_t fold = 0; fold < folds; ++fold) {
      std::set<std::string> seen_outside;
      for (std::size_t i = 0; i < rows.size(); ++i) {
        if (i % folds != fold) seen_outside.insert(deciders[i]);
      }
      std::vector<ReplyRule> kept = rules_;
      std::erase_if(kept, [&](const ReplyRule& rule) { return !seen_outside.contains(rule.name); });
      // Fewer rules cannot take a sample from its own rule.
      const auto classifier = ReplyClassifier::Make(std::move(kept));
      if (!classifier) continue;
      for (std::size_t i = fold; i < rows.size(); i += folds) Add(score, rows[i], Judge(**classifier, rows[i]));
    }
    return score;
  }

  const ClassifyRequest& request_;
  const ProviderTable& providers_;
  const ReplyReader::Defaults defaults_;
  const std::vector<ReplyRule> rules_;
  const ReplyClassifierPtr classifier_;
};

int ShowUnmatched(const ClassifyRequest& request) {
  const Result<AdminClient> client = AdminClient::Find(request.daemon);
  if (!client) return ReportUsage(kName, client.error());
  const Result<std::string> answer = client->Get(fmt::format("/api/v1/unmatched?top={}", request.top));
  if (!answer) return Report(kName, answer.error());
  if (request.json) return Print(*answer) ? kExitDone : kExitFailed;
  const Result<UnmatchedView> view = ParseUnmatched(*answer);
  if (!view) return Report(kName, view.error());
  return Print(RenderUnmatched(*view, Terminal::Detect())) ? kExitDone : kExitFailed;
}

int ReportAll(const Diagnostics& diagnostics) {
  for (const Diagnostic& diagnostic : diagnostics) {
    (void)ReportUsage(kName, {ErrorCode::kInvalid, ToString(diagnostic)});
  }
  return kExitUsage;
}

std::expected<std::vector<ReplyRule>, Diagnostics> LoadRules(const ClassifyRequest& request, const Options& options) {
  const std::filesystem::path& file = request.rules.empty() ? options.reply_rules : request.rules;
  if (!request.no_shipped) return LoadReplyRules(file, options.Providers());
  return ReadReplyRules(file, options.Providers());
}

}  // namespace

int RunClassify(const ClassifyRequest& request) {
  if (request.unmatched) return ShowUnmatched(request);
  const OptionsPtr options = LoadConfig(kName, request.daemon.config, NoConfig::kUseDefaults);
  if (options == nullptr) return kExitUsage;
  ReplyReader::Defaults defaults;
  if (!request.provider.empty()) {
    const ProviderOptions* provider = options->Providers().FindByAnyName(request.provider);
    if (provider == nullptr) {
      const std::string_view nearest = options->Providers().NearestProvider(request.provider);
      return ReportUsage(
          kName, {ErrorCode::kNotFound,
                  fmt::format("--provider: nobody is called \"{}\"{}", Printable(request.provider),
                              nearest.empty() ? std::string() : fmt::format("; did you mean \"{}\"?", nearest))});
    }
    defaults.provider = provider->name;
  }
  if (!request.stage.empty()) {
    const std::optional<Stage> stage = ParseStage(request.stage);
    if (!stage) {
      return ReportUsage(kName, {ErrorCode::kInvalid,
                                 fmt::format("--stage: expected banner, ehlo, starttls, auth, mail, rcpt, data or "
                                             "content, found \"{}\"",
                                             Printable(request.stage))});
    }
    defaults.stage = *stage;
  }
  auto rules = LoadRules(request, *options);
  if (!rules) return ReportAll(rules.error());
  auto classifier = ReplyClassifier::Make(*rules);
  if (!classifier) return ReportAll(classifier.error());
  return Classifying(request, options->Providers(), std::move(defaults), *std::move(rules), *std::move(classifier))
      .Run();
}

}  // namespace postrider::tools
