#include "engine/observe/queue_page.h"

#include <algorithm>
#include <chrono>
#include <utility>

namespace postrider::observe {
namespace {

using delivery::SiteMode;

void KeepEarlier(std::optional<Wall>& earliest, const std::optional<Wall>& other) {
  if (other && (!earliest || *other < *earliest)) earliest = other;
}

// A heap whose front is the least.
bool HasMore(const DomainRow& a, const DomainRow& b) {
  const auto rank = [](const DomainRow& row) {
    return std::pair(row.backlog.waiting + row.backlog.deferred, row.backlog.waiting);
  };
  return rank(a) != rank(b) ? rank(a) > rank(b) : a.backlog.domain < b.backlog.domain;
}

}  // namespace

void MailWaiting::Add(const queue::DomainBacklog& backlog) {
  ++domains;
  waiting += backlog.waiting;
  deferred += backlog.deferred;
  KeepEarlier(oldest, backlog.oldest);
  KeepEarlier(next_due, backlog.next_due);
  for (std::size_t age = 0; age < by_age.size(); ++age) by_age[age] += backlog.by_age[age];
}

QueuePageBuilder::QueuePageBuilder(std::span<const delivery::CoreSnapshot> cores, std::size_t most)
    : cores_(cores), most_(most) {
  for (const delivery::CoreSnapshot& core : cores_) {
    for (const delivery::SiteSnapshot& path : core.sites) {
      Site& site = sites_[{core.core, path.site}];
      site.name = path.site;
      site.messages_per_second += path.messages_per_second;
      if (path.mode == SiteMode::kNormal || path.mode == SiteMode::kIdle) {
        site.may_send = true;
        site.rate_limit += path.rate_limit;
        site.limits_known = site.limits_known && path.rate_limit > 0;
      }
      for (const std::string& domain : path.domain_names) site_of_domain_.try_emplace(domain, &site);
    }
  }
}

void QueuePageBuilder::Add(const queue::DomainBacklog& backlog) {
  page_.total.Add(backlog);
  const auto found = site_of_domain_.find(backlog.domain);
  Site* site = found == site_of_domain_.end() ? nullptr : found->second;
  (site == nullptr ? page_.elsewhere : site->mail).Add(backlog);
  Keep(backlog, site == nullptr ? std::string_view() : site->name);
}

void QueuePageBuilder::Keep(const queue::DomainBacklog& backlog, std::string_view site) {
  if (most_ == 0) return;
  DomainRow row{backlog, std::string(site)};
  if (page_.domains.size() == most_) {
    if (!HasMore(row, page_.domains.front())) return;
    std::ranges::pop_heap(page_.domains, HasMore);
    page_.domains.pop_back();
  }
  page_.domains.push_back(std::move(row));
  std::ranges::push_heap(page_.domains, HasMore);
}

// What it does now says more than what it might; where it stands still, its limits say when it could be done. What
// waits for a retry is not sent before that.
std::optional<double> QueuePageBuilder::DrainSeconds(const Site& site, Wall now) {
  const auto left = static_cast<double>(site.mail.total());
  if (left == 0) return std::nullopt;
  double rate = site.messages_per_second;
  if (rate <= 0 && site.may_send && site.limits_known) rate = site.rate_limit;
  if (rate <= 0) return std::nullopt;
  double seconds = left / rate;
  if (site.mail.next_due) seconds = std::max(seconds, std::chrono::duration<double>(*site.mail.next_due - now).count());
  return seconds;
}

QueuePage QueuePageBuilder::Finish(Wall now) && {
  for (const delivery::CoreSnapshot& core : cores_) {
    for (const delivery::SiteSnapshot& path : core.sites) {
      const Site& site = sites_.at({core.core, path.site});
      SiteRow& row = page_.sites.emplace_back();
      row.path = path;
      row.path.domain_names.clear();
      row.core = core.core;
      row.mail = site.mail;
      row.drain_seconds = DrainSeconds(site, now);
    }
  }
  std::ranges::sort_heap(page_.domains, HasMore);
  return std::move(page_);
}

}  // namespace postrider::observe
