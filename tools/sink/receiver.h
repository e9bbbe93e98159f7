#pragma once
// One listen address: its personality and settings, resolved into what a session looks up. Immutable; shared by the
// cores.

#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "config/error.h"
#include "tools/sink/limits.h"
#include "tools/sink/options.h"
#include "tools/sink/personality.h"

namespace postrider::sink {

// What EHLO offers, before or after TLS.
struct Offer {
  bool pipelining = false;
  bool chunking = false;
  bool binary_mime = false;
  bool eight_bit_mime = false;
  bool smtputf8 = false;
  bool dsn = false;
  bool start_tls = false;
  bool auth = false;
  bool size = false;
  std::string lines;  // the reply from its second line on; empty if the first is the last
};

struct Receiver {
  std::uint16_t index = 0;  // among the listen addresses
  ListenOptions options;
  Personality personality;
  Offer in_the_clear, in_tls;
  std::uint64_t message_limit_bytes = 0;
  std::uint32_t recipients_max = 0;
  ClientLimits* limits = nullptr;  // of its provider, the only part that changes; null: none
};

[[nodiscard]] Result<Receiver> MakeReceiver(std::uint16_t index, const ListenOptions& listen, const Options& options);

// Makes what the receivers with limits point to, one for each provider, and owns it. Fails where addresses of one
// provider have different limits.
using ClientLimitsList = std::vector<std::unique_ptr<ClientLimits>>;
[[nodiscard]] Result<ClientLimitsList> ShareLimits(std::span<Receiver> receivers);

}  // namespace postrider::sink
