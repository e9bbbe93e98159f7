#pragma once
// What the admin API asks of the limits, answered from the options in force, the name servers and the cores. Owned by
// the daemon; any thread.

#include <functional>
#include <memory>
#include <optional>
#include <string>

#include "engine/delivery/snapshot.h"
#include "engine/dns/resolver.h"
#include "engine/io/clock.h"
#include "engine/live_options.h"
#include "engine/observe/throttle_control.h"

namespace postrider::engine {

class ThrottleDoor : public observe::ThrottleControl {
 public:
  // Asks the cores what they know of the place where this domain's mail goes.
  using Describe = std::function<std::optional<delivery::PlaceSnapshot>(const std::string& domain,
                                                                        std::shared_ptr<const dns::MxAnswer> mx)>;
  ThrottleDoor(LiveOptions& live, io::Clock& clock, Describe describe)
      : live_(live), clock_(clock), describe_(std::move(describe)) {}

  Wall now() override { return clock_.Read().wall; }
  OptionsPtr InForce() override { return live_.get(); }
  Overrides List() override { return live_.overrides(); }
  Result<std::vector<observe::ChangedField>> Set(RuleOptions rule) override;
  Result<std::vector<observe::ChangedField>> Unset(const DomainPattern& pattern, std::span<const std::string> keys,
                                                   std::string_view by) override;
  Result<observe::DomainLimits> Show(std::string_view domain) override;

 private:
  [[nodiscard]] static std::vector<observe::ChangedField> FieldsOfChange(const LiveOptions::Change& change,
                                                                         const DomainPattern& pattern,
                                                                         std::span<const std::string> keys);

  LiveOptions& live_;
  io::Clock& clock_;
  const Describe describe_;
};

}  // namespace postrider::engine
