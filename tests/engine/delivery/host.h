#pragma once
// Who listens at an address of the virtual network, and the server's end of one connection there: bytes in, bytes out.
// FakeLoop's sockets drive them; time is an argument.

#include <chrono>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>

#include "config/time.h"

namespace postrider::delivery {

class ServerEnd {
 public:
  virtual ~ServerEnd() = default;  // the client is gone
  // Appends what is answered to out. False: the connection is closed after that.
  [[nodiscard]] virtual bool Open(const Now& now, std::string& out) = 0;
  [[nodiscard]] virtual bool Receive(std::string_view bytes, const Now& now, std::string& out) = 0;
  // It was closed by breaking it.
  [[nodiscard]] virtual bool reset() const = 0;
};

class Host {
 public:
  struct Reach {
    bool listening = true;  // false: connection refused
    bool silent = false;    // no answer to the connect at all
    std::chrono::microseconds round_trip{1000};
    std::chrono::microseconds work{0};     // before each answer leaves
    std::chrono::microseconds sending{0};  // until the client hears that its bytes have left
  };

  virtual ~Host() = default;
  [[nodiscard]] virtual Reach reach() const = 0;
  [[nodiscard]] virtual std::unique_ptr<ServerEnd> Accept(std::string client, const Now& now) = 0;

  std::uint64_t connects = 0;  // also refused and silent ones
};

}  // namespace postrider::delivery
