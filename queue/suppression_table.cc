#include "queue/suppression_table.h"

#include <algorithm>
#include <chrono>
#include <set>
#include <utility>

#include <fmt/format.h>

#include "config/list_name.h"
#include "queue/record.h"

namespace postrider::queue {

namespace {

// Records looked at for one page: some ten milliseconds, so that no view is held for long.
constexpr std::size_t kLookedAt = 20'000;
constexpr std::size_t kPastShown = 1'000;  // of one address
constexpr std::size_t kPurgedPerCall = 1'000;
constexpr std::chrono::hours kPurgeLap{1};

// Keys side by side in one string.
class KeyPile {
 public:
  void Begin(std::size_t recipient) { owners_.push_back({bytes_.size(), recipient}); }
  [[nodiscard]] std::string& bytes() { return bytes_; }
  [[nodiscard]] std::size_t owner(std::size_t key) const { return owners_[key].recipient; }
  [[nodiscard]] std::vector<std::string_view> Views() const {
    std::vector<std::string_view> views;
    views.reserve(owners_.size());
    for (std::size_t i = 0; i < owners_.size(); ++i) {
      const std::size_t end = i + 1 < owners_.size() ? owners_[i + 1].begin : bytes_.size();
      views.push_back(std::string_view(bytes_).substr(owners_[i].begin, end - owners_[i].begin));
    }
    return views;
  }

 private:
  struct Owner {
    std::size_t begin;
    std::size_t recipient;
  };
  std::string bytes_;
  std::vector<Owner> owners_;
};

// The lists that count for a recipient.
class ListChoice {
 public:
  explicit ListChoice(const SuppressionStats& stats) : stats_(stats), global_(Find("")) {}

  // Calls ask(list, counts) for the global list and the named one, unless they are empty.
  template <typename Ask>
  void ForEach(std::string_view list, Ask ask) {
    if (global_ != nullptr) ask(std::string_view(), *global_);
    if (list.empty()) return;
    if (list != last_name_) {
      last_name_ = list;
      last_ = Find(list);
    }
    if (last_ != nullptr) ask(list, *last_);
  }

 private:
  [[nodiscard]] const ListCounts* Find(std::string_view list) const {
    const auto found = stats_.lists.find(list);
    if (found == stats_.lists.end() || found->second == ListCounts{}) return nullptr;
    return &found->second;
  }

