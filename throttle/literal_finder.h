#pragma once
// Which of many short texts occur in a longer one, found in one pass over it (Aho and Corasick's automaton). Immutable
// once made, so any thread may ask; about 100 bytes for each state, of which there are fewer than bytes in all texts.

#include <array>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace postrider {

class LiteralFinder {
 public:
  // Empty literals never occur.
  explicit LiteralFinder(const std::vector<std::string>& literals);

  // Replaces found with the indexes of those that occur, ascending, each once. Its memory is reused.
  void Find(std::string_view text, std::vector<int>& found) const;

 private:
  using State = std::uint32_t;

  std::array<std::uint8_t, 256> column_of_{};  // 0: an octet that no literal has
  std::size_t columns_ = 1;
  std::vector<State> next_;                  // states x columns
  std::vector<std::uint32_t> first_output_;  // of each state, and one more: where its outputs begin
  std::vector<int> outputs_;
};

}  // namespace postrider
