#pragma once
// What a core shows of its conversations: those of a site that somebody watches, line by line as they pass, and the
// last ones that failed, whoever asked for them. Bounded in every direction, so that neither a forgotten watcher nor a
// site where everything fails can cost more than a few hundred KB: a watch ends by itself when nobody asks any more.
// Single-threaded.

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <deque>
#include <string>
#include <string_view>
#include <vector>

#include "config/time.h"
#include "engine/delivery/transcript.h"

namespace postrider::delivery {

struct TraceRequest {
  std::uint64_t number = 0;  // the answer bears it too
  std::string site{};        // its name; empty: all, for failures only
  std::string source{};      // empty: all
  bool live = false;         // watch the site, and tell what passed since `after` ...
  std::uint64_t after = 0;   // ... TraceAnswer::next of the answer before; 0: from now on
  std::size_t failures = 0;  // so many of the last conversations that failed
};

struct FailedConversation {
  Wall time{};
  std::string site;
  std::string source;
  std::uint64_t connection = 0;
  std::string host;  // the MX host, and the address once one was tried
  std::string address;
  std::string problem;  // a sentence, or the reply
  std::vector<TraceLine> lines;
};

struct TraceAnswer {
  std::uint64_t number = 0;
  bool site_known = false;  // it has work or connections here, or had lately
  std::uint64_t next = 0;
  std::uint64_t lost = 0;                    // lines that had to make room before they were asked for
  bool more = false;                         // there are more to be asked for at once
  std::vector<TraceLine> lines;              // oldest first
  std::vector<FailedConversation> failures;  // newest first
};

// Where a line belongs, and what it is of.
struct TracePlace {
  std::string_view site;
  std::string_view source;
  std::string_view host;
  std::string_view address;
  std::uint64_t connection = 0;
};

class TraceBook {
 public:
  static constexpr std::chrono::seconds kWatchFor{5};     // after the last question; who watches asks 4 times a second
  static constexpr std::size_t kWatches = 4;              // the one asked for longest ago makes room
  static constexpr std::size_t kWatchBytes = 256 << 10;   // of one watch
  static constexpr std::size_t kAnswerBytes = 128 << 10;  // of one answer
  static constexpr std::size_t kLineOverhead = 100;       // of a line beside its text, for these bounds
  static constexpr std::size_t kLineBytes = 4096;         // of one line's text; the rest is cut off
  static constexpr std::size_t kFailures = 64;            // at most 4.5 KB each
  static constexpr std::size_t kFailuresOfOneSite = 8;

  void Answer(const TraceRequest& request, Monotonic now, TraceAnswer& answer);
  // Somebody watches something: only then is Pass worth a call.
  [[nodiscard]] bool watching() const { return !watches_.empty(); }
  void Pass(const TracePlace& place, Wall now, TraceDirection direction, int code, std::string_view text);
  // This connection failed, or a message on it was refused for what is not its recipient's fault. A connection has one
  // record, that of its last failure.
  void Failed(const TracePlace& place, Wall now, std::string_view problem, const Transcript& transcript);
  // Ends the watches that nobody asks for.
  void Tick(Monotonic now);

 private:
  struct Watch {
    std::string site;
    std::string source;
    Monotonic until{};
    std::deque<TraceLine> lines;
    std::uint64_t first = 2;  // number of lines.front()
    std::size_t bytes = 0;
  };
  struct Failure {
    FailedConversation what;  // but its lines
    Transcript transcript;
  };

  [[nodiscard]] Watch& Find(const TraceRequest& request);
  void MakeRoom(std::string_view site);

  std::vector<Watch> watches_;
  std::deque<Failure> failures_;  // oldest first
};

}  // namespace postrider::delivery
