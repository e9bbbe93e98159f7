#pragma once
// A bounded map of values by key in two generations: what was used since the last turn, and what was used before it. A
// turn, taken when the young generation is full, forgets the old one: nearly as good as least-recently-used, at a hash
// look-up a use. References stay valid until the next Turn, which only its owner calls. One thread.

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <unordered_map>
#include <utility>

namespace postrider::queue {

template <typename Value>
class GenerationCache {
 public:
  using Entry = std::pair<const std::string, Value>;

  // Holds at most twice this many after a turn, and as many more as are used between two turns.
  explicit GenerationCache(std::size_t per_generation) : limit_(per_generation) {}

  [[nodiscard]] Entry* Find(std::string_view key) {
    if (const auto young = young_.find(key); young != young_.end()) return &*young;
    const auto old = old_.find(key);
    if (old == old_.end()) return nullptr;
    return &*young_.insert(old_.extract(old)).position;
  }
  // key must not be there.
  Entry& Insert(std::string key, Value value) { return *young_.emplace(std::move(key), std::move(value)).first; }
  void Erase(std::string_view key) {
    if (const auto young = young_.find(key); young != young_.end()) young_.erase(young);
    if (const auto old = old_.find(key); old != old_.end()) old_.erase(old);
  }
  void Turn() {
    if (young_.size() < limit_) return;
    if (!old_.empty()) ++losses_;
    old_ = std::move(young_);
    young_.clear();
  }
  void Clear() {
    ++losses_;
    young_.clear();
    old_.clear();
  }
  [[nodiscard]] std::size_t size() const { return young_.size() + old_.size(); }
  // How often entries were forgotten by Turn or Clear: while it stays the same, all that was put in is still there.
  [[nodiscard]] std::uint64_t losses() const { return losses_; }

 private:
  struct Hash {
    using is_transparent = void;
    std::size_t operator()(std::string_view text) const { return std::hash<std::string_view>()(text); }
  };
  using Generation = std::unordered_map<std::string, Value, Hash, std::equal_to<>>;

  std::size_t limit_;
  std::uint64_t losses_ = 0;
  Generation young_;
  Generation old_;
};

}  // namespace postrider::queue
