#pragma once
// One TLS connection of either role: drives an SSL over the wire BIO and turns BoringSSL's results into states and
// sentences. The client adds what it does with sessions and verification through Events.

#include <openssl/ssl.h>

#include <cstddef>
#include <span>
#include <string>

#include "engine/tls/tls.h"
#include "engine/tls/wire_bio.h"

namespace postrider::tls {

class SslStream : public TlsStream {
 public:
  // ssl has its role (connect or accept state) set.
  explicit SslStream(bssl::UniquePtr<SSL> ssl);
  // A stream that failed before it began, as when verification is asked and there is nothing to verify against.
  explicit SslStream(std::string problem);

  SslStream(const SslStream&) = delete;
  SslStream& operator=(const SslStream&) = delete;

  TlsState Receive(std::span<const std::byte> ciphertext, std::string& plain, std::string& wire) override;
  void Send(std::span<const std::byte> plain, std::string& wire) override;
  void Close(std::string& wire) override;

  [[nodiscard]] TlsState state() const override { return state_; }
  [[nodiscard]] TlsInfo info() const override;
  [[nodiscard]] std::string problem() const override { return problem_; }

  // The client's first flight.
  void Start(std::string& wire);

  // The stream an SSL belongs to, in a callback of BoringSSL.
  [[nodiscard]] static SslStream* Of(const SSL* ssl);

 protected:
  // A certificate was asked for and found valid.
  [[nodiscard]] virtual bool Verified() const { return false; }
  // What made the handshake fail, if BoringSSL's own reason does not say it; empty otherwise.
  [[nodiscard]] virtual std::string CertificateProblem() const { return {}; }
  virtual void HandshakeFailed() {}

  [[nodiscard]] SSL* ssl() const { return ssl_.get(); }

 private:
  void Handshake();
  void ReadRecords(std::string& plain);
  void Fail(int result, const char* doing);

  WireEnds ends_;
  bssl::UniquePtr<SSL> ssl_;
  TlsState state_ = TlsState::kHandshaking;
  bool close_sent_ = false;
  std::string problem_;
};

}  // namespace postrider::tls
