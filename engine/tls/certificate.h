#pragma once
// A self-signed certificate made on the spot, for the sink and tests.

#include <openssl/evp.h>
#include <openssl/x509.h>

#include <chrono>
#include <span>
#include <string>

#include "config/error.h"

namespace postrider::tls {

struct SelfMade {
  bssl::UniquePtr<EVP_PKEY> key;  // ECDSA P-256: the cheapest handshake every client can do
  bssl::UniquePtr<X509> certificate;
};

// For names and address texts; fails if one of them cannot stand in a certificate.
[[nodiscard]] Result<SelfMade> MakeSelfSigned(std::span<const std::string> names, std::chrono::sys_seconds from,
                                              std::chrono::sys_seconds until);

}  // namespace postrider::tls
