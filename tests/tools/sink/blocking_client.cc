#include "tests/tools/sink/blocking_client.h"

#include <arpa/inet.h>
#include <fmt/format.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/time.h>
#include <unistd.h>

#include <array>
#include <cerrno>
#include <cstring>
#include <span>

namespace postrider::sink {

BlockingClient::BlockingClient(const SocketAddress& server) {
  descriptor_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const timeval patience{10, 0};
  setsockopt(descriptor_, SOL_SOCKET, SO_RCVTIMEO, &patience, sizeof(patience));
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(server.port);
  std::memcpy(&address.sin_addr, server.ip.bytes.data(), sizeof(address.sin_addr));
  connected_ = connect(descriptor_, reinterpret_cast<const sockaddr*>(&address), sizeof(address)) == 0;
  if (!connected_) error_ = errno;
}

BlockingClient::~BlockingClient() { close(descriptor_); }

void BlockingClient::Send(std::string_view bytes) {
  if (!stream_) return SendRaw(bytes);
  std::string wire;
  stream_->Send(std::as_bytes(std::span(bytes)), wire);
  SendRaw(wire);
}

void BlockingClient::SendRaw(std::string_view bytes) {
  while (!bytes.empty()) {
    const ssize_t sent = send(descriptor_, bytes.data(), bytes.size(), MSG_NOSIGNAL);
    if (sent <= 0) return;
    bytes.remove_prefix(static_cast<std::size_t>(sent));
  }
}

bool BlockingClient::Read() {
  std::array<char, 4096> buffer;
  const ssize_t size = recv(descriptor_, buffer.data(), buffer.size(), 0);
  if (size < 0) error_ = errno;
  if (size <= 0) return false;
  const std::string_view bytes(buffer.data(), static_cast<std::size_t>(size));
  if (!stream_) {
    input_ += bytes;
    return true;
  }
  std::string wire;
  const tls::TlsState state = stream_->Receive(std::as_bytes(std::span(bytes)), input_, wire);
  SendRaw(wire);
  return state == tls::TlsState::kHandshaking || state == tls::TlsState::kOpen;
}

std::string BlockingClient::Reply() {
  std::string reply;
  while (true) {
    const std::size_t end = input_.find("\r\n");
    if (end == std::string::npos) {
      if (Read() || input_.find("\r\n") != std::string::npos) continue;
      return error_ != 0 ? fmt::format("error {}", error_) : "";
    }
    const std::string line = input_.substr(0, end + 2);
    input_.erase(0, end + 2);
    reply += line;
    if (line.size() < 4 || line[3] != '-') return reply;
  }
}

std::string BlockingClient::Ask(std::string_view command) {
  Send(std::string(command) + "\r\n");
  return Reply();
}

bool BlockingClient::StartTls(tls::Tls& tls, const tls::ClientSettings& settings) {
  std::string wire;
  stream_ = tls.Connect(settings, wire);
  SendRaw(wire);
  while (stream_->state() == tls::TlsState::kHandshaking && Read()) {
  }
  return stream_->state() == tls::TlsState::kOpen;
}

}  // namespace postrider::sink
