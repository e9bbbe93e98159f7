#include "tools/sink/summary.h"

#include <algorithm>
#include <chrono>
#include <cmath>
#include <nlohmann/json.hpp>

namespace postrider::sink {
namespace {

using Json = nlohmann::ordered_json;

double Rounded(double value) { return std::round(value * 100) / 100; }

Json Figures(const Summary::Part& part) {
  const Counts& counts = part.counts;
  const double seconds = std::chrono::duration<double>(counts.last_message - counts.first_message).count();
  return Json{{"connections", counts.connections},
              {"connections_refused", counts.connections_refused},
              {"handshakes_full", counts.handshakes_full},
              {"handshakes_resumed", counts.handshakes_resumed},
              {"handshakes_failed", counts.handshakes_failed},
              {"messages", counts.messages},
              {"recipients", counts.recipients},
              {"unique_recipients", part.unique_recipients},
              {"repeats", part.repeats},
              {"refused_4xx", counts.refused_temporary},
              {"refused_5xx", counts.refused_permanent},
              {"greylisted", counts.greylisted},
              {"bytes", counts.bytes},
              {"messages_by_bdat", counts.messages_by_bdat},
              {"messages_with_bare_lf", counts.messages_with_bare_lf},
              {"message_caps_reached", counts.caps_reached},
              {"connections_over_limit", counts.connections_over_limit},
              {"site_connections_over_limit", counts.site_connections_over_limit},
              {"connects_over_limit", counts.connects_over_limit},
              {"messages_over_limit", counts.messages_over_limit},
              {"refused_in_penalty", counts.refused_in_penalty},
              {"faults", counts.faults},
              {"protocol_errors", counts.protocol_errors},
              {"seconds", Rounded(seconds)},
              // Over the time from the first message to the last; a single one has no rate.
              {"messages_per_second", seconds > 0 ? Rounded(static_cast<double>(counts.messages - 1) / seconds) : 0.0}};
}

void Add(Summary::Part& sum, const Summary::Part& part) {
  sum.counts.Add(part.counts);
  sum.unique_recipients += part.unique_recipients;
  sum.repeats += part.repeats;
}

}  // namespace

std::string ToJson(const Summary& summary) {
  Summary::Part total;
  std::vector<Summary::Part> personalities;
  Json listeners = Json::array();
  for (const Summary::Part& part : summary.receivers) {
    Add(total, part);
    auto found = std::ranges::find(personalities, part.personality, &Summary::Part::name);
    if (found == personalities.end()) {
      personalities.push_back({part.personality, {}, {}, 0, 0});
      found = personalities.end() - 1;
    }
    Add(*found, part);
    Json listener{{"address", part.name}, {"personality", part.personality}};
    listener.update(Figures(part));
    listeners.push_back(std::move(listener));
  }
  Json all = Figures(total);
  all["recipients_attempted"] = summary.recipients_attempted;
  all["untracked_attempts"] = summary.untracked_attempts;
  all["cpu_seconds"] = Rounded(summary.cpu_seconds);
  const auto messages = static_cast<double>(std::max<std::uint64_t>(total.counts.messages, 1));
  all["cpu_us_per_message"] = total.counts.messages == 0 ? 0.0 : Rounded(summary.cpu_seconds * 1e6 / messages);
  Json by_personality = Json::object();
  for (const Summary::Part& part : personalities) by_personality[part.name] = Figures(part);
  return Json{{"total", std::move(all)},
              {"listeners", std::move(listeners)},
              {"personalities", std::move(by_personality)}}
             .dump(2) +
         "\n";
}

}  // namespace postrider::sink
