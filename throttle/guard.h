#pragma once
// Guards look at many outcomes together and raise an alarm where going on would do harm: a campaign that meets dead
// addresses or spam blocks at one provider, a site that suddenly disowns its mailboxes, our own network down, a
// resolver that denies domains by the dozen. Each says why, with its figures, and how to go on. Bounded memory; one
// owner, one thread; time is an argument.

#include <array>
#include <chrono>
#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

#include "config/error.h"
#include "config/options.h"
#include "config/time.h"
#include "throttle/limit.h"

namespace postrider {

// The operator's, with defaults from experience.
using GuardNumbers = GuardOptions;

enum class Alarm : std::uint8_t { kNone, kWarning, kTripped };

struct Finding {
  Alarm alarm = Alarm::kNone;
  Monotonic since{};
  std::string why;    // a sentence with its figures; empty: kNone
  std::string go_on;  // what happens by itself, and what the operator can do
};

// The last so many tries, and how many of them were of one kind or of another: eight blocks of an eighth each, of which
// the oldest falls away as a whole.
class ShareWindow {
 public:
  struct Block {
    std::uint32_t tries = 0;
    std::uint32_t first = 0;
    std::uint32_t second = 0;
    [[nodiscard]] double FirstShare() const { return tries == 0 ? 0 : static_cast<double>(first) / tries; }
    [[nodiscard]] double SecondShare() const { return tries == 0 ? 0 : static_cast<double>(second) / tries; }
  };

  explicit ShareWindow(std::uint32_t tries);
  // Returns the block that fell away, mostly an empty one.
  Block Count(bool first, bool second = false);
  void Clear() { blocks_ = {}; }
  void Restore(const Block& sum);
  [[nodiscard]] Block Sum() const;

 private:
  static constexpr std::size_t kBlocks = 8;
  std::uint32_t block_tries_;
  std::array<Block, kBlocks> blocks_{};
  std::size_t at_ = 0;
};

// One campaign at one provider (or site). Tripped: it is paused there until the operator resumes it.
class CampaignGuard {
 public:
  explicit CampaignGuard(const GuardNumbers& numbers);
  void SetNumbers(const GuardNumbers& numbers) { numbers_ = numbers; }

  // An attempted recipient has its answer. True: the alarm changed. canary: the rest of the campaign waits for what
  // becomes of it, and fewer tries are enough.
  bool Count(Monotonic now, bool hard_bounce, bool spam_block, bool canary = false);
  [[nodiscard]] Alarm alarm() const { return alarm_; }
  // Paused by a reply's action (kPauseSender); why is the rule's name. True: it was not paused yet.
  bool Pause(Monotonic now, std::string_view why);
  // The operator goes on: it counts anew, and pauses again only after as many tries as at first.
  void Resume();
  [[nodiscard]] Finding Describe(std::string_view campaign, std::string_view receiver) const;

  // What an alarm needs to outlive a restart; empty: nothing. Restore: into a new guard.
  [[nodiscard]] std::string Encode(const Now& now) const;
  Result<void> Restore(const Now& now, std::string_view bytes);

 private:
  GuardNumbers numbers_;
  ShareWindow window_;
  Alarm alarm_ = Alarm::kNone;
  Monotonic since_{};
  std::string rule_;       // whose action paused it; empty: the shares did
  ShareWindow::Block at_;  // at the alarm
};

// One site. Tripped: a bad-mailbox reply suppresses nobody, and its recipient is tried again later.
class BounceStorm {
 public:
  explicit BounceStorm(const GuardNumbers& numbers);
  void SetNumbers(const GuardNumbers& numbers) { numbers_ = numbers; }

  // An attempted recipient has its answer. True: the alarm changed.
  bool Count(Monotonic now, bool bad_mailbox);
  [[nodiscard]] bool tripped() const { return tripped_; }
  // The operator believes the site: the share of now is its usual one.
  void Resume();
  [[nodiscard]] double UsualShare() const;
  // Enough was seen to say what is usual: worth remembering.
  [[nodiscard]] bool KnowsUsual() const { return usual_of_ >= numbers_.storm_tries; }
  [[nodiscard]] Finding Describe(std::string_view site) const;

