// `postrider throttle try`: replays a delivery log through reply rules and says what would have changed. Needs no
// daemon and changes nothing.

#include "tools/throttle_try.h"

#include <chrono>
#include <filesystem>
#include <memory>

#include <fmt/format.h>
#include <CLI/CLI.hpp>

#include "config/reply_rules.h"
#include "engine/observe/log_files.h"
#include "throttle/reply_classifier.h"
#include "tools/config_file.h"
#include "tools/exit_code.h"
#include "tools/log_reply.h"
#include "tools/rule_trial.h"
#include "tools/terminal.h"
#include "tools/text.h"

namespace postrider::tools {
namespace {

constexpr const char* kName = "throttle try";
constexpr int kProblemsShown = 10;
constexpr std::chrono::milliseconds kRedraw{200};

int ReportAll(const Diagnostics& diagnostics) {
  for (const Diagnostic& diagnostic : diagnostics) {
    (void)ReportUsage(kName, {ErrorCode::kInvalid, ToString(diagnostic)});
  }
  return kExitUsage;
}

// Files as they were said, and all files of the delivery log in a directory.
Result<std::vector<std::filesystem::path>> Expand(const std::vector<std::filesystem::path>& paths) {
  std::vector<std::filesystem::path> files;
  for (const std::filesystem::path& path : paths) {
    std::error_code ignored;
    if (!std::filesystem::is_directory(path, ignored)) {
      files.push_back(path);
      continue;
    }
    const auto listed = observe::ListLogFiles(path);
    if (!listed) return std::unexpected(listed.error());
    if (listed->empty()) {
      return Fail(ErrorCode::kNotFound, fmt::format("{}: there is no file of a delivery log in it", path.string()));
    }
    for (const observe::LogFile& file : *listed) files.push_back(file.path);
  }
  return files;
}

class Replay {
 public:
  Replay(RuleTrial& trial, const Terminal& terminal, bool draws)
      : trial_(trial), display_(terminal), draws_(draws && terminal.interactive) {}

  void Read(const std::filesystem::path& file) {
    auto lines = LogLines::Open(file);
    if (!lines) return Complain(lines.error().message);
    const std::string name = file == "-" ? "standard input" : file.string();
    while (true) {
      const auto line = lines->Next();
      if (!line) return Complain(line.error().message);
      if (!*line) return;
      ++lines_;
      if ((*line)->empty()) continue;
      const auto logged = ParseLogReply(**line);
      if (!logged) {
        Complain(fmt::format("{}:{}: {}", name, lines->line(), logged.error().message));
      } else if (*logged) {
        trial_.Add(**logged);
      }
      Draw(name, lines->bytes());
    }
  }
  void End() {
    if (draws_) (void)Print(display_.Show(""));
    if (problems_ > kProblemsShown) {
      (void)Report(kName, {ErrorCode::kInvalid, fmt::format("... and {} problems more", problems_ - kProblemsShown)});
    }
  }
  [[nodiscard]] bool clean() const { return problems_ == 0; }
  [[nodiscard]] std::uint64_t lines() const { return lines_; }

 private:
  void Complain(const std::string& sentence) {
    if (++problems_ <= kProblemsShown) (void)Report(kName, {ErrorCode::kInvalid, sentence});
  }
  void Draw(const std::string& name, std::uint64_t bytes) {
    if (!draws_ || lines_ % 4096 != 0) return;
    const auto now = std::chrono::steady_clock::now();
    if (now < next_) return;
    next_ = now + kRedraw;
    (void)Print(
        display_.Show(fmt::format("{} lines, {}: {}\n", FormatCount(lines_), Printable(name), FormatBytes(bytes))));
  }

  RuleTrial& trial_;
  Display display_;
  const bool draws_;
  int problems_ = 0;
  std::uint64_t lines_ = 0;
  std::chrono::steady_clock::time_point next_{};
};

}  // namespace

int RunThrottleTry(const ThrottleTryRequest& request) {
  const OptionsPtr options = LoadConfig(kName, request.config, NoConfig::kUseDefaults);
  if (options == nullptr) return kExitUsage;
  auto in_force = ReplyClassifier::Load(options->reply_rules, options->Providers());
  if (!in_force) return ReportAll(in_force.error());
  ReplyClassifierPtr before;
  ReplyClassifierPtr after = *in_force;
  if (!request.rules.empty()) {
    auto fresh = ReplyClassifier::Load(request.rules, options->Providers());
    if (!fresh) return ReportAll(fresh.error());
    after = *std::move(fresh);
    if (!request.against_log) before = *in_force;
  }
  const auto files = Expand(request.logs);
  if (!files) return Report(kName, files.error());
  RuleTrial trial(std::move(before), std::move(after));
  const Terminal terminal = Terminal::Detect();
  Replay replay(trial, terminal, !request.json);
  for (const std::filesystem::path& file : *files) replay.Read(file);
  replay.End();
  const std::string text = request.json ? TrialJson(trial.report()) : RenderTrial(trial.report(), terminal);
  if (!Print(text)) return kExitFailed;
  return replay.clean() ? kExitDone : kExitFailed;
}

void AddThrottleTry(CLI::App& throttle, std::function<int()>& chosen) {
  CLI::App& command = *throttle.add_subcommand("try", "what other reply rules would have made of a delivery log");
  command.footer(R"(
Replays the negative replies in a delivery log. With RULES, a file like `reply_rules` of the configuration, it compares
what that file (and the shipped rules behind it) makes of each reply with what the rules in force make of it; without,
or with --against-log, with what the log says was made of it. Shown are the replies that would get another category,
fate, scope, action or suppression, the recipients that would have bounced or not, how many would be suppressed, and
how often each action would have happened, thresholds kept. What was refused again and again down one path is one line
of the log, so counts of path troubles are of such lines. Needs no daemon and changes nothing.

Examples:
  postrider throttle try my_rules.toml --log /var/log/postrider
  postrider throttle try my_rules.toml --log delivery-20261124T000000.000Z-1.jsonl.zst --json
  postrider throttle try --config new.toml --log /var/log/postrider      its rules against what happened)");
  const auto request = std::make_shared<ThrottleTryRequest>();
  command.callback([request, &chosen] { chosen = [request] { return RunThrottleTry(*request); }; });
  command.add_option("RULES", request->rules, "the rules to try, in place of the configuration's reply_rules");
  command
      .add_option("--log", request->logs,
                  "a file of the delivery log (.zst and .gz too, \"-\" is standard input), or a directory of them; may "
                  "be repeated")
      ->type_name("FILE")
      ->allow_extra_args(false)
      ->required();
  command
      .add_option("--config", request->config,
                  fmt::format("the configuration with the rules in force (default: {})", kDefaultConfig))
      ->type_name("FILE");
  command.add_flag("--against-log", request->against_log,
                   "compare with what the log says, not with the rules in force");
  command.add_flag("--json", request->json, "one JSON object");
}

}  // namespace postrider::tools
