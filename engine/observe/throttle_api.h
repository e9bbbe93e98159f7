#pragma once
// The part of the admin API about limits: /api/v1/throttle. Stateless; CivetServer's threads call Handle at the same
// time.

#include <string>
#include <vector>

#include "engine/observe/admin_api.h"
#include "engine/observe/throttle_control.h"

namespace postrider::observe {

class ThrottleApi {
 public:
  explicit ThrottleApi(ThrottleControl& control) : control_(control) {}

  // path begins with "api", "v1", "throttle".
  [[nodiscard]] ApiAnswer Handle(const ApiRequest& request, const std::vector<std::string>& path);

 private:
  ApiAnswer Look(const ApiRequest& request);
  ApiAnswer Set(const ApiRequest& request);
  ApiAnswer Unset(const ApiRequest& request);

  ThrottleControl& control_;
};

}  // namespace postrider::observe
