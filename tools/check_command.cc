// `postrider check`: what is wrong with the configuration, or with campaigns. Needs no daemon and changes nothing.

#include <filesystem>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "config/load.h"
#include "engine/host_check.h"
#include "engine/intake/campaign_check.h"
#include "engine/io/clock.h"
#include "queue/files.h"
#include "throttle/reply_classifier.h"
#include "tools/command.h"
#include "tools/config_file.h"
#include "tools/exit_code.h"
#include "tools/terminal.h"
#include "tools/text.h"

namespace postrider::tools {
namespace {

using Json = nlohmann::ordered_json;
constexpr const char* kName = "check";

std::string Dump(const Json& json) { return json.dump(2, ' ', false, Json::error_handler_t::replace) + "\n"; }

Json ToJson(const Diagnostics& diagnostics) {
  Json json = Json::array();
  for (const Diagnostic& diagnostic : diagnostics) {
    json.push_back({{"file", diagnostic.where.file},
                    {"line", diagnostic.where.line},
                    {"column", diagnostic.where.column},
                    {"message", diagnostic.message}});
  }
  return json;
}

Json ToJson(const std::filesystem::path& path, const intake::CampaignReport& report) {
  Json rejects = Json::array();
  for (const intake::RejectedRow& row : report.first_rejects) {
    rejects.push_back({{"line", row.line}, {"to", row.to}, {"reason", row.reason}});
  }
  return {{"path", path.string()},
          {"problems", ToJson(report.problems)},
          {"held", report.held},
          {"rows", report.rows},
          {"accepted", report.accepted},
          {"rejected", report.rejected},
          {"duplicate", report.duplicate},
          {"suppressed", report.suppressed},
          {"largest_message_bytes", report.largest_message_bytes},
          {"first_rejects", std::move(rejects)}};
}

std::string ToText(const std::filesystem::path& path, const intake::CampaignReport& report, bool has_file,
                   const Terminal& terminal) {
  std::string out;
  for (const Diagnostic& problem : report.problems) {
    out += terminal.Paint(Tone::kBad, Printable(ToString(problem))) + "\n";
  }
  for (const intake::RejectedRow& row : report.first_rejects) {
    const std::string to = row.to.empty() ? "" : Printable(row.to) + ": ";
    out += fmt::format("{}: line {}: {}{}\n", Printable(path.string()), row.line, to, Printable(row.reason));
  }
  if (report.first_rejects.size() < report.rejected) {
    out += fmt::format("... and {} more\n", FormatCount(report.rejected - report.first_rejects.size()));
  }
  if (report.rows > 0) {
    const std::string in_file =
        has_file ? fmt::format(", {} in spool.suppression_file", FormatCount(report.suppressed)) : "";
    out += fmt::format(
        "{}: {} rows: {} accepted, {} rejected, {} duplicate{}; the daemon's suppression list was not asked; messages "
        "of "
        "at most about {}\n",
        Printable(path.string()), FormatCount(report.rows), FormatCount(report.accepted), FormatCount(report.rejected),
        FormatCount(report.duplicate), in_file, FormatBytes(report.largest_message_bytes));
  }
  if (!report.held.empty()) out += terminal.Paint(Tone::kWarning, "would be held: " + Printable(report.held)) + "\n";
  const std::string verdict = report.problems.empty() ? terminal.Paint(Tone::kGood, "would be accepted")
                                                      : terminal.Paint(Tone::kBad, "would be refused");
  return out + Printable(path.string()) + ": " + verdict + "\n";
}

int CheckConfig(const CheckRequest& request) {
  if (!request.json && ConfigIsMissing(kName, request.config)) return kExitUsage;
  const std::filesystem::path file = request.config.empty() ? std::filesystem::path(kDefaultConfig) : request.config;
  const auto options = LoadOptions(file);
  Diagnostics problems = options ? Diagnostics() : options.error();
  engine::HostFindings here;
  if (options) {
    const auto rules = ReplyClassifier::Load((*options)->reply_rules, (*options)->Providers());
    if (!rules) problems = rules.error();
    here = engine::LookAtHost(**options, *queue::MakeSystemFiles());
    for (const std::string& wrong : here.wrong) problems.push_back({{file.string(), 0, 0}, wrong});
  }
  std::string out;
  if (request.json) {
    out = Dump({{"config", file.string()},
                {"problems", ToJson(problems)},
                {"on_this_host", here.missing},
                {"warnings", here.warnings}});
  } else if (problems.empty()) {
    out = Printable(file.string()) + (here.missing.empty()
                                          ? ": no problems\n"
                                          : ": no problems in it, but the daemon would not start on this host\n");
  }
  // Without --json they go where all errors go.
  if (!request.json) {
    for (const Diagnostic& problem : problems) (void)ReportUsage(kName, {ErrorCode::kInvalid, ToString(problem)});
    for (const std::string& missing : here.missing) (void)Report(kName, {ErrorCode::kInvalid, missing});
    for (const std::string& warning : here.warnings) {
      (void)Report(kName, {ErrorCode::kInvalid, "warning: " + warning});
    }
  }
  if (!Print(out)) return kExitFailed;
  if (!problems.empty()) return kExitUsage;
  return here.missing.empty() ? kExitDone : kExitFailed;
}

}  // namespace

int RunCheck(const CheckRequest& request) {
  if (request.paths.empty()) return CheckConfig(request);
  const OptionsPtr options = LoadConfig(kName, request.config, NoConfig::kUseDefaults);
  if (options == nullptr) return kExitUsage;
  const std::unique_ptr<queue::Files> files = queue::MakeSystemFiles();
  const std::unique_ptr<io::Clock> clock = io::MakeSystemClock();
  const Terminal terminal = Terminal::Detect();
  Json campaigns = Json::array();
  bool good = true;
  for (const std::filesystem::path& path : request.paths) {
    const intake::CampaignReport report = intake::CheckCampaign(*options, *files, *clock, path);
    good = good && report.problems.empty() && report.held.empty();
    if (request.json) {
      campaigns.push_back(ToJson(path, report));
    } else if (!Print(ToText(path, report, !options->spool.suppression_file.empty(), terminal))) {
      return kExitFailed;
    }
  }
  if (request.json && !Print(Dump({{"campaigns", std::move(campaigns)}}))) return kExitFailed;
  return good ? kExitDone : kExitFailed;
}

}  // namespace postrider::tools
