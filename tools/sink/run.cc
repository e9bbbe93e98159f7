#include "tools/sink/run.h"

#include <fmt/format.h>
#include <pthread.h>
#include <signal.h>

#include <chrono>
#include <cstdio>
#include <ctime>
#include <filesystem>
#include <memory>
#include <string>
#include <system_error>

#include "tools/sink/record.h"
#include "tools/sink/server.h"
#include "tools/sink/summary.h"

namespace postrider::sink {
namespace {

using std::chrono::steady_clock;

constexpr long kLookNanoseconds = 20'000'000;  // how often the ends are looked at

// Whole or not at all: a reader never sees half of it.
Result<void> WriteFile(const std::filesystem::path& path, std::string_view text) {
  std::filesystem::path fresh = path;
  fresh += ".new";
  Result<AppendFile> file = AppendFile::Create(fresh);
  if (!file) return std::unexpected(file.error());
  if (Result<void> written = file->Append(text); !written) return written;
  std::error_code error;
  std::filesystem::rename(fresh, path, error);
  if (error) return Fail(ErrorCode::kIo, fmt::format("cannot rename to {}: {}", path.string(), error.message()));
  return {};
}

int Complain(const Error& error) {
  fmt::print(stderr, "postrider sink: {}\n", error.message);
  constexpr int kCannot = 1, kWrongRequest = 2;
  return error.code == ErrorCode::kInvalid ? kWrongRequest : kCannot;
}

sigset_t BlockSignals() {
  sigset_t signals;
  sigemptyset(&signals);
  for (const int signal : {SIGTERM, SIGINT, SIGUSR1}) sigaddset(&signals, signal);
  pthread_sigmask(SIG_BLOCK, &signals, nullptr);
  return signals;
}

Result<void> Announce(const Options& options, const Server& server) {
  std::string ready = "ready";
  std::string ports;
  for (std::size_t i = 0; i < options.listen.size(); ++i) {
    const std::string address = ToString(server.addresses()[i]);
    ready += fmt::format(" {}={}", address, options.listen[i].personality);
    ports += address + "\n";
  }
  if (!options.write_certificate_file.empty()) {
    if (Result<void> written = WriteFile(options.write_certificate_file, server.CertificatePem()); !written) {
      return written;
    }
  }
  // Last of the files: who waits for it finds the rest.
  if (!options.port_file.empty()) {
    if (Result<void> written = WriteFile(options.port_file, ports); !written) return written;
  }
  fmt::print("{}\n", ready);
  std::fflush(stdout);
  return {};
}

Result<void> WriteSummary(const Options& options, const Summary& summary) {
  if (!options.summary_file.empty()) return WriteFile(options.summary_file, ToJson(summary));
  fmt::print("{}", ToJson(summary));
  std::fflush(stdout);
  return {};
}

// Returns once the program is to end.
Result<void> Wait(const Options& options, Server& server, const sigset_t& signals) {
  std::uint64_t accepted = 0;
  auto last_change = steady_clock::now();
  while (!server.failed()) {
    const timespec wait{0, kLookNanoseconds};
    const int signal = sigtimedwait(&signals, nullptr, &wait);
    if (signal == SIGTERM || signal == SIGINT) return {};
    if (signal == SIGUSR1) {
      if (Result<void> written = WriteSummary(options, server.Snapshot()); !written) return written;
    }
    const std::uint64_t now_accepted = server.accepted();
    if (options.exit_after_messages != 0 && now_accepted >= options.exit_after_messages) return {};
    if (now_accepted != accepted) {
      accepted = now_accepted;
      last_change = steady_clock::now();
    }
    const bool idles = options.idle_exit.count() > 0 && accepted > 0;
    if (idles && steady_clock::now() - last_change >= options.idle_exit) return {};
  }
  return {};
}

}  // namespace

int RunSink(const Options& options) {
  const sigset_t signals = BlockSignals();
  // One left by an earlier run would send whoever waits for it to the wrong ports.
  std::error_code absent;
  if (!options.port_file.empty()) std::filesystem::remove(options.port_file, absent);
  Result<std::unique_ptr<Server>> server = Server::Start(options);
  if (!server) return Complain(server.error());
  Result<void> ran = Announce(options, **server);
  if (ran) ran = Wait(options, **server, signals);
  Result<Summary> summary = (*server)->Stop();
  if (!ran) return Complain(ran.error());
  if (!summary) return Complain(summary.error());
  if (Result<void> written = WriteSummary(options, *summary); !written) return Complain(written.error());
  return 0;
}

}  // namespace postrider::sink
