#pragma once
// The one way from a core to the store thread. Requests are filled in place in the mailbox; when that is full they wait
// in a line of their own, so that none is ever lost or passes another (admission counts them, which bounds the line).
// Remembers for each request in order whose lane it is of, until the store says it is durable. Single-threaded.

#include <cstdint>
#include <deque>
#include <string_view>
#include <vector>

#include "engine/delivery/core.h"

namespace postrider::delivery {

struct Lane;

class OutcomeWriter {
 public:
  explicit OutcomeWriter(io::Mailbox<StoreRequest>& box) : box_(box) {}

  // A cleared request to fill; Publish sends it. Nothing else of the writer is called between the two. lane is told
  // of its commit, unless null.
  [[nodiscard]] StoreRequest& Next(StoreRequest::Kind kind, Lane* lane);
  void Publish();
  void PutState(std::string_view key, std::string_view value);
  void DeleteState(std::string_view key);

  // Once a turn: moves what waited into the mailbox and wakes the store thread if there is news for it.
  void Flush();

  // Calls visit(lane) for each of the oldest so many requests, whose lane was not null.
  template <typename Visit>
  void Committed(std::uint64_t requests, Visit visit) {
    for (; requests > 0; --requests) {
      Lane* lane = PopOwner();
      if (lane != nullptr) visit(*lane);
    }
  }

  // Requests handed in so far, and how many of them are durable.
  [[nodiscard]] std::uint64_t issued() const { return head_; }
  [[nodiscard]] std::uint64_t durable() const { return tail_; }
  // Requests that are not durable yet.
  [[nodiscard]] std::size_t unsynced() const { return head_ - tail_; }
  // Requests wait for room in the mailbox.
  [[nodiscard]] bool waiting() const { return !waiting_.empty(); }

 private:
  void PushOwner(Lane* lane);
  Lane* PopOwner();

  io::Mailbox<StoreRequest>& box_;
  std::deque<StoreRequest> waiting_;
  bool in_box_ = false;  // the request being filled is a slot of the mailbox
  bool news_ = false;
  // A ring of the owners of all requests under way; its size is a power of two.
  std::vector<Lane*> owners_ = std::vector<Lane*>(1024);
  std::size_t head_ = 0;
  std::size_t tail_ = 0;
};

}  // namespace postrider::delivery
