#pragma once
// TLS as bytes in, bytes out, over BoringSSL. The seam Tls makes streams, one real implementation and a stand-in in the
// simulation; a TlsStream belongs to one connection. Nothing here touches a socket or a clock. Single-threaded: one Tls
// per core, with its own session cache.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <filesystem>
#include <memory>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/options.h"

namespace postrider::tls {

enum class TlsState : std::uint8_t { kHandshaking, kOpen, kClosed, kFailed };

struct TlsInfo {
  std::string_view version;  // "TLSv1.3"
  std::string_view cipher;   // "TLS_AES_128_GCM_SHA256"
  bool resumed = false;
  bool verified = false;  // the certificate is valid for the host name
};

class TlsStream {
 public:
  virtual ~TlsStream() = default;

  // Takes what the network brought, all of it. Decrypted bytes are appended to plain, what must go out (handshake,
  // alerts) to wire. plain grows by at most the size of ciphertext and one record (16 KB) begun earlier. Once closed or
  // failed, ciphertext is ignored.
  virtual TlsState Receive(std::span<const std::byte> ciphertext, std::string& plain, std::string& wire) = 0;
  // Encrypts plain, appending to wire, however much it is. Does nothing unless the state is kOpen.
  virtual void Send(std::span<const std::byte> plain, std::string& wire) = 0;
  // close_notify, appended to wire, once; in the middle of a handshake there is none to send. State becomes kClosed.
  virtual void Close(std::string& wire) = 0;

  [[nodiscard]] virtual TlsState state() const = 0;
  [[nodiscard]] virtual TlsInfo info() const = 0;  // once open
  [[nodiscard]] virtual std::string problem()
      const = 0;  // once failed: a sentence, with the alert or check that failed
};

struct ClientSettings {
  std::string_view host{};         // for SNI (not sent for address literals) and, if verify, the name to check
  std::string_view session_key{};  // sessions are resumed only among equal keys: site host, port, source, policy
  bool verify = false;             // fail unless the certificate is valid for host
};

// Outlives its streams.
class Tls {
 public:
  virtual ~Tls() = default;
  // The client's first flight is appended to wire.
  [[nodiscard]] virtual std::unique_ptr<TlsStream> Connect(const ClientSettings& settings, std::string& wire) = 0;
};

// Fails if ca_file is named but cannot be read. The default ca_file may be absent: then only connections that ask for
// verification fail, each saying so.
[[nodiscard]] Result<std::unique_ptr<Tls>> MakeTls(const TlsOptions& options);

// The accepting side, for the sink and tests.
class TlsServer {
 public:
  virtual ~TlsServer() = default;
  [[nodiscard]] virtual std::unique_ptr<TlsStream> Accept() = 0;
  [[nodiscard]] virtual std::string CertificatePem() const = 0;
};

struct ServerSettings {
  std::filesystem::path certificate_file{};  // PEM chain and key; empty: made on the spot, self-signed, for host_names
  std::filesystem::path key_file{};
  std::vector<std::string> host_names{};  // names (and address texts) in a self-made certificate
  std::chrono::sys_seconds valid_from = std::chrono::sys_days{std::chrono::year{2020} / 1 / 1};  // of that certificate
  std::chrono::sys_seconds valid_until = std::chrono::sys_days{std::chrono::year{2050} / 1 / 1};
  bool tickets = true;  // offer resumption
  bool tls12_only = false;
};

[[nodiscard]] Result<std::unique_ptr<TlsServer>> MakeTlsServer(const ServerSettings& settings);

}  // namespace postrider::tls
