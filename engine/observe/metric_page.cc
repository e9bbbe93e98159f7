#include "engine/observe/metric_page.h"

#include <prometheus/text_serializer.h>

namespace postrider::observe {

MetricPage& MetricPage::Add(const MetricName& metric) {
  prometheus::MetricFamily family;
  family.name = metric.name;
  family.help = metric.help;
  family.type = metric.type;
  families_.push_back(std::move(family));
  return *this;
}

prometheus::ClientMetric& MetricPage::NewMetric(MetricLabels labels) {
  prometheus::ClientMetric& metric = families_.back().metric.emplace_back();
  for (const auto& [name, value] : labels) metric.label.push_back({std::string(name), std::string(value)});
  return metric;
}

MetricPage& MetricPage::Value(double value, MetricLabels labels) {
  prometheus::ClientMetric& metric = NewMetric(labels);
  // Which of the two counts is the family's type; the serializer looks at that one alone.
  metric.counter.value = value;
  metric.gauge.value = value;
  return *this;
}

MetricPage& MetricPage::Value(const Histogram& histogram, MetricLabels labels) {
  prometheus::ClientMetric::Histogram& metric = NewMetric(labels).histogram;
  for (std::size_t i = 0; i < histogram.counts.size(); ++i) {
    metric.sample_count += histogram.counts[i];
    // The serializer adds the bucket without bound by itself.
    if (i < Histogram::kBounds.size()) metric.bucket.push_back({metric.sample_count, Histogram::kBounds[i]});
  }
  metric.sample_sum = histogram.sum;
  return *this;
}

std::string MetricPage::Render() const { return prometheus::TextSerializer().Serialize(families_); }

}  // namespace postrider::observe
