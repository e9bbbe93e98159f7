#pragma once
// Looking at the queue without taking from it: what waits where, all jobs of an address, what remains of a campaign.
// Any thread; each call sees one committed state. These read as much as they are asked about, so they are for people
// and exports, never for the sending path.

#include <cstddef>
#include <functional>
#include <string_view>

#include "config/error.h"
#include "queue/job_store.h"
#include "queue/store_writer.h"

namespace postrider::queue {

class StoreSurvey {
 public:
  explicit StoreSurvey(StoreShared& shared) : shared_(shared) {}

  // Mail of a campaign is as old as the campaign. Of a standing one each message has its own age: so many of them are
  // looked at, and the rest of a domain counts as old as the youngest seen.
  static constexpr std::size_t kMessagesMost = 1000;
  [[nodiscard]] Result<void> VisitBacklog(Wall now, const std::function<void(const DomainBacklog&)>& visit) const;
  [[nodiscard]] Result<void> VisitAddress(std::string_view domain, std::string_view address,
                                          const std::function<bool(const Job&)>& visit) const;
  [[nodiscard]] Result<void> VisitRemaining(CampaignId campaign, const std::function<bool(const Job&)>& visit) const;

 private:
  StoreShared& shared_;
};

}  // namespace postrider::queue
