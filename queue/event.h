#pragma once
// One line of the delivery log, and the sink that takes it. Every accepted recipient ends with exactly one event marked
// final. Strings are owned so that an Event can live in a mailbox slot and keep its capacity; Clear empties it for
// reuse. (job, attempt, final, run) identifies an event: after a crash a line may come twice, but is never lost.

#include <cstdint>
#include <optional>
#include <string>

#include "config/error.h"
#include "config/mail_class.h"
#include "config/reply.h"
#include "config/time.h"
#include "config/verdict.h"
#include "queue/job.h"

namespace postrider::queue {

enum class EventKind : std::uint8_t {
  // about a recipient
  kDelivered,
  kDeferred,
  kBounced,
  kExpired,
  kSuppressed,
  kCancelled,
  kUnknown,
  // about a host or path: back-off began or ended, a breaker tripped
  kPath,
  // about a campaign: accepted, released, held, paused, resumed, cancelled, failed, done
  kCampaign,
};
[[nodiscard]] std::string_view ToString(EventKind kind);

struct Event {
  EventKind kind = EventKind::kDelivered;
  bool final = false;
  Wall time{};

  JobId job;
  std::uint16_t attempt = 0;  // 1 for the first; 0 if none was made
  std::string campaign;
  MailClass mail_class = MailClass::kBulk;
  std::string row_id;
  std::string recipient;
  std::string domain;

  std::string site;
  std::string provider;
  std::string mx_host;
  std::string mx_address;
  std::string source;
  std::string local_address;
  std::string pool;
  std::string envelope_from;
  std::string message_id;
  std::uint64_t connection = 0;          // id within this run
  std::uint32_t connection_message = 0;  // n-th message on it, from 1

  Stage stage = Stage::kNone;
  std::uint16_t code = 0;
  std::optional<EnhancedCode> enhanced;
  std::string reply;  // text, or for events without a reply a sentence of ours
  Category category = Category::kNone;
  Scope scope = Scope::kRecipient;
  std::optional<Wall> next_due;

  std::string tls_version;  // empty: plaintext
  std::string tls_cipher;
  std::uint64_t bytes = 0;    // of content sent
  double queued_seconds = 0;  // release (or acceptance) to this attempt
  double smtp_seconds = 0;    // MAIL to the final reply

  // Empties it, keeping the strings' capacity.
  void Clear();
};

// Takes events in order, then makes them durable. One thread (store).
class EventSink {
 public:
  virtual ~EventSink() = default;
  virtual void Append(const Event& event) = 0;
  // All appended events are on disk when this returns without error. On error nothing may be settled; try again.
  [[nodiscard]] virtual Result<void> Sync() = 0;
};

}  // namespace postrider::queue
