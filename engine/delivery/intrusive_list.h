#pragma once
// Doubly linked lists threaded through the objects themselves: no allocation to put something in line, and it can leave
// the middle of the line by itself. Order is the order of arrival, so what walks such a list decides the same each run.
// The list owns nothing; whoever is in a list must leave it before it dies. Single-threaded.

#include <cstddef>

#include "config/check.h"

namespace postrider::delivery {

template <typename T>
struct ListLink {
  T* previous = nullptr;
  T* next = nullptr;
  bool linked = false;
};

template <typename T, ListLink<T> T::*kLink>
class IntrusiveList {
 public:
  IntrusiveList() = default;
  IntrusiveList(const IntrusiveList&) = delete;
  IntrusiveList& operator=(const IntrusiveList&) = delete;

  [[nodiscard]] bool empty() const { return front_ == nullptr; }
  [[nodiscard]] std::size_t size() const { return size_; }
  [[nodiscard]] T* front() const { return front_; }
  [[nodiscard]] T* back() const { return back_; }
  [[nodiscard]] static T* Next(const T& item) { return (item.*kLink).next; }
  [[nodiscard]] static T* Previous(const T& item) { return (item.*kLink).previous; }
  [[nodiscard]] static bool Linked(const T& item) { return (item.*kLink).linked; }

  void PushBack(T& item) { Insert(item, back_, nullptr); }
  void PushFront(T& item) { Insert(item, nullptr, front_); }
  void InsertBefore(T& place, T& item) { Insert(item, (place.*kLink).previous, &place); }

  void Remove(T& item) {
    ListLink<T>& link = item.*kLink;
    CHECK(link.linked);
    (link.previous != nullptr ? (link.previous->*kLink).next : front_) = link.next;
    (link.next != nullptr ? (link.next->*kLink).previous : back_) = link.previous;
    link = {};
    --size_;
  }
  T* PopFront() {
    T* item = front_;
    if (item != nullptr) Remove(*item);
    return item;
  }

 private:
  void Insert(T& item, T* previous, T* next) {
    ListLink<T>& link = item.*kLink;
    CHECK(!link.linked);
    link = {previous, next, true};
    (previous != nullptr ? (previous->*kLink).next : front_) = &item;
    (next != nullptr ? (next->*kLink).previous : back_) = &item;
    ++size_;
  }

  T* front_ = nullptr;
  T* back_ = nullptr;
  std::size_t size_ = 0;
};

}  // namespace postrider::delivery
