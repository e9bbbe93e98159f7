#include "engine/core_unit.h"

#include <pthread.h>
#include <sched.h>

#include <chrono>

#include "engine/dns/resolver.h"
#include "engine/io/random.h"
#include "engine/tls/tls.h"

namespace postrider::engine {
namespace {

// Outcomes hold strings of a few hundred bytes; this many are in the box at most, and unsynced_outcomes_max bounds them
// too.
constexpr std::size_t kStoreBox = 4096;
constexpr std::size_t kReadBox = 1024;
constexpr std::size_t kSmallBox = 256;
// Without work a core looks around this often; mailboxes and timers wake it sooner.
constexpr std::chrono::milliseconds kIdleTurn{250};

}  // namespace

CoreUnit::CoreUnit(std::unique_ptr<io::Loop> own_loop, io::Waker& store, io::Waker& reader, io::Waker& collector,
                   io::Waker& tracer)
    : loop(std::move(own_loop)),
      to_reader(kReadBox, reader),
      from_reader(kReadBox, loop->waker()),
      to_store(kStoreBox, store),
      from_store(kSmallBox, loop->waker()),
      commands(kSmallBox, loop->waker()),
      snapshots(4, collector),
      traces(4, tracer) {}

Result<void> CoreUnit::Start(delivery::CoreSettings settings, OptionsPtr options,
                             std::vector<io::Mailbox<delivery::PeerMessage>*> to,
                             std::vector<io::Mailbox<delivery::PeerMessage>*> from, int processor) {
  const std::string name = "core " + std::to_string(settings.core);
  delivery::CorePorts ports{to_reader, from_reader,   to_store,        from_store, commands,
                            snapshots, std::move(to), std::move(from), &traces};
  std::promise<Result<void>> promise;
  std::future<Result<void>> started = promise.get_future();
  thread_ = std::thread([this, settings = std::move(settings), ports = std::move(ports), options = std::move(options),
                         promise = std::move(promise)]() mutable {
    Run(std::move(settings), std::move(ports), std::move(options), std::move(promise));
  });
  pthread_setname_np(thread_.native_handle(), name.c_str());
  if (processor >= 0) {
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(static_cast<std::size_t>(processor), &one);
    // A processor we may not use costs locality, not correctness.
    (void)pthread_setaffinity_np(thread_.native_handle(), sizeof(one), &one);
  }
  Result<void> result = started.get();
  if (!result) Join();  // it has said why and ends
  return result;
}

void CoreUnit::Run(delivery::CoreSettings settings, delivery::CorePorts ports, OptionsPtr options,
                   std::promise<Result<void>> started) {
  std::unique_ptr<io::Random> random = io::MakeSystemRandom();
  auto tls = tls::MakeTls(options->tls);
  if (!tls) return started.set_value(std::unexpected(std::move(tls).error()));
  auto resolver = dns::MakeResolver(options->dns, *loop, random->Next());
  if (!resolver) return started.set_value(std::unexpected(std::move(resolver).error()));
  const std::unique_ptr<delivery::Core> core =
      delivery::MakeCore(std::move(settings), std::move(ports), options, *loop, **tls, **resolver, std::move(random));
  started.set_value({});
  while (!core->drained()) core->RunOnce(kIdleTurn);
  finished_.store(true);
}

void CoreUnit::Join() {
  if (thread_.joinable()) thread_.join();
}

}  // namespace postrider::engine
