#pragma once
// Keeps web pages out of the admin HTTP. A browser on this host can be made to ask us things by any page it shows: by
// its own address (then Origin names the page), or by a name that its owner lets point to 127.0.0.1 (DNS rebinding;
// then Host names the page's host). Pure.

#include <span>
#include <string>
#include <string_view>

namespace postrider::observe {

// host is a Host header: an address, localhost or one of own_names, with or without port. An address in it is always
// fine: rebinding needs a name.
[[nodiscard]] bool IsOwnHost(std::string_view host, std::span<const std::string> own_names);

// origin is an Origin header; only the page that this very server gave may ask.
[[nodiscard]] bool IsOwnOrigin(std::string_view origin, std::string_view host);

}  // namespace postrider::observe
