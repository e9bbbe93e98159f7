#pragma once
// Which addresses a list or a message may name: mailboxes of mail domains. An address literal (user@[192.0.2.1]) is
// none: no bulk mail goes to a bare address, and nothing would look up whose it is. It is taken if a route names it,
// for then an operator has said where its mail goes. Immutable; any thread.

#include <string>
#include <string_view>
#include <vector>

#include "config/email_address.h"
#include "config/error.h"
#include "config/options.h"

namespace postrider::intake {

class RecipientRules {
 public:
  explicit RecipientRules(const Options& options);
  [[nodiscard]] Result<EmailAddress> Parse(std::string_view text) const;

 private:
  std::vector<std::string> routed_literals_;
};

}  // namespace postrider::intake
