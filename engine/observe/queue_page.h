#pragma once
// What `postrider queue` shows: joins what the cores say of their paths with what the store holds for each domain, so
// that "why is it slow?" has one answer per site. Pure. Used for one request.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/time.h"
#include "engine/delivery/snapshot.h"
#include "queue/job_store.h"

namespace postrider::observe {

// The mail of several domains together.
struct MailWaiting {
  std::uint64_t domains = 0;
  std::uint64_t waiting = 0;   // never attempted
  std::uint64_t deferred = 0;  // waits for its retry
  std::optional<Wall> oldest;
  std::optional<Wall> next_due;
  queue::AgeCounts by_age{};

  void Add(const queue::DomainBacklog& backlog);
  [[nodiscard]] std::uint64_t total() const { return waiting + deferred; }
};

// One path.
struct SiteRow {
  delivery::SiteSnapshot path;
  std::uint32_t core = 0;
  MailWaiting mail;                     // of the whole site, whichever path takes it
  std::optional<double> drain_seconds;  // until the site's mail is gone at the rate of all its paths; unset: no telling
};

struct DomainRow {
  queue::DomainBacklog backlog;
  std::string site;  // empty: none has it now
};

struct QueuePage {
  std::vector<SiteRow> sites;  // in the cores' order: the busiest of each first
  MailWaiting elsewhere;       // of domains that no shown site has: at rest until a retry, not resolved, paused, ...
  MailWaiting total;
  std::vector<DomainRow> domains;  // with the most mail, most first
};

class QueuePageBuilder {
 public:
  // cores name their domains (CoreCommand::with_domains) and outlive the builder; at most `most` domains are listed.
  QueuePageBuilder(std::span<const delivery::CoreSnapshot> cores, std::size_t most);
  void Add(const queue::DomainBacklog& backlog);
  [[nodiscard]] QueuePage Finish(Wall now) &&;

 private:
  // A site on its core, for two cores may have sites of one name.
  struct Site {
    std::string_view name;
    MailWaiting mail;
    double messages_per_second = 0;
    double rate_limit = 0;
    bool limits_known = true;  // of every path that may send
    bool may_send = false;
  };
  void Keep(const queue::DomainBacklog& backlog, std::string_view site);
  [[nodiscard]] static std::optional<double> DrainSeconds(const Site& site, Wall now);

  const std::span<const delivery::CoreSnapshot> cores_;
  const std::size_t most_;
  std::map<std::pair<std::uint32_t, std::string_view>, Site> sites_;
  std::unordered_map<std::string_view, Site*> site_of_domain_;  // looked up, never walked
  QueuePage page_;
};

}  // namespace postrider::observe
