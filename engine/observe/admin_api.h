#pragma once
// The admin API without its HTTP: a request in, an answer out. Stateless but for what it is given; CivetServer's
// threads call Handle at the same time.

#include <atomic>
#include <cstddef>
#include <functional>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/options.h"
#include "engine/observe/controls.h"
#include "engine/observe/event_tally.h"

namespace postrider::observe {

// Reads the next piece of a body into the span; 0 at its end, nullopt if it breaks off.
using BodyReader = std::function<std::optional<std::size_t>(std::span<char>)>;

struct ApiRequest {
  std::string_view method;
  std::string_view path;   // as it came, escapes and all
  std::string_view query;  // what follows the "?"
  std::string_view body;
  BodyReader stream{};  // in place of body, for a path whose body may be of any length
};

struct ApiAnswer {
  int status = 200;
  std::string_view content_type = "application/json";
  std::string body;
  std::string_view allow;  // the methods that the path knows, for 405
  // Set instead of a body: writes it piece by piece; `write` answers false when nobody listens any more.
  using Write = std::function<bool(std::string_view)>;
  std::function<Result<void>(const Write&)> stream;
};

[[nodiscard]] ApiAnswer ErrorAnswer(int status, std::string_view sentence);
// With the HTTP status that fits the code.
[[nodiscard]] ApiAnswer ErrorAnswer(const Error& error);

struct Standstill;
class SuppressionApi;
class ThrottleApi;

class AdminApi {
 public:
  AdminApi(const Options& options, const Controls& controls, EventTally& tally);
  ~AdminApi();
  [[nodiscard]] ApiAnswer Handle(const ApiRequest& request);
  // Whether that request's body is read piece by piece, through ApiRequest::stream.
  [[nodiscard]] static bool StreamsBody(std::string_view method, std::string_view path);
  // Ends what takes long (a search of the log), so that the program can stop.
  void Stop() { stopping_ = true; }

 private:
  ApiAnswer Status(const ApiRequest& request);
  ApiAnswer Metrics();
  ApiAnswer Health();
  [[nodiscard]] std::optional<Standstill> StandstillNow(const Snapshot& snapshot, std::span<const PauseTarget> pauses);
  ApiAnswer Queue(const ApiRequest& request);
  ApiAnswer Find(const ApiRequest& request);
  ApiAnswer Sources();
  ApiAnswer Unmatched(const ApiRequest& request);
  ApiAnswer Campaign(const ApiRequest& request, const std::vector<std::string>& path);
  ApiAnswer SetState(const std::string& name, std::string_view action);
  ApiAnswer Remaining(const std::string& name);
  ApiAnswer SetPause(const ApiRequest& request, bool pause);
  std::string StillPaused(const PauseTarget& resumed);
  ApiAnswer Reload();
  [[nodiscard]] queue::CampaignPtr FindCampaign(std::string_view name);

  const std::string host_name_;
  const LogOptions log_;
  Control& control_;
  ThrottleControl& throttle_control_;
  TraceControl& trace_;
  RetryControl& retry_;
  EventTally& tally_;
  std::atomic<bool> stopping_{false};
  const std::unique_ptr<SuppressionApi> suppressions_;
  const std::unique_ptr<ThrottleApi> throttle_;
};

}  // namespace postrider::observe
