#pragma once
// What the daemon's answers say, as plain values. Parsing refuses what it does not understand instead of guessing.

#include <cstdint>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/time.h"

namespace postrider::tools {

struct TotalsView {
  std::uint64_t rows = 0;
  std::uint64_t accepted = 0;
  std::uint64_t rejected = 0;
  std::uint64_t duplicate = 0;
  std::uint64_t suppressed_at_intake = 0;
  std::uint64_t delivered = 0;
  std::uint64_t bounced = 0;
  std::uint64_t expired = 0;
  std::uint64_t suppressed = 0;
  std::uint64_t cancelled = 0;
  std::uint64_t unknown = 0;
  std::uint64_t deferrals = 0;
  std::uint64_t queued = 0;

  // Recipients with their final event.
  [[nodiscard]] std::uint64_t ended() const { return delivered + bounced + expired + suppressed + cancelled + unknown; }
};

struct CanaryView {
  std::string phase;  // "sending", "waiting", "stopped", "released"
  std::uint64_t recipients = 0;
  std::uint64_t tried = 0;
  std::optional<Wall> rest_at;
};

// All queued mail rests.
struct StandstillView {
  std::string reason;
  std::optional<Wall> next;
};

struct CampaignView {
  std::string name;
  std::string state;
  std::string mail_class;
  TotalsView totals;
  std::optional<Wall> released_at;
  std::optional<Wall> expires_at;
  std::optional<Wall> ended_at;
  std::optional<Wall> closed_until;  // outside its send windows: then it goes on
  std::string windows;               // "Mon-Fri 08:00-20:00, Sat 10:00-12:00 Europe/Paris"
  std::optional<CanaryView> canary;
  std::string note;  // why it is held, failed or paused
  std::optional<StandstillView> standstill;
};

struct GuardView {
  std::string guard;
  bool tripped = false;  // else a warning
  std::string source;    // of "source gone"
  std::string reason;    // with how to go on
};

struct StatusView {
  std::string version;
  std::string host_name;
  Wall time{};
  double uptime_seconds = 0;
  std::string trouble;  // empty: healthy
  bool sending_stopped = false;
  std::string stop_reason;
  bool intake_stopped = false;
  TotalsView totals;
  std::int64_t intake_difference = 0;
  std::int64_t queue_difference = 0;
  double messages_per_second = 0;
  double lateness_seconds = 0;
  std::uint64_t in_flight = 0;
  std::uint64_t connections_opening = 0;
  std::uint64_t connections_busy = 0;
  std::uint64_t connections_idle = 0;
  std::uint64_t resident_bytes = 0;
  bool last_reload_good = true;
  std::vector<std::string> pauses;  // "all", "site mx.example.org", ...
  std::vector<GuardView> guards;
  std::vector<CampaignView> campaigns;
};

struct MailView {
  std::uint64_t domains = 0;
  std::uint64_t waiting = 0;
  std::uint64_t deferred = 0;
  std::optional<Wall> oldest;
  std::optional<Wall> next_due;
  std::vector<std::uint64_t> by_age;  // one more than there are limits

  [[nodiscard]] std::uint64_t total() const { return waiting + deferred; }
};

struct SiteView {
  std::string site;
  std::uint64_t core = 0;  // two may have a site of one name
  std::string provider;
  std::string source;
  std::string mode;
  std::uint64_t domains = 0;
  std::uint64_t ready = 0;
  std::uint64_t connections = 0;
  double messages_per_second = 0;
  std::string binding_limit;
  std::optional<Wall> blocked_until;
  std::string last_reply;
  MailView mail;  // of the whole site
  std::optional<double> drain_seconds;
};

struct DomainView {
  std::string domain;
  std::string site;  // empty: none has it now
  MailView mail;
};

struct QueueView {
  std::vector<SiteView> sites;
  std::vector<GuardView> guards;
  MailView elsewhere;  // of domains that no site has now
  MailView total;
  std::vector<std::uint64_t> age_limits_minutes;
  std::vector<DomainView> domains;
};

struct FoundJobView {
  std::string campaign;
  std::uint64_t row = 0;
  std::string row_id;
  std::uint64_t attempts = 0;
  std::optional<Wall> next_due;
  std::string last_reply;
};

struct FoundEventView {
  std::string time;
  std::string event;
  std::string campaign;
  std::string mx_host;
  std::uint64_t attempt = 0;
  std::uint64_t code = 0;
  std::string reply;
  bool final = false;
};

struct FoundView {
  std::string address;
  std::vector<FoundJobView> jobs;
  std::vector<FoundEventView> events;
  std::vector<std::string> problems;  // with files of the log
};

[[nodiscard]] Result<StatusView> ParseStatus(std::string_view json);
[[nodiscard]] Result<CampaignView> ParseCampaign(std::string_view json);
[[nodiscard]] Result<QueueView> ParseQueue(std::string_view json);
[[nodiscard]] Result<FoundView> ParseFound(std::string_view json);

}  // namespace postrider::tools
