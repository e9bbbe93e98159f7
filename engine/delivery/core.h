#pragma once
// One core of the sending machine: due jobs in, outcomes out. It owns its sites, paths, connections and windows, and
// hears and says all through the mailboxes of CorePorts; only the limits of source, pool, sender and campaign are
// shared. A domain's home core (by shard) resolves its MX and hands the domain to the core that owns the site (by hash
// of the provider, else of the MX set and route). Runs on its own thread, or under the simulation; reads no clock but
// its loop's. Stop: Drain, then RunOnce until drained().

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <variant>
#include <vector>

#include "config/error.h"
#include "config/options.h"
#include "engine/delivery/snapshot.h"
#include "engine/delivery/trace_book.h"
#include "engine/dns/resolver.h"
#include "engine/io/loop.h"
#include "engine/io/mailbox.h"
#include "engine/io/random.h"
#include "engine/tls/tls.h"
#include "queue/campaign.h"
#include "queue/job.h"
#include "queue/job_store.h"
#include "queue/outcome.h"
#include "throttle/reply_classifier.h"
#include "throttle/shared_limit.h"

namespace postrider::delivery {

// To and from the reader thread.
struct ReadRequest {
  std::variant<std::monostate, queue::DomainScanRequest, queue::TakeRequest> what;
};
struct ReadAnswer {
  std::variant<std::monostate, queue::DomainScan, queue::TakenJobs> what;
  std::string domain;          // of a Take
  std::optional<Error> error;  // then `what` is empty; ask again later
};

// To the store thread: an outcome, or a change of the small durable map.
struct StoreRequest {
  enum class Kind : std::uint8_t {
    kOutcome,
    kEvent,
    kPutState,
    kDeleteState,
    kStopCanary,  // a guard paused the event's campaign at a provider: all of it, if its rest waits still
  };
  Kind kind = Kind::kOutcome;
  queue::Outcome outcome;  // kOutcome; for kEvent and kStopCanary only its event
  std::string key;
  std::string value;
};
// From the store thread: so many of this core's requests, in order, are durable.
struct Committed {
  std::uint64_t requests = 0;
};

// Between cores.
struct PeerMessage {
  enum class Kind : std::uint8_t {
    kAssign,     // home -> owner: this domain's mail goes to this MX set
    kMxChanged,  // home -> owner: of a domain assigned before, which the owner may have let go meanwhile
    kRelease,    // owner -> home: nothing of it is open here any more
  };
  Kind kind = Kind::kAssign;
  std::string domain;
  std::shared_ptr<const dns::MxAnswer> mx;
  std::uint32_t from_core = 0;
  std::chrono::nanoseconds rest{};   // of kRelease: leave it alone for so long ...
  bool forget_mx = false;            // ... and look its MX up anew
  std::uint32_t resolved_again = 0;  // of kAssign: times in a row that it was looked up for that reason
};

// From main and the admin's threads (through engine's Control).
struct CoreCommand {
  enum class Kind : std::uint8_t {
    kReload,    // options
    kCampaign,  // campaign: its state changed
    kPause,     // target and name
    kResume,
    kStopSending,  // disk too full or log unwritable: no new transactions
    kGoOn,
    kSnapshot,  // answer in CorePorts::snapshots
    kTrace,     // trace; answer in CorePorts::traces
    kDrain,     // no new transactions; QUIT; after `deadline` close what is left
  };
  enum class Target : std::uint8_t {
    kAll,
    kSite,
    kSource,
    kCampaignAt,  // the campaign `name` at the provider (or site) `at`; only kResume: what paused it is a guard
    kSourceAt,    // one source at one provider, or at one site
  };
  Kind kind = Kind::kSnapshot;
  OptionsPtr options;
  ReplyClassifierPtr classifier;  // of kReload
  queue::CampaignPtr campaign;
  Target target = Target::kAll;
  std::string name;
  std::string at;  // of kCampaignAt and kSourceAt: the provider's name, or the site's
  std::chrono::seconds deadline{};
  // Of kSnapshot, what is too big for every scrape.
  bool with_domains = false;    // the sites name their domains
  bool with_unmatched = false;  // the replies that no rule knew
  // The core that owns the place where this domain's mail goes describes it. Empty: none.
  std::string place_of;
  std::shared_ptr<const dns::MxAnswer> mx;  // of that domain; null where its route has fixed hosts
  TraceRequest trace;                       // of kTrace
};

struct CorePorts {
  io::Mailbox<ReadRequest>& to_reader;
  io::Mailbox<ReadAnswer>& from_reader;
  io::Mailbox<StoreRequest>& to_store;
  io::Mailbox<Committed>& from_store;
  io::Mailbox<CoreCommand>& commands;
  io::Mailbox<CoreSnapshot>& snapshots;
  // One per other core, by its number; the own place is null.
  std::vector<io::Mailbox<PeerMessage>*> to_peers;
  std::vector<io::Mailbox<PeerMessage>*> from_peers;
  // Null: nobody asks for traces. An answer that finds no room is dropped; its asker has given up.
  io::Mailbox<TraceAnswer>* traces = nullptr;
};

struct CoreSettings {
  std::uint32_t core = 0;
  std::uint32_t cores = 1;
  std::uint32_t shards = 64;
  std::uint64_t run = 0;
  // Limits that span cores; all cores of a process are given the same. Null: the core makes its own.
  std::shared_ptr<SharedLimits> limits{};
  // Null: replies are judged by their codes alone.
  ReplyClassifierPtr classifier{};
  // What was kept from the last run (keys of this module, as PutState wrote them).
  std::vector<std::pair<std::string, std::string>> state;
};

class Core {
 public:
  virtual ~Core() = default;
  // One turn: mailboxes, admission, then the loop for at most max_wait.
  virtual void RunOnce(std::chrono::nanoseconds max_wait) = 0;
  // After kDrain: no connection is open and every outcome is committed.
  [[nodiscard]] virtual bool drained() const = 0;
};

[[nodiscard]] std::unique_ptr<Core> MakeCore(CoreSettings settings, CorePorts ports, OptionsPtr options, io::Loop& loop,
                                             tls::Tls& tls, dns::Resolver& resolver,
                                             std::unique_ptr<io::Random> random);

}  // namespace postrider::delivery
