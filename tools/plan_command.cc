// `postrider plan`: when a campaign will be done, and which limit decides. Needs no daemon and sends nothing.

#include <algorithm>
#include <chrono>
#include <utility>

#include <fmt/format.h>

#include "engine/intake/campaign_check.h"
#include "engine/intake/campaign_source.h"
#include "engine/io/clock.h"
#include "queue/files.h"
#include "tools/command.h"
#include "tools/config_file.h"
#include "tools/exit_code.h"
#include "tools/mx_lookup.h"
#include "tools/plan_model.h"
#include "tools/plan_receivers.h"
#include "tools/plan_text.h"
#include "tools/progress.h"
#include "tools/terminal.h"
#include "tools/text.h"

namespace postrider::tools {
namespace {

constexpr const char* kName = "plan";
constexpr std::uint64_t kRowsBetweenLooks = 4096;
constexpr std::chrono::milliseconds kRedraw{200};

// One line, drawn over itself on a terminal; nothing elsewhere.
class Ticker {
 public:
  Ticker(const Terminal& terminal, bool wanted) : display_(terminal), wanted_(wanted && terminal.interactive) {}
  template <typename Line>
  void Show(Line line) {
    const auto now = std::chrono::steady_clock::now();
    if (!wanted_ || now < next_) return;
    next_ = now + kRedraw;
    (void)Print(display_.Show(line() + "\n"));
  }
  void End() {
    if (wanted_) (void)Print(display_.Show(""));
  }

