#pragma once
// What one core counted at one listen address: plain integers, of that core's thread.

#include <cstdint>

#include "config/time.h"

namespace postrider::sink {

struct Counts {
  std::uint64_t connections = 0;
  std::uint64_t connections_refused = 0;  // beyond a cap, or while down
  std::uint64_t handshakes_full = 0;
  std::uint64_t handshakes_resumed = 0;
  std::uint64_t handshakes_failed = 0;
  std::uint64_t messages = 0;    // accepted
  std::uint64_t recipients = 0;  // of accepted messages
  std::uint64_t bytes = 0;       // of accepted messages, without dot-stuffing
  std::uint64_t messages_by_bdat = 0;
  std::uint64_t messages_with_bare_lf = 0;  // RFC 5321 section 2.3.8 forbids them
  std::uint64_t refused_temporary = 0;      // 4xx to RCPT or content
  std::uint64_t refused_permanent = 0;      // 5xx to RCPT or content
  std::uint64_t greylisted = 0;             // part of refused_temporary
  std::uint64_t caps_reached = 0;
  // What a client did beyond the limits of a client: each was refused.
  std::uint64_t connections_over_limit = 0;
  std::uint64_t site_connections_over_limit = 0;
  std::uint64_t connects_over_limit = 0;
  std::uint64_t messages_over_limit = 0;
  std::uint64_t refused_in_penalty = 0;
  std::uint64_t faults = 0;           // resets, stalls and closes made on purpose
  std::uint64_t protocol_errors = 0;  // what a correct client never does
  Monotonic first_message{};
  Monotonic last_message{};

  void Add(const Counts& other) {
    if (other.messages != 0) {
      if (messages == 0 || other.first_message < first_message) first_message = other.first_message;
      if (messages == 0 || other.last_message > last_message) last_message = other.last_message;
    }
    connections += other.connections;
    connections_refused += other.connections_refused;
    handshakes_full += other.handshakes_full;
    handshakes_resumed += other.handshakes_resumed;
    handshakes_failed += other.handshakes_failed;
    messages += other.messages;
    recipients += other.recipients;
    bytes += other.bytes;
    messages_by_bdat += other.messages_by_bdat;
    messages_with_bare_lf += other.messages_with_bare_lf;
    refused_temporary += other.refused_temporary;
    refused_permanent += other.refused_permanent;
    greylisted += other.greylisted;
    caps_reached += other.caps_reached;
    connections_over_limit += other.connections_over_limit;
    site_connections_over_limit += other.site_connections_over_limit;
    connects_over_limit += other.connects_over_limit;
    messages_over_limit += other.messages_over_limit;
    refused_in_penalty += other.refused_in_penalty;
    faults += other.faults;
    protocol_errors += other.protocol_errors;
  }
};

}  // namespace postrider::sink
