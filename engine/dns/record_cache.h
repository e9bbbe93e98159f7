#pragma once
// The answers of the DNS of one core, each for as long as it may be kept; the least recently used make room. Time is an
// argument.

#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

#include "config/time.h"
#include "engine/dns/record_set.h"

namespace postrider::dns {

// What a record set is kept under: the type, then the canonical name.
[[nodiscard]] std::string RecordKey(RecordType type, std::string_view name);

class RecordCache {
 public:
  struct Entry {
    std::string key;
    RecordSet records;
    Monotonic expires;
  };

  explicit RecordCache(std::size_t capacity) : capacity_(capacity) {}

  // Valid until the next call; nullptr if nothing is kept, or no longer.
  [[nodiscard]] const Entry* Find(std::string_view key, Monotonic now);
  void Insert(std::string key, RecordSet records, Monotonic expires);
  void Erase(std::string_view key);
  [[nodiscard]] std::size_t size() const { return index_.size(); }

 private:
  std::size_t capacity_;
  std::list<Entry> entries_;                                                // most recently used first
  std::unordered_map<std::string_view, std::list<Entry>::iterator> index_;  // keys live in the entries
};

}  // namespace postrider::dns
