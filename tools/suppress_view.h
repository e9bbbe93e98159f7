#pragma once
// The daemon's answers about the suppression list (/api/v1/suppressions, shapes in observe/README.md), and how a person
// reads them. Pure.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "tools/terminal.h"

namespace postrider::tools {

struct SuppressionView {
  std::string address;
  std::string list;
  std::string when;
  std::string by;  // rule, hand, import
  std::string who;
  std::string why;
  std::string campaign;
  std::uint64_t row = 0;
  std::string site;
  std::string provider;
  std::string reply;
  std::string expires;
  // Of one that is no more.
  std::string ended;  // removed, replaced, expired
  std::string ended_when;
  std::string ended_who;
  std::string ended_why;
};

struct SuppressionCheckView {
  std::string address;
  std::string list;
  bool suppressed = false;
  std::vector<SuppressionView> entries;
  std::vector<SuppressionView> history;
};
[[nodiscard]] Result<SuppressionCheckView> ParseSuppressionCheck(std::string_view answer);
[[nodiscard]] std::string RenderSuppressionCheck(const SuppressionCheckView& check, const Terminal& terminal);

struct SuppressionPageView {
  std::vector<SuppressionView> entries;
  std::string next;  // where the next page begins; empty: this was the last
};
[[nodiscard]] Result<SuppressionPageView> ParseSuppressionPage(std::string_view answer);
[[nodiscard]] std::string RenderSuppressions(const std::vector<SuppressionView>& entries, const Terminal& terminal);

struct SuppressionTallyView {
  std::uint64_t lines = 0;
  std::uint64_t added = 0;
  std::uint64_t replaced = 0;
  std::uint64_t unchanged = 0;
  std::uint64_t rejected = 0;
  struct Problem {
    std::uint64_t line = 0;
    std::string problem;
  };
  std::vector<Problem> problems;  // the first ones of those rejected
};
[[nodiscard]] Result<SuppressionTallyView> ParseSuppressionTally(std::string_view answer);
// "3 added, 1 replaced, 2 were there already"
[[nodiscard]] std::string RenderSuppressionTally(const SuppressionTallyView& tally);

struct SuppressionUndoView {
  std::uint64_t found = 0;
  std::uint64_t removed = 0;
  std::vector<SuppressionView> examples;
};
[[nodiscard]] Result<SuppressionUndoView> ParseSuppressionUndo(std::string_view answer);

struct SuppressionListView {
  std::string list;
  std::uint64_t addresses = 0;
  std::uint64_t domains = 0;
  std::uint64_t expiring = 0;
};
[[nodiscard]] Result<std::vector<SuppressionListView>> ParseSuppressionLists(std::string_view answer);
[[nodiscard]] std::string RenderSuppressionLists(const std::vector<SuppressionListView>& lists,
                                                 const Terminal& terminal);

}  // namespace postrider::tools
