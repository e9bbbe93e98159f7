#include "engine/smtp/dot_stuff.h"

#include <cstddef>
#include <cstring>

namespace postrider::smtp {
namespace {

// Where a dot begins a line, at or after from; size if nowhere. Lines are so short that a search for each line end
// costs more than comparing every octet with both characters, a block at a time, which the compiler turns into vectors.
std::size_t FindLineDot(const char* text, std::size_t from, std::size_t size) {
  constexpr std::size_t kBlock = 64;
  std::size_t at = from;
  for (; at + kBlock < size; at += kBlock) {
    const char* block = text + at;
    unsigned char found = 0;
    for (std::size_t i = 0; i < kBlock; ++i) {
      found = static_cast<unsigned char>(
          found | (static_cast<unsigned char>(block[i] == '\n') & static_cast<unsigned char>(block[i + 1] == '.')));
    }
    if (found != 0) break;
  }
  for (; at + 1 < size; ++at) {
    if (text[at] == '\n' && text[at + 1] == '.') return at + 1;
  }
  return size;
}

}  // namespace

void DotStuff(std::string& content) {
  const std::size_t size = content.size();
  const char* text = content.data();
  const std::size_t first = !content.empty() && content[0] == '.' ? 0 : FindLineDot(text, 0, size);
  if (first == size) return;

  std::size_t dots = 0;
  for (std::size_t dot = first; dot < size; dot = FindLineDot(text, dot, size)) ++dots;

  content.resize(size + dots);
  // From the back, so that each stretch moves once, and to its final place.
  char* data = content.data();
  std::size_t end = size;
  std::size_t room = dots;
  for (std::size_t at = size; room > 0;) {
    --at;
    if (data[at] != '.' || (at > 0 && data[at - 1] != '\n')) continue;
    std::memmove(data + at + room, data + at, end - at);
    --room;
    data[at + room] = '.';
    end = at;
  }
}

}  // namespace postrider::smtp
