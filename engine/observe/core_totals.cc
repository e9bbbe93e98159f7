#include "engine/observe/core_totals.h"

#include <algorithm>

namespace postrider::observe {
namespace {

void Add(delivery::CoreCounts& sum, const delivery::CoreCounts& core) {
  sum.attempts += core.attempts;
  sum.connects += core.connects;
  sum.connect_failures += core.connect_failures;
  sum.handshakes_full += core.handshakes_full;
  sum.handshakes_resumed += core.handshakes_resumed;
  sum.handshake_failures += core.handshake_failures;
  sum.messages_reusing += core.messages_reusing;
  sum.bytes_sent += core.bytes_sent;
  sum.render_failures += core.render_failures;
  sum.path_backoffs += core.path_backoffs;
  for (std::size_t i = 0; i < kLimits; ++i) sum.limited_seconds[i] += core.limited_seconds[i];
  for (std::size_t kind = 0; kind < sum.actions.size(); ++kind) sum.actions[kind] += core.actions[kind];
  sum.unmatched_replies += core.unmatched_replies;
  sum.suppressions_held += core.suppressions_held;
  sum.connect_seconds.Add(core.connect_seconds);
  sum.tls_seconds.Add(core.tls_seconds);
  sum.message_seconds.Add(core.message_seconds);
}

}  // namespace

CoreTotals SumUp(std::span<const delivery::CoreSnapshot> cores) {
  CoreTotals sum;
  for (const delivery::CoreSnapshot& core : cores) {
    Add(sum.counts, core.counts);
    sum.dns.queries += core.dns.queries;
    sum.dns.cache_hits += core.dns.cache_hits;
    sum.dns.failures += core.dns.failures;
    sum.dns.negative_answers += core.dns.negative_answers;
    sum.dns.cache_entries += core.dns.cache_entries;
    sum.loop.waits += core.loop.waits;
    sum.loop.completions += core.loop.completions;
    sum.loop.bytes_sent += core.loop.bytes_sent;
    sum.loop.bytes_received += core.loop.bytes_received;
    sum.loop.receive_buffers_exhausted += core.loop.receive_buffers_exhausted;
    sum.connections_opening += core.connections_opening;
    sum.connections_busy += core.connections_busy;
    sum.connections_idle += core.connections_idle;
    sum.connections_closing += core.connections_closing;
    sum.active_domains += core.active_domains;
    sum.window_jobs += core.window_jobs;
    sum.in_flight += core.in_flight;
    sum.unsynced_outcomes += core.unsynced_outcomes;
    for (const delivery::SiteSnapshot& site : core.sites) sum.messages_per_second += site.messages_per_second;
    sum.lateness_seconds = std::max(sum.lateness_seconds, core.lateness_seconds);
    for (std::size_t mode = 0; mode < sum.paths.size(); ++mode) sum.paths[mode] += core.paths[mode];
    for (const auto& [rule, hits] : core.rule_hits) sum.rule_hits[rule] += hits;
  }
  return sum;
}

}  // namespace postrider::observe
