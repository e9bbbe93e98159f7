#pragma once
// All that the admin HTTP may ask of the running program, one interface a noun; engine/ implements them. What is
// referred to outlives the server.

#include "engine/observe/control.h"
#include "engine/observe/retry_control.h"
#include "engine/observe/suppression_control.h"

namespace postrider::observe {

struct Controls {
  Control& control;
  SuppressionControl& suppression;
  RetryControl& retry;
};

}  // namespace postrider::observe
