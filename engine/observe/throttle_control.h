#pragma once
// What the admin API may ask of the limits: those that are in force and where they come from, those that an operator
// set while mail flows, and what becomes of them at the place where a domain's mail goes. engine/ implements it. Any
// thread.

#include <cstddef>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/options.h"
#include "config/overrides.h"
#include "config/rules.h"
#include "config/time.h"
#include "engine/delivery/snapshot.h"

namespace postrider::observe {

// A domain, the rule of its mail, and what is known of the ways there.
struct DomainLimits {
  std::string domain;              // as an A-label
  std::vector<std::string> hosts;  // where its mail goes, the preferred first
  bool fixed_hosts = false;        // by a [[route]]
  std::string problem;             // why no hosts are known
  ExplainedRule rule;
  std::optional<delivery::PlaceSnapshot> place;  // of the core that owns it; none without hosts
};

// What a change of overrides has made of one field, for mail that the pattern matches and no more specific one.
struct ChangedField {
  ExplainedField before;
  ExplainedField now;
};

class ThrottleControl {
 public:
  virtual ~ThrottleControl() = default;

  [[nodiscard]] virtual Wall now() = 0;
  // The configuration with the overrides over it.
  [[nodiscard]] virtual OptionsPtr InForce() = 0;
  [[nodiscard]] virtual Overrides List() = 0;
  // Durable and on its way to all cores when it returns. Who sets it, when and until when stands in rule.origin.
  [[nodiscard]] virtual Result<std::vector<ChangedField>> Set(RuleOptions rule) = 0;
  // keys empty: all fields of the pattern. kNotFound: none of them is set.
  [[nodiscard]] virtual Result<std::vector<ChangedField>> Unset(const DomainPattern& pattern,
                                                                std::span<const std::string> keys,
                                                                std::string_view by) = 0;
  // Asks the name servers. kInvalid: that is no domain.
  [[nodiscard]] virtual Result<DomainLimits> Show(std::string_view domain) = 0;
};

}  // namespace postrider::observe
