#pragma once
// Replies that no rule knew, so that an operator sees what real servers say and can write a rule for it. What differs
// from one reply to the next (addresses, hosts, numbers, identifiers) becomes a placeholder, and what is then the same
// is one cluster, counted for each provider. Bounded: the least used cluster makes room for a new one. One thread owns
// it; others get a copy, and copies merge. Time is an argument.

#include <cstddef>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/reply.h"
#include "config/time.h"

namespace postrider {

// "550 5.1.1 <ana@example.org>: no mailbox 4711 at mx1.example.org" -> "550 5.1.1 <address>: no mailbox <n> at <host>".
// Of a long text the first 240 bytes.
[[nodiscard]] std::string NormalizeReply(const Reply& reply);

class UnmatchedReplies {
 public:
  struct Cluster {
    std::string provider;  // empty: unknown
    std::string text;      // normalised
    std::string example;   // as the first one came, code in front, lines joined; at most 500 bytes
    Stage stage = Stage::kNone;
    std::uint64_t count = 0;
    Wall first{};
    Wall last{};
  };

  // A thousand clusters are about a megabyte.
  explicit UnmatchedReplies(std::size_t clusters_max = 1000) : clusters_max_(clusters_max) {}

  // provider: a name of the provider table, or empty.
  void Add(const Reply& reply, Stage stage, std::string_view provider, Wall now);
  void Merge(const UnmatchedReplies& other);

  // The most frequent ones; of equally frequent ones those seen last come first.
  [[nodiscard]] std::vector<Cluster> Top(std::size_t count) const;
  [[nodiscard]] std::size_t clusters() const { return clusters_.size(); }
  // All that were added, also those whose cluster had to go.
  [[nodiscard]] std::uint64_t total() const { return total_; }

 private:
  using Key = std::pair<std::string, std::string>;  // provider, normalised text

  void MakeRoom();

  std::size_t clusters_max_;
  std::map<Key, Cluster> clusters_;
  std::uint64_t total_ = 0;
};

}  // namespace postrider
