#pragma once
// A message without a campaign of its own, X-Sender and X-Receiver or From and To, Cc, Bcc in its header: read and
// checked as far as it can be without the queue. Intake, `check`, `render` and `submit` ask here, so that what one
// takes the others take.

#include <expected>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/email_address.h"
#include "config/error.h"
#include "config/options.h"
#include "engine/message/template.h"

namespace postrider::intake {

struct SingleMessage {
  std::string campaign;  // the standing one it joins
  std::string from;      // its envelope's
  std::vector<EmailAddress> to;
  std::shared_ptr<const message::Template> compiled;
  std::string no_values;  // packed: a message has none, and where it names fields, defaults stand
};

// place is what diagnostics call it.
[[nodiscard]] std::expected<SingleMessage, Diagnostics> ReadSingleMessage(const Options& options, std::string_view text,
                                                                          const std::string& place);

}  // namespace postrider::intake
