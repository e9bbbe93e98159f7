#include "tools/suppress_view.h"

#include <functional>
#include <set>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tools/table.h"
#include "tools/text.h"

namespace postrider::tools {
namespace {

using nlohmann::json;

template <typename View>
Result<View> Parse(std::string_view answer, const std::function<View(const json&)>& read) {
  try {
    return read(json::parse(answer));
  } catch (const json::exception& error) {
    return Fail(ErrorCode::kUnsupported,
                fmt::format("the daemon's answer is not what this program expects; are they of one version? ({})",
                            error.what()));
  }
}

SuppressionView ToEntry(const json& object) {
  const auto text = [&](const char* name) { return object.value(name, std::string()); };
  return {.address = object.at("address").get<std::string>(),
          .list = text("list"),
          .when = text("when"),
          .by = text("by"),
          .who = text("who"),
          .why = text("why"),
          .campaign = text("campaign"),
          .row = object.value("row", std::uint64_t{0}),
          .site = text("site"),
          .provider = text("provider"),
          .reply = text("reply"),
          .expires = text("expires"),
          .ended = text("ended"),
          .ended_when = text("ended_when"),
          .ended_who = text("ended_who"),
          .ended_why = text("ended_why")};
}

std::vector<SuppressionView> ToEntries(const json& list) {
  std::vector<SuppressionView> entries;
  for (const json& one : list) entries.push_back(ToEntry(one));
  return entries;
}

// "2026-11-24T09:00:00.123Z" -> "2026-11-24 09:00:00Z".
std::string Moment(const std::string& text) {
  constexpr std::size_t kDay = 10;
  constexpr std::size_t kSecond = 19;
  if (text.size() < kSecond) return text;
  return text.substr(0, kDay) + " " + text.substr(kDay + 1, kSecond - kDay - 1) + "Z";
}

// "rule no-such-user", "eve: asked", "eve (import): old system".
std::string Author(const SuppressionView& entry) {
  if (entry.by == "rule") return "rule " + entry.why;
  std::string author = entry.who.empty() ? "unknown" : entry.who;
  if (entry.by == "import") author += " (import)";
  return entry.why.empty() ? author : author + ": " + entry.why;
}

// Where a rule's word came from; empty for an operator's.
std::string Place(const SuppressionView& entry) {
  std::string place;
  const auto add = [&](std::string_view what, const std::string& name) {
    if (!name.empty()) place.append(place.empty() ? "" : ", ").append(what).append(name);
  };
  add("campaign ", entry.campaign);
  if (entry.row != 0) add("row ", std::to_string(entry.row));
  add("site ", entry.site);
  add("provider ", entry.provider);
  return place;
}

// The lists whose mail it does not get though it may get what was asked for.
std::string Refused(const SuppressionCheckView& check) {
  std::set<std::string> lists;
  for (const SuppressionView& entry : check.entries) lists.insert(Printable(entry.list));
  if (lists.empty()) return {};
  return fmt::format("; gets none of {} {}:", lists.size() == 1 ? "list" : "lists", fmt::join(lists, ", "));
}

}  // namespace

Result<SuppressionCheckView> ParseSuppressionCheck(std::string_view answer) {
  return Parse<SuppressionCheckView>(answer, [](const json& object) {
    return SuppressionCheckView{.address = object.at("address").get<std::string>(),
                                .list = object.value("list", std::string()),
                                .suppressed = object.at("suppressed").get<bool>(),
                                .entries = ToEntries(object.at("entries")),
                                .history = ToEntries(object.at("history"))};
  });
}

std::string RenderSuppressionCheck(const SuppressionCheckView& check, const Terminal& terminal) {
  const std::string scope = check.list == "global" ? "" : " of list " + Printable(check.list);
  std::string out = Printable(check.address) + ": ";
  out += check.suppressed
             ? terminal.Paint(Tone::kBad, "suppressed, gets no mail" + scope)
             : terminal.Paint(Tone::kGood, "not suppressed" + (scope.empty() ? "" : ", gets mail" + scope)) +
                   Refused(check);
  out += "\n";
  for (const SuppressionView& entry : check.entries) {
    out += fmt::format("  in list {} as {} since {}, by {}", Printable(entry.list), Printable(entry.address),
                       Printable(Moment(entry.when)), Printable(Author(entry)));
    if (!entry.expires.empty()) out += ", until " + Printable(Moment(entry.expires));
    out += "\n";
    if (const std::string place = Place(entry); !place.empty()) out += "    " + Printable(place) + "\n";
    if (!entry.reply.empty()) out += "    " + Printable(entry.reply) + "\n";
  }
  for (const SuppressionView& past : check.history) {
    out += fmt::format("  was in list {} as {} from {} to {}, by {}; {}", Printable(past.list), Printable(past.address),
                       Printable(Moment(past.when)), Printable(Moment(past.ended_when)), Printable(Author(past)),
                       Printable(past.ended));
    if (!past.ended_who.empty()) out += " by " + Printable(past.ended_who);
    if (!past.ended_why.empty()) out += ": " + Printable(past.ended_why);
    out += "\n";
  }
  return out;
}

Result<SuppressionPageView> ParseSuppressionPage(std::string_view answer) {
  return Parse<SuppressionPageView>(answer, [](const json& object) {
    return SuppressionPageView{.entries = ToEntries(object.at("entries")), .next = object.value("next", std::string())};
  });
}

std::string RenderSuppressions(const std::vector<SuppressionView>& entries, const Terminal& terminal) {
  Table table({{"address", Table::Align::kLeft, 60},
               {"list"},
               {"since"},
               {"until"},
               {"by", Table::Align::kLeft, 60},
               {"where", Table::Align::kLeft, 200}});
  for (const SuppressionView& entry : entries) {
    table.AddRow({entry.address, entry.list, Moment(entry.when), Moment(entry.expires), Author(entry), Place(entry)});
  }
  return table.Render(terminal);
}

Result<SuppressionTallyView> ParseSuppressionTally(std::string_view answer) {
  return Parse<SuppressionTallyView>(answer, [](const json& object) {
    const auto count = [&](const char* name) { return object.value(name, std::uint64_t{0}); };
    SuppressionTallyView tally{.lines = count("lines"),
                               .added = object.at("added").get<std::uint64_t>(),
                               .replaced = count("replaced"),
                               .unchanged = count("unchanged"),
                               .rejected = count("rejected"),
                               .problems = {}};
    for (const json& problem : object.value("problems", json::array())) {
      tally.problems.push_back({problem.at("line").get<std::uint64_t>(), problem.at("problem").get<std::string>()});
    }
    return tally;
  });
}

std::string RenderSuppressionTally(const SuppressionTallyView& tally) {
  std::string out = FormatCount(tally.added) + " added";
  if (tally.replaced > 0) out += ", " + FormatCount(tally.replaced) + " replaced";
  if (tally.unchanged > 0) out += ", " + FormatCount(tally.unchanged) + " there already";
  if (tally.rejected > 0) out += ", " + FormatCount(tally.rejected) + " rejected";
  return out;
}

Result<SuppressionUndoView> ParseSuppressionUndo(std::string_view answer) {
  return Parse<SuppressionUndoView>(answer, [](const json& object) {
    return SuppressionUndoView{.found = object.at("found").get<std::uint64_t>(),
                               .removed = object.at("removed").get<std::uint64_t>(),
                               .examples = ToEntries(object.at("examples"))};
  });
}

Result<std::vector<SuppressionListView>> ParseSuppressionLists(std::string_view answer) {
  return Parse<std::vector<SuppressionListView>>(answer, [](const json& object) {
    std::vector<SuppressionListView> lists;
    for (const json& one : object.at("lists")) {
      lists.push_back({.list = one.at("list").get<std::string>(),
                       .addresses = one.at("addresses").get<std::uint64_t>(),
                       .domains = one.at("domains").get<std::uint64_t>(),
                       .expiring = one.at("expiring").get<std::uint64_t>()});
    }
    return lists;
  });
}

std::string RenderSuppressionLists(const std::vector<SuppressionListView>& lists, const Terminal& terminal) {
  if (lists.empty()) return "nobody is suppressed\n";
  Table table({{"list", Table::Align::kLeft, 64},
               {"addresses", Table::Align::kRight},
               {"domains", Table::Align::kRight},
               {"with an end", Table::Align::kRight}});
  for (const SuppressionListView& list : lists) {
    table.AddRow({list.list, FormatCount(list.addresses), FormatCount(list.domains), FormatCount(list.expiring)});
  }
  return table.Render(terminal);
}

}  // namespace postrider::tools
