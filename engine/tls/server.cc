#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/ssl.h>

#include <utility>

#include "config/check.h"
#include "engine/tls/certificate.h"
#include "engine/tls/ssl_stream.h"
#include "engine/tls/tls.h"

namespace postrider::tls {
namespace {

class BoringTlsServer final : public TlsServer {
 public:
  explicit BoringTlsServer(bssl::UniquePtr<SSL_CTX> context) : context_(std::move(context)) {}

  std::unique_ptr<TlsStream> Accept() override {
    bssl::UniquePtr<SSL> ssl(SSL_new(context_.get()));
    CHECK(ssl != nullptr);
    SSL_set_accept_state(ssl.get());
    return std::make_unique<SslStream>(std::move(ssl));
  }

  std::string CertificatePem() const override {
    bssl::UniquePtr<BIO> bio(BIO_new(BIO_s_mem()));
    CHECK(bio && PEM_write_bio_X509(bio.get(), SSL_CTX_get0_certificate(context_.get())) == 1);
    const std::uint8_t* data = nullptr;
    std::size_t size = 0;
    CHECK(BIO_mem_contents(bio.get(), &data, &size) == 1);
    return std::string(reinterpret_cast<const char*>(data), size);
  }

 private:
  bssl::UniquePtr<SSL_CTX> context_;
};

// The reason of the first error in the queue, which is then emptied.
std::string Reason() {
  const char* text = ERR_reason_error_string(ERR_get_error());
  ERR_clear_error();
  return text == nullptr ? "unreadable" : text;
}

Result<void> UseFiles(SSL_CTX* context, const ServerSettings& settings) {
  ERR_clear_error();
  const std::filesystem::path& key_file = settings.key_file.empty() ? settings.certificate_file : settings.key_file;
  if (SSL_CTX_use_certificate_chain_file(context, settings.certificate_file.c_str()) != 1) {
    return Fail(ErrorCode::kInvalid, fmt::format("cannot use {} as a certificate chain in PEM: {}",
                                                 settings.certificate_file.string(), Reason()));
  }
  if (SSL_CTX_use_PrivateKey_file(context, key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return Fail(ErrorCode::kInvalid,
                fmt::format("cannot use {} as the private key, in PEM, of the certificate in {}: {}", key_file.string(),
                            settings.certificate_file.string(), Reason()));
  }
  return {};
}

Result<void> UseSelfMade(SSL_CTX* context, const ServerSettings& settings) {
  Result<SelfMade> made = MakeSelfSigned(settings.host_names, settings.valid_from, settings.valid_until);
  if (!made) return std::unexpected(std::move(made.error()));
  CHECK(SSL_CTX_use_certificate(context, made->certificate.get()) == 1);
  CHECK(SSL_CTX_use_PrivateKey(context, made->key.get()) == 1);
  return {};
}

}  // namespace

Result<std::unique_ptr<TlsServer>> MakeTlsServer(const ServerSettings& settings) {
  bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(TLS_method()));
  CHECK(context != nullptr);
  CHECK(SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) == 1);
  CHECK(SSL_CTX_set_max_proto_version(context.get(), settings.tls12_only ? TLS1_2_VERSION : TLS1_3_VERSION) == 1);
  SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
  // Tickets carry the session to the client; nothing is kept here.
  SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_OFF);
  if (!settings.tickets) SSL_CTX_set_options(context.get(), SSL_OP_NO_TICKET);

  Result<void> done =
      settings.certificate_file.empty() ? UseSelfMade(context.get(), settings) : UseFiles(context.get(), settings);
  if (!done) return std::unexpected(std::move(done.error()));
  return std::make_unique<BoringTlsServer>(std::move(context));
}

}  // namespace postrider::tls
