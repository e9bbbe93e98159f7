#pragma once
// The receiver as a whole: its cores' threads, its files and its sums. Start, ask, Stop; called by one thread.

#include <cstdint>
#include <memory>
#include <string>
#include <thread>
#include <vector>

#include "config/error.h"
#include "engine/io/clock.h"
#include "engine/tls/tls.h"
#include "tools/sink/core.h"
#include "tools/sink/options.h"
#include "tools/sink/receiver.h"
#include "tools/sink/record.h"
#include "tools/sink/summary.h"

namespace postrider::sink {

class Server {
 public:
  // Returns once every address is listened on; fails with the address, the reason and what to do.
  static Result<std::unique_ptr<Server>> Start(const Options& options);
  ~Server();  // stops
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  // In the order of the options, with the ports the system chose.
  [[nodiscard]] const std::vector<SocketAddress>& addresses() const { return addresses_; }
  [[nodiscard]] std::string CertificatePem() const;  // empty without TLS
  [[nodiscard]] std::uint64_t accepted() const;
  [[nodiscard]] bool failed() const { return control_.failed.load(); }

  // Exact: the cores stand still for it.
  [[nodiscard]] Summary Snapshot();
  // Refuses new mail, lets what is under way end (two seconds at most). Then the counts stand. May be called again.
  [[nodiscard]] Result<Summary> Stop();

 private:
  explicit Server(const Options& options);
  Result<void> Prepare();
  Result<void> StartCore(std::uint32_t number);
  void UseAddresses(const std::vector<SocketAddress>& addresses);
  void JoinAll();
  [[nodiscard]] Summary Sum() const;
  [[nodiscard]] const Error* FirstProblem() const;

  Options options_;
  std::unique_ptr<io::Clock> clock_;
  Monotonic epoch_{};
  ClientLimitsList limits_;
  std::vector<Receiver> receivers_;
  std::vector<SocketAddress> addresses_;
  std::unique_ptr<tls::TlsServer> tls_;
  std::unique_ptr<AppendFile> record_;
  CoreControl control_;
  std::vector<std::unique_ptr<Core>> cores_;
  std::vector<std::thread> threads_;
  std::uint64_t tally_seed_ = 0;
  double cpu_at_start_seconds_ = 0;
};

}  // namespace postrider::sink
