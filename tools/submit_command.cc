// `postrider submit`: checks campaigns and puts them into the spool. Needs no daemon.

#include <signal.h>

#include <filesystem>

#include <fmt/format.h>

#include "engine/intake/campaign_check.h"
#include "engine/intake/submission.h"
#include "engine/io/clock.h"
#include "queue/files.h"
#include "tools/command.h"
#include "tools/config_file.h"
#include "tools/exit_code.h"
#include "tools/terminal.h"
#include "tools/text.h"

namespace postrider::tools {

namespace {

constexpr const char* kName = "submit";

// What `postrider check` finds, said as an error is. False: intake would refuse it.
bool Passes(const Options& options, queue::Files& files, io::Clock& clock, const std::filesystem::path& path) {
  const intake::CampaignReport report = intake::CheckCampaign(options, files, clock, path);
  for (const Diagnostic& problem : report.problems) (void)Report(kName, {ErrorCode::kInvalid, ToString(problem)});
  const std::string shown = path.string();
  if (report.rejected > 0) {
    (void)Report(kName, {ErrorCode::kInvalid, fmt::format("{}: {}", shown, intake::RejectedText(report))});
  }
  if (!report.problems.empty()) return false;
  if (!report.held.empty()) {
    (void)Report(kName, {ErrorCode::kInvalid,
                         fmt::format("{}: it will be held until `postrider resume`: {}", shown, report.held)});
  }
  return true;
}

// While it lives, the signals that end a program wait, so that a copy half made can be removed first; behind it they do
// what they always do.
class SignalsHeld {
 public:
  SignalsHeld() {
    sigset_t ending;
    sigemptyset(&ending);
    for (const int number : kEnding) sigaddset(&ending, number);
    pthread_sigmask(SIG_BLOCK, &ending, &before_);
  }
  ~SignalsHeld() { pthread_sigmask(SIG_SETMASK, &before_, nullptr); }
  SignalsHeld(const SignalsHeld&) = delete;
  SignalsHeld& operator=(const SignalsHeld&) = delete;

  [[nodiscard]] static bool AnyWaits() {
    sigset_t pending;
    if (sigpending(&pending) != 0) return false;
    for (const int number : kEnding) {
      if (sigismember(&pending, number) == 1) return true;
    }
    return false;
  }

 private:
  static constexpr int kEnding[] = {SIGINT, SIGTERM, SIGHUP};
  sigset_t before_{};
};

Result<intake::Submitted> Hand(const Options& options, queue::Files& files, io::Clock& clock,
                               const std::filesystem::path& path) {
  const SignalsHeld held;
  return intake::Submit(options, files, clock, path, SignalsHeld::AnyWaits);
}

}  // namespace

int RunSubmit(const SubmitRequest& request) {
  const OptionsPtr options = LoadConfig(kName, request.config, NoConfig::kRefuse);
  if (options == nullptr) return kExitUsage;
  const std::unique_ptr<queue::Files> files = queue::MakeSystemFiles();
  const std::unique_ptr<io::Clock> clock = io::MakeSystemClock();
  int exit_code = kExitDone;
  for (const std::filesystem::path& path : request.paths) {
    // One bad campaign does not keep the others out. What is no directory has no list.
    std::error_code ignored;
    if (!request.no_check && std::filesystem::is_directory(path, ignored) && !Passes(*options, *files, *clock, path)) {
      exit_code = kExitFailed;
      continue;
    }
    const Result<intake::Submitted> submitted = Hand(*options, *files, *clock, path);
    if (!submitted) {
      exit_code = Report(kName, submitted.error());
      continue;
    }
    if (!Print(fmt::format("{} {}\n", Printable(submitted->name),
                           submitted->already ? "already accepted" : "submitted"))) {
      return kExitFailed;
    }
  }
  return exit_code;
}

}  // namespace postrider::tools
