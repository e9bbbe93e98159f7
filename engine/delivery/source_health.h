#pragma once
// Whether this host still has the addresses that mail is sent from. A source whose address is gone, or whose interface
// is down, is disabled on this core: its connects fail before anybody else could be at fault, so nobody is charged, and
// mail goes by the other sources of its pools. It is looked at again every half minute. Looked at only when a
// connection failed in a way that may be our own fault. And which addresses are our own, to which no mail must go.
// Single-threaded.

#include <map>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/ip_address.h"
#include "config/options.h"
#include "config/time.h"

namespace postrider::delivery {

struct Parts;

struct SourceState {
  // Of each family of which the source has an address: what is wrong with it; empty: nothing.
  std::string ipv4_problem;
  std::string ipv6_problem;
  bool gone = false;  // all its addresses are; nothing is sent from it
  Monotonic since{};  // of the first problem
  Monotonic looked_at = Monotonic::min();
  Monotonic next_look{};  // while it is troubled

  [[nodiscard]] bool troubled() const { return !ipv4_problem.empty() || !ipv6_problem.empty(); }
  [[nodiscard]] bool Usable(bool ipv4) const { return (ipv4 ? ipv4_problem : ipv6_problem).empty(); }
  [[nodiscard]] std::string Problem() const;
};

class SourceHealth {
 public:
  explicit SourceHealth(Parts& parts) : parts_(parts) {}

  // Lives as long as the core.
  [[nodiscard]] const SourceState& StateOf(std::string_view source) { return Get(source); }
  // A connection of this source failed: is it the source's own fault? True: an address of it cannot be used.
  bool Look(const SourceOptions& source);
  // Is it an address of this host, or of a source? As the interfaces were at most half a minute ago.
  [[nodiscard]] bool IsOurs(const IpAddress& address);
  // Looks again at those that are troubled and due.
  void Tick();
  // New options: all that are troubled, now.
  void Reload();

  // By name.
  [[nodiscard]] const std::map<std::string, std::unique_ptr<SourceState>, std::less<>>& all() const { return states_; }

 private:
  SourceState& Get(std::string_view source);
  void Check(const SourceOptions& source, SourceState& state);
  void Tell(const SourceOptions& source, const SourceState& state, bool was_gone, bool was_troubled);

  Parts& parts_;
  std::vector<IpAddress> own_;
  Monotonic own_looked_at_ = Monotonic::min();
  std::map<std::string, std::unique_ptr<SourceState>, std::less<>> states_;
};

}  // namespace postrider::delivery