 private:
  Display display_;
  const bool wanted_;
  std::chrono::steady_clock::time_point next_{};
};

PlanLimits LimitsOf(const std::optional<RateLimit>& rate, const std::optional<int>& connections) {
  PlanLimits limits{.rate = {}, .connections = connections};
  if (rate) limits.rate = rate->per_second;
  return limits;
}

std::vector<std::string> Assume(const PlanRequest& request, const PlanInput& input, std::size_t unresolved,
                                std::size_t small, std::uint64_t beyond) {
  std::vector<std::string> assumptions = {
      "nothing else is sent meanwhile, and nothing of today's quotas is used yet",
      "each recipient is taken at the first attempt: replies lower no rate, and nothing waits for a retry",
      fmt::format("a message takes {} s on its connection, and opening one {} s (--seconds-per-message, "
                  "--seconds-per-connection); connections are all there from the start",
                  request.seconds_per_message, request.seconds_per_connection),
      "all sources of the pool send beside each other, each as fast as its allowances let it"};
  if (std::ranges::any_of(input.sources, [](const PlanSource& source) { return source.warm_up_day.has_value(); })) {
    assumptions.emplace_back("a source that warms up moves on by one day of its table each day");
  }
  if (request.no_dns) {
    assumptions.emplace_back("no MX is known (--no-dns): limits of providers, MX and MX suffixes are left out");
  } else if (unresolved > 0) {
    assumptions.push_back(
        fmt::format("{} domains whose MX could not be looked up are receivers of their own", FormatCount(unresolved)));
  }
  if (small > 0) {
    assumptions.push_back(
        fmt::format("{} domains with fewer recipients (--top N) are receivers of their own, whose MX "
                    "was not looked up",
                    FormatCount(small)));
  }
  if (beyond > 0) {
    assumptions.push_back(
        fmt::format("{} recipients of more domains than are counted apart are left out", FormatCount(beyond)));
  }
  return assumptions;
}

}  // namespace

int RunPlan(const PlanRequest& request) {
  const OptionsPtr options = LoadConfig(kName, request.config, NoConfig::kRefuse);
  if (options == nullptr) return kExitUsage;
  const std::unique_ptr<queue::Files> files = queue::MakeSystemFiles();
  const std::unique_ptr<io::Clock> clock = io::MakeSystemClock();
  const Wall now = clock->Read().wall;
  const auto fail = [](const Diagnostics& problems) {
    for (const Diagnostic& problem : problems) (void)Report(kName, {ErrorCode::kInvalid, ToString(problem)});
    return kExitFailed;
  };
  if (request.path.extension() == ".eml") {
    return ReportUsage(kName, {ErrorCode::kInvalid, "expected a campaign's directory; a single message goes at once"});
  }
  std::error_code ignored;
  std::filesystem::path path = std::filesystem::absolute(request.path, ignored).lexically_normal();
  if (!path.has_filename()) path = path.parent_path();
  const auto source = intake::ReadCampaign(*options, *files, path, now, path.string() + "/");
  if (!source) return fail(source.error().list);

  const Terminal terminal = Terminal::Detect();
  Ticker ticker(terminal, !request.json);
  DomainCounts counts;
  std::uint64_t rows = 0;
  const intake::CampaignReport report =
      intake::CheckCampaign(*options, *files, *clock, path, [&](const queue::NewRow& row) {
        counts.Add(row.domain);
        if (++rows % kRowsBetweenLooks == 0) ticker.Show([&] { return FormatCount(rows) + " recipients read"; });
      });
  if (!report.problems.empty()) {
    ticker.End();
    const int exit_code = fail(report.problems);
    if (report.rejected > 0) {
      (void)Report(kName, {ErrorCode::kInvalid, fmt::format("{}: {}", path.string(), intake::RejectedText(report))});
    }
    return exit_code;
  }
  const std::uint64_t beyond = counts.beyond();
  const auto domains = counts.Take();
  const std::size_t top = std::min(domains.size(), static_cast<std::size_t>(request.top));

  std::vector<dns::MxAnswer> answers;
  if (!request.no_dns) {
    std::vector<std::string> names;
    for (std::size_t i = 0; i < top; ++i) names.push_back(domains[i].first);
    auto looked_up = LookUpMx(options->dns, names, [&](std::size_t done) {
      ticker.Show([&] {
        const double share = static_cast<double>(done) / static_cast<double>(std::max<std::size_t>(top, 1));
        return fmt::format("{}  {} of {} domains looked up", ProgressBar(share, 32), done, top);
      });
    });
    if (!looked_up) {
      ticker.End();
      return Report(kName, Error{looked_up.error().code, looked_up.error().message + "; --no-dns does without"});
    }
    answers = *std::move(looked_up);
  }
  ticker.End();

  PlanInput input;
  input.start = std::max(now, source->spec.not_before.value_or(now));
  ReceiverBuilder builder(*options);
  std::size_t unresolved = 0;
  for (std::size_t i = 0; i < domains.size(); ++i) {
    const auto& [domain, recipients] = domains[i];
    if (i >= top) {
      builder.AddSmall(domain, recipients);
      continue;
    }
    if (!request.no_dns && answers[i].status == dns::MxStatus::kFailed) ++unresolved;
    builder.Add(domain, recipients, request.no_dns ? nullptr : &answers[i]);
  }
  builder.Finish(input);
  input.sources = PlanSourcesOf(*options, source->spec.pool, input.start);
  if (input.sources.empty()) {
    return fail({{{}, fmt::format("no source belongs to the pool \"{}\" of the campaign", source->spec.pool)}});
  }
  const auto pool = std::ranges::find(options->pools, source->spec.pool, &PoolOptions::name);
  if (pool != options->pools.end()) input.pool = LimitsOf(pool->Rate(), pool->connections);
  input.sender = LimitsOf(options->sender.Rate(), options->sender.connections);
  input.campaign_rate = source->spec.messages_per_second;
  input.windows = source->spec.windows;
  input.zone = TimeZone::FindOrUtc(source->spec.time_zone);
  input.canary_share = source->spec.canary_share;
  input.canary_wait = source->spec.canary_wait;
  input.warm_up_quotas = options->warm_up.quotas;
  input.seconds_per_message = request.seconds_per_message;
  input.seconds_per_connection = request.seconds_per_connection;
  const PlanOutcome outcome = Forecast(input);

  const PlanPage page{.campaign = source->spec.name,
                      .recipients = report.accepted,
                      .refused = builder.refused(),
                      .expires = source->spec.expires ? *source->spec.expires
                                                      : input.start + options->RetryFor(source->spec.mail_class).expiry,
                      .assumptions = Assume(request, input, unresolved, domains.size() - top, beyond)};
  const std::string text = request.json ? PlanJson(page, input, outcome) : RenderPlan(page, input, outcome, terminal);
  return Print(text) ? kExitDone : kExitFailed;
}

}  // namespace postrider::tools
