#include "engine/engine.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <cerrno>
#include <cstdio>
#include <cstdlib>

#include "config/load.h"
#include "engine/daemon.h"
#include "engine/observe/operator_log.h"

namespace postrider::engine {
namespace {

constexpr int kExitFailed = 1;
constexpr int kExitConfiguration = 2;

// The signals that main waits for; blocked before any thread starts, so that all inherit it.
sigset_t BlockSignals() {
  sigset_t set;
  sigemptyset(&set);
  for (const int number : {SIGTERM, SIGINT, SIGHUP}) sigaddset(&set, number);
  pthread_sigmask(SIG_BLOCK, &set, nullptr);
  signal(SIGPIPE, SIG_IGN);
  return set;
}

}  // namespace

int RunDaemon(const std::filesystem::path& config_file) {
  const sigset_t signals = BlockSignals();
  auto options = LoadOptions(config_file);
  if (!options) {
    for (const Diagnostic& diagnostic : options.error()) fmt::print(stderr, "{}\n", ToString(diagnostic));
    return kExitConfiguration;
  }
  Daemon daemon(config_file, *options);
  if (auto started = daemon.Start(); !started) {
    observe::LogError("cannot start: " + started.error().message);
    return kExitFailed;
  }
  observe::LogInfo(fmt::format("running: spool {}, queue {}, admin on port {}", (*options)->spool.directory.string(),
                               (*options)->queue.directory.string(), daemon.admin_port()));
  while (true) {
    const timespec second{1, 0};
    const int number = sigtimedwait(&signals, nullptr, &second);
    if (number == SIGTERM || number == SIGINT) break;
    if (number == SIGHUP) (void)daemon.Reload();  // a refusal is in the operator's log
    daemon.Watch();
  }
  observe::LogInfo("stopping");
  if (!daemon.Stop()) {
    // A thread still waits for a disk that does not answer; there is nothing to unwind to.
    std::_Exit(kExitFailed);
  }
  observe::LogInfo("stopped");
  return 0;
}

}  // namespace postrider::engine
