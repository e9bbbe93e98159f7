#include "tools/sink/server.h"

#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cerrno>
#include <chrono>
#include <cstring>
#include <filesystem>
#include <future>
#include <random>
#include <system_error>
#include <utility>

namespace postrider::sink {
namespace {

double CpuSeconds() {
  rusage usage{};
  getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) / 1e6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

// Several cores share each port, and so would a second sink, unnoticed, and take half of the connections: whether the
// port is free is asked once without sharing.
Result<void> CheckFree(const SocketAddress& address) {
  const int descriptor = socket(address.ip.IsIpv4() ? AF_INET : AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0);
  if (descriptor < 0) return {};
  const int on = 1;
  setsockopt(descriptor, SOL_SOCKET, SO_REUSEADDR, &on, sizeof(on));
  sockaddr_in v4{};
  sockaddr_in6 v6{};
  v4.sin_family = AF_INET;
  v4.sin_port = v6.sin6_port = htons(address.port);
  v6.sin6_family = AF_INET6;
  std::memcpy(&v4.sin_addr, address.ip.bytes.data(), sizeof(v4.sin_addr));
  std::memcpy(&v6.sin6_addr, address.ip.bytes.data(), sizeof(v6.sin6_addr));
  const int bound = address.ip.IsIpv4() ? bind(descriptor, reinterpret_cast<const sockaddr*>(&v4), sizeof(v4))
                                        : bind(descriptor, reinterpret_cast<const sockaddr*>(&v6), sizeof(v6));
  const bool in_use = bound != 0 && errno == EADDRINUSE;
  close(descriptor);
  if (!in_use) return {};  // any other failure is explained by the listening itself
  return Fail(ErrorCode::kBusy, fmt::format("cannot listen on {}: another process has this port; stop it or choose "
                                            "another",
                                            ToString(address)));
}

// Not the options' seed: an outsider who could choose it could make the table slow.
std::uint64_t RandomSeed() {
  std::random_device device;
  return static_cast<std::uint64_t>(device()) << 32 | device();
}

}  // namespace

Server::Server(const Options& options) : options_(options), clock_(io::MakeSystemClock()) {}

Result<std::unique_ptr<Server>> Server::Start(const Options& options) {
  std::unique_ptr<Server> server(new Server(options));
  if (Result<void> prepared = server->Prepare(); !prepared) return std::unexpected(prepared.error());
  for (int i = 0; i < options.cores; ++i) {
    Result<void> started = server->StartCore(static_cast<std::uint32_t>(i));
    if (!started) return std::unexpected(started.error());
  }
  server->cpu_at_start_seconds_ = CpuSeconds();
  return server;
}

Server::~Server() { JoinAll(); }

Result<void> Server::Prepare() {
  epoch_ = clock_->Read().monotonic;
  tally_seed_ = RandomSeed();  // one for all cores, or a recipient could not be recognised across them
  bool speaks_tls = false;
  for (std::size_t i = 0; i < options_.listen.size(); ++i) {
    const ListenOptions& listen = options_.listen[i];
    Result<Receiver> receiver = MakeReceiver(static_cast<std::uint16_t>(i), listen, options_);
    if (!receiver) return std::unexpected(receiver.error());
    if (options_.cores > 1) {
      if (Result<void> free = CheckFree(listen.address); !free) return free;
    }
    speaks_tls |= listen.behaviour.tls != TlsMode::kNone;
    receivers_.push_back(std::move(*receiver));
    addresses_.push_back(listen.address);
  }
  Result<ClientLimitsList> limits = ShareLimits(receivers_);
  if (!limits) return std::unexpected(limits.error());
  limits_ = std::move(*limits);
  if (speaks_tls) {
    tls::ServerSettings settings;
    settings.certificate_file = options_.certificate_file;
    settings.key_file = options_.key_file;
    settings.host_names = options_.host_names;
    settings.tickets = options_.session_tickets;
    settings.tls12_only = options_.tls12_only;
    Result<std::unique_ptr<tls::TlsServer>> tls = tls::MakeTlsServer(settings);
    if (!tls) return Fail("making the certificate", tls.error());
    tls_ = std::move(*tls);
  }
  if (!options_.store_directory.empty()) {
    std::error_code error;
    std::filesystem::create_directories(options_.store_directory, error);
    if (error) {
      return Fail(ErrorCode::kIo, fmt::format("cannot create the directory {}: {}", options_.store_directory.string(),
                                              error.message()));
    }
  }
  if (!options_.record_file.empty()) {
    Result<AppendFile> file = AppendFile::Create(options_.record_file);
    if (!file) return std::unexpected(file.error());
    record_ = std::make_unique<AppendFile>(std::move(*file));
  }
  return {};
}

Result<void> Server::StartCore(std::uint32_t number) {
  cores_.push_back(std::make_unique<Core>(
      Core::Setting{options_, receivers_, tls_.get(), record_.get(), control_, epoch_, tally_seed_, number}));
  std::promise<Result<std::vector<SocketAddress>>> opened;
  auto outcome = opened.get_future();
  threads_.emplace_back(
      [this, number, core = cores_.back().get(), addresses = addresses_, promise = std::move(opened)]() mutable {
        Result<std::vector<SocketAddress>> actual = core->Open(addresses);
        const bool good = actual.has_value();
        if (good && number == 0) UseAddresses(*actual);
        promise.set_value(std::move(actual));
        if (good) core->Run();
        control_.dismissed.wait(false);
        core->Close();
      });
  Result<std::vector<SocketAddress>> actual = outcome.get();
  if (!actual) return std::unexpected(actual.error());
  addresses_ = std::move(*actual);
  return {};
}

// On the first core's thread, before it reads any and before there are others: what is reported and recorded are the
// ports in use.
void Server::UseAddresses(const std::vector<SocketAddress>& addresses) {
  for (std::size_t i = 0; i < receivers_.size(); ++i) receivers_[i].options.address = addresses[i];
}

std::string Server::CertificatePem() const { return tls_ ? tls_->CertificatePem() : std::string(); }

std::uint64_t Server::accepted() const {
  std::uint64_t sum = 0;
  for (const std::unique_ptr<Core>& core : cores_) sum += core->accepted();
  return sum;
}

Summary Server::Snapshot() {
  if (threads_.empty()) return Sum();
  const std::uint32_t park = control_.park.load() + 1;
  control_.park.store(park);
  for (const std::unique_ptr<Core>& core : cores_) {
    core->Wake();
    // Rare and short: a turn of each loop.
    while (!core->StandsStill(park)) std::this_thread::sleep_for(std::chrono::microseconds(100));
  }
  const Summary summary = Sum();
  control_.park.store(park + 1);
  control_.park.notify_all();
  return summary;
}

Result<Summary> Server::Stop() {
  JoinAll();
  if (const Error* problem = FirstProblem()) return std::unexpected(*problem);
  return Sum();
}

void Server::JoinAll() {
  control_.stop.store(true);
  for (const std::unique_ptr<Core>& core : cores_) core->Wake();
  control_.dismissed.store(true);
  control_.dismissed.notify_all();
  for (std::thread& thread : threads_) thread.join();
  threads_.clear();
}

Summary Server::Sum() const {
  Summary summary;
  std::vector<const Tally*> tallies;
  for (const std::unique_ptr<Core>& core : cores_) {
    tallies.push_back(&core->tally());
    summary.untracked_attempts += core->tally().untracked();
  }
  const Tally::Merged merged = Tally::Merge(tallies, receivers_.size());
  summary.recipients_attempted = merged.recipients;
  for (std::size_t i = 0; i < receivers_.size(); ++i) {
    Summary::Part part;
    part.name = ToString(receivers_[i].options.address);
    part.personality = receivers_[i].personality.name;
    for (const std::unique_ptr<Core>& core : cores_) part.counts.Add(core->counts()[i]);
    part.unique_recipients = merged.taken[i].unique;
    part.repeats = merged.taken[i].repeats;
    summary.receivers.push_back(std::move(part));
  }
  summary.cpu_seconds = CpuSeconds() - cpu_at_start_seconds_;
  return summary;
}

const Error* Server::FirstProblem() const {
  for (const std::unique_ptr<Core>& core : cores_) {
    if (core->problem()) return &*core->problem();
  }
  return nullptr;
}

}  // namespace postrider::sink
