#pragma once
// A destination: who counts our mail. All sites of one provider are one destination; a site whose provider is unknown
// is one by itself. A site whose domains have rules of their own has a destination of its own too, with those rules,
// and is counted at its provider's as well. A destination holds an account for each source that sends there: the
// source's allowance with those who wait for it; and what one campaign may do there. All of a destination lives on one
// core. Single-threaded.

#include <cstdint>
#include <deque>
#include <map>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/reply_rules.h"
#include "config/rules.h"
#include "engine/delivery/connection.h"
#include "engine/delivery/intrusive_list.h"
#include "engine/delivery/wait_line.h"
#include "engine/delivery/window.h"
#include "queue/campaign.h"
#include "throttle/action_counter.h"
#include "throttle/adaptive_rate.h"
#include "throttle/allowance.h"
#include "throttle/guard.h"
#include "throttle/local_limit.h"
#include "throttle/minute_meter.h"
#include "throttle/saved_bucket.h"

namespace postrider::delivery {

struct Destination;
struct Site;

// One source's allowance at a destination.
struct Account {
  Account(Parts& parts, Destination& at, std::string from);

  Destination& destination;
  const std::string source;
  Allowance allowance;
  WaitLine messages;
  WaitLine connects;
  // Connections without work at any of its sites, the one idle longest in front: they make room for those that have.
  IntrusiveList<Connection, &Connection::account_idle_link> idle;
  std::uint32_t paths = 0;
  bool troubled = false;  // its trouble was told, its end not yet
  int busy_in_row = 0;    // recipients refused for now for a reason of ours, since one was not
  int saving = 0;         // saves on their way to the disk: one, two after its key has changed
  bool forgotten_on_disk = true;
  ActionCounter actions;
};

// One campaign at a destination.
struct CampaignPart {
  CampaignPart(Parts& parts, std::string campaign, const GuardNumbers& numbers);

  const std::string name;  // the campaign's
  LocalLimit limit{Limit::kCampaignAtProvider};
  CampaignGuard guard;
  ActionCounter actions;
  IntrusiveList<Lane, &Lane::feed_link> held;  // until the limit lets one go, or the guard is lifted
  io::Timer timer;
  std::string slowed_by;  // the rule whose action made its rate a small one; empty: none did
  Monotonic slowed_since{};
  // What a rule's action paused or slowed for a time goes on by itself then, at half its rate before, and rises again.
  Monotonic lifts_at = Monotonic::max();
  std::chrono::seconds lasts{};
  AdaptiveRate pace;
  MinuteMeter meter;         // what it sends there
  std::uint32_t shares = 0;  // sites where it has mail
  bool over = false;         // the campaign is
  Monotonic touched{};

  [[nodiscard]] bool Paused() const { return guard.alarm() == Alarm::kTripped; }
  // What holds it there, or warns of it.
  [[nodiscard]] Finding Describe(std::string_view receiver) const;
};

struct Destination {
  Destination(Parts& parts, std::string its_key, std::string its_name, bool provider);

  std::string key;         // the provider's name, else the site's key
  const std::string name;  // the provider's, else the site's
  const bool is_provider;
  EffectiveRule rule;
  LocalLimit total{Limit::kTotalRate, Limit::kTotalConnections};  // of all sources
  WaitLine total_messages;
  WaitLine total_connects;
  Monotonic transactional_until = Monotonic::min();  // its share of `total` is left free until then
  std::vector<std::unique_ptr<Account>> accounts;
  std::map<queue::CampaignId, std::unique_ptr<CampaignPart>> campaigns;
  std::uint32_t sites = 0;
  Monotonic vacant_since{};
};

class DestinationTable {
 public:
  explicit DestinationTable(Parts& parts) : parts_(parts) {}

  // What was saved of allowances and rates in the last run; each is restored when its account or rate is made.
  void Remember(std::string_view key, std::string_view value);

