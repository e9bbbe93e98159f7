#include "engine/observe/trace_api.h"

#include <algorithm>
#include <charconv>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "engine/observe/rfc3339.h"
#include "engine/observe/url_text.h"

namespace postrider::observe {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kFailuresMost = 100;
constexpr std::size_t kCoresMost = 1024;

std::optional<std::uint64_t> Number(std::string_view text, std::uint64_t most) {
  std::uint64_t number = 0;
  const auto [stop, error] = std::from_chars(text.data(), text.data() + text.size(), number);
  if (error != std::errc() || stop != text.data() + text.size() || number > most) return std::nullopt;
  return number;
}

// "12.0.5": a number for each core.
std::optional<std::vector<std::uint64_t>> ParsePlace(std::string_view text) {
  constexpr std::uint64_t kMost = std::uint64_t{1} << 53;  // far beyond any count, and far from an overflow
  std::vector<std::uint64_t> place;
  for (;;) {
    const std::size_t end = text.find('.');
    const std::optional<std::uint64_t> number = Number(text.substr(0, end), kMost);
    if (!number || place.size() == kCoresMost) return std::nullopt;
    place.push_back(*number);
    if (end == std::string_view::npos) return place;
    text.remove_prefix(end + 1);
  }
}

std::string PlaceText(const std::vector<std::uint64_t>& place) { return fmt::format("{}", fmt::join(place, ".")); }

Json LinesJson(const std::vector<delivery::TraceLine>& lines) {
  Json json = Json::array();
  for (const delivery::TraceLine& line : lines) {
    json.push_back({{"time", FormatRfc3339(line.time)},
                    {"connection", line.connection},
                    {"source", line.source},
                    {"direction", std::string(1, ToMark(line.direction))},
                    {"text", line.text}});
  }
  return json;
}

Json FailuresJson(const std::vector<delivery::FailedConversation>& failures) {
  Json json = Json::array();
  for (const delivery::FailedConversation& failure : failures) {
    json.push_back({{"time", FormatRfc3339(failure.time)},
                    {"site", failure.site},
                    {"source", failure.source},
                    {"connection", failure.connection},
                    {"mx_host", failure.host},
                    {"mx_address", failure.address},
                    {"problem", failure.problem},
                    {"lines", LinesJson(failure.lines)}});
  }
  return json;
}

std::string Lower(std::string text) {
  std::ranges::transform(text, text.begin(),
                         [](char c) { return c >= 'A' && c <= 'Z' ? static_cast<char>(c + 32) : c; });
  return text;
}

}  // namespace

ApiAnswer AnswerTrace(const ApiRequest& request, TraceControl& control) {
  const std::optional<QueryFields> fields = ParseQuery(request.query);
  if (!fields) return ErrorAnswer(400, "the query holds a broken %-escape");
  TraceQuery query;
  bool live = true;
  for (const auto& [name, value] : *fields) {
    if (name == "site") {
      query.site = Lower(value);
    } else if (name == "source") {
      query.source = value;
    } else if (name == "last") {
      const std::optional<std::uint64_t> count = Number(value, kFailuresMost);
      if (!count || *count == 0)
        return ErrorAnswer(400, fmt::format("expected last= a number from 1 to {}", kFailuresMost));
      query.failures = static_cast<std::size_t>(*count);
      live = false;
    } else if (name == "after") {
      std::optional<std::vector<std::uint64_t>> after = ParsePlace(value);
      if (!after) return ErrorAnswer(400, "expected after= what an answer before had as \"next\"");
      query.after = *std::move(after);
    } else {
      return ErrorAnswer(400, fmt::format("there is no field {}; there are site, source, after and last", name));
    }
  }
  if (live && query.site.empty())
    return ErrorAnswer(400, "expected ?site= the name of a site, as /api/v1/queue has it");
  const Result<TraceView> view = control.Ask(query);
  if (!view) return ErrorAnswer(view.error());
  Json json;
  if (live) {
    json = {{"site_known", view->site_known},
            {"next", PlaceText(view->next)},
            {"lost", view->lost},
            {"more", view->more},
            {"lines", LinesJson(view->lines)}};
  } else {
    json = {{"failures", FailuresJson(view->failures)}};
  }
  ApiAnswer answer;
  answer.body = json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
  return answer;
}

}  // namespace postrider::observe
