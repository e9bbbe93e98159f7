#pragma once
// The families of the metrics page about limits, replies, guards and the suppression list. Pure; used by RenderMetrics.

#include "engine/observe/control.h"
#include "engine/observe/core_totals.h"
#include "engine/observe/event_tally.h"
#include "engine/observe/metric_page.h"

namespace postrider::observe {

void AddReplies(MetricPage& page, const CoreTotals& machine, const EventCounts& events);
void AddAllowances(MetricPage& page, const Snapshot& snapshot, const CoreTotals& machine, const EventCounts& events);
void AddGuards(MetricPage& page, const Snapshot& snapshot);
void AddSuppression(MetricPage& page, const SuppressionCounts& suppression);

}  // namespace postrider::observe
