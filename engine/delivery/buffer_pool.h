#pragma once
// Room to write messages into, handed from connection to connection: a message needs three buffers of its size for the
// moment in which it is made, encrypted and sent, and thousands of connections that each kept their own would hold
// hundreds of MB, cold at every use. Owned by the core; single-threaded.

#include <cstddef>
#include <string>
#include <utility>
#include <vector>

namespace postrider::delivery {

class BufferPool {
 public:
  // Before so many bytes are appended to buffer: lends it room, if it needs more than a little and there is some.
  void Lend(std::string& buffer, std::size_t bytes) {
    if (bytes < kSmallBytes || buffer.capacity() >= kSmallBytes || free_.empty()) return;
    std::string room = std::move(free_.back());
    free_.pop_back();
    room.assign(buffer);
    buffer.swap(room);
  }

  // buffer is done with and becomes empty. Small room stays with it, large room goes to whoever is next.
  void Return(std::string& buffer) {
    buffer.clear();
    if (buffer.capacity() < kSmallBytes) return;
    if (buffer.capacity() <= kKeptBytes && free_.size() < kKept) free_.push_back(std::move(buffer));
    std::string().swap(buffer);
  }

 private:
  // Commands and their replies.
  static constexpr std::size_t kSmallBytes = 2 << 10;
  // Campaigns with larger messages allocate; the pool must not keep the size of the largest it has seen.
  static constexpr std::size_t kKeptBytes = 128 << 10;
  // About as many as are between two turns of the loop; with usual messages some 10 MB.
  static constexpr std::size_t kKept = 512;

  std::vector<std::string> free_;  // the last one used is warm, and next
};

}  // namespace postrider::delivery
