#pragma once
// Who runs an MX host, known by the suffix of its name. A provider counts our mail over all its sites, so limits and
// metrics belong to it; connections still belong to the site. What the program knows by itself is
// config/providers.toml, built in; an operator's [[provider]] adds to it, or replaces one of the same name. A table is
// immutable and shared; any thread may read it.

#include <cstddef>
#include <expected>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <unordered_map>
#include <vector>

#include "config/error.h"

namespace postrider {

struct RuleOptions;
class ProviderTable;
using ProviderTablePtr = std::shared_ptr<const ProviderTable>;

// [[provider]]
struct ProviderOptions {
  std::string name;
  std::vector<std::string> mx;       // ".google.com": every host below it; "mx.example.org": that host
  std::vector<std::string> aliases;  // what people call it, lower case
  std::string notes;
  std::string file;
  int line = 0;

  // A host of its first entry that no narrower pattern names: "*.google.com". What is said of it is said of the whole
  // provider. "" if it has none.
  [[nodiscard]] std::string SampleHost() const;
};

class ProviderTable {
 public:
  // Over base, if there is one: of a name, suffix or alias that both have, that of added counts. Two of added must not
  // share any; CompleteOptions has checked that.
  ProviderTable(const ProviderTable* base, std::vector<ProviderOptions> added, std::vector<RuleOptions> rules);
  ~ProviderTable();

  // config/providers.toml.
  [[nodiscard]] static const ProviderTablePtr& Shipped();

  // "google", "microsoft365", ...; "" when unknown. mx_host is lower case without a trailing dot. Lives as long as
  // this.
  [[nodiscard]] std::string_view OfMx(std::string_view mx_host) const;
  // That of the preferred host: whoever takes the rest of the mail takes it when that one is down.
  [[nodiscard]] std::string_view OfMxSet(std::span<const std::string> mx_hosts) const {
    return mx_hosts.empty() ? std::string_view() : OfMx(mx_hosts.front());
  }
  [[nodiscard]] const ProviderOptions* Find(std::string_view name) const;
  // Also by what people say, in upper or lower case: "Gmail", "hotmail", "gmx/web.de". Null if nobody is called so.
  [[nodiscard]] const ProviderOptions* FindByAnyName(std::string_view name) const;
  // The nearest known name or alias's name, for a message; "" if none is near.
  [[nodiscard]] std::string_view NearestProvider(std::string_view name) const;

  [[nodiscard]] std::span<const ProviderOptions> providers() const { return providers_; }
  // The limits that go with the shipped ones: rules of layer kShipped.
  [[nodiscard]] std::span<const RuleOptions> rules() const;

 private:
  struct TextHash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  using Index = std::unordered_map<std::string, std::size_t, TextHash, std::equal_to<>>;

  std::vector<ProviderOptions> providers_;
  std::vector<RuleOptions> rules_;
  Index by_mx_;
  Index by_name_;
  Index by_alias_;
};

// Reads a file of [[provider]] and [[rule]] tables, as config/providers.toml is one; everything wrong is reported at
// once. name stands for the file in diagnostics and origins.
[[nodiscard]] std::expected<ProviderTablePtr, Diagnostics> ParseProviders(std::string_view toml, std::string_view name);

// The text of config/providers.toml, and what it is called in messages.
[[nodiscard]] std::string_view ShippedProviders();
inline constexpr std::string_view kShippedProvidersName = "providers.toml (built in)";

}  // namespace postrider
