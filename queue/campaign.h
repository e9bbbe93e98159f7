#pragma once
// A campaign as the queue keeps it: what its submitter said (the manifest), where it stands, and what became of its
// rows. CampaignPtr is an immutable snapshot; the store makes a new one at each change of state.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/error.h"
#include "config/mail_class.h"
#include "config/send_schedule.h"
#include "config/time.h"
#include "config/time_zone.h"

namespace postrider::queue {

using CampaignId = std::uint64_t;  // rising from 1, never reused

enum class CampaignState : std::uint8_t {
  kLoading,    // rows are still being read; nothing is sent unless start = "streaming"
  kHeld,       // loaded, but too many rows were bad: waits for `resume` or `cancel`
  kRunning,    // released
  kPaused,     // by the operator, or by a guard while its canary was out; the expiry clock stands still
  kCancelled,  // its jobs fall away lazily, each with its final event; ended_at says that none is left
  kFailed,     // unusable as a whole; its rows are gone and nothing was sent
  kDone,       // every accepted row has its final event, and it was not cancelled
};
[[nodiscard]] std::string_view ToString(CampaignState state);

enum class StartMode : std::uint8_t { kWhole, kStreaming };
enum class OnUnknown : std::uint8_t { kRetry, kReport };

struct CampaignSpec {
  std::string name;    // the spool directory's; for single messages the standing campaign's
  std::string digest;  // SHA-256 in hex over manifest, message and list; empty for a standing campaign
  MailClass mail_class = MailClass::kBulk;
  bool standing = false;      // never done: single messages join it
  std::string from;           // header From if the message has none
  std::string envelope_from;  // may be empty only if null_sender
  std::string pool = "default";
  std::string list;  // whose suppressions count for its bulk mail, beside the global ones; empty: the global ones alone
  StartMode start = StartMode::kWhole;
  std::optional<Wall> not_before;
  std::optional<Wall> expires;     // else release + the class's expiry
  double messages_per_second = 0;  // 0: no limit of its own
  int priority = 0;                // -100..100 among campaigns of its class
  std::uint32_t weight = 100;      // 1..1000: its share of a site among campaigns of its class
  // This share of its recipients goes first, across providers; the rest when canary_wait is over and no guard has
  // paused it. 0: all go at once.
  double canary_share = 0;
  std::chrono::milliseconds canary_wait{};
  std::vector<SendWindow> windows;  // it is sent within these alone; empty: always
  std::string time_zone = "UTC";    // of the windows
  bool skip_duplicates = true;
  OnUnknown on_unknown = OnUnknown::kRetry;
  bool eight_bit = false;
  std::vector<std::pair<std::string, std::string>> headers;  // set in every message; may hold merge fields
};

// The list whose suppressions count for a campaign's mail beside the global ones. Transactional mail heeds those alone:
// to leave a newsletter is not to refuse a receipt.
[[nodiscard]] inline std::string_view ListOf(const CampaignSpec& spec) {
  return spec.mail_class == MailClass::kBulk ? std::string_view(spec.list) : std::string_view();
}

struct CampaignTotals {
  // rows = accepted + rejected + duplicate + suppressed_at_intake
  std::uint64_t rows = 0;
  std::uint64_t accepted = 0;
  std::uint64_t rejected = 0;
  std::uint64_t duplicate = 0;
  std::uint64_t suppressed_at_intake = 0;
  // accepted = delivered + bounced + expired + suppressed + cancelled + unknown + queued()
  std::uint64_t delivered = 0;
  std::uint64_t bounced = 0;
  std::uint64_t expired = 0;
  std::uint64_t suppressed = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t unknown = 0;
  std::uint64_t deferrals = 0;  // attempts that ended deferred; not part of the equation

  [[nodiscard]] std::uint64_t queued() const {
    return accepted - delivered - bounced - expired - suppressed - cancelled - unknown;
  }
};

// Where a campaign with a canary stands. Its rest waits in blocks of its own.
enum class CanaryPhase : std::uint8_t {
  kNone,      // it has none
  kSending,   // until nine in ten of the canary have been tried, or all but one
  kWaiting,   // until rest_at
  kStopped,   // a guard paused the campaign meanwhile; to resume it releases the rest
  kReleased,  // the rest goes
};
[[nodiscard]] std::string_view ToString(CanaryPhase phase);

struct Canary {
  CanaryPhase phase = CanaryPhase::kNone;
  std::uint64_t recipients = 0;  // in the canary
  std::uint64_t untried = 0;     // of these, those that wait for their first attempt
  std::optional<Wall> rest_at;   // when the rest goes (kWaiting, kSending if no more is tried), or went (kReleased)

  [[nodiscard]] bool RestWaits() const { return phase != CanaryPhase::kNone && phase != CanaryPhase::kReleased; }
  friend bool operator==(const Canary&, const Canary&) = default;
};

// How far the list has been read: a crash resumes here.
struct ListPosition {
  std::uint64_t bytes = 0;  // in the decompressed stream, the start of the next line
  std::uint64_t line = 0;   // lines read so far
};

struct Campaign {
  CampaignId id = 0;
  CampaignSpec spec;
  CampaignState state = CampaignState::kLoading;
  CampaignTotals totals;
  ListPosition position;
  Wall accepted_at{};  // when it was begun
  std::optional<Wall> released_at;
  std::optional<Wall> expires_at;  // set at release, moved on by pauses
  std::optional<Wall> paused_at;
  std::optional<Wall> ended_at;
  Canary canary;
  std::string note;  // why it is held, failed, or paused by a guard; else empty
  // Of its windows, for all its snapshots; null: it is worked out each time.
  std::shared_ptr<const SendSchedule> schedule{};
};

using CampaignPtr = std::shared_ptr<const Campaign>;

}  // namespace postrider::queue
