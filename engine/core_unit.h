#pragma once
// One core of the engine with everything it hears and says: its loop, its mailboxes and its thread. Made and destroyed
// by the daemon on the main thread; between Start and the end of the thread only the mailboxes are touched from
// outside.

#include <atomic>
#include <cstdint>
#include <future>
#include <memory>
#include <string>
#include <thread>
#include <utility>
#include <vector>

#include "config/error.h"
#include "config/options.h"
#include "engine/delivery/core.h"
#include "engine/io/clock.h"
#include "engine/io/loop.h"
#include "engine/io/mailbox.h"

namespace postrider::engine {

struct CoreUnit {
  // store and reader are the wakers of those threads, collector and tracer of whoever waits for snapshots and traces.
  CoreUnit(std::unique_ptr<io::Loop> own_loop, io::Waker& store, io::Waker& reader, io::Waker& collector,
           io::Waker& tracer);

  // Starts the thread; returns once its TLS and resolver stand, or their failure, and then no thread is left.
  Result<void> Start(delivery::CoreSettings settings, OptionsPtr options,
                     std::vector<io::Mailbox<delivery::PeerMessage>*> to,
                     std::vector<io::Mailbox<delivery::PeerMessage>*> from, int processor);
  // After a kDrain command: the core is drained and its thread about to end.
  [[nodiscard]] bool finished() const { return finished_.load(); }
  void Join();

  std::unique_ptr<io::Loop> loop;
  io::Mailbox<delivery::ReadRequest> to_reader;
  io::Mailbox<delivery::ReadAnswer> from_reader;
  io::Mailbox<delivery::StoreRequest> to_store;
  io::Mailbox<delivery::Committed> from_store;
  io::Mailbox<delivery::CoreCommand> commands;
  io::Mailbox<delivery::CoreSnapshot> snapshots;
  io::Mailbox<delivery::TraceAnswer> traces;
  // From each other core to this one, by the sender's number.
  std::vector<std::unique_ptr<io::Mailbox<delivery::PeerMessage>>> from_peers;

 private:
  void Run(delivery::CoreSettings settings, delivery::CorePorts ports, OptionsPtr options,
           std::promise<Result<void>> started);

  std::thread thread_;
  std::atomic<bool> finished_{false};
};

}  // namespace postrider::engine
