#pragma once
// A limit that spans cores: of a source, a pool, a campaign, the whole sender. SharedLimit is the one object, behind a
// mutex; each core holds a Lease of it and takes several messages' worth at once, so that the lock is taken a few times
// a second and not for each message (at low rates: for each message). There is no owner core and no mail between cores:
// the answer is "go" or "not before".
//
// Why no window holds more than rate x window + burst: the bucket counts messages when their lease reports them used,
// which is never before they were; what is leased and not reported is set aside from the burst beforehand. What a lease
// has not used 250 ms after it took it is void, and counts as used until the lease has returned it.
//
// Turns: a core that was told "not before" keeps its place; one that asks after it gets only what is left beside.

#include <atomic>
#include <cstdint>
#include <map>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/error.h"
#include "config/rate_limit.h"
#include "config/time.h"
#include "throttle/gcra.h"
#include "throttle/limit.h"

namespace postrider {

class Lease;

// Any thread.
class SharedLimit {
 public:
  SharedLimit(Limit rate_name, Limit connections_name) : rate_name_(rate_name), connections_name_(connections_name) {}
  SharedLimit(const SharedLimit&) = delete;
  SharedLimit& operator=(const SharedLimit&) = delete;

  // Keeps the history; leases notice at their next question.
  void Set(Monotonic now, const std::optional<RateLimit>& rate, std::optional<int> connections);

  [[nodiscard]] std::optional<RateLimit> rate() const;
  [[nodiscard]] std::optional<int> most_connections() const;
  [[nodiscard]] int connections() const;
  // Nothing taken is still to leak away, and no connection is open: it may be forgotten.
  [[nodiscard]] bool AtRest(Monotonic now) const;
  // How often a lease took the lock, for tests and benchmarks.
  [[nodiscard]] std::uint64_t lock_count() const;

  // The bucket's depth, and what is leased counted as used.
  [[nodiscard]] std::string Encode(const Now& now) const;
  Result<void> Restore(const Now& now, std::string_view record);

 private:
  friend class Lease;
  struct Holder {
    bool taken = false;  // a Lease has this place
    double held = 0;     // leased, not reported
    Monotonic held_since{};
    double void_held = 0;  // of an earlier lease, counted as used until it is returned
    Monotonic void_since{};
    bool waits = false;
    Monotonic promised{};  // not before
    std::uint64_t place = 0;
    int connections = 0;
    Monotonic wants_connection_until = Monotonic::min();
  };
  struct Grant {
    double messages = 0;
    Monotonic not_before{};  // if 0
  };

  std::size_t Join();
  void Leave(std::size_t holder, Monotonic now, std::uint32_t used, Monotonic last_use);
  Grant Take(std::size_t holder, Monotonic now, std::uint32_t used, Monotonic last_use, std::uint32_t unused);
  void GiveBack(std::size_t holder, Monotonic now, std::uint32_t used, Monotonic last_use, std::uint32_t unused);
  void ReturnUsed(Monotonic now, Monotonic taken_at);
  [[nodiscard]] bool TryConnect(std::size_t holder, Monotonic now, bool only_ask);
  void Disconnect(std::size_t holder);

  // Under mutex_.
  void Report(Holder& holder, std::uint32_t used, Monotonic last_use, std::uint32_t unused, Monotonic now);
  void VoidOldLeases(Monotonic now);
  [[nodiscard]] double HeldByAll() const;
  [[nodiscard]] double Chunk() const;

  const Limit rate_name_;
  const Limit connections_name_;
  // Changes with every Set and Return: a lease that was told "not before" asks again.
  std::atomic<std::uint32_t> version_{0};
  std::atomic<bool> has_rate_{false};
  std::atomic<bool> has_connections_{false};

  mutable std::mutex mutex_;
  std::optional<RateLimit> rate_;
  Gcra bucket_;
  std::optional<int> most_connections_;
  int connections_ = 0;
  std::vector<Holder> holders_;
  std::size_t joined_ = 0;
  std::uint64_t next_place_ = 0;
  std::uint64_t locks_ = 0;
};

// One core's part of a SharedLimit; that core's thread alone. Must not outlive the core's connections through it.
class Lease {
 public:
  explicit Lease(std::shared_ptr<SharedLimit> limit);
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  // May one message go now? Takes a lease if there is none, but no message of it. At low rates another core may be
  // faster between Ask and Admit.
  [[nodiscard]] Admission Ask(Monotonic now);
  // Takes one message if it may go.
  [[nodiscard]] Admission Admit(Monotonic now);
  // It did not go after all.
  void Return(Monotonic now, Monotonic admitted);
  // Gives the rest of the lease back: call it when no work waits, and at least every 250 ms while nothing is asked.
  void ReturnUnused(Monotonic now);
  // There is something to return.
  [[nodiscard]] bool holds() const { return left_ > 0 || used_ > 0; }

  // Connections are granted fairly: where cores wait, none holds more than its share. "Not before" is a fifth of a
  // second, for no other core will tell this one that a connection was closed.
  [[nodiscard]] Admission AskConnect(Monotonic now);
  // Takes one if it may.
  [[nodiscard]] Admission Connect(Monotonic now);
  void Disconnected();

  [[nodiscard]] SharedLimit& limit() { return *limit_; }

 private:
  [[nodiscard]] Admission Fill(Monotonic now);

  std::shared_ptr<SharedLimit> limit_;
  std::size_t holder_;
  std::uint32_t left_ = 0;  // may go without asking
  std::uint32_t used_ = 0;  // and went, not yet reported
  bool lock_each_ = true;   // a low rate: nothing is kept here
  Monotonic last_use_{};
  Monotonic taken_at_{};
  Monotonic not_before_{};  // while the version is version_
  bool waiting_ = false;
  std::uint32_t version_ = 0;
};

// What a message of one campaign from one source needs of the limits that span cores; null: that one does not exist.
// The questions of admission in one: all or none is taken.
struct LeaseSet {
  Lease* sender = nullptr;
  Lease* pool = nullptr;
  Lease* source = nullptr;
  Lease* campaign = nullptr;

  [[nodiscard]] Admission Ask(Monotonic now) const;
  [[nodiscard]] Admission Admit(Monotonic now) const;
  void Return(Monotonic now, Monotonic admitted) const;
  [[nodiscard]] Admission AskConnect(Monotonic now) const;
  [[nodiscard]] Admission Connect(Monotonic now) const;
  void Disconnected() const;
};

// All of a process; made by the engine and shared by the cores. Any thread.
class SharedLimits {
 public:
  enum class Kind : std::uint8_t { kSender, kPool, kSource, kCampaign };

  // Makes it if it is not there; its rate is as it was, or none.
  [[nodiscard]] std::shared_ptr<SharedLimit> Get(Kind kind, std::string_view name);
  // Null if it is not there.
  [[nodiscard]] std::shared_ptr<SharedLimit> Find(Kind kind, std::string_view name) const;
  // At start and at a reload. One that is no longer configured is Set to nothing, and stays for its leases.
  void Set(Kind kind, std::string_view name, Monotonic now, const std::optional<RateLimit>& rate,
           std::optional<int> connections);
  // Drops those that nobody holds and that are at rest: campaigns that are over.
  void Sweep(Monotonic now);
  [[nodiscard]] std::size_t size() const;

 private:
  using Key = std::pair<Kind, std::string>;
  mutable std::mutex mutex_;
  std::map<Key, std::shared_ptr<SharedLimit>, std::less<>> limits_;
};

}  // namespace postrider
