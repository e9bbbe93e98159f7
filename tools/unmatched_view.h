#pragma once
// The daemon's answer to GET /api/v1/unmatched: what servers said that no rule knew.
// {"total": 12, "clusters": [{"count": 7, "provider": "google", "stage": "rcpt", "text": "550 no <address>",
//   "example": "550 no ana@example.org", "first": "2026-11-24T10:00:00.000Z", "last": ...}, ...]}, most frequent first.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "tools/terminal.h"

namespace postrider::tools {

struct UnmatchedView {
  struct Cluster {
    std::uint64_t count = 0;
    std::string provider;
    std::string stage;
    std::string text;
    std::string example;
    std::string last;
  };
  std::uint64_t total = 0;
  std::vector<Cluster> clusters;
};

[[nodiscard]] Result<UnmatchedView> ParseUnmatched(std::string_view answer);
[[nodiscard]] std::string RenderUnmatched(const UnmatchedView& view, const Terminal& terminal);

}  // namespace postrider::tools
