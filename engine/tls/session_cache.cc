#include "engine/tls/session_cache.h"

#include <algorithm>
#include <utility>

namespace postrider::tls {

void SessionCache::Put(std::string_view key, bssl::UniquePtr<SSL_SESSION> session) {
  if (capacity_ == 0 || !session) return;
  auto found = by_key_.find(key);
  if (found == by_key_.end()) {
    entries_.emplace_front(Entry{std::string(key), {}});
    found = by_key_.emplace(entries_.front().key, entries_.begin()).first;
  } else {
    entries_.splice(entries_.begin(), entries_, found->second);
  }

  auto& sessions = found->second->sessions;
  if (!SSL_SESSION_should_be_single_use(session.get())) {
    for (auto& old : sessions) {
      if (std::exchange(old, nullptr)) --size_;
    }
  }
  if (sessions.back()) --size_;  // the oldest makes room
  std::move_backward(sessions.begin(), sessions.end() - 1, sessions.end());
  sessions.front() = std::move(session);
  ++size_;

  while (size_ > capacity_) {
    auto last = std::prev(entries_.end());
    if (last != entries_.begin()) {
      Erase(last);
      continue;
    }
    // One key alone is over the limit: its oldest goes.
    auto oldest =
        std::find_if(last->sessions.rbegin(), last->sessions.rend(), [](const auto& s) { return s != nullptr; });
    oldest->reset();
    --size_;
  }
}

bssl::UniquePtr<SSL_SESSION> SessionCache::Take(std::string_view key) {
  const auto found = by_key_.find(key);
  if (found == by_key_.end()) return nullptr;
  entries_.splice(entries_.begin(), entries_, found->second);
  auto& sessions = found->second->sessions;
  if (!SSL_SESSION_should_be_single_use(sessions.front().get())) return bssl::UpRef(sessions.front());

  bssl::UniquePtr<SSL_SESSION> session = std::move(sessions.front());
  --size_;
  std::move(sessions.begin() + 1, sessions.end(), sessions.begin());
  sessions.back().reset();
  if (!sessions.front()) Erase(found->second);
  return session;
}

void SessionCache::Forget(std::string_view key) {
  if (const auto found = by_key_.find(key); found != by_key_.end()) Erase(found->second);
}

void SessionCache::Erase(Entries::iterator entry) {
  size_ -= static_cast<std::size_t>(
      std::count_if(entry->sessions.begin(), entry->sessions.end(), [](const auto& s) { return s != nullptr; }));
  by_key_.erase(entry->key);
  entries_.erase(entry);
}

}  // namespace postrider::tls
