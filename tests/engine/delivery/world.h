#pragma once
// Real cores of the delivery in a small virtual world: virtual time, receivers by name, a queue in memory that plays
// the reader and the store thread. One thread drives everything; the same world runs the same way each time.

#include <cstdint>
#include <functional>
#include <map>
#include <memory>
#include <set>
#include <string>
#include <vector>

#include "engine/delivery/core.h"
#include "tests/engine/delivery/fake_loop.h"
#include "tests/engine/delivery/fake_tls.h"
#include "tests/engine/delivery/memory_queue.h"
#include "tests/engine/delivery/receiver.h"

namespace postrider::delivery {

// What names lead to; answers come a moment later, through the loop.
class Names {
 public:
  std::map<std::string, dns::MxAnswer, std::less<>> mx;  // absent: the domain does not exist
  std::map<std::string, std::vector<IpAddress>, std::less<>> addresses;
  std::uint64_t mx_queries = 0;
};

struct WorldSettings {
  Options options;
  std::uint32_t cores = 1;
  std::uint64_t seed = 1;
  std::chrono::milliseconds commit_interval{5};
  std::vector<std::pair<std::string, std::string>> state;
  ReplyClassifierPtr classifier{};
  Wall begins = VirtualTime().now.wall;
  // Of cores that went before: what they took counts.
  std::shared_ptr<SharedLimits> limits = std::make_shared<SharedLimits>();
};

class World {
 public:
  explicit World(WorldSettings settings = {});
  ~World();

  // A receiver at an address of its own, the MX of these domains under this host name.
  Receiver& AddReceiver(const std::string& host, const std::vector<std::string>& domains, std::uint16_t preference = 10,
                        std::uint16_t port = 25);
  // The same for a host of the caller's, which outlives this.
  void AddHost(const std::string& name, const std::vector<std::string>& domains, Host& host,
               std::uint16_t preference = 10, std::uint16_t port = 25);
  // Makes it reachable at one more address.
  void Listen(const SocketAddress& address, Host& host) { directory_[address] = &host; }
  // Tells the cores of it.
  queue::CampaignPtr Submit(const CampaignPlan& plan);
  void SetState(queue::CampaignId id, queue::CampaignState state);
  void Command(CoreCommand command);
  // As if another core had said it.
  void SayToPeer(std::uint32_t core, const PeerMessage& message);
  // kPause, kResume.
  void Tell(CoreCommand::Kind kind, CoreCommand::Target target, std::string name = {}, std::string at = {});
  void Reload(Options options);

  void RunFor(std::chrono::nanoseconds duration);
  // Until it holds, or the duration is over; says whether it holds.
  bool RunUntil(const std::function<bool()>& holds, std::chrono::nanoseconds at_most);
  // Until no job is queued.
  bool RunToEnd(std::chrono::nanoseconds at_most = std::chrono::minutes(5));
  // place_of: a domain whose place is to be described, if its MX leads to this core.
  [[nodiscard]] CoreSnapshot Snapshot(std::uint32_t core = 0, const std::string& place_of = {});
  [[nodiscard]] TraceAnswer Trace(const TraceRequest& request, std::uint32_t core = 0);
  // Sends kDrain and runs until all cores are drained, at most so long; says whether they are.
  bool Drain(std::chrono::seconds deadline, std::chrono::nanoseconds at_most);

  // Empty, or what breaks the equation of the queue: each accepted job ended once, or is queued.
  [[nodiscard]] std::string CheckQueue() const;
  // The same, and what the receivers took looked at together with it.
  [[nodiscard]] std::string CheckConservation() const;

  [[nodiscard]] Now now() const { return time_.now; }
  // Somebody sets the clock on the wall, by so much.
  void ShiftWall(std::chrono::milliseconds by) { time_.ShiftWall(by); }
  // The sum over all receivers.
  [[nodiscard]] std::uint64_t taken() const;

  Names names;
  std::set<IpAddress> missing;  // addresses that this host has not
  std::set<IpAddress> own;      // those of its interfaces
  MemoryQueue queue;
  bool store_stands_still = false;  // nothing is committed meanwhile
  bool reads_fail = false;          // those of jobs
  std::size_t most_unsynced = 0;    // requests that were not durable at once

 private:
  struct Unit;
  void ServeReader();
  void ServeStore();

  VirtualTime time_;
  FakeLoop::Directory directory_;
  FakeTls tls_;
  io::Waker waker_;  // of the threads that are not there
  WorldSettings settings_;
  std::vector<std::unique_ptr<Receiver>> receivers_;
  std::size_t hosts_ = 0;
  std::vector<std::unique_ptr<Unit>> units_;
  std::vector<std::pair<std::uint32_t, StoreRequest>> staged_;
  Monotonic commit_due_ = Monotonic::max();
  bool served_ = false;
};

// "ana@one.test", "ana1@one.test", ... over the domains in turns.
[[nodiscard]] std::vector<std::string> Recipients(std::size_t count, const std::vector<std::string>& domains);
// One source with an IPv4 address.
[[nodiscard]] Options TestOptions();

}  // namespace postrider::delivery
