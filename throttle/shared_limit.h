#pragma once
// A limit that spans cores: of a source, a pool, a campaign, the whole sender. SharedLimit is the one object, behind a
// mutex; each core holds a Lease of it and takes several messages' worth at once, so that the lock is taken some tens
// of times a second, and for each message only at low rates. There is no owner core and no mail between cores: the
// answer is "go" or "not before".
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

#include "config/rate_limit.h"
#include "config/time.h"
#include "throttle/gcra.h"
#include "throttle/limit.h"
#include "throttle/saved_bucket.h"

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
  // How often leases took the lock.
  [[nodiscard]] std::uint64_t lock_count() const;

  // As BucketWriter::Write; what is leased counts as used.
  [[nodiscard]] std::optional<std::string> Unsaved(const Now& now);
  // Once its rate is set, and before the first lease asks.
  void Restore(Monotonic now, const SavedBucket& saved);

 private:
  friend class Lease;

  // What a lease did since it last held the lock.
  struct Account {
    std::uint32_t used = 0;
    std::uint32_t unused = 0;  // and gives back
    Monotonic last_use{};
  };
  // Of one lease.
  struct Holder {
    bool joined = false;
    double held = 0;  // leased, and not yet reported
    Monotonic held_since{};
    double voided = 0;  // leased longer ago, counted as used until it is reported
    Monotonic voided_at{};
    bool waits = false;
    Monotonic promised{};  // it will not ask before this
    std::uint64_t place = 0;
    bool wants_connection = false;
    Monotonic wants_until{};
    std::uint64_t connection_place = 0;
  };
  struct Grant {
    bool go = false;
    std::uint32_t messages = 0;  // leased; 0 at low rates: the one asked for is taken already
    Monotonic not_before{};
    std::uint32_t version = 0;
  };

  [[nodiscard]] std::size_t Join();
  void Leave(std::size_t holder, Monotonic now, const Account& account);
  [[nodiscard]] Grant Take(std::size_t holder, Monotonic now, const Account& account, bool only_ask);
  void GiveBack(std::size_t holder, Monotonic now, const Account& account);
  void ReturnUsed(Monotonic now, Monotonic taken_at);
  [[nodiscard]] bool TakeConnection(std::size_t holder, Monotonic now, bool only_ask);
  void GiveConnection();

  // With mutex_ held.
  void Settle(Holder& holder, Monotonic now, const Account& account);
  void VoidOldLeases(Monotonic now);
  [[nodiscard]] double HeldByAll() const;
  // What one lease takes at once; 1: a low rate, nothing is leased.
  [[nodiscard]] double Chunk() const;

  const Limit rate_name_;
  const Limit connections_name_;
  // Changes where a lease that was told "not before" had better ask again.
  std::atomic<std::uint32_t> version_{0};
  std::atomic<bool> has_rate_{false};
  std::atomic<bool> has_connections_{false};

  mutable std::mutex mutex_;
  std::optional<RateLimit> rate_;
  Gcra bucket_;
  BucketWriter saved_;
  std::optional<int> most_connections_;
  int connections_ = 0;
  std::vector<Holder> holders_;
  std::size_t joined_ = 0;
  std::uint64_t next_place_ = 0;
  std::uint64_t locks_ = 0;
};

// One core's part of a SharedLimit; that core's thread alone.
class Lease {
 public:
  explicit Lease(std::shared_ptr<SharedLimit> limit);
  // All its connections are disconnected.
  ~Lease();
  Lease(const Lease&) = delete;
  Lease& operator=(const Lease&) = delete;

  // May one message go now? Takes a lease if there is none, but no message of it. At low rates another core may be
  // faster between Ask and Admit.
  [[nodiscard]] Admission Ask(Monotonic now) { return Answer(now, true); }
  // Takes one message if it may go.
  [[nodiscard]] Admission Admit(Monotonic now);
  // It did not go after all.
  void Return(Monotonic now, Monotonic admitted);
  // Gives the rest of the lease back, and the place in the line: call it where no work waits, within 250 ms.
  void ReturnUnused(Monotonic now);
  // There is something to give back.
  [[nodiscard]] bool holds() const { return left_ > 0 || used_ > 0 || waiting_; }

  // In turns where several cores wait. "Not before" is a fifth of a second from now, for no other core will tell this
  // one that a connection was closed.
  [[nodiscard]] Admission AskConnect(Monotonic now);
  // Takes one if it may. Until Disconnected.
  [[nodiscard]] Admission Connect(Monotonic now);
  void Disconnected();

  [[nodiscard]] SharedLimit& limit() { return *limit_; }

 private:
  [[nodiscard]] Admission Answer(Monotonic now, bool only_ask);
  [[nodiscard]] SharedLimit::Account TakeAccount(bool give_back);

  std::shared_ptr<SharedLimit> limit_;
  std::size_t holder_;
  std::uint32_t left_ = 0;  // may go without asking
  std::uint32_t used_ = 0;  // went, and is not yet reported
  Monotonic last_use_{};
  Monotonic leased_at_{};
  bool waiting_ = false;
  Monotonic not_before_{};  // while waiting_ and the limit's version is still version_
  std::uint32_t version_ = 0;
  int connections_ = 0;
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

  // ---- over a restart: one record for each whose rate is slow
  static constexpr std::string_view kPrefix = "limit/shared/";
  // What was saved under a key of that prefix in the last run: restored when the limit gets its rate. An error's
  // sentence says why it is not. Before the first Set.
  Result<void> Remember(const Now& now, std::string_view key, std::string_view record);
  // Each key with the record to write, or an empty text if it is to be deleted.
  [[nodiscard]] std::vector<std::pair<std::string, std::string>> Unsaved(const Now& now);

 private:
  using Key = std::pair<Kind, std::string>;
  [[nodiscard]] const std::shared_ptr<SharedLimit>& GetLocked(Kind kind, std::string_view name);

  mutable std::mutex mutex_;
  std::map<std::string, SavedBucket, std::less<>> remembered_;  // by key on disk
  std::map<Key, std::shared_ptr<SharedLimit>, std::less<>> limits_;
};

}  // namespace postrider
