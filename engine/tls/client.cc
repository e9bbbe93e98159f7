#include <fmt/format.h>
#include <openssl/err.h>
#include <openssl/pool.h>
#include <openssl/ssl.h>
#include <openssl/x509.h>
#include <openssl/x509v3.h>

#include <cerrno>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <optional>
#include <utility>

#include "config/check.h"
#include "config/ip_address.h"
#include "engine/tls/session_cache.h"
#include "engine/tls/ssl_stream.h"
#include "engine/tls/tls.h"

#ifndef OPENSSL_IS_BORINGSSL
#error "these are OpenSSL's headers; Postrider needs BoringSSL's"
#endif

namespace postrider::tls {
namespace {

class ClientStream final : public SslStream {
 public:
  ClientStream(bssl::UniquePtr<SSL> ssl, SessionCache& cache, std::string cache_key, std::string host, bool verify)
      : SslStream(std::move(ssl)),
        cache_(cache),
        cache_key_(std::move(cache_key)),
        host_(std::move(host)),
        verify_(verify) {
    if (bssl::UniquePtr<SSL_SESSION> session = cache_.Take(cache_key_)) {
      offered_session_ = SSL_set_session(this->ssl(), session.get()) == 1;
    }
  }

  void Keep(bssl::UniquePtr<SSL_SESSION> session) { cache_.Put(cache_key_, std::move(session)); }
  void NoteCertificateError(int error) { certificate_error_ = error; }

 private:
  bool Verified() const override { return verify_; }  // or the handshake would have failed

  std::string CertificateProblem() const override {
    if (certificate_error_ == X509_V_OK) return {};
    return fmt::format("the certificate is not valid for {}: {}", host_,
                       X509_verify_cert_error_string(certificate_error_));
  }

  // A server may choke on its own tickets: the next try starts afresh.
  void HandshakeFailed() override {
    if (offered_session_) cache_.Forget(cache_key_);
  }

  SessionCache& cache_;
  const std::string cache_key_;
  const std::string host_;
  const bool verify_;
  bool offered_session_ = false;
  int certificate_error_ = X509_V_OK;
};

int KeepSession(SSL* ssl, SSL_SESSION* session) {
  static_cast<ClientStream*>(SslStream::Of(ssl))->Keep(bssl::UniquePtr<SSL_SESSION>(session));
  return 1;  // the session is ours now
}

int NoteVerifyError(int valid, X509_STORE_CTX* store) {
  if (valid == 0) {
    const auto* ssl = static_cast<const SSL*>(X509_STORE_CTX_get_ex_data(store, SSL_get_ex_data_X509_STORE_CTX_idx()));
    static_cast<ClientStream*>(SslStream::Of(ssl))->NoteCertificateError(X509_STORE_CTX_get_error(store));
  }
  return valid;
}

ssl_verify_result_t AcceptAny(SSL* /*ssl*/, std::uint8_t* /*alert*/) { return ssl_verify_ok; }

class BoringTls final : public Tls {
 public:
  BoringTls(std::size_t cache_entries, bssl::UniquePtr<X509_STORE> roots, std::string no_roots)
      : pool_(CRYPTO_BUFFER_POOL_new()), cache_(cache_entries), no_roots_(std::move(no_roots)) {
    // Unverified connections use the method without X.509: a certificate that nobody checks is not even parsed.
    trusting_ = MakeContext(TLS_with_buffers_method());
    SSL_CTX_set_custom_verify(trusting_.get(), SSL_VERIFY_PEER, AcceptAny);
    if (!roots) return;
    verifying_ = MakeContext(TLS_method());
    SSL_CTX_set_cert_store(verifying_.get(), roots.release());
    SSL_CTX_set_verify(verifying_.get(), SSL_VERIFY_PEER, NoteVerifyError);
  }

  std::unique_ptr<TlsStream> Connect(const ClientSettings& settings, std::string& wire) override {
    std::string host(settings.host);
    if (host.ends_with('.')) host.pop_back();
    if (settings.verify && !verifying_) return std::make_unique<SslStream>(no_roots_);

    bssl::UniquePtr<SSL> ssl(SSL_new(settings.verify ? verifying_.get() : trusting_.get()));
    CHECK(ssl != nullptr);
    SSL_set_connect_state(ssl.get());
    if (auto problem = SetHost(ssl.get(), host, settings.verify)) {
      return std::make_unique<SslStream>(std::move(*problem));
    }
    // A session says nothing about names: a verified one may serve only the host it was verified for.
    std::string key(settings.verify ? "verified " + host + " " : "any ");
    key += settings.session_key;
    auto stream =
        std::make_unique<ClientStream>(std::move(ssl), cache_, std::move(key), std::move(host), settings.verify);
    stream->Start(wire);
    return stream;
  }

