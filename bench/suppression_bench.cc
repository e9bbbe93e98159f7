// What the suppression list costs: to fill it, to ask it about rows (intake: thousands of many domains at once; a Take:
// up to 256 of one domain; one alone), warm and cold, and how much memory it takes.
//   suppression_bench --benchmark_counters_tabular=true
// Argument: entries. Half are in the global list and half in a named one, over 100,000 domains of which the n-th has a
// share of 1/n, as in real lists. Times are per recipient asked: warm ones CPU of the calling thread, cold ones as
// the clock says. Cold: just opened, its files dropped from the page cache, one recipient at a time.

#include <benchmark/benchmark.h>
#include <fcntl.h>
#include <unistd.h>

#include <chrono>
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

using Clock = std::chrono::steady_clock;

constexpr std::size_t kDomains = 100'000;
constexpr std::size_t kImportBatch = 4096;
constexpr std::size_t kIntakeBatch = 16'384;
constexpr std::size_t kTakeBatch = 256;
constexpr std::size_t kColdAsked = 1000;
const Wall kNow(std::chrono::seconds(1'800'000'000));

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

double ResidentMegabytes() {
  std::ifstream statm("/proc/self/statm");
  std::size_t size = 0;
  std::size_t resident = 0;
  statm >> size >> resident;
  return static_cast<double>(resident) * 4096 / 1e6;
}

double ThreadSeconds() {
  timespec time{};
  ::clock_gettime(CLOCK_THREAD_CPUTIME_ID, &time);
  return static_cast<double>(time.tv_sec) + static_cast<double>(time.tv_nsec) * 1e-9;
}

double WallSeconds() { return std::chrono::duration<double>(Clock::now().time_since_epoch()).count(); }

double Seconds(Clock::time_point from) { return std::chrono::duration<double>(Clock::now() - from).count(); }

// The i-th address that is on the list, and one beside it that is not.
struct Addresses {
  std::vector<std::uint32_t> domain_of;

  explicit Addresses(std::size_t count) : domain_of(count) {
    std::mt19937_64 random(1);
    const double spread = std::log(static_cast<double>(kDomains) + 1);
    for (std::uint32_t& domain : domain_of) {
      const double at = static_cast<double>(random() >> 11) * 0x1p-53;
      domain =
          std::min(static_cast<std::uint32_t>(std::exp(at * spread) - 1), static_cast<std::uint32_t>(kDomains - 1));
    }
  }
  [[nodiscard]] std::string Domain(std::size_t i) const {
    return "mail" + std::to_string(domain_of[i]) + ".example.org";
  }
  [[nodiscard]] std::string Listed(std::size_t i) const { return Named("recipient", i); }
  [[nodiscard]] std::string Other(std::size_t i) const { return Named("somebody", i); }

 private:
  [[nodiscard]] std::string Named(const char* prefix, std::size_t i) const {
    return prefix + std::to_string(i * 7919) + "@" + Domain(i);
  }
};

void Import(JobStore& store, const Addresses& addresses) {
  std::vector<Suppression> batch;
  const std::size_t count = addresses.domain_of.size();
  for (std::size_t begin = 0; begin < count; begin += kImportBatch) {
    batch.clear();
    for (std::size_t i = begin; i < std::min(count, begin + kImportBatch); ++i) {
      Suppression& entry = batch.emplace_back();
      entry.list = i % 2 == 0 ? "" : "newsletter";
      entry.address = addresses.Listed(i);
      entry.when = kNow;
      entry.origin = SuppressionOrigin::kImport;
      entry.who = "postmaster";
      entry.why = "from the old system, 2026-11";
    }
    Must(store.PutSuppressions(batch));
    Must(store.Commit());
  }
}

// The files' pages leave the memory of the system.
void DropPages(const std::filesystem::path& directory) {
  for (const auto& file : std::filesystem::directory_iterator(directory)) {
    const int fd = ::open(file.path().c_str(), O_RDONLY | O_CLOEXEC);
    if (fd < 0) continue;
    (void)::fdatasync(fd);
    (void)::posix_fadvise(fd, 0, 0, POSIX_FADV_DONTNEED);
    ::close(fd);
  }
}

// Asks about `total` recipients in batches; seconds per recipient. listed: how many in a hundred are on the list.
// pick gives the number of the next address.
template <typename Pick>
double Ask(const JobStore& store, const Addresses& addresses, std::size_t total, std::size_t batch, unsigned listed,
           Pick pick, double (*read_clock)() = ThreadSeconds) {
  std::mt19937_64 random(7);
  double seconds = 0;
  std::size_t hits = 0;
  std::size_t expected = 0;
  for (std::size_t asked = 0; asked < total; asked += batch) {
    std::vector<std::string> texts;
    texts.reserve(batch * 2);
    std::vector<Recipient> recipients;
    for (std::size_t i = 0; i < batch; ++i) {
      const std::size_t number = pick(random);
      const bool on_list = random() % 100 < listed;
      expected += on_list ? 1 : 0;
      const std::string& domain = texts.emplace_back(addresses.Domain(number));
      const std::string& address = texts.emplace_back(on_list ? addresses.Listed(number) : addresses.Other(number));
      recipients.push_back({"newsletter", address, domain});
    }
    const double begin = read_clock();
    hits += Must(store.FindSuppressed(recipients, kNow)).size();
    seconds += read_clock() - begin;
  }
  if (hits != expected) std::abort();
  return seconds * 1e6 / static_cast<double>(total);
}

void BM_Suppression(benchmark::State& state) {
  const auto count = static_cast<std::size_t>(state.range(0));
  const Addresses addresses(count);
  const auto anywhere = [count](std::mt19937_64& random) { return random() % count; };
  // Those of the largest domain, as a Take would have them.
  std::vector<std::size_t> of_largest;
  for (std::size_t i = 0; i < count; ++i) {
    if (addresses.domain_of[i] == 0) of_largest.push_back(i);
  }
  const auto in_largest = [&](std::mt19937_64& random) { return of_largest[random() % of_largest.size()]; };

  std::string name = (std::filesystem::temp_directory_path() / "postrider-bench-XXXXXX").string();
  if (::mkdtemp(name.data()) == nullptr) std::abort();
  const std::filesystem::path directory = std::filesystem::path(name) / "queue";
  for (auto _ : state) {
    QueueOptions options;
    options.directory = directory;
    auto store = Must(OpenJobStore(options, kNow));
    const double empty = ResidentMegabytes();
    state.counters["empty_us"] = Ask(*store, addresses, 1'000'000, kTakeBatch, 0, anywhere);
    const auto import = Clock::now();
    Import(*store, addresses);
    state.counters["import_us"] = Seconds(import) * 1e6 / static_cast<double>(count);
    state.counters["import_rss_mb"] = ResidentMegabytes() - empty;

    const auto reopen = [&] {
      store.reset();
      DropPages(directory);
      store = Must(OpenJobStore(options, kNow));
    };
    reopen();
    state.counters["disk_bytes"] = static_cast<double>(store->stats().disk_bytes) / static_cast<double>(count);
    // The first of all also reads indexes and filters.
    state.counters["first_us"] = Ask(*store, addresses, 1, 1, 0, anywhere, WallSeconds);
    state.counters["cold_hit_us"] = Ask(*store, addresses, kColdAsked, 1, 100, anywhere, WallSeconds);
    reopen();
    state.counters["cold_miss_us"] = Ask(*store, addresses, kColdAsked, 1, 0, anywhere, WallSeconds);

    const std::size_t asked = 2'000'000 / kIntakeBatch * kIntakeBatch;
    (void)Ask(*store, addresses, asked, kIntakeBatch, 5, anywhere);
    state.counters["intake_miss_us"] = Ask(*store, addresses, asked, kIntakeBatch, 0, anywhere);
    state.counters["intake_hit_us"] = Ask(*store, addresses, asked, kIntakeBatch, 100, anywhere);
    state.counters["take_miss_us"] = Ask(*store, addresses, asked, kTakeBatch, 0, in_largest);
    state.counters["take_hit_us"] = Ask(*store, addresses, asked, kTakeBatch, 100, in_largest);
    state.counters["one_miss_us"] = Ask(*store, addresses, 200'000, 1, 0, anywhere);
    state.counters["one_hit_us"] = Ask(*store, addresses, 200'000, 1, 100, anywhere);
    state.counters["rss_mb"] = ResidentMegabytes() - empty;
    store.reset();
    std::filesystem::remove_all(name);
  }
}
BENCHMARK(BM_Suppression)->Arg(1'000'000)->Arg(5'000'000)->Iterations(1)->Unit(benchmark::kSecond)->UseRealTime();

}  // namespace
}  // namespace postrider::queue
