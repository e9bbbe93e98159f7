#pragma once
// A client of the plainest kind for tests of the whole receiver: a blocking socket, with TLS on top if asked.

#include <memory>
#include <string>

#include "config/ip_address.h"
#include "engine/tls/tls.h"

namespace postrider::sink {

class BlockingClient {
 public:
  // Gives up (and every later call with it) if nobody answers within ten seconds.
  explicit BlockingClient(const SocketAddress& server);
  ~BlockingClient();
  BlockingClient(const BlockingClient&) = delete;
  BlockingClient& operator=(const BlockingClient&) = delete;

  void Send(std::string_view bytes);
  // The next reply, all its lines; "" if the connection ended, "error N" if it broke with that errno.
  std::string Reply();
  std::string Ask(std::string_view command);  // with CRLF added
  bool StartTls(tls::Tls& tls, const tls::ClientSettings& settings);
  [[nodiscard]] const tls::TlsStream& stream() const { return *stream_; }
  [[nodiscard]] bool connected() const { return connected_; }

 private:
  bool Read();
  void SendRaw(std::string_view bytes);

  int descriptor_ = -1;
  bool connected_ = false;
  int error_ = 0;
  std::string input_;
  std::unique_ptr<tls::TlsStream> stream_;
};

}  // namespace postrider::sink
