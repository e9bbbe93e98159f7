#include "config/provider.h"

#include <algorithm>
#include <cstdio>
#include <utility>

#include "config/check.h"
#include "config/options.h"
#include "config/schema.h"

namespace postrider {
namespace {

constexpr std::size_t kNameMax = 64;

std::string Lower(std::string_view text) {
  std::string lower(text);
  for (char& c : lower) {
    if (c >= 'A' && c <= 'Z') c = static_cast<char>(c - 'A' + 'a');
  }
  return lower;
}

ProviderTablePtr ReadShipped() {
  const auto table = ParseProviders(ShippedProviders(), kShippedProvidersName);
  if (!table) {
    for (const Diagnostic& diagnostic : table.error()) std::fprintf(stderr, "%s\n", ToString(diagnostic).c_str());
  }
  CHECK(table.has_value());
  return *table;
}

}  // namespace

std::string ProviderOptions::SampleHost() const {
  if (mx.empty()) return {};
  return mx.front().starts_with('.') ? "*" + mx.front() : mx.front();
}

ProviderTable::ProviderTable(const ProviderTable* base, std::vector<ProviderOptions> added,
                             std::vector<RuleOptions> rules)
    : rules_(std::move(rules)) {
  if (base != nullptr) {
    providers_ = base->providers_;
    rules_.insert(rules_.begin(), base->rules_.begin(), base->rules_.end());
  }
  for (ProviderOptions& provider : added) {
    const auto same = std::ranges::find(providers_, provider.name, &ProviderOptions::name);
    if (same != providers_.end()) providers_.erase(same);
    providers_.push_back(std::move(provider));
  }
  // The later one of the list wins.
  for (std::size_t i = 0; i < providers_.size(); ++i) {
    by_name_.insert_or_assign(providers_[i].name, i);
    for (const std::string& mx : providers_[i].mx) by_mx_.insert_or_assign(mx, i);
    for (const std::string& alias : providers_[i].aliases) by_alias_.insert_or_assign(alias, i);
  }
}

ProviderTable::~ProviderTable() = default;

const ProviderTablePtr& ProviderTable::Shipped() {
  static const ProviderTablePtr shipped = ReadShipped();
  return shipped;
}

std::string_view ProviderTable::OfMx(std::string_view mx_host) const {
  constexpr std::size_t kDomainMax = 253;
  if (mx_host.size() > kDomainMax || mx_host.starts_with('.')) return {};
  if (const auto exact = by_mx_.find(mx_host); exact != by_mx_.end()) return providers_[exact->second].name;
  // The longest suffix first. A name below it, not the bare name "google.com" with nothing before its dot.
  for (std::size_t dot = mx_host.find('.', 1); dot < mx_host.size(); dot = mx_host.find('.', dot + 1)) {
    const auto found = by_mx_.find(mx_host.substr(dot));
    if (found != by_mx_.end()) return providers_[found->second].name;
  }
  return {};
}

const ProviderOptions* ProviderTable::Find(std::string_view name) const {
  const auto found = by_name_.find(name);
  return found == by_name_.end() ? nullptr : &providers_[found->second];
}

const ProviderOptions* ProviderTable::FindByAnyName(std::string_view name) const {
  if (name.size() > kNameMax) return nullptr;
  const std::string lower = Lower(name);
  if (const ProviderOptions* provider = Find(lower)) return provider;
  const auto found = by_alias_.find(lower);
  return found == by_alias_.end() ? nullptr : &providers_[found->second];
}

std::string_view ProviderTable::NearestProvider(std::string_view name) const {
  if (const ProviderOptions* meant = FindByAnyName(name)) return meant->name;
  std::vector<std::string_view> known;
  for (const ProviderOptions& provider : providers_) {
    known.push_back(provider.name);
    known.insert(known.end(), provider.aliases.begin(), provider.aliases.end());
  }
  const ProviderOptions* nearest = FindByAnyName(NearestName(name, known));
  return nearest == nullptr ? std::string_view() : std::string_view(nearest->name);
}

std::span<const RuleOptions> ProviderTable::rules() const { return rules_; }

}  // namespace postrider
