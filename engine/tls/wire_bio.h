#pragma once
// A BoringSSL BIO without a buffer of its own: what TLS writes is appended to the caller's string, what it reads comes
// straight from the span that the caller was given. WireEnds is set for the length of one call into BoringSSL.

#include <openssl/bio.h>

#include <cstddef>
#include <span>
#include <string>

namespace postrider::tls {

struct WireEnds {
  std::span<const std::byte> in;  // what is left to read
  std::string* out = nullptr;
};

// A BIO over ends, which must outlive it; null only when memory is gone.
[[nodiscard]] bssl::UniquePtr<BIO> MakeWireBio(WireEnds& ends);

}  // namespace postrider::tls
