#include "engine/tls/certificate.h"

#include <fmt/format.h>
#include <openssl/ec_key.h>
#include <openssl/err.h>
#include <openssl/nid.h>
#include <openssl/rand.h>
#include <openssl/x509v3.h>

#include <algorithm>
#include <array>
#include <string_view>

#include "config/ip_address.h"

namespace postrider::tls {
namespace {

bssl::UniquePtr<EVP_PKEY> MakeKey() {
  bssl::UniquePtr<EC_KEY> ec(EC_KEY_new_by_curve_name(NID_X9_62_prime256v1));
  bssl::UniquePtr<EVP_PKEY> key(EVP_PKEY_new());
  if (!ec || !key || EC_KEY_generate_key(ec.get()) != 1 || EVP_PKEY_set1_EC_KEY(key.get(), ec.get()) != 1) {
    return nullptr;
  }
  return key;
}

bool SetSerial(X509* certificate) {
  std::array<std::uint8_t, 8> bytes{};
  RAND_bytes(bytes.data(), bytes.size());
  bytes[0] = static_cast<std::uint8_t>((bytes[0] & 0x7f) | 0x40);  // positive, and of full length
  bssl::UniquePtr<BIGNUM> number(BN_bin2bn(bytes.data(), bytes.size(), nullptr));
  return number && BN_to_ASN1_INTEGER(number.get(), X509_get_serialNumber(certificate)) != nullptr;
}

bool SetName(X509* certificate, std::string_view name) {
  X509_NAME* subject = X509_get_subject_name(certificate);
  // RFC 5280 upper bound of a common name; the names that count are in the subjectAltName.
  const std::string_view common = name.substr(0, 64);
  return X509_NAME_add_entry_by_txt(subject, "CN", MBSTRING_UTF8, reinterpret_cast<const std::uint8_t*>(common.data()),
                                    static_cast<int>(common.size()), -1, 0) == 1 &&
         X509_set_issuer_name(certificate, subject) == 1;
}

bssl::UniquePtr<GENERAL_NAME> MakeGeneralName(const std::string& name) {
  bssl::UniquePtr<GENERAL_NAME> general(GENERAL_NAME_new());
  if (!general) return nullptr;
  if (const auto ip = IpAddress::Parse(name)) {
    ASN1_OCTET_STRING* octets = ASN1_OCTET_STRING_new();
    if (octets == nullptr || ASN1_OCTET_STRING_set(octets, ip->bytes.data(), ip->IsIpv4() ? 4 : 16) != 1) {
      ASN1_OCTET_STRING_free(octets);
      return nullptr;
    }
    GENERAL_NAME_set0_value(general.get(), GEN_IPADD, octets);
    return general;
  }
  ASN1_IA5STRING* text = ASN1_IA5STRING_new();
  if (text == nullptr || ASN1_STRING_set(text, name.data(), static_cast<int>(name.size())) != 1) {
    ASN1_IA5STRING_free(text);
    return nullptr;
  }
  GENERAL_NAME_set0_value(general.get(), GEN_DNS, text);
  return general;
}

bool AddNames(X509* certificate, std::span<const std::string> names) {
  bssl::UniquePtr<GENERAL_NAMES> all(GENERAL_NAMES_new());
  if (!all) return false;
  for (const std::string& name : names) {
    bssl::UniquePtr<GENERAL_NAME> general = MakeGeneralName(name);
    if (!general || !bssl::PushToStack(all.get(), std::move(general))) return false;
  }
  return X509_add1_ext_i2d(certificate, NID_subject_alt_name, all.get(), 0, X509V3_ADD_DEFAULT) == 1;
}

bool IsPlainName(std::string_view name) {
  return !name.empty() && name.size() <= 253 && std::ranges::all_of(name, [](char c) { return c > 0x20 && c < 0x7f; });
}

}  // namespace

Result<SelfMade> MakeSelfSigned(std::span<const std::string> names, std::chrono::sys_seconds from,
                                std::chrono::sys_seconds until) {
  const auto odd = std::ranges::find_if_not(names, IsPlainName);
  if (odd != names.end()) {
    return Fail(ErrorCode::kInvalid, fmt::format("\"{}\" cannot be a host name in a certificate; expected ASCII, "
                                                 "1 to 253 octets",
                                                 *odd));
  }
  SelfMade made{.key = MakeKey(), .certificate = bssl::UniquePtr<X509>(X509_new())};
  X509* certificate = made.certificate.get();
  const std::string_view first = names.empty() ? std::string_view("localhost") : std::string_view(names.front());
  const bool done = made.key && certificate != nullptr && X509_set_version(certificate, X509_VERSION_3) == 1 &&
                    SetSerial(certificate) && SetName(certificate, first) &&
                    ASN1_TIME_set(X509_getm_notBefore(certificate), from.time_since_epoch().count()) != nullptr &&
                    ASN1_TIME_set(X509_getm_notAfter(certificate), until.time_since_epoch().count()) != nullptr &&
                    (names.empty() || AddNames(certificate, names)) &&
                    X509_set_pubkey(certificate, made.key.get()) == 1 &&
                    X509_sign(certificate, made.key.get(), EVP_sha256()) != 0;
  ERR_clear_error();
  if (!done) return Fail(ErrorCode::kInvalid, "BoringSSL could not make a self-signed certificate");
  return made;
}

}  // namespace postrider::tls
