#pragma once
// How well replies were classified, against what people who looked at them say. Strict: the expected category; lenient:
// that or another defensible one. A hard bounce is a row whose category says that the address or domain is no good.
// Pure.

#include <cstdint>
#include <map>
#include <string>
#include <utility>
#include <vector>

#include "config/verdict.h"
#include "tools/terminal.h"

namespace postrider::tools {

class ReplyScore {
 public:
  // by_rule: a rule decided, not the codes alone.
  void Add(Category expected, const std::vector<Category>& accept, Category got, bool by_rule);

  [[nodiscard]] std::uint64_t rows() const { return all_.rows; }
  [[nodiscard]] double Strict() const { return Share(all_.strict, all_.rows); }
  [[nodiscard]] double Lenient() const { return Share(all_.lenient, all_.rows); }
  // Of those called a hard bounce, the share that is one; of those that are, the share called so.
  [[nodiscard]] double HardPrecision() const { return Share(hard_true_, hard_true_ + hard_false_); }
  [[nodiscard]] double HardRecall() const { return Share(hard_true_, hard_true_ + hard_missed_); }

  [[nodiscard]] std::string ToText(const Terminal& terminal) const;
  // One JSON object in one line.
  [[nodiscard]] std::string ToJson() const;

 private:
  struct Count {
    std::uint64_t rows = 0;
    std::uint64_t strict = 0;
    std::uint64_t lenient = 0;
  };
  struct Confusion {
    std::uint64_t rows = 0;
    std::uint64_t accepted = 0;  // of them, defensible
  };

  // Of nothing, all is right.
  static double Share(std::uint64_t part, std::uint64_t whole) {
    return whole == 0 ? 1 : static_cast<double>(part) / static_cast<double>(whole);
  }
  // The most frequent first.
  [[nodiscard]] std::vector<std::pair<std::pair<Category, Category>, Confusion>> Confusions() const;

  Count all_;
  std::map<Category, Count> of_category_;
  std::map<std::pair<Category, Category>, Confusion> confusions_;  // expected, got
  std::uint64_t by_codes_ = 0;
  std::uint64_t hard_true_ = 0;
  std::uint64_t hard_false_ = 0;
  std::uint64_t hard_false_accepted_ = 0;
  std::uint64_t hard_missed_ = 0;
};

}  // namespace postrider::tools
