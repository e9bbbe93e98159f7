#pragma once
// What the admin API says, as JSON text (shapes in observe/README.md). Text from outside is made valid UTF-8. Pure.

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "engine/observe/control.h"
#include "engine/observe/delivery_log.h"
#include "engine/observe/queue_page.h"
#include "engine/observe/standstill.h"

namespace postrider::observe {

struct StatusAnswer {
  const Snapshot& snapshot;
  std::span<const queue::CampaignPtr> campaigns;
  std::span<const PauseTarget> pauses;
  std::string_view host_name;
  std::string_view trouble;
  std::optional<Standstill> standstill{};
  bool all_campaigns = false;  // else the latest ended ones only
};
[[nodiscard]] std::string StatusJson(const StatusAnswer& answer);

[[nodiscard]] std::string CampaignJson(const queue::Campaign& campaign, const std::optional<Standstill>& standstill,
                                       Wall now);

[[nodiscard]] std::string QueueJson(const QueuePage& page, std::span<const delivery::CoreSnapshot> cores);

[[nodiscard]] std::string FindJson(std::string_view address, std::span<const FoundJob> jobs, const FoundInLog& found);

[[nodiscard]] std::string UnmatchedJson(const UnmatchedReplies& replies, std::size_t most);

// {"<key>": "<value>", ...}
[[nodiscard]] std::string TextJson(std::initializer_list<std::pair<std::string_view, std::string_view>> fields);

}  // namespace postrider::observe
