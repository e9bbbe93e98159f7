#pragma once
// The domains whose home is this core: finds those with something to do by asking the reader lap after lap, resolves
// where their mail goes, hands each to the core that owns its site, and takes it back when nothing of it is open there.
// At most options.engine.active_domains are out at once; those that DNS gives no answer for rest meanwhile (bounded
// too). Single-threaded.

#include <cstdint>
#include <deque>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "config/time.h"
#include "engine/delivery/core.h"
#include "engine/delivery/intrusive_list.h"
#include "engine/dns/resolver.h"
#include "throttle/backoff.h"

namespace postrider::delivery {

struct Parts;
struct SiteTarget;

class Backlog {
 public:
  explicit Backlog(Parts& parts);
  ~Backlog();

  // Once a turn: asks for the next stretch of domains if it is time, and sends what waits for other cores.
  void Turn();
  void OnScan(const ReadAnswer& answer);
  // New work is known of: scan at once. wake_resting: also look at domains at rest, as when a campaign was cancelled.
  void ScanNow(bool wake_resting);
  // The owner let a domain go; it is left alone for so long. home may be another core.
  void Release(std::uint32_t home, std::string_view domain, std::chrono::nanoseconds rest, bool forget_mx);
  void OnPeerMessage(PeerMessage& message);
  // When Turn has something to do, if nothing else happens: max() while a scan is under way or no domain may be added.
  [[nodiscard]] Monotonic NextScan() const { return MayScan() ? next_scan_ : Monotonic::max(); }
  [[nodiscard]] std::size_t active() const { return active_; }

 private:
  struct HomeDomain {
    enum class State : std::uint8_t { kResolving, kAssigned, kResting };
    State state = State::kResolving;
    std::string name;
    std::uint32_t owner = 0;
    std::string base_key;        // of the site it was assigned to
    Monotonic resolved_until{};  // then its MX is looked up again
    bool refreshing = false;
    Monotonic rests_until{};
    Backoff dns;                  // while it cannot be resolved
    Backoff elsewhere;            // while its hosts say that it belongs to others
    Monotonic no_domain_since{};  // first answer that it does not exist
    bool no_domain = false;
    ListLink<HomeDomain> link;  // of those that are remembered though nothing of them is active
  };

  void Activate(std::string_view domain);
  [[nodiscard]] std::size_t ActiveMax() const;
  [[nodiscard]] bool MayScan() const;
  void LookUp(const std::string& domain);
  void Resolved(const std::string& domain, const dns::MxAnswer& answer);
  void Refresh(HomeDomain& domain);
  void Refreshed(HomeDomain& domain, const dns::MxAnswer& answer);
  void Assign(HomeDomain& domain, std::uint32_t owner, std::shared_ptr<const dns::MxAnswer> answer);
  void Send(std::uint32_t core, PeerMessage message);
  [[nodiscard]] IntrusiveList<HomeDomain, &HomeDomain::link>& RestOf(const HomeDomain& domain) {
    return domain.no_domain ? missing_ : resting_;
  }
  void OnRelease(std::string_view domain, std::chrono::nanoseconds rest, bool forget_mx);

  Parts& parts_;
  std::unordered_map<std::string, std::unique_ptr<HomeDomain>> domains_;  // looked up, never walked
  IntrusiveList<HomeDomain, &HomeDomain::link> resting_;                  // the one longest at rest in front
  IntrusiveList<HomeDomain, &HomeDomain::link> missing_;                  // the same of those that seem not to exist
  std::vector<std::deque<PeerMessage>> unsent_;                           // per core, while its mailbox is full
  std::shared_ptr<Backlog*> alive_;
  std::size_t active_ = 0;
  bool scanning_ = false;
  bool scan_again_ = false;  // asked for while a scan was under way
  bool lap_brought_news_ = false;
  std::string cursor_;
  Monotonic next_scan_{};
  std::chrono::milliseconds pause_;
};

}  // namespace postrider::delivery
