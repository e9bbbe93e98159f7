#pragma once
// Names to what SMTP needs, on the ring of one core: MX lookup by RFC 5321 section 5.1, null MX by RFC 7505, addresses.
// The seam Resolver has one implementation over c-ares with a bounded TTL cache, and one in the simulation.
// Single-threaded; answers come through the callback on a later turn of the loop, or at once from the cache. All who
// ask for one name at a time share one query. Must not be destroyed inside a callback.

#include <chrono>
#include <cstdint>
#include <functional>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/ip_address.h"
#include "config/options.h"
#include "config/time.h"
#include "engine/io/loop.h"

namespace postrider::dns {

enum class MxStatus : std::uint8_t {
  kFound,     // hosts are in the order to try them
  kNullMx,    // the domain accepts no mail (RFC 7505): permanent
  kNoDomain,  // NXDOMAIN: permanent once seen twice an hour apart, the caller's to judge
  kNoMail,    // the domain exists but has neither MX nor address
  kFailed,    // SERVFAIL, time-out, lame: temporary
};

struct MxHost {
  std::string name;  // lower case, no trailing dot
  std::uint16_t preference = 0;
};

struct MxAnswer {
  MxStatus status = MxStatus::kFailed;
  std::vector<MxHost> hosts;  // by preference; equals are shuffled; at most kMaxMxHosts. Without MX: the domain itself
  bool implicit = false;      // there was no MX record (RFC 5321 section 5.1)
  bool authentic = false;     // AD bit
  std::chrono::seconds ttl{};
  std::string problem;  // for kFailed and kNoDomain: what to show a person
};

struct AddressAnswer {
  bool found = false;
  bool temporary = false;            // not found because of a failure that may pass
  std::vector<IpAddress> addresses;  // IPv6 and IPv4 as asked; at most kMaxAddresses
  std::chrono::seconds ttl{};
  std::string problem;
};

inline constexpr std::size_t kMaxMxHosts = 16;  // more than any real domain lists; bounds what an answer can cost
inline constexpr std::size_t kMaxAddresses = 16;

struct ResolverCounts {
  std::uint64_t queries = 0;  // asked of a server
  std::uint64_t cache_hits = 0;
  std::uint64_t failures = 0;
  std::uint64_t negative_answers = 0;
  std::size_t cache_entries = 0;
};

class Resolver {
 public:
  using MxCallback = std::move_only_function<void(const MxAnswer&)>;
  using AddressCallback = std::move_only_function<void(const AddressAnswer&)>;

  virtual ~Resolver() = default;  // pending callbacks are dropped, not called
  virtual void LookUpMx(std::string_view domain, MxCallback done) = 0;
  virtual void LookUpAddresses(std::string_view host, bool ipv4, bool ipv6, AddressCallback done) = 0;
  // Forgets what is cached about a name, as when a host answered for the wrong region.
  virtual void Forget(std::string_view name) = 0;
  [[nodiscard]] virtual ResolverCounts counts() const = 0;
};

[[nodiscard]] Result<std::unique_ptr<Resolver>> MakeResolver(const DnsOptions& options, io::Loop& loop,
                                                             std::uint64_t seed);

}  // namespace postrider::dns
