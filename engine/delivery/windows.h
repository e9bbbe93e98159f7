#pragma once
// The domains whose mail this core sends, and the windows of jobs read ahead of need: asks the reader for more when a
// domain runs low (one request at a time each, the core's jobs bounded), gives up what must not be sent now, ends
// what is cancelled or expired, and lets a domain go once nothing of it is open. Single-threaded.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <unordered_map>

#include "engine/delivery/campaign_cache.h"
#include "engine/delivery/core.h"
#include "engine/delivery/domain.h"
#include "engine/delivery/intrusive_list.h"
#include "engine/delivery/window.h"

namespace postrider::delivery {

struct Parts;

class Windows {
 public:
  explicit Windows(Parts& parts) : parts_(parts) {}
  ~Windows();

  // From a home core, maybe our own.
  void Assign(std::string_view name, std::uint32_t home, std::shared_ptr<const dns::MxAnswer> mx,
              std::uint32_t resolved_again);
  // The same for a domain that is active here, or was when this was said. If its mail goes elsewhere now it is let go.
  void MxChanged(std::string_view name, const dns::MxAnswer& mx);

  void OnTaken(ReadAnswer& answer);
  // Sends requests to the reader, as many as may be under way.
  void FlushTakes();
  // Ends jobs that end without an attempt, as far as outcomes may be written.
  void ProcessEnding();
  // Once a second: expiry, failed reads, domains that wait for new mail.
  void Tick();
  // Takes the front job of a lane for a connection.
  [[nodiscard]] WindowJob& TakeFront(Lane& lane);

  void Settled(WindowJob& job);   // its outcome was written
  void Returned(WindowJob& job);  // from a connection, to its place in line
  void Committed(Lane& lane);
  // Asks for more of this domain if it runs low; it stays.
  void Refill(Domain& domain);

  // It was told that it is at the wrong host: its home looks its MX up again after so long.
  void SendElsewhere(Domain& domain, std::chrono::nanoseconds after);
  // It takes no mail, as this reply says: all that waits for it ends as bounced.
  void BounceRest(Domain& domain, Stage stage, Category category, const Reply& reply);
  // By command.
  void CampaignChanged(CampaignEntry& entry);
  // New options: domains that go elsewhere now are let go, to be assigned again.
  void Reload();
  // A lane's jobs enter or leave the line of its feed; they stay in the window.
  void JoinLine(Lane& lane);
  void LeaveLine(Lane& lane);
  // Its campaign's rate is used up: the lane waits with its campaign until Unthrottle. Other mail of its domain is
  // read.
  void Throttle(Lane& lane, Monotonic until);
  void Unthrottle(CampaignEntry& entry);
  // The same for what its campaign may do at one provider; max(): until Unhold.
  void Hold(Lane& lane, CampaignPart& part, Monotonic until);
  void Unhold(CampaignPart& part);
  // Gives up all jobs in all windows; nothing is taken any more.
  void Drain();

  [[nodiscard]] std::size_t domains() const { return domains_.size(); }
  [[nodiscard]] std::size_t jobs() const { return jobs_; }
  // Calls visit(const Domain&) in order of assignment.
  template <typename Visit>
  void VisitDomains(Visit visit) const {
    for (const Domain* domain = all_.front(); domain != nullptr; domain = all_.Next(*domain)) visit(*domain);
  }

 private:
  void Consider(Domain& domain);
  void AskTake(Domain& domain);
  [[nodiscard]] bool WantsMore(const Domain& domain) const;
  [[nodiscard]] bool IsFull(const Domain& domain) const;
  [[nodiscard]] Monotonic BlockedUntil(const Lane& lane) const;
  [[nodiscard]] bool Stands(const Lane& lane) const;
  [[nodiscard]] bool HasEnough(const Domain& domain, queue::CampaignId campaign) const;
  void SendTake(Domain& domain, ReadRequest& request);
  void MaybePark(Domain& domain);
  [[nodiscard]] Lane& LaneOf(Domain& domain, CampaignEntry& campaign, std::string_view source, bool suppressed);
  void Place(Domain& domain, Batch& batch);
  void Judge(Lane& lane, bool word_may_be_old);
  [[nodiscard]] std::uint32_t LowWater(const Domain& domain) const;
  void NoticeEnd(CampaignEntry& entry);
  void NoticeWindow(CampaignEntry& entry);
  void Poll(Domain& domain);
  void End(Lane& lane, LaneEnd end);
  void EndOldMessages(Lane& lane);
  void GiveUp(Lane& lane);
  void GiveUp(Domain& domain);
  void Rewind(Domain& domain, const CampaignEntry& campaign, bool wait);
  [[nodiscard]] static bool IsRewinding(const Domain& domain, queue::CampaignId campaign);
  void FinishRewinds(Domain& domain);
  void Leave(Domain& domain, std::chrono::nanoseconds rest);
  void Release(Domain& domain);
  void PruneLanes(Domain& domain);
  void Drop(WindowJob& job);

  Parts& parts_;
  JobPool pool_;
  std::unordered_map<std::string, std::unique_ptr<Domain>> domains_;  // looked up, never walked for a decision
  IntrusiveList<Domain, &Domain::take_link> asking_;
  IntrusiveList<Domain, &Domain::take_link> polling_;  // whose windows are full: for what may not wait behind them
  IntrusiveList<Domain, &Domain::all_link> all_;       // in order of assignment
  IntrusiveList<Lane, &Lane::ending_link> ending_;
  IntrusiveList<Batch, &Batch::link> batches_;
  std::size_t jobs_ = 0;       // in all windows and in flight
  std::size_t takes_out_ = 0;  // requests with the reader
};

}  // namespace postrider::delivery