  const SuppressionStats& stats_;
  const ListCounts* global_;
  std::string_view last_name_;
  const ListCounts* last_ = nullptr;
};

// Which of the keys hold an entry that counts now.
template <typename Hit>
Result<void> FindLive(const TableView& view, const KeyPile& keys, Wall now, Hit hit) {
  std::optional<Error> failure;
  const auto read = view.MultiGet(Table::kSuppression, keys.Views(), [&](std::size_t index, std::string_view value) {
    const Result<bool> expired = HasExpired(value, now);
    if (!expired) {
      failure = expired.error();
    } else if (!*expired) {
      hit(keys.owner(index));
    }
  });
  if (!read) return read;
  if (failure) return std::unexpected(std::move(*failure));
  return {};
}

std::string_view LocalOf(const Recipient& recipient) {
  return recipient.address.substr(
      0, recipient.address.size() - std::min(recipient.address.size(), recipient.domain.size() + 1));
}

}  // namespace

// -- Reading

Result<std::vector<std::size_t>> FindSuppressed(const TableView& view, const SuppressionStats& stats,
                                                std::span<const Recipient> recipients, Wall now) {
  std::vector<std::size_t> hits;
  ListChoice choice(stats);
  KeyPile keys;
  // A list of lookups for whole domains: each once for all its recipients, of whom there may be many.
  KeyPile domain_keys;
  std::map<std::pair<std::string_view, std::string_view>, std::size_t> domains;  // (list, domain) -> place in is_hit
  std::vector<bool> is_hit;
  for (std::size_t i = 0; i < recipients.size(); ++i) {
    const Recipient& recipient = recipients[i];
    choice.ForEach(recipient.list, [&](std::string_view list, const ListCounts& counts) {
      if (counts.addresses > 0) {
        keys.Begin(i);
        AppendSuppressionKey(keys.bytes(), list, recipient.domain, LocalOf(recipient));
      }
      if (counts.domains > 0 && domains.try_emplace({list, recipient.domain}, is_hit.size()).second) {
        domain_keys.Begin(is_hit.size());
        AppendSuppressionKey(domain_keys.bytes(), list, recipient.domain, {});
        is_hit.push_back(false);
      }
    });
  }
  const auto add = [&hits](std::size_t recipient) { hits.push_back(recipient); };
  if (auto found = FindLive(view, keys, now, add); !found) return std::unexpected(found.error());
  bool any_domain = false;
  const auto mark = [&](std::size_t place) {
    is_hit[place] = true;
    any_domain = true;
  };
  if (auto found = FindLive(view, domain_keys, now, mark); !found) return std::unexpected(found.error());
  for (std::size_t i = 0; any_domain && i < recipients.size(); ++i) {
    const Recipient& recipient = recipients[i];
    for (const std::string_view list : {std::string_view(), recipient.list}) {
      const auto place = domains.find({list, recipient.domain});
      if (place != domains.end() && is_hit[place->second]) hits.push_back(i);
    }
  }
  std::ranges::sort(hits);
  hits.erase(std::unique(hits.begin(), hits.end()), hits.end());
  return hits;
}

Result<SuppressionMatches> MatchSuppressions(const TableView& view, const SuppressionStats& stats,
                                             std::string_view address) {
  const std::size_t at = address.rfind('@');
  if (at == std::string_view::npos) return Fail(ErrorCode::kInvalid, "expected an address or @domain");
  const std::string domain(address.substr(at));
  SuppressionMatches matches;
  std::vector<std::string_view> names{address};
  if (domain != address) names.push_back(domain);
  // One by one: for a person it is fast enough, and a MultiGet needs more stack than the admin's threads have to spare.
  for (const auto& [list, counts] : stats.lists) {
    for (const std::string_view name : names) {
      const std::string key = SuppressionKey(list, name);
      const auto value = view.Get(Table::kSuppression, key);
      if (!value) return std::unexpected(value.error());
      if (!*value) continue;
      Result<Suppression> entry = DecodeSuppression(key, **value);
      if (!entry) return FailAt("suppression", key, entry.error());
      matches.entries.push_back(std::move(*entry));
    }
  }
  for (const std::string_view name : names) {
    const std::string prefix = PastSuppressionPrefix(name);
    TableWalk walk = view.Walk(Table::kSuppression, prefix, PrefixEnd(prefix));
    for (; walk.Valid() && matches.past.size() < kPastShown; walk.Next()) {
      Result<PastSuppression> past = DecodePastSuppression(walk.value());
      if (!past) return FailAt("suppression", walk.key(), past.error());
      matches.past.push_back(std::move(*past));
    }
    if (auto status = walk.status(); !status) return std::unexpected(status.error());
  }
  std::ranges::stable_sort(matches.past, {}, &PastSuppression::when);
  return matches;
}

Result<SuppressionPage> ListSuppressions(const TableView& view, const SuppressionStats& stats,
                                         const SuppressionQuery& query, std::string_view cursor, std::size_t most) {
  SuppressionPage page;
  std::size_t looked_at = 0;
  for (const auto& [list, counts] : stats.lists) {
    if (query.list && *query.list != list) continue;
    std::string lower =
        query.domain.empty() ? SuppressionListPrefix(list) : SuppressionDomainPrefix(list, query.domain);
    const std::string upper = PrefixEnd(lower);
    if (cursor >= upper) continue;
    if (cursor > lower) lower = cursor;
    TableWalk walk = view.Walk(Table::kSuppression, lower, upper);
    for (; walk.Valid(); walk.Next()) {
      if (page.entries.size() >= most || ++looked_at > kLookedAt) {
        page.cursor = walk.key();
        return page;
      }
      Result<Suppression> entry = DecodeSuppression(walk.key(), walk.value());
      if (!entry) return FailAt("suppression", walk.key(), entry.error());
      if (query.Matches(*entry)) page.entries.push_back(std::move(*entry));
    }
    if (auto status = walk.status(); !status) return std::unexpected(status.error());
  }
  return page;
}

Result<PastSuppressionPage> ListPastSuppressions(const TableView& view, const SuppressionQuery& query,
                                                 std::string_view cursor, std::size_t most) {
  SuppressionQuery of_entry = query;
  of_entry.since.reset();
  of_entry.until.reset();
  std::string lower(kSuppressionHistory);
  if (!query.domain.empty()) lower.append(query.domain).push_back('\0');
  const std::string upper = PrefixEnd(lower);
  if (cursor > lower) lower = cursor;
  PastSuppressionPage page;
  TableWalk walk = view.Walk(Table::kSuppression, lower, upper);
  for (std::size_t looked_at = 0; walk.Valid(); walk.Next()) {
    if (page.entries.size() >= most || ++looked_at > kLookedAt) {
      page.cursor = walk.key();
      return page;
    }
    Result<PastSuppression> past = DecodePastSuppression(walk.value());
    if (!past) return FailAt("suppression", walk.key(), past.error());
    const bool in_time = (!query.since || past->when >= *query.since) && (!query.until || past->when < *query.until);
    if (in_time && of_entry.Matches(past->entry)) page.entries.push_back(std::move(*past));
  }
  if (auto status = walk.status(); !status) return std::unexpected(status.error());
  return page;
}

// -- Writing

Result<void> SuppressionWriter::Load() {
  const TableView view = tables_.View();
  const std::string lower(kSuppressionCounts);
  TableWalk walk = view.Walk(Table::kSuppression, lower, PrefixEnd(lower));
  for (; walk.Valid(); walk.Next()) {
    Result<std::string> list = ParseListCountsKey(walk.key());
    if (!list) return FailAt("suppression", walk.key(), list.error());
    const Result<ListCounts> counts = DecodeListCounts(walk.value());
    if (!counts) return FailAt("suppression", walk.key(), counts.error());
    stats_.lists.emplace(std::move(*list), *counts);
  }
  if (auto status = walk.status(); !status) return status;
  book_.Publish(std::make_shared<const SuppressionStats>(stats_));
  return {};
}

// After this known_ holds every one of the keys.
Result<void> SuppressionWriter::Read(const std::vector<std::string>& keys) {
  std::vector<std::string_view> unknown;
  for (const std::string& key : keys) {
    if (!known_.contains(key)) unknown.emplace_back(key);
  }
  std::optional<Error> failure;
  std::vector<std::pair<std::size_t, Suppression>> found;
  const auto read = tables_.MultiGet(Table::kSuppression, unknown, [&](std::size_t index, std::string_view value) {
    Result<Suppression> entry = DecodeSuppression(unknown[index], value);
    if (entry) {
      found.emplace_back(index, std::move(*entry));
    } else {
      failure = entry.error();
    }
  });
  if (!read) return read;
  if (failure) return Fail("table suppression", std::move(*failure));
  for (auto& [index, entry] : found) known_.emplace(unknown[index], std::move(entry));
  for (const std::string_view key : unknown) known_.try_emplace(std::string(key));
  return {};
}

Result<SuppressionTally> SuppressionWriter::Put(std::span<const Suppression> entries) {
  std::vector<std::string> keys;
  keys.reserve(entries.size());
  std::set<std::string_view> new_lists;
  for (const Suppression& entry : entries) {
    const std::size_t at = entry.address.rfind('@');
    if (at == std::string::npos || !IsStorableDomain(std::string_view(entry.address).substr(at + 1)) ||
        entry.address.size() > kSuppressionTextMax + kDomainMax || entry.address.find('\0') != std::string::npos ||
        !ParseListName(entry.list)) {
      return Fail(ErrorCode::kInvalid, "a suppression entry needs an address or @domain, and the name of a list");
    }
    if (!stats_.lists.contains(entry.list)) new_lists.insert(entry.list);
    keys.push_back(SuppressionKey(entry.list, entry.address));
  }
  if (!new_lists.empty() && stats_.lists.size() + new_lists.size() > kSuppressionLists) {
    return Fail(ErrorCode::kTooLarge,
                fmt::format("there are {} suppression lists already, as many as there may be; use one of them",
                            stats_.lists.size()));
  }
  if (auto read = Read(keys); !read) return std::unexpected(read.error());
  SuppressionTally tally;
  for (std::size_t i = 0; i < entries.size(); ++i) tally += Apply(keys[i], known_.find(keys[i])->second, entries[i]);
  return tally;
}

Result<void> SuppressionWriter::Prepare(const Suppression& entry, bool on_second) {
  std::vector<std::string> keys{SuppressionKey(entry.list, entry.address)};
  if (on_second) keys.push_back(SuppressionKey(kBouncedOnceListName, entry.address));
  return Read(keys);
}

void SuppressionWriter::PutPrepared(const Suppression& entry, bool on_second) {
  const std::string key = SuppressionKey(entry.list, entry.address);
  if (!on_second) {
    Apply(key, known_[key], entry);
    return;
  }
  const std::string first_key = SuppressionKey(kBouncedOnceListName, entry.address);
  Held& first = known_[first_key];
  if (!first || first->Expired(entry.when)) {
    Suppression remembered = entry;
    remembered.list = kBouncedOnceListName;
    remembered.expires = entry.when + kFirstBounceKept;
    Apply(first_key, first, remembered);
    return;
  }
  if (entry.when < first->when + kSecondBounceAfter) return;
  End(*first, SuppressionEnd::kReplaced, entry.when, entry.who, entry.why);
  first.reset();
  batch_.Delete(Table::kSuppression, first_key);
  Apply(key, known_[key], entry);
}

SuppressionTally SuppressionWriter::Apply(const std::string& key, Held& held, const Suppression& entry) {
  SuppressionTally tally;
  if (held && !Supersedes(entry, *held)) {
    tally.unchanged = 1;
    return tally;
  }
  if (held) {
    End(*held, held->Expired(entry.when) ? SuppressionEnd::kExpired : SuppressionEnd::kReplaced, entry.when, entry.who,
        entry.why);
    tally.replaced = 1;
  } else {
    tally.added = 1;
  }
  const bool by_rule = entry.origin == SuppressionOrigin::kRule;
  if (entry.list != kBouncedOnceListName) ++(by_rule ? stats_.added_by_rule : stats_.added_by_hand);
  held = entry;
  batch_.Put(Table::kSuppression, key, EncodeSuppression(entry));
  Count(entry, true);
  return tally;
}

Result<std::size_t> SuppressionWriter::Delete(std::span<const SuppressionRemoval> removals) {
  std::vector<std::string> keys;
  keys.reserve(removals.size());
  for (const SuppressionRemoval& removal : removals) keys.push_back(SuppressionKey(removal.list, removal.address));
  if (auto read = Read(keys); !read) return std::unexpected(read.error());
  std::size_t removed = 0;
  for (std::size_t i = 0; i < removals.size(); ++i) {
    const SuppressionRemoval& removal = removals[i];
    Held& held = known_.find(keys[i])->second;
    if (!held) continue;
    if (removal.only_by_rule_of &&
        (held->origin != SuppressionOrigin::kRule || held->when != *removal.only_by_rule_of)) {
      continue;
    }
    End(*held, SuppressionEnd::kRemoved, removal.when, removal.who, removal.why);
    held.reset();
    batch_.Delete(Table::kSuppression, keys[i]);
    ++stats_.removed;
    ++removed;
  }
  return removed;
}

void SuppressionWriter::End(const Suppression& entry, SuppressionEnd end, Wall when, std::string_view who,
                            std::string_view why) {
  const PastSuppression past{entry, end, when, std::string(who), std::string(why)};
  batch_.Put(Table::kSuppression, PastSuppressionKey(past, run_ << 40 | ++stamps_), EncodePastSuppression(past));
  Count(entry, false);
}

void SuppressionWriter::Count(const Suppression& entry, bool more) {
  ListCounts& counts = stats_.lists[entry.list];
  const auto step = [more](std::uint64_t& count) { more ? ++count : count > 0 ? --count : count; };
  step(entry.address.starts_with('@') ? counts.domains : counts.addresses);
  if (entry.expires) step(counts.expiring);
  dirty_lists_.insert(entry.list);
  changed_ = true;
}

Result<void> SuppressionWriter::Purge(Wall now) {
  const bool any = std::ranges::any_of(stats_.lists, [](const auto& list) { return list.second.expiring > 0; });
  if (!any || (purge_cursor_.empty() && now < next_lap_)) return {};
  // While nothing else is committed, what is staged here waits, and must not become much.
  if (batch_.operations() > kPurgedPerCall) return {};
  if (purge_cursor_.empty()) next_lap_ = now + kPurgeLap;
  const std::string lower(kSuppressionEntries);
  std::vector<std::string> keys;
  {
    const TableView view = tables_.View();
    TableWalk walk = view.Walk(Table::kSuppression, std::max(lower, purge_cursor_), PrefixEnd(lower));
    for (std::size_t looked_at = 0; walk.Valid() && looked_at < kPurgedPerCall; ++looked_at, walk.Next()) {
      const Result<bool> expired = HasExpired(walk.value(), now);
      if (!expired) return FailAt("suppression", walk.key(), expired.error());
      if (*expired) keys.emplace_back(walk.key());
    }
    if (auto status = walk.status(); !status) return status;
    purge_cursor_ = walk.Valid() ? std::string(walk.key()) : std::string();
  }
  if (auto read = Read(keys); !read) return read;
  for (const std::string& key : keys) {
    Held& held = known_.find(key)->second;
    if (!held || !held->Expired(now)) continue;
    End(*held, SuppressionEnd::kExpired, *held->expires, {}, {});
    held.reset();
    batch_.Delete(Table::kSuppression, key);
    ++stats_.removed;
  }
  return {};
}

void SuppressionWriter::StageCounts() {
  for (const std::string& list : dirty_lists_) {
    const auto counts = stats_.lists.find(list);
    if (counts->second == ListCounts{}) {
      batch_.Delete(Table::kSuppression, ListCountsKey(list));
    } else {
      batch_.Put(Table::kSuppression, ListCountsKey(list), EncodeListCounts(counts->second));
    }
  }
  dirty_lists_.clear();
}

void SuppressionWriter::Committed() {
  known_.clear();
  if (!std::exchange(changed_, false)) return;
  std::erase_if(stats_.lists, [](const auto& list) { return list.second == ListCounts{}; });
  book_.Publish(std::make_shared<const SuppressionStats>(stats_));
}

}  // namespace postrider::queue
