#include "queue/campaign_book.h"

#include <algorithm>
#include <functional>
#include <iterator>

#include "queue/lifecycle.h"

namespace postrider::queue {

namespace {

using List = std::vector<CampaignPtr>;

CampaignPtr FindIn(const List& list, CampaignId id) {
  const auto at = std::lower_bound(list.begin(), list.end(), id, [](const CampaignPtr& campaign, CampaignId wanted) {
    return campaign->id < wanted;
  });
  return at != list.end() && (*at)->id == id ? *at : nullptr;
}

CampaignPtr FindIn(const List& list, std::string_view name) {
  const auto at = std::find_if(list.rbegin(), list.rend(),
                               [name](const CampaignPtr& campaign) { return campaign->spec.name == name; });
  return at != list.rend() ? *at : nullptr;
}

// The list with the changed ones that belong to it, and without those that left it.
std::shared_ptr<const List> Renewed(const List& list, const List& changed, const std::vector<CampaignId>& removed,
                                    bool ended) {
  List next;
  next.reserve(list.size() + changed.size());
  const auto leaves = [&](const CampaignPtr& campaign) {
    return std::find(removed.begin(), removed.end(), campaign->id) != removed.end() ||
           std::any_of(changed.begin(), changed.end(),
                       [&](const CampaignPtr& other) { return other->id == campaign->id; });
  };
  std::copy_if(list.begin(), list.end(), std::back_inserter(next), std::not_fn(leaves));
  std::copy_if(changed.begin(), changed.end(), std::back_inserter(next),
               [ended](const CampaignPtr& campaign) { return HasEnded(*campaign) == ended; });
  std::sort(next.begin(), next.end(), [](const CampaignPtr& a, const CampaignPtr& b) { return a->id < b->id; });
  return std::make_shared<const List>(std::move(next));
}

}  // namespace

CampaignPtr CampaignPage::Find(CampaignId id) const {
  if (CampaignPtr live = FindIn(*live_, id)) return live;
  return FindIn(*ended_, id);
}

CampaignPtr CampaignPage::Find(std::string_view name) const {
  // A live one is always newer than an ended one of the same name.
  if (CampaignPtr live = FindIn(*live_, name)) return live;
  return FindIn(*ended_, name);
}

std::vector<CampaignPtr> CampaignPage::All() const {
  List all;
  all.reserve(live_->size() + ended_->size());
  std::merge(live_->begin(), live_->end(), ended_->begin(), ended_->end(), std::back_inserter(all),
             [](const CampaignPtr& a, const CampaignPtr& b) { return a->id < b->id; });
  return all;
}

CampaignTotals CampaignPage::Totals() const {
  CampaignTotals sum = purged_;
  for (const auto& list : {live_, ended_}) {
    for (const CampaignPtr& campaign : *list) AddTotals(sum, campaign->totals);
  }
  return sum;
}

CampaignBook::CampaignBook() : page_(std::make_shared<const CampaignPage>()) {}

CampaignPagePtr CampaignBook::page() const {
  const std::lock_guard lock(mutex_);
  return page_;
}

void CampaignBook::Publish(const std::vector<CampaignPtr>& changed, const std::vector<CampaignId>& removed,
                           const CampaignTotals& purged) {
  auto next = std::make_shared<CampaignPage>(*page());
  const bool ends =
      std::any_of(changed.begin(), changed.end(), [](const CampaignPtr& campaign) { return HasEnded(*campaign); });
  if (!changed.empty()) next->live_ = Renewed(*next->live_, changed, removed, false);
  if (ends || !removed.empty()) next->ended_ = Renewed(*next->ended_, changed, removed, true);
  next->purged_ = purged;
  const std::lock_guard lock(mutex_);
  page_ = std::move(next);
}

void AddTotals(CampaignTotals& a, const CampaignTotals& b) {
  a.rows += b.rows;
  a.accepted += b.accepted;
  a.rejected += b.rejected;
  a.duplicate += b.duplicate;
  a.suppressed_at_intake += b.suppressed_at_intake;
  a.delivered += b.delivered;
  a.bounced += b.bounced;
  a.expired += b.expired;
  a.suppressed += b.suppressed;
  a.cancelled += b.cancelled;
  a.unknown += b.unknown;
  a.deferrals += b.deferrals;
}

}  // namespace postrider::queue
