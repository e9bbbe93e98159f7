#include "engine/override_book.h"

#include <algorithm>
#include <iterator>
#include <utility>

namespace postrider::engine {
namespace {

constexpr std::uint64_t kFileBytesMax = 16 << 20;  // a thousand overrides are some 200 KB

bool IsOver(const RuleOptions& rule, Wall now) { return rule.origin.until && *rule.origin.until <= now; }

}  // namespace

Result<void> OverrideBook::Read() {
  if (!files_.Exists(file_)) return {};
  const Result<std::string> text = files_.ReadWhole(file_, kFileBytesMax);
  if (!text) return Fail(file_.string(), text.error());
  auto parsed = ParseOverrides(*text, file_.string());
  if (parsed) {
    overrides_ = *std::move(parsed);
    return {};
  }
  std::string problems = "the limits of `postrider throttle set` cannot be read; mend the file, or move it away:";
  for (const Diagnostic& diagnostic : parsed.error()) problems += "\n" + ToString(diagnostic);
  return Fail(ErrorCode::kInvalid, std::move(problems));
}

Result<void> OverrideBook::Write(const Overrides& overrides) {
  if (auto written = files_.WriteDurably(file_, WriteOverrides(overrides)); !written) {
    return Fail(file_.string(), std::move(written).error());
  }
  return {};
}

Result<void> OverrideBook::Set(RuleOptions rule, const Options& options) {
  Overrides changed = overrides_;
  if (auto set = SetOverride(changed, std::move(rule), options); !set) return set;
  if (auto written = Write(changed); !written) return written;
  overrides_ = std::move(changed);
  return {};
}

Result<std::size_t> OverrideBook::Unset(const DomainPattern& pattern, std::span<const std::string> keys) {
  Overrides changed = overrides_;
  const Result<std::size_t> removed = UnsetOverride(changed, pattern, keys);
  if (!removed || *removed == 0) return removed;
  if (auto written = Write(changed); !written) return std::unexpected(std::move(written).error());
  overrides_ = std::move(changed);
  return removed;
}

Overrides OverrideBook::TakeExpired(Wall now) {
  Overrides over;
  std::ranges::copy_if(overrides_, std::back_inserter(over),
                       [now](const RuleOptions& rule) { return IsOver(rule, now); });
  if (over.empty()) return over;
  (void)DropExpired(overrides_, now);
  (void)Write(overrides_);
  return over;
}

}  // namespace postrider::engine
