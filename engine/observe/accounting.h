#pragma once
// The accounting file as PowerMTA writes it, for operators whose parsers read that: CSV after RFC 4180 with the default
// fields, one record per end of a recipient (d, b) and, if asked for, per attempt that will be repeated (t). Each
// record is one line whatever text a receiver or submitter sent. Like event_line.h it allocates nothing once its buffer
// is warm; one object per thread.

#include <cstdint>
#include <string>
#include <string_view>

#include "config/time.h"
#include "config/verdict.h"
#include "queue/event.h"

namespace postrider::observe {

// With its line end. Fields beyond these are optional in PowerMTA as well.
inline constexpr std::string_view kAccountingHeader =
    "type,timeLogged,timeQueued,orig,rcpt,orcpt,dsnAction,dsnStatus,dsnDiag,dsnMta,bounceCat,srcType,srcMta,dlvType,"
    "dlvSourceIp,dlvDestinationIp,dlvEsmtpAvailable,dlvSize,vmta,jobId,envId,queue,vmtaPool\r\n";

// One of PowerMTA's 17 names: our five others become the nearest of them; "other" for kNone.
[[nodiscard]] std::string_view BounceCategory(Category category);

class AccountingLine {
 public:
  explicit AccountingLine(bool deferrals) : deferrals_(deferrals) {}

  // Appends the event's record; nothing for events that have none (paths, campaigns, and deferrals unless asked for).
  void Append(const queue::Event& event, std::string& out);

 private:
  const bool deferrals_;
};

}  // namespace postrider::observe
