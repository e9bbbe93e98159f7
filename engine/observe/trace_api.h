#pragma once
// GET /api/v1/trace (see observe/README.md).

#include "engine/observe/admin_api.h"
#include "engine/observe/trace_control.h"

namespace postrider::observe {

[[nodiscard]] ApiAnswer AnswerTrace(const ApiRequest& request, TraceControl& control);

}  // namespace postrider::observe
