#pragma once
// The domains of a list as the receivers that limits are for: a provider with all its sites, a site whose provider is
// unknown, a domain that has rules of its own. Pure.

#include <cstddef>
#include <cstdint>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>
#include <vector>

#include "config/options.h"
#include "engine/dns/resolver.h"
#include "tools/plan_model.h"

namespace postrider::tools {

// How many recipients each domain has. Memory is bounded: domains beyond the limit are counted together.
class DomainCounts {
 public:
  explicit DomainCounts(std::size_t most = 2'000'000) : most_(most) {}
  void Add(std::string_view domain);
  // The most frequent ones first; equals by name. Empties this.
  [[nodiscard]] std::vector<std::pair<std::string, std::uint64_t>> Take();
  [[nodiscard]] std::uint64_t beyond() const { return beyond_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  std::size_t most_;
  std::unordered_map<std::string, std::uint64_t, Hash, std::equal_to<>> counts_;
  std::uint64_t beyond_ = 0;
};

class ReceiverBuilder {
 public:
  explicit ReceiverBuilder(const Options& options) : options_(options) {}

  // A domain on its own. mx: null if it was not looked up, or in vain.
  void Add(std::string_view domain, std::uint64_t recipients, const dns::MxAnswer* mx);
  // One of the many small ones: those under the same limits are one receiver, as many beside each other as fit.
  void AddSmall(std::string_view domain, std::uint64_t recipients);

  // Fills allowances and receivers.
  void Finish(PlanInput& input);
  // Of domains that take no mail at all.
  [[nodiscard]] std::uint64_t refused() const { return refused_; }

 private:
  struct Small {
    EffectiveRule rule;
    std::uint64_t domains = 0;
    std::uint64_t recipients = 0;
    std::uint64_t largest = 0;
  };
  std::size_t AllowanceOf(const std::string& key, const std::string& name, const EffectiveRule& rule);

  const Options& options_;
  std::vector<PlanAllowance> allowances_;
  std::vector<PlanReceiver> receivers_;
  std::map<std::string, std::size_t> allowance_index_;
  std::map<std::string, std::size_t> receiver_index_;
  std::map<std::pair<std::size_t, std::string>, bool> sites_;  // seen of an allowance
  std::vector<Small> small_;
  std::uint64_t refused_ = 0;
};

// The pool's sources, alike ones together; empty if there is no such pool.
[[nodiscard]] std::vector<PlanSource> PlanSourcesOf(const Options& options, std::string_view pool, Wall start);

}  // namespace postrider::tools
