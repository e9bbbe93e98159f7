#pragma once
// A stand-in for TLS: one line each way as the handshake, then every byte scrambled, so that what bypasses it shows.

#include <memory>
#include <string>
#include <string_view>

#include "engine/tls/tls.h"

namespace postrider::delivery {

inline constexpr std::string_view kClientHello = "stand-in client hello ";
inline constexpr std::string_view kServerHello = "stand-in server hello";

// Where this stands among the bytes, TLS breaks; no scrambled text holds it.
inline constexpr char kBrokenRecord = '\xff';

[[nodiscard]] inline std::string Scramble(std::string_view bytes) {
  std::string scrambled(bytes);
  for (char& byte : scrambled) byte = static_cast<char>(byte ^ 0x2a);
  return scrambled;
}

class FakeTlsStream final : public tls::TlsStream {
 public:
  explicit FakeTlsStream(bool resumed) : resumed_(resumed) {}

  tls::TlsState Receive(std::span<const std::byte> ciphertext, std::string& plain, std::string&) override {
    std::string_view bytes(reinterpret_cast<const char*>(ciphertext.data()), ciphertext.size());
    if (state_ == tls::TlsState::kHandshaking) {
      const std::size_t end = bytes.find('\n');
      line_ += bytes.substr(0, end);
      if (end == std::string_view::npos) return state_;
      state_ = line_ == kServerHello ? tls::TlsState::kOpen : tls::TlsState::kFailed;
      bytes.remove_prefix(end + 1);
    }
    if (state_ != tls::TlsState::kOpen) return state_;
    const std::size_t whole = bytes.find(kBrokenRecord);
    plain += Scramble(bytes.substr(0, whole));
    if (whole != std::string_view::npos) state_ = tls::TlsState::kFailed;
    return state_;
  }
  void Send(std::span<const std::byte> plain, std::string& wire) override {
    if (state_ != tls::TlsState::kOpen) return;
    wire += Scramble({reinterpret_cast<const char*>(plain.data()), plain.size()});
  }
  void Close(std::string&) override { state_ = tls::TlsState::kClosed; }
  tls::TlsState state() const override { return state_; }
  tls::TlsInfo info() const override {
    return {.version = "TLSv1.3", .cipher = "STAND_IN", .resumed = resumed_, .verified = false};
  }
  std::string problem() const override { return "the peer's hello is not one"; }

 private:
  const bool resumed_;
  tls::TlsState state_ = tls::TlsState::kHandshaking;
  std::string line_;
};

class FakeTls final : public tls::Tls {
 public:
  std::unique_ptr<tls::TlsStream> Connect(const tls::ClientSettings& settings, std::string& wire) override {
    wire += kClientHello;
    wire += settings.host;
    wire += '\n';
    return std::make_unique<FakeTlsStream>(false);
  }
};

}  // namespace postrider::delivery
