#include "tools/sink/core.h"

#include <fmt/format.h>

#include <chrono>
#include <utility>

#include "config/check.h"

namespace postrider::sink {
namespace {

using std::chrono::milliseconds;
using std::chrono::seconds;

constexpr milliseconds kTurn{100};        // the longest wait of a loop with nothing to do
constexpr milliseconds kRecordDelay{20};  // the longest a record line waits for company
constexpr seconds kDrain{2};
constexpr std::size_t kScratchKept = 1 << 20;

// Input arrives in pieces of whole TLS records.
constexpr io::LoopOptions kLoopOptions{.entries = 4096, .receive_buffers = 512, .receive_buffer_bytes = 32 << 10};

}  // namespace

// One listen address on this core.
class Core::Port final : public io::AcceptHandler {
 public:
  Port(Core& core, const Receiver& the_receiver, Counts& its_counts)
      : receiver(the_receiver), counts(its_counts), core_(core), up_([this] { Up(); }) {}

  // An address that plays dead by refusing connections listens later; only the first core finds its port, if any is.
  Result<SocketAddress> Open(const SocketAddress& address) {
    address_ = address;
    const Behaviour& behaviour = receiver.options.behaviour;
    up_at_ = core_.now().monotonic + behaviour.down_for;
    if (behaviour.down_for.count() == 0 || behaviour.down_mode == DownMode::kClose) return Listen();
    core_.timers().Set(up_, up_at_);
    return address;
  }
  void Close() {
    listener_.reset();
    up_.Cancel();
  }

  const Receiver& receiver;
  Counts& counts;
  std::uint32_t open = 0;  // connections

 private:
  void OnAccepted(std::unique_ptr<io::AcceptedSocket> socket) override {
    if (core_.now().monotonic < up_at_) {
      ++counts.connections_refused;
      return;
    }
    core_.Accepted(*this, std::move(socket));
  }

  Result<SocketAddress> Listen() {
    auto listener = core_.loop_->network().Listen(address_, core_.setting_.options.cores > 1, *this);
    if (!listener) return std::unexpected(listener.error());
    listener_ = std::move(*listener);
    return listener_->address();
  }

  void Up() {
    Result<SocketAddress> listening = Listen();
    if (!listening) core_.Fail(listening.error());
  }

  Core& core_;
  SocketAddress address_;
  Monotonic up_at_{};
  std::unique_ptr<io::Listener> listener_;
  io::Timer up_;
};

Core::Core(const Setting& setting)
    : setting_(setting),
      clock_(io::MakeSystemClock()),
      tally_(setting.tally_seed, setting.options.tracked_recipients_max),
      recorder_(setting.record, setting.options.store_directory),
      context_{tally_},
      counts_(setting.receivers.size()) {
  const bool observed = setting.record != nullptr || !setting.options.store_directory.empty();
  if (observed) context_.observer = &recorder_;
  context_.whole_content = !setting.options.store_directory.empty();
  context_.held_bytes_max = setting.options.stored_bytes_max;
  context_.seed = setting.options.seed;
  context_.epoch = setting.epoch;
}

Core::~Core() = default;

Result<std::vector<SocketAddress>> Core::Open(const std::vector<SocketAddress>& addresses) {
  Result<std::unique_ptr<io::Loop>> loop = io::MakeLoop(kLoopOptions, *clock_);
  if (!loop) return std::unexpected(loop.error());
  loop_ = std::move(*loop);
  std::vector<SocketAddress> actual;
  for (std::size_t i = 0; i < setting_.receivers.size(); ++i) {
    ports_.push_back(std::make_unique<Port>(*this, setting_.receivers[i], counts_[i]));
    Result<SocketAddress> address = ports_.back()->Open(addresses[i]);
    if (!address) return std::unexpected(address.error());
    actual.push_back(*address);
  }
  return actual;
}

void Core::Run() {
  std::optional<Monotonic> end;
  while (!problem_) {
    loop_->RunOnce(recorder_.has_unwritten() ? kRecordDelay : kTurn);
    EndTurn();
    const std::uint32_t park = setting_.control.park.load();
    if (park % 2 != 0) Park(park);
    if (!setting_.control.stop.load(std::memory_order_relaxed)) continue;
    if (!end) {
      end = now().monotonic + kDrain;
      StartDraining();
    }
    if (connections_.empty() || now().monotonic >= *end) break;
  }
  for (const std::unique_ptr<Connection>& connection : connections_) connection->socket_.reset();
  connections_.clear();
  EndTurn();
  recorder_.Flush(true);
  if (!problem_ && recorder_.problem()) problem_ = recorder_.problem();
  if (problem_) setting_.control.failed.store(true);
  ended_running_.store(true);
}

void Core::Close() {
  ports_.clear();
  loop_.reset();
}

void Core::EndTurn() {
  // Flushing may end connections, but marks none to be flushed again.
  flushing_.swap(to_flush_);
  for (Connection* connection : flushing_) connection->Flush();
  flushing_.clear();
  ended_.clear();

  std::uint64_t accepted = 0;
  for (const Counts& counts : counts_) accepted += counts.messages;
  const bool idle = accepted == accepted_.load(std::memory_order_relaxed);
  accepted_.store(accepted, std::memory_order_relaxed);
  recorder_.Flush(idle);
  if (recorder_.problem() && !problem_) Fail(*recorder_.problem());
  if (plain_.capacity() > kScratchKept) plain_ = {};
  if (replies_.capacity() > kScratchKept) replies_ = {};
}

void Core::Park(std::uint32_t park) {
  recorder_.Flush(true);
  parked_.store(park);
  setting_.control.park.wait(park);
}

void Core::StartDraining() {
  context_.draining = true;
  for (const std::unique_ptr<Port>& port : ports_) port->Close();
  // Goodbye may end a connection and so change the list.
  std::vector<Connection*> all;
  for (const std::unique_ptr<Connection>& connection : connections_) all.push_back(connection.get());
  for (Connection* connection : all) connection->Goodbye();
  EndTurn();
}

void Core::Fail(Error error) {
  if (!problem_) problem_ = std::move(error);
}

void Core::Accepted(Port& port, std::unique_ptr<io::AcceptedSocket> socket) {
  if (connections_.size() >= setting_.options.connections_max) {
    ++port.counts.connections_refused;
    return;
  }
  ++port.open;
  const std::uint32_t cap = port.receiver.options.behaviour.connection_cap;
  const std::uint64_t number =
      ++connection_count_ * static_cast<std::uint64_t>(setting_.options.cores) + setting_.number;
  connections_.push_back(std::make_unique<Connection>(*this, port.receiver, port.counts, context_, number,
                                                      std::move(socket), cap != 0 && port.open > cap));
  Connection& connection = *connections_.back();
  connection.place_ = connections_.size() - 1;
  connection.Start();
}

void Core::FlushLater(Connection& connection) {
  if (std::exchange(connection.flush_pending_, true)) return;
  to_flush_.push_back(&connection);
}

void Core::Ended(Connection& connection) {
  --ports_[connection.receiver().index]->open;
  const std::size_t place = connection.place_;
  CHECK(connections_[place].get() == &connection);
  ended_.push_back(std::move(connections_[place]));
  if (place + 1 != connections_.size()) {
    connections_[place] = std::move(connections_.back());
    connections_[place]->place_ = place;
  }
  connections_.pop_back();
}

std::string& Core::plain() {
  plain_.clear();
  return plain_;
}

std::string& Core::replies() {
  replies_.clear();
  return replies_;
}

}  // namespace postrider::sink
