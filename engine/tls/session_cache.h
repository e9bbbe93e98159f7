#pragma once
// The client's TLS sessions of one core, for resumption: a full handshake costs as much CPU as a dozen warm messages.
// Bounded, least recently used key first out. A TLS 1.3 ticket is used once (RFC 8446 appendix C.4), so a few are kept
// for each key, newest first; a TLS 1.2 session serves again and again, so only the newest is.

#include <openssl/ssl.h>

#include <array>
#include <cstddef>
#include <list>
#include <string>
#include <string_view>
#include <unordered_map>

namespace postrider::tls {

class SessionCache {
 public:
  // As many tickets as connections to one site end together when all of them have carried what one may carry; with
  // fewer, the rest would each pay for a full handshake.
  static constexpr std::size_t kPerKey = 16;

  // Holds at most so many sessions over all keys; 0 keeps none.
  explicit SessionCache(std::size_t capacity) : capacity_(capacity) {}

  void Put(std::string_view key, bssl::UniquePtr<SSL_SESSION> session);
  // The newest session of key, or null. A single-use one leaves the cache.
  [[nodiscard]] bssl::UniquePtr<SSL_SESSION> Take(std::string_view key);
  void Forget(std::string_view key);

  [[nodiscard]] std::size_t size() const { return size_; }

 private:
  struct Entry {
    std::string key;
    std::array<bssl::UniquePtr<SSL_SESSION>, kPerKey> sessions;  // newest first, no gaps
  };
  using Entries = std::list<Entry>;

  void Erase(Entries::iterator entry);

  std::size_t capacity_;
  std::size_t size_ = 0;
  Entries entries_;                                                 // most recently used first
  std::unordered_map<std::string_view, Entries::iterator> by_key_;  // keys are views into entries_
};

}  // namespace postrider::tls
