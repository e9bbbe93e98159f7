#pragma once
// What a core has learned, or a guard of it holds, beside its allowances, and keeps over a restart: small records in
// the store's state, one a key, handed to the store when they change:
//   guard/campaign/ID/DESTINATION  a campaign paused or slowed there
//   guard/storm/SITE               a bounce storm
//   guard/domains/CORE             doubts about domains that do not exist
//   cap/SITE                       messages that a connection takes
// Of the last run's records a core takes up those of its own destinations and sites. Single-threaded.

#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/time.h"
#include "queue/campaign.h"
#include "throttle/guard.h"

namespace postrider::delivery {

struct CampaignPart;
struct Destination;
struct Parts;
struct Site;

// Whose site or destination it is, by its key: all of a provider are one core's.
[[nodiscard]] bool IsOwn(const Parts& parts, std::string_view key);

class KeptState {
 public:
  explicit KeptState(Parts& parts) : parts_(parts) {}

  // At the start, each record of the last run.
  void Load(std::string_view key, std::string_view value);

  // Into what was just made.
  void Restore(Site& site);
  void Restore(const Destination& destination, queue::CampaignId id, CampaignPart& part);
  // They are forgotten in memory, until there is mail again.
  void Leave(const Site& site);
  void Leave(const Destination& destination);
  // After each change of what is kept of it.
  void KeepStorm(const Site& site);
  void KeepCap(const Site& site);
  void KeepPart(const Destination& destination, queue::CampaignId id, const CampaignPart& part);
  // It goes on under another key.
  void Rekeyed(const Site& site, std::string_view old_key);
  void Rekeyed(const Destination& destination, std::string_view old_key);
  void KeepDomains();
  // Once a second: doubts about domains end by themselves.
  void Tick();

  // The operator lets it go on where it has no mail in hand yet.
  void Resume(std::string_view campaign, std::string_view at);
  // The campaign is over.
  void Forget(queue::CampaignId id);

  struct Held {
    std::string campaign;
    std::string receiver;
    Finding finding;
  };
  // The campaigns held that have no mail in hand now.
  [[nodiscard]] std::vector<Held> Waiting() const;

 private:
  void Put(const std::string& key, const std::string& value);
  [[nodiscard]] std::optional<std::string> Take(const std::string& key);
  void SweepCaps();
  void Complain(std::string_view what, const Error& error);

  Parts& parts_;
  bool domains_kept_ = false;
  std::string sweep_at_;                                     // where SweepCaps goes on
  std::map<std::string, std::string, std::less<>> waiting_;  // of sites and destinations that are not in memory
};

}  // namespace postrider::delivery
