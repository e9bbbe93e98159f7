#pragma once
// All that the admin HTTP may ask of the running program, one interface a noun; engine/ implements them. What is
// referred to outlives the server.

#include "engine/observe/control.h"
#include "engine/observe/retry_control.h"
#include "engine/observe/suppression_control.h"
#include "engine/observe/throttle_control.h"
#include "engine/observe/trace_control.h"

namespace postrider::observe {

struct Controls {
  Control& control;
  SuppressionControl& suppression;
  ThrottleControl& throttle;
  TraceControl& trace;
  RetryControl& retry;
};

}  // namespace postrider::observe
