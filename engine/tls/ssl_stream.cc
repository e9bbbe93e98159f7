#include "engine/tls/ssl_stream.h"

#include <fmt/format.h>
#include <openssl/err.h>

#include <algorithm>
#include <string_view>
#include <utility>

#include "config/check.h"

namespace postrider::tls {
namespace {

constexpr std::size_t kRecordBytes = 16384;  // RFC 8446 section 5.1: the most plaintext of one record
// Header, nonce, type octet and tag of one record, rounded up.
constexpr std::size_t kRecordOverhead = 64;

// The reason of the first error in BoringSSL's queue: those behind it only say through which layers it came.
std::string ReasonFromQueue() {
  const std::uint32_t error = ERR_get_error();
  if (error == 0) return "the peer broke the connection off";
  const int reason = ERR_GET_REASON(error);
  if (ERR_GET_LIB(error) == ERR_LIB_SSL) {
    if (reason >= SSL_AD_REASON_OFFSET && reason < SSL_AD_REASON_OFFSET + 256) {
      return fmt::format("the peer sent the alert \"{}\"", SSL_alert_desc_string_long(reason - SSL_AD_REASON_OFFSET));
    }
    if (reason == SSL_R_WRONG_VERSION_NUMBER || reason == SSL_R_HTTP_REQUEST || reason == SSL_R_HTTPS_PROXY_REQUEST) {
      return "what the peer sent is not TLS";
    }
  }
  const char* text = ERR_reason_error_string(error);
  std::string words = text == nullptr ? fmt::format("error {:#x}", error) : std::string(text);
  std::ranges::transform(words, words.begin(), [](char c) {
    if (c == '_') return ' ';
    return c >= 'A' && c <= 'Z' ? static_cast<char>(c - 'A' + 'a') : c;
  });
  return words;
}

}  // namespace

SslStream::SslStream(bssl::UniquePtr<SSL> ssl) : ssl_(std::move(ssl)) {
  CHECK(ssl_ != nullptr);
  CHECK(SSL_set_app_data(ssl_.get(), static_cast<void*>(this)) == 1);
  bssl::UniquePtr<BIO> bio = MakeWireBio(ends_);
  CHECK(bio != nullptr);
  BIO* both = bio.release();  // one reference serves reading and writing
  SSL_set_bio(ssl_.get(), both, both);
  // What only a handshake needs is freed after it: tens of thousands of connections may stand open.
  SSL_set_shed_handshake_config(ssl_.get(), 1);
}

SslStream::SslStream(std::string problem) : state_(TlsState::kFailed), problem_(std::move(problem)) {}

SslStream* SslStream::Of(const SSL* ssl) { return static_cast<SslStream*>(SSL_get_app_data(ssl)); }

void SslStream::Start(std::string& wire) {
  if (state_ != TlsState::kHandshaking) return;
  ends_ = {.in = {}, .out = &wire};
  Handshake();
  ends_ = {};
}

TlsState SslStream::Receive(std::span<const std::byte> ciphertext, std::string& plain, std::string& wire) {
  if (state_ != TlsState::kHandshaking && state_ != TlsState::kOpen) return state_;
  ends_ = {.in = ciphertext, .out = &wire};
  if (state_ == TlsState::kHandshaking) Handshake();
  if (state_ == TlsState::kOpen) ReadRecords(plain);
  ends_ = {};
  return state_;
}

void SslStream::Handshake() {
  ERR_clear_error();
  const int result = SSL_do_handshake(ssl_.get());
  if (result == 1) {
    state_ = TlsState::kOpen;
  } else if (SSL_get_error(ssl_.get(), result) != SSL_ERROR_WANT_READ) {
    Fail(result, "TLS handshake failed");
    HandshakeFailed();
  }
}

void SslStream::ReadRecords(std::string& plain) {
  for (;;) {
    // Room for what this input can hold, so that a caller's string does not grow to a whole record for a short reply;
    // a record begun by earlier input shows its length once its first bytes are out.
    const auto pending = static_cast<std::size_t>(SSL_pending(ssl_.get()));
    const std::size_t room = pending > 0 ? pending : std::clamp<std::size_t>(ends_.in.size(), 64, kRecordBytes);
    const std::size_t old = plain.size();
    int result = 0;
    // The size that libstdc++ 12 hands to the function may be a larger one than was asked for.
    plain.resize_and_overwrite(old + room, [&](char* data, std::size_t /*size*/) {
      ERR_clear_error();
      result = SSL_read(ssl_.get(), data + old, static_cast<int>(room));
      return old + static_cast<std::size_t>(std::max(result, 0));
    });
    if (result > 0) continue;
    const int error = SSL_get_error(ssl_.get(), result);
    if (error == SSL_ERROR_WANT_READ) return;
    if (error == SSL_ERROR_ZERO_RETURN) {
      state_ = TlsState::kClosed;
      return;
    }
    Fail(result, "TLS broke");
    return;
  }
}

void SslStream::Send(std::span<const std::byte> plain, std::string& wire) {
  if (state_ != TlsState::kOpen || plain.empty()) return;
  wire.reserve(wire.size() + plain.size() + (plain.size() / kRecordBytes + 1) * kRecordOverhead);
  ends_ = {.in = {}, .out = &wire};
  while (!plain.empty()) {
    ERR_clear_error();
    const std::size_t piece = std::min(plain.size(), kRecordBytes);
    const int result = SSL_write(ssl_.get(), plain.data(), static_cast<int>(piece));
    if (result <= 0) {
      Fail(result, "TLS could not send");
      break;
    }
    plain = plain.subspan(static_cast<std::size_t>(result));
  }
  ends_ = {};
}

void SslStream::Close(std::string& wire) {
  if (state_ == TlsState::kFailed) return;
  const bool handshaking = state_ == TlsState::kHandshaking;
  state_ = TlsState::kClosed;
  if (handshaking || std::exchange(close_sent_, true)) return;
  if (SSL_in_init(ssl_.get())) return;
  ends_ = {.in = {}, .out = &wire};
  ERR_clear_error();
  SSL_shutdown(ssl_.get());  // its result only says whether the peer's own close_notify has come
  ends_ = {};
}

void SslStream::Fail(int result, const char* doing) {
  state_ = TlsState::kFailed;
  std::string reason = CertificateProblem();
  if (reason.empty()) {
    reason = SSL_get_error(ssl_.get(), result) == SSL_ERROR_SSL ? ReasonFromQueue()
                                                                : std::string("the peer broke the connection off");
  }
  problem_ = fmt::format("{}: {}", doing, reason);
  ERR_clear_error();
}

TlsInfo SslStream::info() const {
  TlsInfo info;
  if (!ssl_ || SSL_in_init(ssl_.get())) return info;
  info.version = SSL_get_version(ssl_.get());
  if (const SSL_CIPHER* cipher = SSL_get_current_cipher(ssl_.get())) info.cipher = SSL_CIPHER_standard_name(cipher);
  info.resumed = SSL_session_reused(ssl_.get()) == 1;
  info.verified = Verified();
  return info;
}

}  // namespace postrider::tls
