#include "engine/delivery/stored_message.h"

#include <algorithm>
#include <cstdint>

namespace postrider::delivery {

message::CompileOptions CompileOptionsOf(const queue::CampaignSpec& spec, const queue::StoredTemplate& stored) {
  message::CompileOptions options;
  options.eight_bit = spec.eight_bit;
  options.headers = spec.headers;
  options.default_from = spec.from;
  options.size_max = std::max<std::uint64_t>(options.size_max, stored.message.size());
  return options;
}

}  // namespace postrider::delivery
