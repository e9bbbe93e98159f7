#pragma once
// The part of the admin API below /api/v1/suppressions: look, add, remove, import, export, undo. Owned by AdminApi;
// several threads call it at the same time.

#include <functional>
#include <string>
#include <vector>

#include "engine/observe/admin_api.h"
#include "engine/observe/suppression_control.h"

namespace postrider::observe {

class SuppressionApi {
 public:
  // stopping: true once the program stops; what takes long ends then.
  SuppressionApi(SuppressionControl& control, std::function<bool()> stopping)
      : control_(control), stopping_(std::move(stopping)) {}

  // path begins with "api", "v1", "suppressions".
  [[nodiscard]] ApiAnswer Handle(const ApiRequest& request, const std::vector<std::string>& path);

 private:
  ApiAnswer Look(const ApiRequest& request);
  ApiAnswer Check(const std::string& text, const std::string& list);
  ApiAnswer Lists();
  ApiAnswer Add(const ApiRequest& request);
  ApiAnswer Remove(const ApiRequest& request);
  ApiAnswer Import(const ApiRequest& request);
  ApiAnswer Export(const ApiRequest& request);
  ApiAnswer Undo(const ApiRequest& request);

  SuppressionControl& control_;
  std::function<bool()> stopping_;
};

}  // namespace postrider::observe
