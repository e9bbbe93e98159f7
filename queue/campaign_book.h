#pragma once
// The committed campaigns, for readers of any thread. The store thread replaces the page after each commit that touched
// one; a reader takes a page and keeps it while it reads. Ended campaigns lie on a page of their own that seldom
// changes, so that a long history costs nothing per commit.

#include <memory>
#include <mutex>
#include <string_view>
#include <vector>

#include "queue/campaign.h"

namespace postrider::queue {

class CampaignPage {
 public:
  [[nodiscard]] CampaignPtr Find(CampaignId id) const;
  // The newest of that name: a name may be used again after a failure.
  [[nodiscard]] CampaignPtr Find(std::string_view name) const;
  [[nodiscard]] std::vector<CampaignPtr> All() const;  // by id
  [[nodiscard]] CampaignTotals Totals() const;

 private:
  friend class CampaignBook;
  using List = std::vector<CampaignPtr>;  // by id

  std::shared_ptr<const List> live_ = std::make_shared<const List>();
  std::shared_ptr<const List> ended_ = std::make_shared<const List>();
  CampaignTotals purged_;
};

using CampaignPagePtr = std::shared_ptr<const CampaignPage>;

class CampaignBook {
 public:
  CampaignBook();
  [[nodiscard]] CampaignPagePtr page() const;
  // changed: new or replaced, any order. removed: purged ones. purged: the sums over all that were ever removed.
  void Publish(const std::vector<CampaignPtr>& changed, const std::vector<CampaignId>& removed,
               const CampaignTotals& purged);

 private:
  mutable std::mutex mutex_;
  CampaignPagePtr page_;
};

// Adds b's counts to a.
void AddTotals(CampaignTotals& a, const CampaignTotals& b);

}  // namespace postrider::queue
