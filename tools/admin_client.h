#pragma once
// The daemon's admin HTTP (engine/observe/README.md) as the command line asks it. Blocking; one request a connection.

#include <filesystem>
#include <functional>
#include <optional>
#include <span>
#include <string>
#include <string_view>

#include "config/error.h"
#include "config/ip_address.h"

namespace postrider::tools {

// Where the daemon listens, as the command line says it.
struct AdminPlace {
  std::string address;           // --admin ADDRESS:PORT; empty: from the configuration
  std::filesystem::path config;  // --config FILE; empty: the default one, if it is there
};

class AdminClient {
 public:
  explicit AdminClient(SocketAddress address) : address_(address) {}

  // --admin; else admin.listen of --config; else that of the default configuration, if that can be read; else
  // 127.0.0.1:8025. kInvalid if what was named is wrong.
  static Result<AdminClient> Find(const AdminPlace& place);

  // The body of a good answer. kUnavailable: nobody listens there. Else the daemon's own sentence.
  [[nodiscard]] Result<std::string> Get(std::string_view path) const;
  [[nodiscard]] Result<std::string> Post(std::string_view path, std::string_view body) const;
  [[nodiscard]] Result<std::string> Delete(std::string_view path) const;
  // A body of any length, piece by piece: read fills the span and says how much of it; 0 ends it. Its error ends all,
  // and the daemon sees that something is missing.
  [[nodiscard]] Result<std::string> Upload(std::string_view path,
                                           const std::function<Result<std::size_t>(std::span<char>)>& read) const;
  // The same piece by piece; an answer that breaks off is an error, after all that came. write may stop it with false.
  [[nodiscard]] Result<void> Stream(std::string_view path, const std::function<bool(std::string_view)>& write) const;

  [[nodiscard]] const SocketAddress& address() const { return address_; }

 private:
  using Write = std::function<bool(std::string_view)>;
  Result<void> Ask(std::string_view method, std::string_view path, std::string_view body, const Write& write) const;
  Result<std::string> AskForText(std::string_view method, std::string_view path, std::string_view body) const;

  SocketAddress address_;
};

// Where a configuration is looked for.
inline constexpr const char* kDefaultConfig = "/etc/postrider/postrider.toml";

}  // namespace postrider::tools
