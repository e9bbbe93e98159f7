#include "engine/observe/metrics.h"

#include <algorithm>
#include <array>

#include "engine/observe/build_info.h"
#include "engine/observe/core_totals.h"
#include "engine/observe/metric_page.h"
#include "engine/observe/process_usage.h"
#include "engine/observe/throttle_metrics.h"
#include "queue/lifecycle.h"

namespace postrider::observe {
namespace {

using queue::CampaignState;
using queue::CampaignTotals;

std::uint64_t Ended(const CampaignTotals& totals) {
  return totals.delivered + totals.bounced + totals.expired + totals.suppressed + totals.cancelled + totals.unknown;
}

std::uint64_t Queued(const CampaignTotals& totals) {
  return totals.accepted > Ended(totals) ? totals.accepted - Ended(totals) : 0;
}

double UnixSeconds(Wall time) { return static_cast<double>(time.time_since_epoch().count()) / 1000; }

void AddRecipients(MetricPage& page, const CampaignTotals& totals, const Conservation& conservation) {
  page.Add(Counter("postrider_rows_total", "Rows of recipient lists that intake has read.")).Value(totals.rows);
  page.Add(Counter("postrider_accepted_total", "Rows that became recipients in the queue.")).Value(totals.accepted);
  page.Add(Counter("postrider_rejected_total", "Rows refused at intake, with their reason in rejects.jsonl."))
      .Value(totals.rejected);
  page.Add(Counter("postrider_duplicate_total", "Rows left out because their address stood in the list before."))
      .Value(totals.duplicate);
  page.Add(Counter("postrider_suppressed_at_intake_total", "Rows left out because of the suppression list."))
      .Value(totals.suppressed_at_intake);
  page.Add(Counter("postrider_delivered_total", "Recipients whose receiver took the message.")).Value(totals.delivered);
  page.Add(Counter("postrider_deferred_total", "Attempts that ended with a later try.")).Value(totals.deferrals);
  page.Add(Counter("postrider_bounced_total", "Recipients refused for good.")).Value(totals.bounced);
  page.Add(Counter("postrider_expired_total", "Recipients given up because their time ran out.")).Value(totals.expired);
  page.Add(Counter("postrider_suppressed_total", "Recipients suppressed after they were accepted."))
      .Value(totals.suppressed);
  page.Add(Counter("postrider_cancelled_total", "Recipients that ended with their cancelled campaign."))
      .Value(totals.cancelled);
  page.Add(Counter("postrider_unknown_total", "Recipients whose message was sent whole without an answer, for good."))
      .Value(totals.unknown);
  page.Add(Gauge("postrider_queued", "Recipients in the queue: accepted and without a final event."))
      .Value(Queued(totals));
  page.Add(Gauge("postrider_conservation_intake_difference",
                 "Rows less accepted, rejected, duplicate and suppressed ones; anything but 0 is a loss."))
      .Value(static_cast<double>(conservation.intake_difference));
  page.Add(Gauge("postrider_conservation_queue_difference",
                 "Recipients that ended twice (below 0) or never though their campaign is done; must be 0."))
      .Value(static_cast<double>(conservation.queue_difference));
}

// Recipients that could be sent now, as far as their campaigns go.
std::uint64_t QueuedOfRunning(std::span<const queue::CampaignPtr> campaigns, Wall now) {
  std::uint64_t sum = 0;
  for (const queue::CampaignPtr& campaign : campaigns) {
    if (campaign->state != CampaignState::kRunning) continue;
    const queue::Readiness ready = queue::ReadinessOf(*campaign, now);
    if (!ready.now) continue;
    sum += Queued(campaign->totals);
    if (ready.without_rest) sum -= campaign->totals.accepted - campaign->canary.recipients;
  }
  return sum;
}

void AddCampaigns(MetricPage& page, std::span<const queue::CampaignPtr> campaigns, Wall now) {
  page.Add(Gauge("postrider_queued_running",
                 "Recipients in the queue whose campaign runs: neither held, paused, closed nor still to begin."))
      .Value(QueuedOfRunning(campaigns, now));
  constexpr std::array kStates = {CampaignState::kLoading,  CampaignState::kHeld,   CampaignState::kRunning,
                                  CampaignState::kPaused,   CampaignState::kFailed, CampaignState::kDone,
                                  CampaignState::kCancelled};
  page.Add(Gauge("postrider_campaigns", "Campaigns that the queue remembers, by state."));
  for (const CampaignState state : kStates) {
    const auto count = std::ranges::count_if(campaigns, [&](const auto& campaign) { return campaign->state == state; });
    page.Value(static_cast<double>(count), {{"state", ToString(state)}});
  }
}

void AddEvents(MetricPage& page, const EventCounts& events) {
  page.Add(
      Counter("postrider_events_total",
              "Events of the delivery log since the start, by receiver: a known provider, a named site or other."));
  for (const auto& [key, count] : events.by_label) {
    page.Value(count, {{"receiver", key.first}, {"event", ToString(key.second)}});
  }
  const auto by_class = [&](const MetricName& name, const std::array<Histogram, 2>& histograms) {
    page.Add(name);
    for (const MailClass mail_class : {MailClass::kBulk, MailClass::kTransactional}) {
      page.Value(histograms[static_cast<std::size_t>(mail_class)], {{"class", ToString(mail_class)}});
    }
  };
  by_class(Seconds("postrider_first_attempt_seconds", "From acceptance (bulk: release) to the first attempt."),
           events.first_attempt_seconds);
  by_class(Seconds("postrider_queue_seconds", "From acceptance (bulk: release) to the final event."),
           events.queue_seconds);
}

void AddConnections(MetricPage& page, const CoreTotals& machine) {
  const delivery::CoreCounts& counts = machine.counts;
  page.Add(Gauge("postrider_connections", "Connections to receivers, by state."))
      .Value(machine.connections_opening, {{"state", "opening"}})
      .Value(machine.connections_busy, {{"state", "busy"}})
      .Value(machine.connections_idle, {{"state", "idle"}})
      .Value(machine.connections_closing, {{"state", "closing"}});
  page.Add(Counter("postrider_connects_total", "Connections begun.")).Value(counts.connects);
  page.Add(Counter("postrider_connect_failures_total", "Connections that never became usable."))
      .Value(counts.connect_failures);
  page.Add(Counter("postrider_tls_handshakes_total", "TLS handshakes, by how they ended."))
      .Value(counts.handshakes_full, {{"result", "full"}})
      .Value(counts.handshakes_resumed, {{"result", "resumed"}})
      .Value(counts.handshake_failures, {{"result", "failed"}});
  page.Add(Seconds("postrider_phase_seconds",
                   "How long the phases of a delivery took: connect, tls, and message (MAIL to the final reply)."))
      .Value(counts.connect_seconds, {{"phase", "connect"}})
      .Value(counts.tls_seconds, {{"phase", "tls"}})
      .Value(counts.message_seconds, {{"phase", "message"}});
}

void AddSending(MetricPage& page, const CoreTotals& machine) {
  const delivery::CoreCounts& counts = machine.counts;
  page.Add(Counter("postrider_attempts_total", "Transactions begun.")).Value(counts.attempts);
  page.Add(Counter("postrider_reused_connection_messages_total",
                   "Messages sent on a connection that had carried one before."))
      .Value(counts.messages_reusing);
  page.Add(Counter("postrider_content_sent_bytes_total", "Message content sent, before TLS.")).Value(counts.bytes_sent);
  page.Add(Counter("postrider_render_failures_total", "Messages that could not be made from their template."))
      .Value(counts.render_failures);
  page.Add(Counter("postrider_path_backoffs_total", "Times that a path or host went into back-off."))
      .Value(counts.path_backoffs);
  page.Add(Counter("postrider_limited_seconds_total",
                   "Seconds that paths with work stood still, by the limit that bound them."));
  for (std::size_t i = 1; i < kLimits; ++i) {
    page.Value(machine.counts.limited_seconds[i], {{"limit", ToString(static_cast<Limit>(i))}});
  }
  page.Add(Gauge("postrider_lateness_seconds", "Age of the oldest job that is due and that no limit holds."))
      .Value(machine.lateness_seconds);
  page.Add(Gauge("postrider_active_domains", "Domains that work is taken from now.")).Value(machine.active_domains);
  page.Add(Gauge("postrider_window_jobs", "Jobs read ahead into memory.")).Value(machine.window_jobs);
  page.Add(Gauge("postrider_in_flight", "Messages between MAIL and their final reply.")).Value(machine.in_flight);
  page.Add(Gauge("postrider_unsynced_outcomes", "Outcomes that a crash now would lose, so that they repeat."))
      .Value(machine.unsynced_outcomes);
}

void AddDns(MetricPage& page, const dns::ResolverCounts& dns) {
  page.Add(Counter("postrider_dns_queries_total", "Questions asked of a name server.")).Value(dns.queries);
  page.Add(Counter("postrider_dns_cache_hits_total", "Questions answered from the cache.")).Value(dns.cache_hits);
  page.Add(Counter("postrider_dns_failures_total", "Questions that no server answered well.")).Value(dns.failures);
  page.Add(Counter("postrider_dns_negative_answers_total", "Answers that there is no such name or record."))
      .Value(dns.negative_answers);
  page.Add(Gauge("postrider_dns_cache_entries", "Answers in the cache."))
      .Value(static_cast<std::uint64_t>(dns.cache_entries));
}

void AddLoop(MetricPage& page, const io::LoopCounts& loop) {
  page.Add(Counter("postrider_loop_waits_total", "Times that a core entered the kernel.")).Value(loop.waits);
  page.Add(Counter("postrider_loop_completions_total", "Completions that the kernel handed to the cores."))
      .Value(loop.completions);
  page.Add(Counter("postrider_network_sent_bytes_total", "Bytes given to sockets.")).Value(loop.bytes_sent);
  page.Add(Counter("postrider_network_received_bytes_total", "Bytes taken from sockets.")).Value(loop.bytes_received);
  page.Add(Counter("postrider_receive_buffers_exhausted_total", "Times that a core ran out of receive buffers."))
      .Value(loop.receive_buffers_exhausted);
}

void AddStore(MetricPage& page, const Snapshot& snapshot) {
  const queue::StoreStats& store = snapshot.store;
  page.Add(Counter("postrider_store_commits_total", "Synced batches of the queue.")).Value(store.commits);
  page.Add(Counter("postrider_store_requests_total", "Requests in those batches; over commits: the mean batch."))
      .Value(snapshot.store_batch_requests);
  page.Add(Counter("postrider_store_operations_total", "Key operations in those batches.")).Value(store.operations);
  page.Add(Counter("postrider_store_sync_seconds_total", "Seconds spent in synced writes of the queue."))
      .Value(store.sync_seconds);
  page.Add(Counter("postrider_store_stall_seconds_total", "Seconds that RocksDB made writes wait."))
      .Value(store.stall_seconds);
  page.Add(Gauge("postrider_store_disk_bytes", "Size of the queue on disk.")).Value(store.disk_bytes);
  page.Add(Gauge("postrider_store_memory_bytes", "Memory that the queue's buffers and cache hold."))
      .Value(store.memory_bytes);
  page.Add(Gauge("postrider_disk_free_ratio", "Free share of the disk that holds the queue or the log."))
      .Value(snapshot.queue_free_share, {{"disk", "queue"}})
      .Value(snapshot.log_free_share, {{"disk", "log"}});
}

void AddIntake(MetricPage& page, const IntakeCounts& intake) {
  page.Add(Counter("postrider_campaigns_accepted_total", "Campaigns taken from the spool."))
      .Value(intake.campaigns_accepted);
  page.Add(Counter("postrider_campaigns_failed_total", "Campaigns moved to spool/failed."))
      .Value(intake.campaigns_failed);
  page.Add(Counter("postrider_single_messages_accepted_total", "Single .eml files taken from the spool."))
      .Value(intake.messages_accepted);
  page.Add(Counter("postrider_intake_batches_total", "Batches of rows written to the queue.")).Value(intake.batches);
  page.Add(Gauge("postrider_intake_stopped", "1 while too little free disk stops intake."))
      .Value(intake.stopped_by_disk ? 1.0 : 0.0);
}

void AddProgram(MetricPage& page, const Snapshot& snapshot) {
  page.Add(Gauge("postrider_sending_stopped", "1 while the disk or the delivery log stops sending."))
      .Value(snapshot.sending_stopped ? 1.0 : 0.0);
  page.Add(Gauge("postrider_commits_failing", "1 while the delivery log or the queue cannot be written."))
      .Value(snapshot.commits_failing ? 1.0 : 0.0);
  page.Add(Gauge("postrider_last_reload_successful", "1 if the last reload of the configuration was good."))
      .Value(snapshot.last_reload_good ? 1.0 : 0.0);
  page.Add(Gauge("postrider_last_reload_timestamp_seconds", "When the configuration in force was read."))
      .Value(UnixSeconds(snapshot.last_reload));
  page.Add(Gauge("postrider_build_info", "1; the labels say which program runs."))
      .Value(1.0, {{"version", kVersion}, {"compiler", kCompiler}});
  const ProcessUsage usage = ReadProcessUsage();
  page.Add(Counter("process_cpu_seconds_total", "User and system CPU time of the process.")).Value(usage.cpu_seconds);
  page.Add(Gauge("process_resident_memory_bytes", "Resident memory of the process.")).Value(usage.resident_bytes);
  page.Add(Gauge("process_start_time_seconds", "When the process began, in seconds since the epoch."))
      .Value(UnixSeconds(snapshot.started));
}

}  // namespace

Conservation CheckConservation(const CampaignTotals& totals, std::span<const queue::CampaignPtr> campaigns) {
  const auto difference = [](std::uint64_t whole, std::uint64_t parts) {
    return static_cast<std::int64_t>(whole - parts);
  };
  Conservation result;
  result.intake_difference =
      difference(totals.rows, totals.accepted + totals.rejected + totals.duplicate + totals.suppressed_at_intake);
  result.queue_difference = std::min<std::int64_t>(0, difference(totals.accepted, Ended(totals)));
  for (const queue::CampaignPtr& campaign : campaigns) {
    if (HasEnded(*campaign)) {
      result.queue_difference +=
          std::max<std::int64_t>(0, difference(campaign->totals.accepted, Ended(campaign->totals)));
    }
  }
  return result;
}

std::string RenderMetrics(const Snapshot& snapshot, std::span<const queue::CampaignPtr> campaigns,
                          const EventCounts& events) {
  const CoreTotals machine = SumUp(snapshot.cores);
  MetricPage page;
  AddRecipients(page, snapshot.totals, CheckConservation(snapshot.totals, campaigns));
  AddCampaigns(page, campaigns, snapshot.time.wall);
  AddEvents(page, events);
  AddConnections(page, machine);
  AddSending(page, machine);
  AddReplies(page, machine, events);
  AddAllowances(page, snapshot, machine, events);
  AddGuards(page, snapshot);
  AddSuppression(page, snapshot.suppression);
  AddDns(page, machine.dns);
  AddLoop(page, machine.loop);
  AddStore(page, snapshot);
  AddIntake(page, snapshot.intake);
  AddProgram(page, snapshot);
  return page.Render();
}

}  // namespace postrider::observe
