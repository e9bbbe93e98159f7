#pragma once
// One core of the sink: a loop, its listeners and connections, its share of the counting. Made, run and destroyed on
// its own thread; the thread that started it talks to it through CoreControl alone, and may read its counts while it is
// parked there or after its thread has ended.

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "config/error.h"
#include "engine/io/loop.h"
#include "engine/tls/tls.h"
#include "tools/sink/connection.h"
#include "tools/sink/counts.h"
#include "tools/sink/options.h"
#include "tools/sink/receiver.h"
#include "tools/sink/record.h"
#include "tools/sink/session.h"
#include "tools/sink/tally.h"

namespace postrider::sink {

// How the starting thread and the cores talk.
struct CoreControl {
  std::atomic<bool> stop{false};
  std::atomic<std::uint32_t> park{0};  // while it is odd the cores stand still, so that their counts can be read
  std::atomic<bool> dismissed{false};  // nobody will wake a core any more: loops may be taken down
  std::atomic<bool> failed{false};
};

class Core final : public ConnectionHost {
 public:
  struct Setting {
    const Options& options;
    const std::vector<Receiver>& receivers;
    tls::TlsServer* tls;       // shared by the cores; null if no address speaks TLS
    const AppendFile* record;  // or null
    CoreControl& control;
    Monotonic epoch;
    std::uint64_t tally_seed;
    std::uint32_t number;  // of cores, from 0
  };

  explicit Core(const Setting& setting);
  ~Core() override;

  // Listens on the addresses: those of the receivers, or with ports another core was given. Returns the actual ones.
  [[nodiscard]] Result<std::vector<SocketAddress>> Open(const std::vector<SocketAddress>& addresses);
  // Until CoreControl says stop and the conversations have ended (at most two seconds), or something cannot go on.
  void Run();
  // Once dismissed; takes down all but the counts.
  void Close();

  // While parked or ended.
  [[nodiscard]] const std::vector<Counts>& counts() const { return counts_; }
  [[nodiscard]] const Tally& tally() const { return tally_; }
  [[nodiscard]] const std::optional<Error>& problem() const { return problem_; }

  // Any thread, any time.
  [[nodiscard]] std::uint64_t accepted() const { return accepted_.load(std::memory_order_relaxed); }
  [[nodiscard]] bool StandsStill(std::uint32_t park) const { return ended_running_.load() || parked_.load() == park; }
  void Wake() {  // not after dismissal
    if (loop_) loop_->waker().Wake();
  }

 private:
  class Port;
  friend class Port;

  [[nodiscard]] Now now() const override { return loop_->now(); }
  [[nodiscard]] io::TimerWheel& timers() override { return loop_->timers(); }
  [[nodiscard]] std::unique_ptr<tls::TlsStream> AcceptTls() override { return setting_.tls->Accept(); }
  void FlushLater(Connection& connection) override;
  void Ended(Connection& connection) override;
  [[nodiscard]] std::string& plain() override;
  [[nodiscard]] std::string& replies() override;

  void Accepted(Port& port, std::unique_ptr<io::AcceptedSocket> socket);
  void EndTurn();
  void Park(std::uint32_t park);
  void StartDraining();
  void Fail(Error error);

  Setting setting_;
  std::unique_ptr<io::Clock> clock_;
  std::unique_ptr<io::Loop> loop_;
  Tally tally_;
  Recorder recorder_;
  SessionContext context_;
  std::vector<Counts> counts_;  // by receiver
  std::vector<std::unique_ptr<Port>> ports_;
  std::vector<std::unique_ptr<Connection>> connections_;
  std::vector<std::unique_ptr<Connection>> ended_;  // this turn
  std::vector<Connection*> to_flush_, flushing_;
  std::string plain_, replies_;
  std::uint64_t connection_count_ = 0;
  std::atomic<std::uint64_t> accepted_{0};
  std::atomic<std::uint32_t> parked_{0};  // the value of CoreControl's park that was obeyed last
  std::atomic<bool> ended_running_{false};
  std::optional<Error> problem_;
};

}  // namespace postrider::sink
