#pragma once
// Those who wait for a limit that several paths share, in turns: who was served less often stands before who was served
// more often, and of equals who came first. So a path that lost time over its connection makes up for it. One at a time
// is called when the limit may let one go: it asks again, and then either has its turn over (it was served, or has
// nothing to send any more) or gets back to the front. While somebody waits, the others get behind and do not ask; so
// no path starves, however many there are, and a limit that opens wakes one of them and not all. Single-threaded.

#include <cstdint>

#include "config/time.h"
#include "engine/delivery/intrusive_list.h"
#include "engine/io/loop.h"

namespace postrider::delivery {

struct Parts;
struct Path;
class WaitLine;

// A path's place, for messages or for connections: in no line or in one.
struct WaitSpot {
  explicit WaitSpot(Path& of) : path(of) {}
  ~WaitSpot() { Leave(); }
  WaitSpot(const WaitSpot&) = delete;
  WaitSpot& operator=(const WaitSpot&) = delete;

  // Out of its line, or its turn is over.
  void Leave();
  // It got what it waited for.
  void Served() {
    ++turn;
    Leave();
  }

  Path& path;
  WaitLine* line = nullptr;  // it stands in it, or was called by it
  bool called = false;
  // How often it was served, as the line counts. Of a path's spot for connections the other one's counts.
  std::uint64_t turn = 0;
  const WaitLine* counted_by = nullptr;  // only compared
  ListLink<WaitSpot> link;
};

class WaitLine {
 public:
  explicit WaitLine(Parts& parts);
  ~WaitLine();
  WaitLine(const WaitLine&) = delete;
  WaitLine& operator=(const WaitLine&) = delete;

  // Whether the spot's path must get in line instead of asking the limit.
  [[nodiscard]] bool OthersWaitBefore(const WaitSpot& spot) const {
    return !spots_.empty() && !(spot.called && spot.line == this);
  }
  // The limit refused until then (max(): until CallNext), or others wait before. in_front: it was called, or has mail
  // that may not wait.
  void Join(WaitSpot& spot, Monotonic not_before, bool in_front);
  // Something changed: the first in line asks again.
  void CallNext();
  [[nodiscard]] bool empty() const { return spots_.empty(); }
  [[nodiscard]] bool IsFirst(const WaitSpot& spot) const { return spots_.front() == &spot; }

 private:
  friend struct WaitSpot;

  // Turns that a path may make up for.
  static constexpr std::uint64_t kCatchUp = 3;
  void InsertByTurn(WaitSpot& spot);

  Parts& parts_;
  std::uint64_t turn_ = kCatchUp;  // of whom was called last, or of one before if that is later
  IntrusiveList<WaitSpot, &WaitSpot::link> spots_;
  WaitSpot* called_ = nullptr;
  io::Timer timer_;
  Monotonic due_ = Monotonic::max();
};

}  // namespace postrider::delivery
