// What an event costs on its way to the log and into the counts: the store thread pays it for every attempt.

#include <benchmark/benchmark.h>

#include "engine/observe/event_line.h"
#include "engine/observe/event_tally.h"

namespace postrider::observe {
namespace {

queue::Event Delivered() {
  queue::Event event;
  event.final = true;
  event.time = Wall(std::chrono::milliseconds(1'795'499'045'007));
  event.job = {.campaign = 7, .row = 471'100};
  event.attempt = 1;
  event.campaign = "2026-11-24-offer";
  event.row_id = "customer-471100";
  event.recipient = "anastasia.example@subsidiary.example.org";
  event.domain = "subsidiary.example.org";
  event.site = "mx1.subsidiary.example.org";
  event.mx_host = "mx1.subsidiary.example.org";
  event.mx_address = "192.0.2.7:25";
  event.source = "a";
  event.local_address = "198.51.100.3";
  event.pool = "default";
  event.envelope_from = "bounce@news.sender.example";
  event.message_id = "<7.471100.0123456789abcdef@news.sender.example>";
  event.connection = 33;
  event.connection_message = 4;
  event.stage = Stage::kContent;
  event.code = 250;
  event.enhanced = EnhancedCode{2, 0, 0};
  event.reply = "2.0.0 OK 1795499045 a640c23a62f3a-abcdef0123456si7890123eja.42 - gsmtp";
  event.tls_version = "TLSv1.3";
  event.tls_cipher = "TLS_AES_128_GCM_SHA256";
  event.bytes = 10240;
  event.queued_seconds = 421.5;
  event.smtp_seconds = 0.0123456;
  return event;
}

void FormatEvent(benchmark::State& state) {
  const queue::Event event = Delivered();
  EventLine line(12);
  std::string out;
  for (auto _ : state) {
    out.clear();
    line.Append(event, out);
    benchmark::DoNotOptimize(out.data());
  }
  state.counters["bytes"] = static_cast<double>(out.size());
}
BENCHMARK(FormatEvent);

void TallyEvent(benchmark::State& state) {
  const queue::Event event = Delivered();
  EventTally tally(200);
  for (auto _ : state) tally.Add(event);
}
BENCHMARK(TallyEvent);

}  // namespace
}  // namespace postrider::observe
