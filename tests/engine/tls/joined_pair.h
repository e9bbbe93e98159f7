#pragma once
// A client and a server stream joined in memory: what one writes, the other reads, in pieces of any size.

#include <gtest/gtest.h>

#include <unistd.h>
#include <algorithm>
#include <filesystem>
#include <fstream>
#include <memory>
#include <string>
#include <string_view>

#include "engine/tls/tls.h"

namespace postrider::tls {

inline std::span<const std::byte> Bytes(std::string_view text) { return std::as_bytes(std::span(text)); }

struct JoinedPair {
  std::unique_ptr<TlsStream> client;
  std::unique_ptr<TlsStream> server;
  std::string to_server;  // ciphertext on its way
  std::string to_client;
  std::string client_plain;  // what each side has read
  std::string server_plain;

  JoinedPair(Tls& tls, TlsServer& tls_server, const ClientSettings& settings) {
    client = tls.Connect(settings, to_server);
    server = tls_server.Accept();
  }

  // Moves ciphertext until both ways are empty.
  void Pump(std::size_t piece = std::string::npos) {
    while (!to_server.empty() || !to_client.empty()) {
      Move(to_server, *server, server_plain, to_client, piece);
      Move(to_client, *client, client_plain, to_server, piece);
    }
  }

  static void Move(std::string& from, TlsStream& stream, std::string& plain, std::string& answer, std::size_t piece) {
    std::string input;
    input.swap(from);
    for (std::size_t at = 0; at < input.size();) {
      const std::size_t size = std::min(piece, input.size() - at);
      stream.Receive(Bytes(std::string_view(input).substr(at, size)), plain, answer);
      at += size;
    }
  }

  [[nodiscard]] bool BothOpen() const {
    return client->state() == TlsState::kOpen && server->state() == TlsState::kOpen;
  }
};

// A file that is gone with the test.
class ScratchFile {
 public:
  explicit ScratchFile(std::string_view content) {
    std::string name = (std::filesystem::temp_directory_path() / "postrider-tls-XXXXXX").string();
    const int fd = mkstemp(name.data());
    EXPECT_GE(fd, 0);
    close(fd);
    path_ = name;
    std::ofstream(path_) << content;
  }
  ~ScratchFile() { std::filesystem::remove(path_); }
  ScratchFile(const ScratchFile&) = delete;
  ScratchFile& operator=(const ScratchFile&) = delete;

  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

inline std::unique_ptr<TlsServer> Server(const ServerSettings& settings = {.host_names = {"mx.example.org"}}) {
  auto server = MakeTlsServer(settings);
  EXPECT_TRUE(server.has_value());
  return std::move(*server);
}

inline std::unique_ptr<Tls> Client(const TlsOptions& options = {}) {
  auto tls = MakeTls(options);
  EXPECT_TRUE(tls.has_value());
  return std::move(*tls);
}

// A client that trusts exactly that server's self-made certificate.
inline std::unique_ptr<Tls> ClientTrusting(const TlsServer& server) {
  const ScratchFile file(server.CertificatePem());
  TlsOptions options;
  options.ca_file = file.path();
  return Client(options);
}

}  // namespace postrider::tls
