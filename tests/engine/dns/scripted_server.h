#pragma once
// A DNS server on 127.0.0.1, UDP and TCP on one port, that says what its script says. Its own thread, blocking sockets:
// it stands for another process.

#include <functional>
#include <memory>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "config/ip_address.h"

namespace postrider::dns {

struct Asked {
  std::string name;
  unsigned type = 0;
  unsigned id = 0;
  bool tcp = false;
  bool wants_authentic = false;
};

class ScriptedServer {
 public:
  // Datagrams (or messages, by TCP) to answer with, in order; none: silence. Runs on the server's thread.
  using Script = std::function<std::vector<std::string>(const Asked&)>;

  explicit ScriptedServer(Script script);
  ~ScriptedServer();
  ScriptedServer(const ScriptedServer&) = delete;
  ScriptedServer& operator=(const ScriptedServer&) = delete;

  [[nodiscard]] SocketAddress address() const { return address_; }
  [[nodiscard]] std::vector<Asked> asked() const;

 private:
  void Run();
  void ServeDatagram();
  void ServeConnection();
  [[nodiscard]] std::vector<std::string> Answer(const std::string& query, bool tcp);

  Script script_;
  SocketAddress address_;
  int udp_ = -1;
  int tcp_ = -1;
  int stop_ = -1;
  mutable std::mutex mutex_;
  std::vector<Asked> asked_;
  std::thread thread_;
};

}  // namespace postrider::dns
