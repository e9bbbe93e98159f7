#include "engine/dns/record_cache.h"

#include <utility>

namespace postrider::dns {

std::string RecordKey(RecordType type, std::string_view name) {
  std::string key;
  key.reserve(name.size() + 1);
  key.push_back(static_cast<char>(type));
  key.append(name);
  return key;
}

const RecordCache::Entry* RecordCache::Find(std::string_view key, Monotonic now) {
  const auto found = index_.find(key);
  if (found == index_.end()) return nullptr;
  if (found->second->expires <= now) {
    Erase(key);
    return nullptr;
  }
  entries_.splice(entries_.begin(), entries_, found->second);
  return &*found->second;
}

void RecordCache::Insert(std::string key, RecordSet records, Monotonic expires) {
  Erase(key);
  if (capacity_ == 0) return;
  if (index_.size() >= capacity_) {
    index_.erase(entries_.back().key);
    entries_.pop_back();
  }
  entries_.push_front({std::move(key), std::move(records), expires});
  index_.emplace(entries_.front().key, entries_.begin());
}

void RecordCache::Erase(std::string_view key) {
  const auto found = index_.find(key);
  if (found == index_.end()) return;
  const auto entry = found->second;
  index_.erase(found);
  entries_.erase(entry);
}

}  // namespace postrider::dns