  // Where the mail of a site is counted, the site's own destination in front. Made if new.
  void Join(Site& site);
  void Leave(Site& site);
  [[nodiscard]] Account& AccountOf(Destination& destination, std::string_view source);
  [[nodiscard]] CampaignPart& PartOf(Destination& destination, const CampaignEntry& campaign);
  // The campaign's sender is refused there, says a rule: it stops, or goes on slowly where somebody waits for each of
  // its messages; for so long, or for duration 0 until the operator resumes it. False: it is so already.
  bool Refuse(Destination& destination, CampaignPart& part, bool slowly, const ReplyRule& rule);
  // One of its recipients was taken there.
  void Accepted(Destination& destination, queue::CampaignId id, CampaignPart& part);
  // It has ended: nothing of it is kept.
  void CampaignIsOver(queue::CampaignId id);
  // The operator lets the campaign go on at the provider (or site) of that name: what paused or slowed it there counts
  // anew.
  void Resume(std::string_view campaign, std::string_view at);

  // The operator lets a source go on at the provider (or site) of that name: what replies have stopped or slowed there
  // begins anew. An empty name stands for all.
  void ForgetTrouble(std::string_view source, std::string_view at);

  // Saves what changed, and forgets destinations that nothing uses and whose history no longer matters.
  void Tick();
  // What mail waits for is saved at once.
  void SaveIfUrgent(Account& account) {
    if (account.allowance.SaveNow()) Save(account);
  }
  // The writer's first so many requests are durable.
  void Durable(std::uint64_t requests);
  // At the end of a drain: the exact state of every allowance.
  void SaveAll();
  // New options: the rules of the site's destinations are looked up again.
  void Refresh(const Site& site);
  // It goes on as it is, under another key, on disk too. False: there is another of that key.
  bool Rekey(Destination& destination, const std::string& key);
  // The account of that source at the destination of that key, were there mail for it now, under this rule; nullopt:
  // nothing is known of it.
  [[nodiscard]] std::optional<Allowance::State> Look(const std::string& key, const EffectiveRule& rule,
                                                     const std::string& source) const;

  [[nodiscard]] std::map<std::string, std::unique_ptr<Destination>>& all() { return destinations_; }
  [[nodiscard]] const std::map<std::string, std::unique_ptr<Destination>>& all() const { return destinations_; }

 private:
  [[nodiscard]] static std::optional<RateLimit> RateOf(const CampaignPart& part, const EffectiveRule& rule);
  void Lift(Destination& destination, queue::CampaignId id, CampaignPart& part);
  struct SaveUnderWay {
    std::uint64_t request = 0;
    Account* account = nullptr;
    std::uint64_t number = 0;
  };
  [[nodiscard]] Destination& Get(const std::string& key, const std::string& name, bool is_provider,
                                 const EffectiveRule& rule);
  void Apply(Destination& destination, const EffectiveRule& rule);
  [[nodiscard]] std::optional<WarmUpPlan> WarmUpOf(std::string_view source) const;
  void SetWarmUp(Account& account);
  void Save(Account& account);
  void BeginSave(Account& account);
  [[nodiscard]] bool StillMatters(const Destination& destination) const;
  void SweepSaved();
  // What all sources, and each campaign, have taken at a destination, where their rate is slow: on disk under
  // limit/total/DESTINATION and limit/part/CAMPAIGN/DESTINATION.
  void RememberRate(std::string_view key, std::string_view destination, std::string_view value);
  void RestoreRate(LocalLimit& limit, const std::string& key);
  void SaveRates(Destination& destination);

  // What was saved of an account that is not in use.
  struct SavedAllowance {
    std::string bytes;
    Monotonic unused_since{};
  };

  Parts& parts_;
  std::map<std::string, std::unique_ptr<Destination>> destinations_;
  std::map<std::string, SavedAllowance, std::less<>> saved_;     // by key
  std::map<std::string, SavedBucket, std::less<>> saved_rates_;  // by key, of what is not in memory yet
  std::string sweep_at_;                                         // where SweepSaved goes on
  std::deque<SaveUnderWay> saves_;
};

}  // namespace postrider::delivery
