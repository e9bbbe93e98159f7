#pragma once
// Who may send now: asks every limit at once (what is not durable yet, pauses, back-off, the path's rate, the
// campaign's share, connections) and hands jobs to connections, transactional before bulk, the lanes of a path in
// turns. Opens connections while work waits and limits allow, and owns them all. Single-threaded.

#include <cstdint>
#include <memory>
#include <set>
#include <string>
#include <utility>
#include <vector>

#include "engine/delivery/connection.h"
#include "engine/delivery/core.h"
#include "engine/delivery/intrusive_list.h"
#include "engine/delivery/path.h"
#include "engine/delivery/site.h"
#include "throttle/allowance.h"
#include "throttle/shared_limit.h"

namespace postrider::delivery {

struct Parts;

class Admission {
 public:
  explicit Admission(Parts& parts);
  ~Admission();

  // The next job for this connection, with all permits taken; null: none now.
  [[nodiscard]] WindowJob* Next(Connection& connection);
  // A job that Next gave comes back without having been attempted: its permits too.
  void Returned(WindowJob& job, Path& path);
  // It was attempted. True: this ended a trouble of the path; mail flows again.
  bool Ended(Path& path, MessageEnd end);

  // Something that may let this site send changed: it is looked at before the turn ends.
  void MarkPending(Site& site);
  void Forget(Site& site);  // it is about to be destroyed
  void MarkAllPending();
  // Looks at all that is pending.
  void Pump();
  // Hands collected bytes to the sockets, then destroys what has ended.
  void FlushConnections();

  // From connections.
  void MarkDirty(Connection& connection);
  void ConnectionIdle(Connection& connection);
  void ConnectionLeftIdle(Connection& connection);
  void ConnectionOpened(Connection& connection);
  void ConnectionFinished(Connection& connection);

  // Outcomes became durable.
  void Synced();

  // No path that its jobs may take lets a message go before this; a moment in the past: one does.
  [[nodiscard]] Monotonic BlockedUntil(const Feed& feed) const;

  // Operator and main.
  void Pause(CoreCommand::Target target, const std::string& name, const std::string& at, bool pause);
  [[nodiscard]] bool SitePaused(const Site& site) const;
  [[nodiscard]] bool PathPaused(const Path& path) const;
  void StopSending(bool stop);
  void Reloaded();
  // Quits every connection once its messages have ended.
  void Drain();
  // At the end of a drain's time: closes what is still open.
  void AbortAll(const std::string& reason);

  // Messages with connections plus outcomes not durable.
  [[nodiscard]] std::size_t Unsettled() const;
  [[nodiscard]] bool UnsyncedAllows() const { return Unsettled() < unsynced_max_; }
  [[nodiscard]] std::size_t connections() const { return connections_.size(); }
  [[nodiscard]] const IntrusiveList<Connection, &Connection::core_link>& all() const { return connections_; }
  [[nodiscard]] std::size_t in_flight() const { return in_flight_; }
  [[nodiscard]] bool anything_pending() const { return !pending_.empty() || !dirty_.empty() || !finished_.empty(); }

 private:
  void PumpSite(Site& site);
  void PumpFeed(Feed& feed);
  void OfferIdle(Feed& feed);
  void OpenMore(Feed& feed);
  [[nodiscard]] bool HasReady(const Path& path, MailClass mail_class) const;
  WindowJob* Refuse(Path& path, Limit binding);
  void Wait(Path& path, WaitSpot& spot, const Refusal& refusal, bool urgent);
  [[nodiscard]] static Connection* LeastUseful(Account& account);
  void WaitToConnect(Path& path, const Refusal& refusal, bool urgent);
  void WakeAt(Site& site, Monotonic when);
  [[nodiscard]] CampaignPart& PartOf(Site& site, Share& share);
  [[nodiscard]] bool MayGoNow(Lane& lane, CampaignPart& part);
  [[nodiscard]] LeaseSet LeasesOf(const Feed& feed, const Path& path, CampaignEntry& campaign) const;
  [[nodiscard]] static LeaseSet LeasesOf(const Connection& connection);
  void Left(Path& path);
  [[nodiscard]] bool MayUse(const Feed& feed, const Path& path) const;
  [[nodiscard]] Feed* NextFeed(const Path& path, MailClass mail_class, const Feed* but_not) const;
  WindowJob* TakeFrom(Path& path, MailClass mail_class, Refusal& refusal);
  [[nodiscard]] bool MakeRoom(bool close_idle);
  [[nodiscard]] std::size_t ConnectionsMax() const;
  bool Open(Feed& feed, Path& path, bool urgent);

  Parts& parts_;
  std::size_t unsynced_max_;
  std::size_t in_flight_ = 0;
  std::uint64_t connections_made_ = 0;
  bool pumping_ = false;
  bool stopped_ = false;
  bool all_paused_ = false;
  std::set<std::string, std::less<>> paused_sites_;
  std::set<std::string, std::less<>> paused_sources_;
  std::set<std::pair<std::string, std::string>> paused_sources_at_;  // a provider, or a site

  IntrusiveList<Connection, &Connection::core_link> connections_;
  IntrusiveList<Connection, &Connection::core_idle_link> idle_;
  IntrusiveList<Connection, &Connection::dirty_link> dirty_;
  IntrusiveList<Connection, &Connection::finished_link> finished_;
  IntrusiveList<Site, &Site::pending_link> pending_;
  IntrusiveList<Site, &Site::unsynced_link> waiting_for_sync_;
  IntrusiveList<Site, &Site::slot_link> waiting_for_slot_;
};

}  // namespace postrider::delivery
