#include "tools/plan_text.h"

#include <algorithm>
#include <numeric>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "config/time_zone.h"
#include "engine/observe/rfc3339.h"
#include "tools/table.h"
#include "tools/text.h"

namespace postrider::tools {
namespace {

using Json = nlohmann::ordered_json;

constexpr std::size_t kReceiversShown = 40;

std::string Takes(Wall start, const std::optional<Wall>& done) {
  return done ? FormatSpan(std::chrono::ceil<std::chrono::seconds>(*done - start)) : "never";
}

// Those that are done last first; of equals the larger ones.
std::vector<std::size_t> Order(const PlanInput& input, const PlanOutcome& outcome) {
  std::vector<std::size_t> order(input.receivers.size());
  std::iota(order.begin(), order.end(), std::size_t{0});
  std::ranges::stable_sort(order, [&](std::size_t a, std::size_t b) {
    const Wall of_a = outcome.receivers[a].done.value_or(Wall::max());
    const Wall of_b = outcome.receivers[b].done.value_or(Wall::max());
    return of_a != of_b ? of_a > of_b : input.receivers[a].recipients > input.receivers[b].recipients;
  });
  return order;
}

}  // namespace

std::string RenderPlan(const PlanPage& page, const PlanInput& input, const PlanOutcome& outcome,
                       const Terminal& terminal) {
  std::string out = fmt::format("{}: {} recipients, begins {}\n", Printable(page.campaign),
                                FormatCount(page.recipients), FormatMoment(input.start));
  if (page.refused > 0) {
    out += fmt::format("{} of them are at domains that take no mail, and bounce at once\n", FormatCount(page.refused));
  }
  Table table({{"receiver", Table::Align::kLeft, 50},
               {"recipients", Table::Align::kRight},
               {"domains", Table::Align::kRight},
               {"messages/s", Table::Align::kRight},
               {"takes", Table::Align::kRight},
               {"done"},
               {"decided by"}});
  const std::vector<std::size_t> order = Order(input, outcome);
  for (std::size_t i = 0; i < std::min(order.size(), kReceiversShown); ++i) {
    const PlanReceiver& receiver = input.receivers[order[i]];
    const PlanOutcome::Receiver& forecast = outcome.receivers[order[i]];
    table.AddRow({receiver.is_provider ? receiver.name + " (provider)" : receiver.name,
                  FormatCount(receiver.recipients), FormatCount(receiver.domains), FormatRate(forecast.rate),
                  Takes(input.start, forecast.done), forecast.done ? FormatMoment(*forecast.done) : "",
                  std::string(ToString(forecast.decides))});
  }
  out += "\n" + table.Render(terminal);
  if (order.size() > kReceiversShown) {
    out += fmt::format("... and {} receivers that are done earlier\n", FormatCount(order.size() - kReceiversShown));
  }
  out += "\n";
  if (outcome.canary_done) out += fmt::format("canary: sent {}\n", FormatMoment(*outcome.canary_done));
  if (outcome.done) {
    out += fmt::format("done: {}, after {}", FormatMoment(*outcome.done), Takes(input.start, outcome.done));
    if (outcome.last) {
      out += fmt::format("; what decides is {} at {}", ToString(outcome.receivers[*outcome.last].decides),
                         Printable(input.receivers[*outcome.last].name));
    }
    out += "\n";
    if (page.expires && *outcome.done > *page.expires) {
      out += terminal.Paint(Tone::kBad, fmt::format("too late: it expires {}; what is not sent by then never will be",
                                                    FormatMoment(*page.expires))) +
             "\n";
    }
  } else if (outcome.last) {
    out += terminal.Paint(Tone::kBad, fmt::format("never done: {} at {} lets nothing, or next to nothing, through",
                                                  ToString(outcome.receivers[*outcome.last].decides),
                                                  Printable(input.receivers[*outcome.last].name))) +
           "\n";
  }
  out += "\nThis takes for granted that\n";
  for (const std::string& assumption : page.assumptions) out += "- " + Printable(assumption) + "\n";
  return out;
}

std::string PlanJson(const PlanPage& page, const PlanInput& input, const PlanOutcome& outcome) {
  Json json = {{"campaign", page.campaign},
               {"start", observe::FormatRfc3339(input.start)},
               {"recipients", page.recipients},
               {"refused", page.refused}};
  const auto put = [](Json& object, const char* key, const std::optional<Wall>& moment) {
    if (moment) object[key] = observe::FormatRfc3339(*moment);
  };
  put(json, "expires", page.expires);
  put(json, "canary_done", outcome.canary_done);
  put(json, "done", outcome.done);
  if (outcome.last) {
    json["last"] = input.receivers[*outcome.last].name;
    json["decided_by"] = ToString(outcome.receivers[*outcome.last].decides);
  }
  json["receivers"] = Json::array();
  for (const std::size_t i : Order(input, outcome)) {
    const PlanReceiver& receiver = input.receivers[i];
    Json one = {{"name", receiver.name},
                {"provider", receiver.is_provider},
                {"recipients", receiver.recipients},
                {"domains", receiver.domains},
                {"messages_per_second", outcome.receivers[i].rate},
                {"decided_by", ToString(outcome.receivers[i].decides)}};
    put(one, "done", outcome.receivers[i].done);
    json["receivers"].push_back(std::move(one));
  }
  json["assumptions"] = page.assumptions;
  return json.dump(-1, ' ', false, Json::error_handler_t::replace) + "\n";
}

}  // namespace postrider::tools
