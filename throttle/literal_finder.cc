#include "throttle/literal_finder.h"

#include <algorithm>

namespace postrider {

LiteralFinder::LiteralFinder(const std::vector<std::string>& literals) {
  for (const std::string& literal : literals) {
    for (const char c : literal) {
      std::uint8_t& column = column_of_[static_cast<unsigned char>(c)];
      // 255 columns and the one for all other octets: a literal with all 256 octets cannot be text.
      if (column == 0 && columns_ < 256) column = static_cast<std::uint8_t>(columns_++);
    }
  }
  // The trie: state 0 is its root, and 0 as a next state means "none yet", for nothing leads back to the root.
  std::vector<std::vector<int>> outputs(1);
  next_.assign(columns_, 0);
  for (std::size_t i = 0; i < literals.size(); ++i) {
    if (literals[i].empty()) continue;
    State state = 0;
    for (const char c : literals[i]) {
      const std::size_t at = state * columns_ + column_of_[static_cast<unsigned char>(c)];
      if (next_[at] == 0) {
        next_[at] = static_cast<State>(outputs.size());
        outputs.emplace_back();
        next_.resize(next_.size() + columns_, 0);
      }
      state = next_[at];
    }
    outputs[state].push_back(static_cast<int>(i));
  }
  // Breadth first, so that where a state falls back to is complete before the state is.
  std::vector<State> fallback(outputs.size(), 0);
  std::vector<State> order;
  for (std::size_t column = 1; column < columns_; ++column) {
    if (next_[column] != 0) order.push_back(next_[column]);
  }
  for (std::size_t i = 0; i < order.size(); ++i) {
    const State state = order[i];
    const State back = fallback[state];
    outputs[state].insert(outputs[state].end(), outputs[back].begin(), outputs[back].end());
    for (std::size_t column = 1; column < columns_; ++column) {
      State& next = next_[state * columns_ + column];
      const State otherwise = next_[back * columns_ + column];
      if (next == 0) {
        next = otherwise;
      } else {
        fallback[next] = otherwise;
        order.push_back(next);
      }
    }
  }
  for (const std::vector<int>& of_state : outputs) {
    first_output_.push_back(static_cast<std::uint32_t>(outputs_.size()));
    outputs_.insert(outputs_.end(), of_state.begin(), of_state.end());
  }
  first_output_.push_back(static_cast<std::uint32_t>(outputs_.size()));
}

void LiteralFinder::Find(std::string_view text, std::vector<int>& found) const {
  found.clear();
  State state = 0;
  for (const char c : text) {
    state = next_[state * columns_ + column_of_[static_cast<unsigned char>(c)]];
    for (std::uint32_t i = first_output_[state]; i < first_output_[state + 1]; ++i) found.push_back(outputs_[i]);
  }
  std::ranges::sort(found);
  found.erase(std::ranges::unique(found).begin(), found.end());
}

}  // namespace postrider
