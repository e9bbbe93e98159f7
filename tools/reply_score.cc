#include "tools/reply_score.h"

#include <algorithm>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/table.h"
#include "tools/text.h"

namespace postrider::tools {
namespace {

bool IsHardBounce(Category category) {
  return category == Category::kBadMailbox || category == Category::kBadDomain ||
         category == Category::kInactiveMailbox;
}

std::string Percent(double share) { return fmt::format("{:.1f} %", 100 * share); }

}  // namespace

void ReplyScore::Add(Category expected, const std::vector<Category>& accept, Category got, bool by_rule) {
  const bool strict = got == expected;
  const bool accepted = std::ranges::find(accept, got) != accept.end();
  for (Count* count : {&all_, &of_category_[expected]}) {
    ++count->rows;
    count->strict += strict ? 1 : 0;
    count->lenient += strict || accepted ? 1 : 0;
  }
  if (!strict) {
    Confusion& confusion = confusions_[{expected, got}];
    ++confusion.rows;
    confusion.accepted += accepted ? 1 : 0;
  }
  if (!by_rule) ++by_codes_;
  if (IsHardBounce(expected)) {
    ++(IsHardBounce(got) ? hard_true_ : hard_missed_);
  } else if (IsHardBounce(got)) {
    ++hard_false_;
    hard_false_accepted_ += accepted ? 1 : 0;
  }
}

std::vector<std::pair<std::pair<Category, Category>, ReplyScore::Confusion>> ReplyScore::Confusions() const {
  std::vector<std::pair<std::pair<Category, Category>, Confusion>> sorted(confusions_.begin(), confusions_.end());
  std::ranges::stable_sort(sorted, std::ranges::greater(), [](const auto& entry) { return entry.second.rows; });
  return sorted;
}

std::string ReplyScore::ToText(const Terminal& terminal) const {
  std::string out = fmt::format(
      "{} replies: strict {}, lenient {}; {} decided by their codes alone\n"
      "hard bounces: precision {} ({} wrong, {} of them defensible), recall {} ({} missed)\n\n",
      FormatCount(all_.rows), Percent(Strict()), Percent(Lenient()), FormatCount(by_codes_), Percent(HardPrecision()),
      FormatCount(hard_false_), FormatCount(hard_false_accepted_), Percent(HardRecall()), FormatCount(hard_missed_));
  Table categories({{"expected"},
                    {"replies", Table::Align::kRight},
                    {"strict", Table::Align::kRight},
                    {"lenient", Table::Align::kRight}});
  for (const auto& [category, count] : of_category_) {
    categories.AddRow({std::string(ToString(category)), FormatCount(count.rows),
                       Percent(Share(count.strict, count.rows)), Percent(Share(count.lenient, count.rows))});
  }
  out += categories.Render(terminal);
  if (confusions_.empty()) return out;
  Table confusions(
      {{"expected"}, {"classified as"}, {"replies", Table::Align::kRight}, {"defensible", Table::Align::kRight}});
  for (const auto& [pair, confusion] : Confusions()) {
    confusions.AddRow({std::string(ToString(pair.first)), std::string(ToString(pair.second)),
                       FormatCount(confusion.rows), FormatCount(confusion.accepted)});
  }
  return out + "\n" + confusions.Render(terminal);
}

std::string ReplyScore::ToJson() const {
  using Json = nlohmann::ordered_json;
  Json categories = Json::array();
  for (const auto& [category, count] : of_category_) {
    categories.push_back({{"category", ToString(category)},
                          {"replies", count.rows},
                          {"strict", Share(count.strict, count.rows)},
                          {"lenient", Share(count.lenient, count.rows)}});
  }
  Json confusions = Json::array();
  for (const auto& [pair, confusion] : Confusions()) {
    confusions.push_back({{"expected", ToString(pair.first)},
                          {"got", ToString(pair.second)},
                          {"replies", confusion.rows},
                          {"accepted", confusion.accepted}});
  }
  const Json all = {{"replies", all_.rows},
                    {"strict", Strict()},
                    {"lenient", Lenient()},
                    {"codes_alone", by_codes_},
                    {"hard_bounces",
                     {{"precision", HardPrecision()},
                      {"recall", HardRecall()},
                      {"right", hard_true_},
                      {"wrong", hard_false_},
                      {"wrong_but_accepted", hard_false_accepted_},
                      {"missed", hard_missed_}}},
                    {"categories", std::move(categories)},
                    {"confusions", std::move(confusions)}};
  return all.dump() + "\n";
}

}  // namespace postrider::tools
