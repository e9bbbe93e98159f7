#pragma once
// Whose turn it is: deficit round robin by weight. Each item that wants a turn stands in a ring threaded through the
// items themselves; the one in front goes until it has used what its weight gives it, then the next. Over any stretch
// in which the same items wait, each gets its weight's share, whatever the order in which they came; no item waits for
// more than one round. An item that leaves the ring keeps nothing. The ring owns nothing; an item leaves before it
// dies. Single-threaded.

#include <cstddef>
#include <cstdint>

#include "config/check.h"

namespace postrider {

template <typename T>
struct TurnLink {
  T* previous = nullptr;
  T* next = nullptr;
  bool linked = false;
  std::uint32_t weight = 1;
  std::uint32_t credit = 0;  // what it may still take in this turn
};

template <typename T, TurnLink<T> T::*kLink>
class WeightedTurn {
 public:
  WeightedTurn() = default;
  WeightedTurn(const WeightedTurn&) = delete;
  WeightedTurn& operator=(const WeightedTurn&) = delete;

  [[nodiscard]] bool empty() const { return front_ == nullptr; }
  [[nodiscard]] std::size_t size() const { return size_; }
  // Whose turn it is; null: nobody's.
  [[nodiscard]] T* front() const { return front_; }
  [[nodiscard]] static bool Linked(const T& item) { return (item.*kLink).linked; }

  // Behind all others. weight >= 1.
  void Add(T& item, std::uint32_t weight) {
    TurnLink<T>& link = item.*kLink;
    CHECK(!link.linked && weight >= 1);
    link.linked = true;
    link.weight = weight;
    link.credit = weight;
    ++size_;
    if (front_ == nullptr) {
      front_ = link.previous = link.next = &item;
      return;
    }
    T* last = (front_->*kLink).previous;
    link.previous = last;
    link.next = front_;
    (last->*kLink).next = &item;
    (front_->*kLink).previous = &item;
  }

  void Remove(T& item) {
    TurnLink<T>& link = item.*kLink;
    CHECK(link.linked);
    (link.previous->*kLink).next = link.next;
    (link.next->*kLink).previous = link.previous;
    if (front_ == &item) front_ = size_ == 1 ? nullptr : link.next;
    link = TurnLink<T>{};
    --size_;
  }

  // From its next turn on.
  void SetWeight(T& item, std::uint32_t weight) {
    CHECK(weight >= 1);
    (item.*kLink).weight = weight;
  }

  // The item in front took one; after as many as its weight, the turn is the next one's.
  void Charge() {
    CHECK(front_ != nullptr);
    TurnLink<T>& link = front_->*kLink;
    if (link.credit > 0) --link.credit;
    if (link.credit == 0) Advance();
  }

  // The item in front cannot go now, for a limit of its own; it stays in the ring and its turn is over. size() passes
  // in a row: nobody can go.
  void Pass() {
    CHECK(front_ != nullptr);
    Advance();
  }

 private:
  void Advance() {
    TurnLink<T>& link = front_->*kLink;
    link.credit = link.weight;
    front_ = link.next;
  }

  T* front_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace postrider