 private:
  bssl::UniquePtr<SSL_CTX> MakeContext(const SSL_METHOD* method) {
    bssl::UniquePtr<SSL_CTX> context(SSL_CTX_new(method));
    CHECK(context != nullptr);
    CHECK(SSL_CTX_set_min_proto_version(context.get(), TLS1_2_VERSION) == 1);
    CHECK(SSL_CTX_set_max_proto_version(context.get(), TLS1_3_VERSION) == 1);
    SSL_CTX_set_mode(context.get(), SSL_MODE_ENABLE_PARTIAL_WRITE | SSL_MODE_ACCEPT_MOVING_WRITE_BUFFER);
    SSL_CTX_set_session_cache_mode(context.get(), SSL_SESS_CACHE_CLIENT | SSL_SESS_CACHE_NO_INTERNAL);
    SSL_CTX_sess_set_new_cb(context.get(), KeepSession);
    // Kept sessions hold their peer's certificates; most of a provider's hosts send the same ones.
    SSL_CTX_set0_buffer_pool(context.get(), pool_.get());
    return context;
  }

  // Nothing is wrong: nullopt.
  static std::optional<std::string> SetHost(SSL* ssl, const std::string& host, bool verify) {
    const bool literal = IpAddress::Parse(host).has_value();
    const bool named = !literal && !host.empty() && SSL_set_tlsext_host_name(ssl, host.c_str()) == 1;
    ERR_clear_error();  // an odd name goes without SNI
    if (!verify) return std::nullopt;
    X509_VERIFY_PARAM* param = SSL_get0_param(ssl);
    const bool set = literal ? X509_VERIFY_PARAM_set1_ip_asc(param, host.c_str()) == 1
                             : named && X509_VERIFY_PARAM_set1_host(param, host.data(), host.size()) == 1;
    if (set) return std::nullopt;
    ERR_clear_error();
    return fmt::format("TLS must be verified, but no certificate can be valid for the host name \"{}\"", host);
  }

  bssl::UniquePtr<CRYPTO_BUFFER_POOL> pool_;  // first, so that it outlives the sessions
  SessionCache cache_;
  std::string no_roots_;
  bssl::UniquePtr<SSL_CTX> trusting_;
  bssl::UniquePtr<SSL_CTX> verifying_;  // null without roots
};

Result<bssl::UniquePtr<X509_STORE>> LoadRoots(const std::filesystem::path& file) {
  if (!std::ifstream(file)) {
    return Fail(ErrorCode::kNotFound, fmt::format("cannot read the CA file {}: {}", file.string(), strerror(errno)));
  }
  bssl::UniquePtr<X509_STORE> store(X509_STORE_new());
  CHECK(store != nullptr);
  ERR_clear_error();
  if (X509_STORE_load_locations(store.get(), file.c_str(), nullptr) != 1) {
    ERR_clear_error();
    return Fail(ErrorCode::kInvalid,
                fmt::format("the CA file {} holds no usable certificate; expected PEM, one or more of "
                            "\"-----BEGIN CERTIFICATE-----\"",
                            file.string()));
  }
  return store;
}

}  // namespace

Result<std::unique_ptr<Tls>> MakeTls(const TlsOptions& options) {
  Result<bssl::UniquePtr<X509_STORE>> roots = LoadRoots(options.ca_file);
  if (roots) return std::make_unique<BoringTls>(options.session_cache_entries, std::move(*roots), std::string());
  // A minimal system has no CA bundle, and without verification none is needed.
  if (options.ca_file != TlsOptions{}.ca_file) return std::unexpected(std::move(roots.error()));
  return std::make_unique<BoringTls>(
      options.session_cache_entries, nullptr,
      fmt::format("TLS must be verified, but {}; install ca-certificates or set tls.ca_file", roots.error().message));
}

}  // namespace postrider::tls
