#pragma once
// A path: one source towards one site. Its limits, back-off and reputation belong to the account that its source has at
// the site's destination, which other sites may share. It knows its connections, which of its MX hosts are in back-off,
// and what keeps it from sending now. Owned by its Site; single-threaded.

#include <algorithm>
#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/options.h"
#include "config/reply.h"
#include "config/time.h"
#include "engine/delivery/connection.h"
#include "engine/delivery/destination.h"
#include "engine/delivery/intrusive_list.h"
#include "engine/delivery/leases.h"
#include "engine/delivery/snapshot.h"
#include "engine/delivery/source_health.h"
#include "throttle/backoff.h"
#include "throttle/limit.h"

namespace postrider::delivery {

struct Site;

// One MX host as this path meets it: another source may fare better there.
class PathHost {
 public:
  // It could not be reached or did not let us in.
  void Fail(Monotonic now, std::uint64_t random) { down_.Fail(now, random); }
  // It is there, but has no time for us now (421).
  void FailBusy(Monotonic now, std::uint64_t random) { busy_.Fail(now, random); }
  // By a reply's action.
  void Skip(Monotonic until) { skipped_until_ = std::max(skipped_until_, until); }
  void Succeed();
  // The operator lets it go on, whatever it was.
  void Forget() {
    Succeed();
    skipped_until_ = Monotonic::min();
  }
  [[nodiscard]] Monotonic until() const { return std::max({down_.until(), busy_.until(), skipped_until_}); }
  [[nodiscard]] bool Blocked(Monotonic now) const { return now < until(); }
  [[nodiscard]] bool failing() const { return down_.failures() + busy_.failures() > 0; }

  bool troubled = false;                   // its trouble was told, its recovery not yet
  Monotonic failed_at = Monotonic::min();  // connections begun before this say nothing new

 private:
  Backoff down_;
  Monotonic skipped_until_ = Monotonic::min();
  Backoff busy_{std::chrono::seconds(15), std::chrono::minutes(5)};
};

// Messages over the last ten seconds.
class Meter {
 public:
  void Count(Monotonic now);
  [[nodiscard]] double PerSecond(Monotonic now) const;

 private:
  static constexpr std::int64_t kSeconds = 10;
  void Advance(std::int64_t second);
  std::array<std::uint32_t, kSeconds> counts_{};
  std::int64_t second_ = 0;
};

// What keeps a path from sending, and where it may wait for that limit; no line: something else will tell it.
struct Refusal {
  postrider::Admission answer;
  WaitLine* line = nullptr;

  void Join(const postrider::Admission& other, WaitLine* its_line) {
    if (other.Go() || (!answer.Go() && other.not_before <= answer.not_before)) return;
    answer = other;
    line = its_line;
  }
};

struct Path {
  Path(Monotonic now, Site& of_site, SourceOptions from, const SourceState& its_state, Account& own,
       Account* at_provider, LeaseEntry& of_source, LeaseEntry& of_sender, std::size_t host_count);
  ~Path();

  // May a message of that class start now: the path's own state and the limits of its accounts. Campaign, pool, source
  // and sender are asked with the message (Admission).
  [[nodiscard]] Refusal AskMessage(const Now& now, MailClass mail_class);
  // May one more connection be opened, by all limits but those that cores share. A message must be allowed so long from
  // now at the latest.
  [[nodiscard]] Refusal AskConnect(const Now& now, MailClass mail_class, std::chrono::nanoseconds ahead = {});
  // How long before its message a connection is to be dialled, so that it stands when the message may go: else a low
  // rate with few messages a connection would lose what is allowed meanwhile. 0: those at hand suffice.
  [[nodiscard]] std::chrono::nanoseconds DialAhead(Monotonic now) const;
  // The line in which others wait before it; null: none.
  [[nodiscard]] WaitLine* LineBefore();
  [[nodiscard]] WaitLine* ConnectLineBefore();
  // Takes the permits that AskMessage allowed.
  void Admit(const Now& now, MailClass mail_class);
  // Nothing goes before this, and it is not soon: pause, stop, back-off, a day's quota. In the past: it may.
  [[nodiscard]] Monotonic BlockedUntil(const Now& now);
  // Connections that may be opening at once: few until the path has proven that it leads somewhere.
  [[nodiscard]] std::uint32_t OpeningLimit() const;
  [[nodiscard]] bool Troubled() const;
  // A stop or back-off is over, but nothing was taken since: one message goes ahead of all others.
  [[nodiscard]] bool Probing() const;

  // Accounts the time spent under the last binding, then remembers this one.
  void Bind(Limit now_binding, Monotonic now, CoreCounts& counts);
  // What it was told last that was not a yes, for the operator.
  void Remember(const Reply& reply);

  template <typename Visit>
  void VisitAccounts(Visit visit) {
    visit(account);
    if (at_provider != nullptr) visit(*at_provider);
  }
  // Where a provider counts: the wider of the two.
  [[nodiscard]] Account& widest() { return at_provider != nullptr ? *at_provider : account; }

  Site& site;
  SourceOptions source;
  const SourceState& source_state;
  Account& account;
  Account* at_provider;  // where its own account is not its provider's
  LeaseEntry& source_lease;
  LeaseEntry& sender_lease;
  WaitSpot message_wait{*this};
  WaitSpot connect_wait{*this};
  std::vector<PathHost> hosts;
  bool owed = false;    // its turn came while its connection was still being made
  bool proven = false;  // a conversation got through since the last trouble
  bool paused = false;
  bool retired = false;  // its source is no longer configured
  std::uint32_t opening = 0;
  std::uint32_t in_flight = 0;        // messages
  std::chrono::nanoseconds set_up{};  // what the last connection took until it was ready for a message
  std::size_t host_turn = 0;          // whose turn it is among hosts of equal preference
  IntrusiveList<Connection, &Connection::path_link> connections;
  IntrusiveList<Connection, &Connection::idle_link> idle;  // the one used last in front
  Limit binding = Limit::kNone;
  Monotonic bound_since{};
  Meter meter;
  std::string last_reply;

 private:
  // A share of the burst that bulk leaves to transactional mail.
  [[nodiscard]] static double ReserveOf(const Destination& destination, MailClass mail_class, Monotonic now);
};

}  // namespace postrider::delivery
