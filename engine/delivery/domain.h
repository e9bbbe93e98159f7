#pragma once
// A domain whose mail this core sends now: where reading its jobs stands, and the lanes they wait in. Owned by Windows;
// lives from its assignment until nothing of it is left to take, in a window, in flight or not yet durable.

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "config/reply.h"
#include "config/time.h"
#include "config/verdict.h"
#include "engine/delivery/intrusive_list.h"
#include "engine/delivery/window.h"
#include "engine/dns/resolver.h"
#include "queue/job.h"

namespace postrider::delivery {

struct Site;

struct Domain {
  enum class Mode : std::uint8_t {
    kSend,
    kSweep,   // nothing can be sent: only what is cancelled or expired is ended, the rest given up again
    kBounce,  // it takes no mail: all of it ends as bounced
  };

  std::string name;
  std::uint32_t home = 0;
  Mode mode = Mode::kSend;
  Site* site = nullptr;  // while kSend
  std::shared_ptr<const dns::MxAnswer> mx;
  std::string problem;  // for kBounce and kSweep: the sentence of its events
  // For kBounce, by whom it was said: DNS, or a server's reply.
  Stage problem_stage = Stage::kDns;
  Category problem_category = Category::kBadDomain;
  Reply problem_reply;

  queue::DomainCursor cursor;
  bool more = true;                        // a Take may find jobs
  bool take_asked = false;                 // in line for the reader, or with it
  bool leaving = false;                    // is released once nothing of it is open
  bool ended_any = false;                  // since its assignment, something of it was settled
  bool seek_ended = false;                 // jobs of an ended campaign may stand where no Take asked since has looked
  std::chrono::nanoseconds rest{};         // at release: its home leaves it alone for so long ...
  bool forget_mx = false;                  // ... and looks its MX up anew
  std::uint32_t resolved_again = 0;        // times in a row that this was done before its assignment
  Monotonic take_after{};                  // the reader failed; not again before
  Monotonic polled_at{};                   // when its last Take was asked ...
  bool polled_urgent = false;              // ... only for what may not wait ...
  bool polled_ended = false;               // ... since seek_ended was last set ...
  std::vector<queue::CampaignId> skipped;  // ... without these, of which enough stood in its lanes

  // A campaign whose jobs were given up: its part of the cursor is dropped once nothing taken with it is open.
  struct Rewind {
    queue::CampaignId campaign = 0;
    Monotonic not_before{};
  };
  std::vector<Rewind> rewinds;

  std::vector<std::unique_ptr<Lane>> lanes;
  std::uint64_t next_order = 0;
  std::uint32_t waiting = 0;    // jobs in its lanes
  std::uint32_t in_flight = 0;  // with a connection
  std::uint32_t unsettled = 0;  // outcomes not yet durable
  std::uint32_t swept = 0;      // jobs given up by a sweep

  ListLink<Domain> site_link;
  ListLink<Domain> take_link;
  ListLink<Domain> all_link;

  [[nodiscard]] bool Open() const { return waiting != 0 || in_flight != 0 || unsettled != 0; }
};

}  // namespace postrider::delivery
