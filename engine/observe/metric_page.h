#pragma once
// Collects metric families for one scrape. Each metric is declared as a MetricName, whose constructor runs at compile
// time and refuses a name that breaks Prometheus's conventions or has no help text.

#include <initializer_list>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <prometheus/metric_family.h>

#include "config/histogram.h"

namespace postrider::observe {

struct MetricName {
  std::string_view name;
  std::string_view help;
  prometheus::MetricType type;

  consteval MetricName(prometheus::MetricType kind, std::string_view metric_name, std::string_view help_text)
      : name(metric_name), help(help_text), type(kind) {
    if (help.empty() || !help.ends_with('.')) NotAMetric("a metric has a help sentence");
    if (!name.starts_with("postrider_") && !name.starts_with("process_")) NotAMetric("a metric starts with postrider_");
    for (const char c : name) {
      if (!(c >= 'a' && c <= 'z') && !(c >= '0' && c <= '9') && c != '_') NotAMetric("a metric is in snake_case");
    }
    if ((kind == prometheus::MetricType::Counter) != name.ends_with("_total")) NotAMetric("counters end in _total");
    if (name.find("_ms") != name.npos || name.find("milli") != name.npos) NotAMetric("time is in seconds");
  }

 private:
  // Not constexpr: to reach it is a compile error that shows the sentence.
  static void NotAMetric(const char* rule);
};

consteval MetricName Counter(std::string_view name, std::string_view help) {
  return {prometheus::MetricType::Counter, name, help};
}
consteval MetricName Gauge(std::string_view name, std::string_view help) {
  return {prometheus::MetricType::Gauge, name, help};
}
consteval MetricName Seconds(std::string_view name, std::string_view help) {
  return {prometheus::MetricType::Histogram, name, help};
}

using MetricLabels = std::initializer_list<std::pair<std::string_view, std::string_view>>;

class MetricPage {
 public:
  // Opens a family; the values that follow belong to it.
  MetricPage& Add(const MetricName& metric);

  MetricPage& Value(double value, MetricLabels labels = {});
  MetricPage& Value(std::uint64_t value, MetricLabels labels = {}) { return Value(static_cast<double>(value), labels); }
  MetricPage& Value(const Histogram& histogram, MetricLabels labels = {});

  [[nodiscard]] std::string Render() const;

 private:
  prometheus::ClientMetric& NewMetric(MetricLabels labels);

  std::vector<prometheus::MetricFamily> families_;
};

}  // namespace postrider::observe
