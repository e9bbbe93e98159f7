// What the queue costs per recipient: put in, taken, settled; how much disk it takes, and how long it needs to open.
//   queue_bench --benchmark_counters_tabular=true
// Arguments: recipients, domains.
// CPU is that of the calling thread; RocksDB's background threads are counted in all_cpu_us.

#include <benchmark/benchmark.h>
#include <sys/resource.h>

#include <cmath>
#include <cstdio>
#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <random>
#include <string>
#include <vector>

#include "queue/job_store.h"

namespace postrider::queue {
namespace {

constexpr std::size_t kBatch = 4096;       // rows per synced batch of intake
constexpr std::size_t kSettleBatch = 512;  // outcomes per commit
constexpr std::size_t kFieldsBytes = 60;   // merge data of a row

using Clock = std::chrono::steady_clock;

double ProcessSeconds() {
  rusage usage{};
  ::getrusage(RUSAGE_SELF, &usage);
  const auto seconds = [](const timeval& time) {
    return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_usec) * 1e-6;
  };
  return seconds(usage.ru_utime) + seconds(usage.ru_stime);
}

double ThreadSeconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

// What one phase took.
class Phase {
 public:
  void Start() {
    thread_ = ThreadSeconds();
    process_ = ProcessSeconds();
    wall_ = Clock::now();
  }
  void Stop() {
    thread_sum_ += ThreadSeconds() - thread_;
    process_sum_ += ProcessSeconds() - process_;
    wall_sum_ += std::chrono::duration<double>(Clock::now() - wall_).count();
  }
  void Report(benchmark::State& state, const std::string& name, double recipients) const {
    state.counters[name + "_us"] = thread_sum_ * 1e6 / recipients;
    state.counters[name + "_all_us"] = process_sum_ * 1e6 / recipients;
    state.counters[name + "_wall_s"] = wall_sum_;
  }

 private:
  double thread_ = 0, process_ = 0;
  Clock::time_point wall_;
  double thread_sum_ = 0, process_sum_ = 0, wall_sum_ = 0;
};

double ResidentMegabytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t size = 0;
  std::size_t resident = 0;
  statm >> size >> resident;
  return static_cast<double>(resident) * 4096 / 1e6;
}

template <typename T>
T Must(Result<T> result) {
  if (result) {
    if constexpr (std::is_void_v<T>) {
      return;
    } else {
      return std::move(*result);
    }
  }
  std::fprintf(stderr, "%s\n", result.error().message.c_str());
  std::exit(1);
}

struct Rows {
  std::vector<std::string> domains;
  std::vector<std::uint32_t> domain_of;
  std::string fields;

  Rows(std::size_t recipients, std::size_t count) : domain_of(recipients) {
    std::mt19937_64 random(1);
    for (std::size_t i = 0; i < count; ++i) domains.push_back("mail" + std::to_string(i) + ".example.org");
    // Few domains: alike. Many: as in real lists the n-th has a share of 1/n, so half of them have a handful of rows.
    const double spread = std::log(static_cast<double>(count) + 1);
    for (std::uint32_t& domain : domain_of) {
      const double at = static_cast<double>(random() >> 11) * 0x1p-53;
      const double rank = count > 1000 ? std::exp(at * spread) - 1 : at * static_cast<double>(count);
      domain = std::min(static_cast<std::uint32_t>(rank), static_cast<std::uint32_t>(count - 1));
    }
    for (std::size_t i = 0; i < kFieldsBytes; ++i) fields.push_back(static_cast<char>('a' + random() % 26));
  }
};

void Enqueue(JobStore& store, CampaignId id, const Rows& rows, std::size_t from, std::size_t to) {
  std::vector<NewRow> views;
  std::vector<std::string> texts;
  texts.reserve((to - from) * 2);
  for (std::size_t i = from; i < to; ++i) {
    const std::string& domain = rows.domains[rows.domain_of[i]];
    const std::string& address = texts.emplace_back("recipient" + std::to_string(i * 7919) + "@" + domain);
    const std::string& row_id = texts.emplace_back(std::to_string(i));
    views.push_back({.row = i + 1,
                     .domain = domain,
                     .address = address,
                     .row_id = row_id,
                     .fields = rows.fields,
                     .needs_smtputf8 = false});
  }
  EnqueueBatch batch;
  batch.campaign = id;
  batch.rows = views;
  batch.rows_read = views.size();
  batch.position.line = to;
  Must(store.Enqueue(batch, Wall(std::chrono::seconds(1))));
}

