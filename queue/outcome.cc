#include "queue/outcome.h"

namespace postrider::queue {

void Outcome::Clear() {
  event.Clear();
  place = {};
  template_number = 0;
  first_attempt = {};
  unknown_count = 0;
  bad_mailbox_count = 0;
  last_bad_mailbox = {};
  needs_smtputf8 = false;
  fields.clear();
  suppression.reset();
}

}  // namespace postrider::queue
