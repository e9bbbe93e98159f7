#pragma once
// Which recipients of a campaign are its canary: the share of the list that goes first. Pure.

#include <cstdint>

#include "queue/campaign.h"

namespace postrider::queue {

// Has it a canary? Of a list that is sent while it is read no share can be told beforehand.
[[nodiscard]] inline bool HasCanary(const CampaignSpec& spec) {
  return spec.canary_share > 0 && !spec.standing && spec.start == StartMode::kWhole;
}

// Of the accepted rows, numbered from 0 in the list's order: one in each stretch of 1/share rows, taken by chance, but
// always the same one, so that a list read again after a crash is divided as it was. The first row is one in any case:
// the shortest list has a canary.
[[nodiscard]] bool IsCanaryRow(CampaignId campaign, std::uint64_t number, double share);

// Blocks of the rest are told from those of the canary by the highest bit of their number, so that they come after
// them.
inline constexpr std::uint64_t kRestBlock = std::uint64_t{1} << 63;
[[nodiscard]] constexpr bool IsRestBlock(std::uint64_t block) { return (block & kRestBlock) != 0; }

}  // namespace postrider::queue
