#pragma once
// What is remembered of MX hosts under opportunistic TLS (RFC 7435): a host whose handshake broke twice on fresh
// connections is sent plaintext for TlsOptions::broken_memory; one whose TLS worked within worked_memory never is, so
// that nobody on the way can talk us out of TLS by breaking handshakes. Pure: time is an argument. One per core;
// bounded: the host whose handshake ended longest ago is forgotten first. Changes are handed out so that the owner can
// keep them.

#include <cstddef>
#include <cstdint>
#include <list>
#include <map>
#include <optional>
#include <string>
#include <string_view>
#include <utility>

#include "config/options.h"
#include "config/time.h"

namespace postrider::policy {

class TlsMemory {
 public:
  static constexpr int kFailuresUntilPlaintext = 2;
  // About 150 bytes each; more MX hosts than a day's mail to a hundred thousand domains meets.
  static constexpr std::size_t kHostsMax = 65'536;

  explicit TlsMemory(const TlsOptions& options, std::size_t hosts_max = kHostsMax);
  void SetOptions(const TlsOptions& options);

  [[nodiscard]] bool MayUsePlaintext(std::string_view host, Wall now) const;
  // TLS worked there lately: a failure now holds the mail.
  [[nodiscard]] bool MustUseTls(std::string_view host, Wall now) const;

  // A handshake ended on a fresh connection.
  void Worked(std::string_view host, Wall now);
  void Failed(std::string_view host, Wall now);

  // What the last run kept: a host and what TakeChange gave for it. Text that no run wrote is ignored.
  void Load(std::string_view host, std::string_view kept);
  // The oldest change not yet taken, as host and text to keep; nullopt: there is none. An empty text: the host was
  // forgotten, so what is kept of it may go. That TLS works is a change once a day, not with each connection.
  [[nodiscard]] std::optional<std::pair<std::string, std::string>> TakeChange();

 private:
  struct Record {
    Wall worked_at{};
    Wall broken_at{};
    int failures = 0;      // in a row, since TLS worked or plaintext was given up
    bool kept = false;     // the owner has text of it, or will
    bool changed = false;  // it stands in changes_
    std::list<std::string>::iterator used;
  };

  Record& Touch(std::string_view host);
  void Change(std::string_view host, Record& record);
  void ForgetOldest();
  [[nodiscard]] bool WorkedLately(const Record& record, Wall now) const;
  [[nodiscard]] bool IsBroken(const Record& record, Wall now) const;

  std::chrono::hours broken_memory_;
  std::chrono::hours worked_memory_;
  const std::size_t hosts_max_;
  std::map<std::string, Record, std::less<>> hosts_;
  std::list<std::string> used_;     // the one touched last in front
  std::list<std::string> changes_;  // the oldest in front
};

}  // namespace postrider::policy
