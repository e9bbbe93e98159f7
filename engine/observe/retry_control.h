#pragma once
// What the admin API may ask about deferred mail: that it be tried sooner. engine/ implements it. Any thread.

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/time.h"

namespace postrider::observe {

// What still keeps the mail from going when it is due.
struct Hold {
  std::string what;      // "campaign", "site", "provider", "source", "all"
  std::string name{};    // empty for "all"
  std::string source{};  // of a site or provider: from which; empty: from any
  std::string limit;     // "paused", "closed", "stopped", "backing off", ...
  std::string reason{};  // the reply or rule that made it; may be empty
  std::optional<Wall> until{};
};

struct RetryAnswer {
  enum class Kind : std::uint8_t { kCampaign, kDomain, kSite };
  Kind kind = Kind::kCampaign;
  std::string name;
  std::uint64_t deferred = 0;  // recipients that wait for a retry there
  std::uint64_t untried = 0;   // where none does, those of a domain or site that wait for their first try
  std::uint64_t moved = 0;     // of those deferred; the others are due sooner anyway, or are being tried
  Wall due_by{};               // all that were moved are due by then
  std::vector<Hold> holds;
};
[[nodiscard]] std::string_view ToString(RetryAnswer::Kind kind);

class RetryControl {
 public:
  virtual ~RetryControl() = default;
  // The deferred recipients of a campaign, a domain or a site (as `postrider queue` names it), in this order the first
  // that is known by that name, are due evenly spread over the period from now on; none is put off. kNotFound: no
  // campaign is called so, and nothing waits at such a domain or site. Durable when it returns.
  [[nodiscard]] virtual Result<RetryAnswer> Retry(std::string_view target, std::chrono::milliseconds over) = 0;
};

}  // namespace postrider::observe
