// What a row costs at intake: read, parsed, checked against the message, looked up among those before it, and packed
// for the queue. Then the same through a whole campaign, against a queue that takes everything and keeps nothing.

#include <benchmark/benchmark.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <vector>

#include "engine/intake/campaign_load.h"
#include "engine/intake/duplicate_filter.h"
#include "engine/intake/row_sieve.h"
#include "engine/intake/spool.h"

namespace postrider::intake {
namespace {

constexpr std::string_view kMessage =
    "From: Shop <shop@example.com>\nTo: {{name}} <{{to}}>\nSubject: {{name}}, your order {{order}}\n"
    "List-Unsubscribe: <https://example.com/u/{{token}}>\n\nDear {{name}}, {{order}} goes to {{city|you}}.\n";

std::string JsonRow(int i) {
  const std::string n = std::to_string(i);
  return "{\"to\":\"customer" + n + "@d" + std::to_string(i % 20) + ".example.org\",\"id\":\"" + n +
         "\",\"name\":\"Customer Number " + n + "\",\"order\":\"A-" + n + "\",\"token\":\"c29tZS10b2tlbi1vZi10aGlydHk" +
         n + "\",\"city\":\"Springfield\"}\n";
}

std::string CsvRow(int i) {
  const std::string n = std::to_string(i);
  return "customer" + n + "@d" + std::to_string(i % 20) + ".example.org," + n + ",\"Customer Number " + n + "\",A-" +
         n + ",c29tZS10b2tlbi1vZi10aGlydHk" + n + ",Springfield\n";
}

// Takes every batch as synced at once.
class NullWriter final : public queue::CampaignWriter {
 public:
  queue::CampaignPtr Find(std::string_view name) override {
    return campaign_ != nullptr && campaign_->spec.name == name ? campaign_ : nullptr;
  }
  Result<std::vector<std::size_t>> FindSuppressed(std::span<const queue::Recipient>, Wall) override {
    return std::vector<std::size_t>();
  }
  Result<queue::CampaignId> Begin(const queue::CampaignSpec& spec, std::string_view) override {
    auto begun = std::make_shared<queue::Campaign>();
    begun->id = 1;
    begun->spec = spec;
    campaign_ = begun;
    return begun->id;
  }
  Result<void> Append(const queue::EnqueueBatch& batch) override {
    auto next = std::make_shared<queue::Campaign>(*campaign_);
    next->totals.rows += batch.rows_read;
    next->totals.accepted += batch.rows.size();
    next->position = batch.position;
    campaign_ = next;
    return {};
  }
  Result<void> Finish(queue::CampaignId, queue::CampaignState state, std::string_view) override {
    auto next = std::make_shared<queue::Campaign>(*campaign_);
    next->state = state;
    campaign_ = next;
    return {};
  }

 private:
  queue::CampaignPtr campaign_;
};

class Directory {
 public:
  Directory() {
    std::string name = (std::filesystem::temp_directory_path() / "postrider-bench-XXXXXX").string();
    path_ = ::mkdtemp(name.data());
  }
  ~Directory() {
    std::error_code ignored;
    std::filesystem::remove_all(path_, ignored);
  }
  [[nodiscard]] const std::filesystem::path& path() const { return path_; }

 private:
  std::filesystem::path path_;
};

void WriteCampaign(const std::filesystem::path& directory, bool csv, int rows) {
  std::filesystem::create_directories(directory);
  std::ofstream(directory / "campaign.toml") << "format = 1\n";
  std::ofstream(directory / "message.eml") << kMessage;
  std::ofstream list(directory / (csv ? "recipients.csv" : "recipients.jsonl"));
  if (csv) list << "to,id,name,order,token,city\n";
  for (int i = 0; i < rows; ++i) list << (csv ? CsvRow(i) : JsonRow(i));
}

// Per row, over a whole campaign of the given size.
void Campaign(benchmark::State& state, bool csv) {
  const int rows = static_cast<int>(state.range(0));
  const Directory directory;
  auto options = std::make_shared<Options>();
  options->spool.directory = directory.path() / "spool";
  const std::unique_ptr<queue::Files> files = queue::MakeSystemFiles();
  const std::unique_ptr<io::Clock> clock = io::MakeSystemClock();
  std::size_t memory = 0;
  for (auto _ : state) {
    state.PauseTiming();
    std::filesystem::remove_all(options->spool.directory);
    NullWriter writer;
    Spool spool(options, *files, writer, *clock);
    if (!spool.MakeDirectories()) state.SkipWithError("the spool cannot be made");
    WriteCampaign(spool.Work() / "offer", csv, rows);
    CampaignLoad load(spool, "offer");
    state.ResumeTiming();
    for (std::optional<LoadEnd> end; !end;) {
      const auto step = load.Step();
      if (!step || *step == LoadEnd::kFailed) {
        state.SkipWithError("the campaign cannot be read");
        return;
      }
      end = *step;
      memory = std::max(memory, load.memory_bytes());
    }
  }
  state.SetItemsProcessed(state.iterations() * rows);
  state.counters["per_row"] = benchmark::Counter(static_cast<double>(state.iterations()) * rows,
                                                 benchmark::Counter::kIsRate | benchmark::Counter::kInvert);
  state.counters["filter_bytes"] = static_cast<double>(memory);
}
void CampaignOfJson(benchmark::State& state) { Campaign(state, false); }
void CampaignOfCsv(benchmark::State& state) { Campaign(state, true); }
BENCHMARK(CampaignOfJson)->Arg(100'000)->Arg(1'000'000)->Arg(3'000'000)->Iterations(1)->Unit(benchmark::kMillisecond);
BENCHMARK(CampaignOfCsv)->Arg(1'000'000)->Iterations(1)->Unit(benchmark::kMillisecond);

void ParseAndCheck(benchmark::State& state) {
  const auto compiled = message::Template::Compile(kMessage, {}).value();
  RowSieve sieve("offer", RecipientRules(Options()), compiled, ListFormat::kJsonLines, nullptr, nullptr);
  RowBatch batch;
  std::string text = JsonRow(123'456);
  text.reserve(text.size() + 64);
  Record record;
  record.text = std::string_view(text).substr(0, text.size() - 1);
  for (auto _ : state) {
    batch.Clear();
    benchmark::DoNotOptimize(sieve.Take(record, batch).has_value());
  }
}
BENCHMARK(ParseAndCheck);

void TellDuplicates(benchmark::State& state) {
  DuplicateFilter filter(std::filesystem::temp_directory_path());
  std::uint64_t number = 0;
  std::uint64_t room = 0;
  for (auto _ : state) {
    if (room-- == 0) {
      room = 8191;
      if (!filter.Reserve(8192)) state.SkipWithError("no room");
    }
    const std::uint64_t mixed = ++number * 0x9e3779b97f4a7c15u;
    benchmark::DoNotOptimize(filter.Insert({mixed * mixed, mixed}).has_value());
  }
  state.counters["hashes"] = static_cast<double>(filter.size());
}
BENCHMARK(TellDuplicates)->Iterations(500'000);
BENCHMARK(TellDuplicates)->Iterations(10'000'000);

}  // namespace
}  // namespace postrider::intake
