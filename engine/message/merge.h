#pragma once
// The merge syntax: {{name}}, {{name|default}}, {{{name}}}, {{{name|default}}}. A "{{" that is meant as such is written
// "\{{". Blanks around the name do not count; the default is taken as it stands, up to the closing braces. Pure.

#include <cstddef>
#include <string>
#include <string_view>
#include <vector>

namespace postrider::message {

inline constexpr std::size_t kFieldNameMax = 100;  // a name a person types; longer ones are an unclosed brace

struct MergePiece {
  bool is_field = false;
  bool raw = false;  // three braces
  bool has_default = false;
  std::string name;
  std::string text;        // of a literal; of a field its default
  std::size_t offset = 0;  // where it begins in the text
};

struct MergeProblem {
  std::size_t offset = 0;
  std::string message;
};

// text as literals and fields in turn; neighbouring literals are joined, empty ones left out.
[[nodiscard]] std::vector<MergePiece> ParseMerge(std::string_view text, std::vector<MergeProblem>& problems);

[[nodiscard]] bool HasMerge(std::string_view text);

// text begins with "{{": the octets up to and with the closing braces; 0 if they never close on this line.
[[nodiscard]] std::size_t MergeFieldSize(std::string_view text);

[[nodiscard]] bool IsFieldName(std::string_view name);

}  // namespace postrider::message
