#include "tests/engine/delivery/world.h"

#include <fmt/format.h>

#include <algorithm>

namespace postrider::delivery {
namespace {

class FakeResolver final : public dns::Resolver {
 public:
  FakeResolver(Names& names, FakeLoop& loop) : names_(names), loop_(loop) {}

  void LookUpMx(std::string_view domain, MxCallback done) override {
    ++names_.mx_queries;
    dns::MxAnswer answer;
    answer.status = dns::MxStatus::kNoDomain;
    if (const auto place = names_.mx.find(domain); place != names_.mx.end()) answer = place->second;
    loop_.After(std::chrono::milliseconds(1),
                [answer = std::move(answer), done = std::move(done)]() mutable { done(answer); });
  }
  void LookUpAddresses(std::string_view host, bool ipv4, bool ipv6, AddressCallback done) override {
    dns::AddressAnswer answer;
    if (const auto place = names_.addresses.find(host); place != names_.addresses.end()) {
      for (const IpAddress& address : place->second) {
        if (address.IsIpv4() ? ipv4 : ipv6) answer.addresses.push_back(address);
      }
    }
    answer.found = !answer.addresses.empty();
    if (!answer.found) answer.problem = "no such name";
    done(answer);  // from the cache, at once
  }
  void Forget(std::string_view) override {}
  dns::ResolverCounts counts() const override { return {}; }

 private:
  Names& names_;
  FakeLoop& loop_;
};

constexpr std::size_t kBox = 1024;

}  // namespace

struct World::Unit {
  Unit(World& world, std::uint32_t cores)
      : loop(world.time_, world.directory_, world.missing, world.own),
        resolver(world.names, loop),
        to_reader(kBox, world.waker_),
        from_reader(kBox, loop.waker()),
        to_store(kBox, world.waker_),
        from_store(kBox, loop.waker()),
        commands(kBox, loop.waker()),
        snapshots(4, world.waker_),
        traces(4, world.waker_) {
    for (std::uint32_t i = 0; i < cores; ++i) {
      from_peers.push_back(std::make_unique<io::Mailbox<PeerMessage>>(64, loop.waker()));
    }
  }

