#pragma once
// The parts of an allowance that few of them have: daily quotas, and the words of its troubles. Included by its own
// files alone; see throttle/allowance.h.

#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "throttle/allowance.h"

namespace postrider {

struct Allowance::Daily {
  // What BeginSave has written of the counters and Saved has not yet confirmed.
  struct Pending {
    std::uint64_t number = 0;
    CalendarDay day;
    std::uint64_t quota = 0;
    std::uint64_t warm_up = 0;
  };

  CalendarDay day;
  std::optional<DailyQuota> quota;  // also counts on where the rule sets none any more, until its day is over
  bool quota_holds = false;         // the rule sets one
  std::optional<WarmUp> warm_up;
  std::optional<Pending> pending;

  [[nodiscard]] bool WantsSave() const {
    return (quota_holds && quota->WantsSave()) || (warm_up && !warm_up->warm() && warm_up->quota().WantsSave());
  }
};

struct Allowance::Troubles {
  std::string reason;
  Monotonic since{};
  std::vector<std::string> replies;  // newest first
};

// Enough to recognise a reply; there may be a hundred thousand allowances.
inline constexpr std::size_t kReplyBytes = 200;
inline constexpr std::size_t kReasonBytes = 100;
inline constexpr std::size_t kRepliesKept = 3;

// At most so many bytes, cut where a UTF-8 character begins.
[[nodiscard]] std::string Shorten(std::string_view text, std::size_t bytes);

}  // namespace postrider
