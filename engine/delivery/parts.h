#pragma once
// The parts of one core, by reference, so that they can call one another. Made and owned by the core (core.cc), which
// fills in the pointers before anything runs. Single-threaded.

#include <cstdint>
#include <string>

#include "config/options.h"
#include "engine/delivery/buffer_pool.h"
#include "engine/delivery/core.h"
#include "engine/delivery/outcome_writer.h"
#include "throttle/guard.h"
#include "throttle/unmatched_replies.h"

namespace postrider::policy {
class TlsMemory;
}

namespace postrider::delivery {

class Admission;
class Backlog;
class CampaignCache;
class DestinationTable;
class KeptState;
class Leases;
class Settlement;
class SiteTable;
class SourceHealth;
class Windows;

struct Parts {
  CoreSettings settings;
  CorePorts ports;
  OptionsPtr options;
  io::Loop& loop;
  tls::Tls& tls;
  dns::Resolver& resolver;
  io::Random& random;
  OutcomeWriter writer;
  CoreCounts counts{};
  NamedCounts rule_hits{};
  UnmatchedReplies unmatched{};
  NetworkGuard network;
  DomainGuard no_domains;
  BufferPool buffers{};
  bool draining = false;

  policy::TlsMemory* tls_memory = nullptr;
  CampaignCache* campaigns = nullptr;
  Leases* leases = nullptr;
  SourceHealth* sources = nullptr;
  KeptState* kept = nullptr;
  DestinationTable* destinations = nullptr;
  SiteTable* sites = nullptr;
  Windows* windows = nullptr;
  Admission* admission = nullptr;
  Settlement* settlement = nullptr;
  Backlog* backlog = nullptr;

  [[nodiscard]] Monotonic now() const { return loop.now().monotonic; }
};

}  // namespace postrider::delivery
