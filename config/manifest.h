#pragma once
// campaign.toml: what a submitter says about a campaign. Everything wrong in it is reported at once, each with
// file:line:column; only a syntax error hides the rest. Plain values; intake makes of them what the queue keeps.

#include <chrono>
#include <cstdint>
#include <expected>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "config/error.h"
#include "config/mail_class.h"
#include "config/time.h"
#include "config/time_zone.h"

namespace postrider {

struct Manifest {
  MailClass mail_class = MailClass::kBulk;
  std::string from;                          // header From if the message has none; empty: not said
  std::optional<std::string> envelope_from;  // empty text: the null sender; unset: the address of From
  std::string pool = "default";
  std::string list;        // whose unsubscribes count, beside the global list; empty: the global list alone
  bool streaming = false;  // start = "streaming": sends while the list is still being read
  std::optional<Wall> not_before;
  std::optional<Wall> expires;
  double messages_per_second = 0;  // rate; 0: no limit of its own
  int priority = 0;
  int weight = 100;         // its share of a site among campaigns of its class
  double canary_share = 0;  // canary = "1%": so many of its recipients go first; 0: all at once
  std::chrono::milliseconds canary_wait{std::chrono::minutes(30)};
  std::vector<SendWindow> windows;  // empty: at any time
  std::string time_zone = "UTC";    // of the windows
  bool skip_duplicates = true;
  bool report_unknown = false;              // on_unknown = "report"
  std::optional<std::uint64_t> recipients;  // how many rows the list has
  std::string sha256;                       // of the recipients file as it lies there; 64 digits, lower case, or empty
  std::optional<double> max_reject_share;   // else the configuration's
  bool eight_bit = false;
  std::optional<std::string> subject;
  std::vector<std::pair<std::string, std::string>> headers;  // [headers], in the file's order
};

// name stands for the file in diagnostics.
[[nodiscard]] std::expected<Manifest, Diagnostics> ParseManifest(std::string_view toml, std::string_view name);

}  // namespace postrider
