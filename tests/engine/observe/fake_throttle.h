#pragma once
// Limits in memory: what is set is kept as the engine keeps it; no name servers, no cores.

#include <mutex>
#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "config/overrides.h"
#include "engine/observe/throttle_control.h"

namespace postrider::observe {

class FakeThrottle final : public ThrottleControl {
 public:
  Wall now() override { return moment; }
  OptionsPtr InForce() override { return LayOver(options, List(), moment).options; }
  Overrides List() override {
    const std::scoped_lock lock(mutex_);
    return overrides;
  }
  Result<std::vector<ChangedField>> Set(RuleOptions rule) override {
    const OptionsPtr before = InForce();
    const DomainPattern pattern = rule.match;
    {
      const std::scoped_lock lock(mutex_);
      if (failure) return std::unexpected(*failure);
      if (auto set = SetOverride(overrides, std::move(rule), options); !set) return std::unexpected(set.error());
    }
    return Changed(*before, pattern);
  }
  Result<std::vector<ChangedField>> Unset(const DomainPattern& pattern, std::span<const std::string> keys,
                                          std::string_view by) override {
    const OptionsPtr before = InForce();
    {
      const std::scoped_lock lock(mutex_);
      const Result<std::size_t> removed = UnsetOverride(overrides, pattern, keys);
      if (!removed) return std::unexpected(removed.error());
      if (*removed == 0) return Fail(ErrorCode::kNotFound, "nothing is set for it");
      unset_by = by;
    }
    return Changed(*before, pattern);
  }
  Result<DomainLimits> Show(std::string_view domain) override {
    if (domain.find('@') != domain.npos) return Fail(ErrorCode::kInvalid, "that is no domain");
    DomainLimits limits = shown;
    limits.domain = domain;
    limits.rule = ExplainRule(*InForce(), domain, limits.hosts);
    return limits;
  }

  Wall moment{std::chrono::milliseconds(1'800'000'000'000)};
  Options options;
  Overrides overrides;
  DomainLimits shown;
  std::string unset_by;
  std::optional<Error> failure;

 private:
  std::vector<ChangedField> Changed(const Options& before, const DomainPattern& pattern) {
    const ExplainedRule was = ExplainPattern(before, pattern, {});
    const ExplainedRule is = ExplainPattern(*InForce(), pattern, {});
    std::vector<ChangedField> fields;
    for (std::size_t i = 0; i < is.fields.size(); ++i) {
      if (was.fields[i].value != is.fields[i].value) fields.push_back({was.fields[i], is.fields[i]});
    }
    return fields;
  }

  std::mutex mutex_;
};

}  // namespace postrider::observe