// Takes and settles everything. defer_each: every so-manieth job is deferred once first.
void Deliver(JobStore& store, Wall now, std::size_t defer_each, Phase& scan_phase, Phase& take_phase,
             Phase& settle_phase, double& scanned, double& settled) {
  Outcome outcome;
  std::size_t staged = 0;
  DomainScanRequest request{.core = 0, .cores = 1, .cursor = {}, .max_domains = 512, .now = now};
  while (true) {
    scan_phase.Start();
    const DomainScan scan = Must(store.ScanDomains(request));
    scan_phase.Stop();
    request.cursor = scan.cursor;
    scanned += static_cast<double>(scan.domains.size());
    for (const std::string& domain : scan.domains) {
      TakeRequest take{.domain = domain, .cursor = {}, .max_jobs = 256, .now = now};
      for (bool more = true; more;) {
        take_phase.Start();
        const TakenJobs taken = Must(store.Take(take));
        take_phase.Stop();
        more = taken.more;
        take.cursor = taken.cursor;
        settle_phase.Start();
        for (const Job& job : taken.jobs) {
          outcome.Clear();
          outcome.event.time = now;
          outcome.event.job = job.id;
          outcome.event.attempt = static_cast<std::uint16_t>(job.attempt.attempts + 1);
          outcome.event.domain = domain;
          outcome.event.kind = EventKind::kDelivered;
          outcome.event.final = true;
          if (defer_each != 0 && job.id.row % defer_each == 0 && !job.place.retry_due) {
            outcome.event.kind = EventKind::kDeferred;
            outcome.event.final = false;
            outcome.event.next_due = now + std::chrono::minutes(7);
            outcome.event.recipient = job.address;
            outcome.event.row_id = job.row_id;
            outcome.event.reply = "4.7.1 try again later";
            outcome.fields = job.fields;
          }
          outcome.place = job.place;
          store.Settle(outcome);
          if (++staged % kSettleBatch == 0) Must(store.Commit());
        }
        settled += static_cast<double>(taken.jobs.size());
        settle_phase.Stop();
      }
    }
    if (scan.lap_done) break;
  }
  settle_phase.Start();
  Must(store.Commit());
  settle_phase.Stop();
}

void BM_Queue(benchmark::State& state) {
  const auto recipients = static_cast<std::size_t>(state.range(0));
  const Rows rows(recipients, static_cast<std::size_t>(state.range(1)));
  for (auto _ : state) {
    std::string directory = (std::filesystem::temp_directory_path() / "postrider-queue-bench-XXXXXX").string();
    if (::mkdtemp(directory.data()) == nullptr) std::abort();
    QueueOptions options;
    options.directory = directory + "/queue";
    Wall now(std::chrono::seconds(2));
    std::unique_ptr<JobStore> store = Must(OpenJobStore(options, now));

    CampaignSpec spec;
    spec.name = "bench";
    const CampaignId id = Must(store->BeginCampaign(spec, "Subject: x\r\n\r\nbody\r\n", now));
    Phase enqueue, enqueue_commit;
    for (std::size_t from = 0; from < recipients; from += kBatch) {
      enqueue.Start();
      Enqueue(*store, id, rows, from, std::min(recipients, from + kBatch));
      enqueue.Stop();
      enqueue_commit.Start();
      Must(store->Commit());
      enqueue_commit.Stop();
    }
    Must(store->SetState(id, CampaignState::kRunning, now, std::chrono::hours(48)));
    Must(store->Commit());
    const auto count = static_cast<double>(recipients);
    enqueue.Report(state, "enqueue", count);
    enqueue_commit.Report(state, "enqueue_commit", count);
    state.counters["disk_bytes"] = static_cast<double>(store->stats().disk_bytes) / count;
    state.counters["rss_mb"] = ResidentMegabytes();

    const auto close = Clock::now();
    store.reset();
    const auto open = Clock::now();
    store = Must(OpenJobStore(options, now));
    state.counters["close_s"] = std::chrono::duration<double>(open - close).count();
    state.counters["open_s"] = std::chrono::duration<double>(Clock::now() - open).count();

    Phase scan, take, settle, retry_scan, retry_take, retry_settle;
    double domains = 0, settled = 0, deferred = 0;
    Deliver(*store, now, 10, scan, take, settle, domains, settled);
    scan.Report(state, "scan", domains);
    take.Report(state, "take", settled);
    settle.Report(state, "settle", settled);
    // A tenth was deferred; now it is due.
    now += std::chrono::minutes(8);
    Deliver(*store, now, 0, retry_scan, retry_take, retry_settle, domains, deferred);
    retry_take.Report(state, "retry_take", deferred);
    retry_settle.Report(state, "retry_settle", deferred);
    if (store->Totals().queued() != 0) state.SkipWithError("jobs were lost");
    state.counters["rss_end_mb"] = ResidentMegabytes();
    store.reset();
    std::filesystem::remove_all(directory);
  }
}
BENCHMARK(BM_Queue)
    ->Args({1'000'000, 20})
    ->Args({1'000'000, 100'000})
    ->Iterations(1)
    ->Unit(benchmark::kSecond)
    ->UseRealTime();

}  // namespace
}  // namespace postrider::queue
