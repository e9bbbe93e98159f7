#pragma once
// All sites of one core, by key. Makes a site for a domain, its paths and feeds when they are needed, applies new
// options to them, and forgets sites that nothing uses and whose back-off and rate history no longer matter.
// Single-threaded.

#include <cstddef>
#include <map>
#include <memory>
#include <string>
#include <string_view>

#include "engine/delivery/site.h"

namespace postrider::delivery {

struct Parts;

// The patterns of the rules that are about this domain, or about single hosts or a part of a provider's, which give a
// domain a site and an allowance of its own. Other rules hold for the provider as a whole. Empty: there are none.
[[nodiscard]] std::string OwnRulesOf(const Options& options, std::string_view domain,
                                     std::span<const std::string> mx_names);

class SiteTable {
 public:
  explicit SiteTable(Parts& parts) : parts_(parts) {}

  // The site of that target for the mail of domain; made if it is new.
  [[nodiscard]] Site& Get(SiteTarget target, std::string_view domain);
  // Where a lane's jobs wait; made if new.
  [[nodiscard]] Feed& FeedOf(Site& site, const std::string& pool, const std::string& preferred);
  // The path of a feed's source; made if new, null if the source is not configured.
  [[nodiscard]] Path* PathOf(Feed& feed, std::size_t source);

  // The operator believes what the sites of that name say of their mailboxes.
  void BelieveAgain(std::string_view name);
  // Hosts of that source's, or of everybody's if it is empty, at this site or provider, or at all if that is empty, are
  // tried as if they had never failed.
  void ForgetFailures(std::string_view source, std::string_view place);
  // A domain left, or a connection ended.
  void MaybeVacant(Site& site);
  void Tick(Monotonic now);
  // Whether a domain with this target is still the site's, by the options of now.
  [[nodiscard]] bool Belongs(std::string_view domain, const SiteTarget& target, const Site& site) const;
  // New options: rules, secrets, sources and pools are looked up again.
  void Reload();
  // The key of the site to which a domain with this target belongs; whether there is one now is another question.
  [[nodiscard]] std::string KeyFor(const SiteTarget& target, std::string_view domain) const;

  [[nodiscard]] std::map<std::string, std::unique_ptr<Site>>& sites() { return sites_; }

 private:
  void Apply(Site& site);
  void Rekey(Site& site);
  void SetSources(Feed& feed, std::vector<std::string> sources);
  [[nodiscard]] Path* MakePath(Site& site, std::string_view source);
  [[nodiscard]] static std::string KeyOf(const SiteTarget& target, std::string_view own_rules);

  Parts& parts_;
  std::map<std::string, std::unique_ptr<Site>> sites_;
  IntrusiveList<Site, &Site::vacant_link> vacant_;  // the one vacant longest in front
};

}  // namespace postrider::delivery