  FakeLoop loop;
  FakeResolver resolver;
  io::Mailbox<ReadRequest> to_reader;
  io::Mailbox<ReadAnswer> from_reader;
  io::Mailbox<StoreRequest> to_store;
  io::Mailbox<Committed> from_store;
  io::Mailbox<CoreCommand> commands;
  io::Mailbox<CoreSnapshot> snapshots;
  io::Mailbox<TraceAnswer> traces;
  std::vector<std::unique_ptr<io::Mailbox<PeerMessage>>> from_peers;
  std::unique_ptr<Core> core;
};

World::World(WorldSettings settings)
    : queue(static_cast<std::uint32_t>(settings.options.queue.shards)),
      time_(settings.begins),
      settings_(std::move(settings)) {
  if (settings_.options.sources.empty()) settings_.options = TestOptions();
  for (std::uint32_t i = 0; i < settings_.cores; ++i) {
    units_.push_back(std::make_unique<Unit>(*this, settings_.cores));
  }
  const auto options = std::make_shared<const Options>(settings_.options);
  for (std::uint32_t i = 0; i < settings_.cores; ++i) {
    Unit& unit = *units_[i];
    CorePorts ports{
        unit.to_reader, unit.from_reader, unit.to_store, unit.from_store, unit.commands, unit.snapshots, {}, {}};
    ports.traces = &unit.traces;
    for (std::uint32_t other = 0; other < settings_.cores; ++other) {
      ports.to_peers.push_back(other == i ? nullptr : units_[other]->from_peers[i].get());
      ports.from_peers.push_back(other == i ? nullptr : unit.from_peers[other].get());
    }
    CoreSettings core;
    core.core = i;
    core.cores = settings_.cores;
    core.shards = static_cast<std::uint32_t>(settings_.options.queue.shards);
    core.run = 1;
    core.state = settings_.state;
    core.classifier = settings_.classifier;
    core.limits = settings_.limits;
    unit.core = MakeCore(std::move(core), std::move(ports), options, unit.loop, tls_, unit.resolver,
                         io::MakeSeededRandom(settings_.seed + i));
  }
}

World::~World() = default;

Receiver& World::AddReceiver(const std::string& host, const std::vector<std::string>& domains, std::uint16_t preference,
                             std::uint16_t port) {
  receivers_.push_back(std::make_unique<Receiver>());
  AddHost(host, domains, *receivers_.back(), preference, port);
  return *receivers_.back();
}

void World::AddHost(const std::string& name, const std::vector<std::string>& domains, Host& host,
                    std::uint16_t preference, std::uint16_t port) {
  const auto number = ++hosts_;
  // Public in form (RFC 2544's range is not refused as private would be).
  const IpAddress ip{IpAddress::Family::kIpv4,
                     {9, 9, static_cast<std::uint8_t>(number / 250), static_cast<std::uint8_t>(1 + number % 250)}};
  directory_[{ip, port}] = &host;
  names.addresses[name] = {ip};
  for (const std::string& domain : domains) {
    dns::MxAnswer& answer = names.mx[domain];
    answer.status = dns::MxStatus::kFound;
    answer.hosts.push_back({name, preference});
    std::ranges::stable_sort(answer.hosts, {}, &dns::MxHost::preference);
  }
}

queue::CampaignPtr World::Submit(const CampaignPlan& plan) {
  queue::CampaignPtr campaign = queue.Add(plan, time_.now.wall);
  CoreCommand command;
  command.kind = CoreCommand::Kind::kCampaign;
  command.campaign = campaign;
  Command(command);
  return campaign;
}

void World::SetState(queue::CampaignId id, queue::CampaignState state) {
  CoreCommand command;
  command.kind = CoreCommand::Kind::kCampaign;
  command.campaign = queue.SetState(id, state, time_.now.wall);
  Command(command);
}

void World::Command(CoreCommand command) {
  for (const std::unique_ptr<Unit>& unit : units_) {
    CoreCommand* slot = unit->commands.Reserve();
    CHECK(slot != nullptr);
    *slot = command;
    unit->commands.Publish();
  }
}

void World::SayToPeer(std::uint32_t core, const PeerMessage& message) {
  io::Mailbox<PeerMessage>& box = *units_[core]->from_peers[message.from_core];
  PeerMessage* slot = box.Reserve();
  CHECK(slot != nullptr);
  *slot = message;
  box.Publish();
}

void World::Tell(CoreCommand::Kind kind, CoreCommand::Target target, std::string name, std::string at) {
  CoreCommand command;
  command.kind = kind;
  command.target = target;
  command.name = std::move(name);
  command.at = std::move(at);
  Command(command);
}

void World::Reload(Options options) {
  CoreCommand command;
  command.kind = CoreCommand::Kind::kReload;
  command.options = std::make_shared<const Options>(std::move(options));
  Command(command);
}

// ---- the reader and the store

void World::ServeReader() {
  for (const std::unique_ptr<Unit>& unit : units_) {
    while (ReadRequest* request = unit->to_reader.Peek()) {
      ReadAnswer* answer = unit->from_reader.Reserve();
      if (answer == nullptr) break;
      *answer = {};
      if (const auto* scan = std::get_if<queue::DomainScanRequest>(&request->what)) {
        answer->what = queue.Scan(*scan);
      } else if (const auto* take = std::get_if<queue::TakeRequest>(&request->what)) {
        answer->domain = take->domain;
        if (reads_fail) {
          answer->error = Error{.code = ErrorCode::kUnavailable, .message = "the disk does not answer"};
        } else {
          answer->what = queue.Take(*take);
        }
      }
      unit->from_reader.Publish();
      unit->to_reader.Pop();
      served_ = true;
    }
  }
}

void World::ServeStore() {
  if (store_stands_still) return;
  queue.ReleaseRests(time_.now.wall);
  for (const queue::CampaignPtr& campaign : queue.TakeChanged()) {
    CoreCommand command;
    command.kind = CoreCommand::Kind::kCampaign;
    command.campaign = campaign;
    Command(command);
    served_ = true;
  }
  for (std::uint32_t i = 0; i < units_.size(); ++i) {
    while (StoreRequest* request = units_[i]->to_store.Peek()) {
      staged_.emplace_back(i, *request);
      units_[i]->to_store.Pop();
      if (commit_due_ == Monotonic::max()) commit_due_ = time_.now.monotonic + settings_.commit_interval;
      served_ = true;
    }
  }
  most_unsynced = std::max(most_unsynced, staged_.size());
  if (time_.now.monotonic < commit_due_) return;
  std::vector<std::uint64_t> counts(units_.size());
  for (const auto& [core, request] : staged_) {
    queue.Apply(request);
    ++counts[core];
  }
  staged_.clear();
  commit_due_ = Monotonic::max();
  for (std::size_t i = 0; i < units_.size(); ++i) {
    if (counts[i] == 0) continue;
    Committed* committed = units_[i]->from_store.Reserve();
    CHECK(committed != nullptr);
    committed->requests = counts[i];
    units_[i]->from_store.Publish();
  }
  served_ = true;
}

// ---- time

bool World::RunUntil(const std::function<bool()>& holds, std::chrono::nanoseconds at_most) {
  const Monotonic end = time_.now.monotonic + at_most;
  while (!holds()) {
    served_ = false;
    bool busy = false;
    for (const std::unique_ptr<Unit>& unit : units_) {
      unit->core->RunOnce(std::chrono::hours(1));
      busy |= unit->loop.TookPart();
    }
    ServeReader();
    ServeStore();
    if (busy || served_) continue;
    Monotonic next = store_stands_still ? Monotonic::max() : commit_due_;
    for (const std::unique_ptr<Unit>& unit : units_) next = std::min(next, unit->loop.NextEvent());
    if (next > end) {
      time_.MoveTo(end);
      return holds();
    }
    time_.MoveTo(next);
  }
  return true;
}

void World::RunFor(std::chrono::nanoseconds duration) {
  RunUntil([] { return false; }, duration);
}

bool World::RunToEnd(std::chrono::nanoseconds at_most) {
  return RunUntil([this] { return queue.queued() == 0; }, at_most);
}

CoreSnapshot World::Snapshot(std::uint32_t core, const std::string& place_of) {
  Unit& unit = *units_[core];
  CoreCommand* command = unit.commands.Reserve();
  CHECK(command != nullptr);
  *command = {};
  command->with_domains = true;
  command->with_unmatched = true;
  command->place_of = place_of;
  if (const auto mx = names.mx.find(place_of); mx != names.mx.end()) {
    command->mx = std::make_shared<const dns::MxAnswer>(mx->second);
  }
  unit.commands.Publish();
  RunUntil([&unit] { return unit.snapshots.Peek() != nullptr; }, std::chrono::seconds(1));
  CoreSnapshot* slot = unit.snapshots.Peek();
  CHECK(slot != nullptr);
  CoreSnapshot snapshot = *slot;
  unit.snapshots.Pop();
  return snapshot;
}

TraceAnswer World::Trace(const TraceRequest& request, std::uint32_t core) {
  Unit& unit = *units_[core];
  CoreCommand* command = unit.commands.Reserve();
  CHECK(command != nullptr);
  *command = {};
  command->kind = CoreCommand::Kind::kTrace;
  command->trace = request;
  unit.commands.Publish();
  RunUntil([&unit] { return unit.traces.Peek() != nullptr; }, std::chrono::seconds(1));
  TraceAnswer* slot = unit.traces.Peek();
  CHECK(slot != nullptr);
  TraceAnswer answer = std::move(*slot);
  unit.traces.Pop();
  return answer;
}

bool World::Drain(std::chrono::seconds deadline, std::chrono::nanoseconds at_most) {
  CoreCommand command;
  command.kind = CoreCommand::Kind::kDrain;
  command.deadline = deadline;
  Command(command);
  return RunUntil(
      [this] { return std::ranges::all_of(units_, [](const auto& unit) { return unit->core->drained(); }); }, at_most);
}

// ---- what must hold

std::uint64_t World::taken() const {
  std::uint64_t sum = 0;
  for (const std::unique_ptr<Receiver>& receiver : receivers_) sum += receiver->taken.size();
  return sum;
}

std::string World::CheckQueue() const {
  if (!queue.complaint().empty()) return queue.complaint();
  std::uint64_t ended = 0;
  for (const queue::EventKind kind :
       {queue::EventKind::kDelivered, queue::EventKind::kBounced, queue::EventKind::kExpired,
        queue::EventKind::kCancelled, queue::EventKind::kUnknown, queue::EventKind::kSuppressed}) {
    ended += queue.Count(kind);
  }
  if (ended + queue.queued() != queue.accepted()) {
    return fmt::format("accepted {} but ended {} and queued {}", queue.accepted(), ended, queue.queued());
  }
  return {};
}

std::string World::CheckConservation() const {
  if (std::string problem = CheckQueue(); !problem.empty()) return problem;
  // What the queue calls delivered, a receiver took; what a receiver took more than once had an unknown before.
  std::map<std::string, std::uint64_t> received;
  for (const std::unique_ptr<Receiver>& receiver : receivers_) {
    for (const ReceivedMessage& message : receiver->taken) ++received[message.to];
  }
  std::map<std::string, std::uint64_t> expected;
  for (const queue::Event& event : queue.events()) {
    if (event.kind == queue::EventKind::kDelivered) ++expected[event.recipient];
  }
  std::map<std::string, std::uint64_t> unknown;
  for (const queue::Event& event : queue.events()) {
    if (event.kind == queue::EventKind::kUnknown) ++unknown[event.recipient];
  }
  for (const auto& [address, count] : expected) {
    if (received[address] < count) return fmt::format("{} is called delivered, but was not received", address);
  }
  std::map<std::string, std::uint64_t> settling;
  for (const auto& [core, request] : staged_) ++settling[request.outcome.event.recipient];
  for (const auto& [address, count] : received) {
    if (count > expected[address] + unknown[address] + settling[address]) {
      return fmt::format("{} was received {} times, but delivered {} and unknown {} times", address, count,
                         expected[address], unknown[address]);
    }
  }
  return {};
}

std::vector<std::string> Recipients(std::size_t count, const std::vector<std::string>& domains) {
  std::vector<std::string> recipients;
  recipients.reserve(count);
  for (std::size_t i = 0; i < count; ++i) recipients.push_back(fmt::format("ana{}@{}", i, domains[i % domains.size()]));
  return recipients;
}

Options TestOptions() {
  Options options;
  options.host_name = "mail.sender.test";
  SourceOptions source;
  source.name = "first";
  source.ipv4 = IpAddress{IpAddress::Family::kIpv4, {11, 0, 0, 1}};
  source.ehlo_name = "first.sender.test";
  options.sources.push_back(source);
  // Most tests are about something else than how carefully a stranger is met.
  RuleOptions& everything = options.rules.front();
  everything.connections = 10;
  everything.start_connections = 0;
  everything.connect_rate = 0;
  everything.messages_per_connection = 100;
  return options;
}

}  // namespace postrider::delivery