  // What an alarm needs to outlive a restart; empty: nothing. Restore: into a new guard.
  [[nodiscard]] std::string Encode(const Now& now) const;
  Result<void> Restore(const Now& now, std::string_view bytes);

 private:
  [[nodiscard]] double Threshold() const;

  GuardNumbers numbers_;
  ShareWindow recent_;
  double usual_ = 0;     // share of what left the window while all was well
  double usual_of_ = 0;  // tries it rests on, capped: it follows slowly
  bool tripped_ = false;
  Monotonic since_{};
};

// All connects of a core. Tripped: nothing is sent and nobody charged; a connect now and then finds out when it is
// over.
class NetworkGuard {
 public:
  explicit NetworkGuard(const GuardNumbers& numbers) : numbers_(numbers) {}
  void SetNumbers(const GuardNumbers& numbers) { numbers_ = numbers; }

  // A connect ended: the TCP connection stands, or not. site is any number that names it. True: the alarm changed.
  bool Count(Monotonic now, std::uint64_t site, bool connected);
  [[nodiscard]] bool tripped() const { return tripped_; }
  // May a connect begin? While tripped: one in each network_probe; answering "go" takes that probe.
  [[nodiscard]] Admission AdmitConnect(Monotonic now);
  // The same, taking nothing. Messages on open connections go on as they can.
  [[nodiscard]] Admission AskConnect(Monotonic now) const;
  void Resume();
  [[nodiscard]] Finding Describe() const;

 private:
  struct Slot {
    std::int64_t number = -1;
    std::uint32_t connects = 0;
    std::uint32_t failures = 0;
  };
  struct SiteSeen {
    std::uint64_t site = 0;
    Monotonic at = Monotonic::min();
  };
  struct Sums {
    std::uint32_t connects = 0;
    std::uint32_t failures = 0;
    std::uint32_t sites = 0;  // that failed
  };
  [[nodiscard]] Sums Sum(Monotonic now) const;

  GuardNumbers numbers_;
  std::array<Slot, 12> slots_{};
  std::array<SiteSeen, 128> failed_{};  // by hash; a clash counts as one site
  bool tripped_ = false;
  Monotonic since_{};
  Monotonic next_probe_{};
  Sums at_trip_;
};

// All lookups of a core. Tripped: NXDOMAIN bounces nobody; its mail waits as after any DNS trouble.
class DomainGuard {
 public:
  explicit DomainGuard(const GuardNumbers& numbers) : numbers_(numbers) {}
  void SetNumbers(const GuardNumbers& numbers) { numbers_ = numbers; }

  // A lookup that went to the network ended; each domain counts once a window. domain is any number that names it,
  // evenly spread. True: the alarm changed.
  bool Count(Monotonic now, std::uint64_t domain, bool missing);
  // Ends by itself once the window is clean again.
  [[nodiscard]] bool Tripped(Monotonic now);
  // The operator believes the answers: it does not trip again for a day.
  void Resume(Monotonic now);
  [[nodiscard]] Finding Describe() const;

  // What an alarm needs to outlive a restart; empty: nothing. Restore: into a new guard.
  [[nodiscard]] std::string Encode(const Now& now) const;
  Result<void> Restore(const Now& now, std::string_view bytes);

 private:
  static constexpr std::chrono::hours kBelieved{24};
  struct Slot {
    std::int64_t number = -1;
    std::uint32_t found = 0;
    std::uint32_t missing = 0;
  };
  struct Seen {
    std::uint64_t domain = 0;
    Monotonic at = Monotonic::min();
  };
  struct Sums {
    std::uint32_t found = 0;
    std::uint32_t missing = 0;
    [[nodiscard]] double Share() const { return missing == 0 ? 0 : static_cast<double>(missing) / (found + missing); }
  };
  [[nodiscard]] Sums Sum(Monotonic now) const;
  [[nodiscard]] std::int64_t SlotNumber(Monotonic now) const;

  GuardNumbers numbers_;
  std::array<Slot, 12> slots_{};
  std::array<Seen, 512> seen_{};
  bool tripped_ = false;
  Monotonic since_{};
  Monotonic believed_until_ = Monotonic::min();
  Sums at_trip_;
};

}  // namespace postrider
