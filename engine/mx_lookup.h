#pragma once
// Where a domain's mail goes, for an operator who waits for the answer: asked of the name servers apart from the cores,
// which have no time for it. Blocking; any thread.

#include <memory>
#include <string_view>

#include "config/options.h"
#include "engine/dns/resolver.h"

namespace postrider::engine {

// Never null: kFailed with the sentence where it cannot be asked at all.
[[nodiscard]] std::shared_ptr<const dns::MxAnswer> LookUpMx(const DnsOptions& options, std::string_view domain);

}  // namespace postrider::engine
