#pragma once
// POST /api/v1/retry of the admin API.

#include "engine/observe/admin_api.h"
#include "engine/observe/retry_control.h"

namespace postrider::observe {

[[nodiscard]] ApiAnswer HandleRetry(RetryControl& control, const ApiRequest& request);

}  // namespace postrider::observe
