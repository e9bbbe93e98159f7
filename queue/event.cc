#include "queue/event.h"

namespace postrider::queue {

std::string_view ToString(EventKind kind) {
  switch (kind) {
    case EventKind::kDelivered:
      return "delivered";
    case EventKind::kDeferred:
      return "deferred";
    case EventKind::kBounced:
      return "bounced";
    case EventKind::kExpired:
      return "expired";
    case EventKind::kSuppressed:
      return "suppressed";
    case EventKind::kCancelled:
      return "cancelled";
    case EventKind::kUnknown:
      return "unknown";
    case EventKind::kPath:
      return "path";
    case EventKind::kCampaign:
      return "campaign";
  }
  return "";
}

void Event::Clear() {
  kind = EventKind::kDelivered;
  final = false;
  time = {};
  job = {};
  attempt = 0;
  mail_class = MailClass::kBulk;
  connection = 0;
  connection_message = 0;
  stage = Stage::kNone;
  code = 0;
  enhanced.reset();
  category = Category::kNone;
  scope = Scope::kRecipient;
  next_due.reset();
  bytes = 0;
  queued_seconds = 0;
  smtp_seconds = 0;
  for (std::string* text : {&campaign, &row_id, &recipient, &domain, &site, &provider, &mx_host, &mx_address, &source,
                            &local_address, &pool, &envelope_from, &message_id, &reply, &tls_version, &tls_cipher}) {
    text->clear();
  }
}

}  // namespace postrider::queue
