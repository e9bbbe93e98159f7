#include "engine/host_check.h"

#include <optional>
#include <utility>

#include <fmt/format.h>

#include "engine/intake/campaign_source.h"
#include "engine/intake/suppression_list.h"
#include "engine/io/local_address.h"

namespace postrider::engine {

std::vector<std::string> MissingSourceAddresses(const Options& options) {
  std::vector<std::string> problems;
  for (const SourceOptions& source : options.sources) {
    for (const std::optional<IpAddress>& address : {source.ipv4, source.ipv6}) {
      if (!address) continue;
      const Result<void> checked = io::CheckLocalAddress(*address);
      if (checked) continue;
      problems.push_back(
          fmt::format("[[source]] \"{}\": {}; give the host that address, or the source another (`ip "
                      "address` shows them)",
                      source.name, checked.error().message));
    }
  }
  return problems;
}

Result<void> CheckSuppressionFile(const Options& options, queue::Files& files) {
  const std::filesystem::path& file = options.spool.suppression_file;
  if (file.empty()) return {};
  // Whether it can be opened depends on the host and the user, what stands in it does not.
  if (const auto opened = files.OpenReader(file); !opened) return Fail("spool.suppression_file", opened.error());
  const auto read = intake::SuppressionList::Read(files, file);
  if (read) return {};
  std::string problems = intake::ToText(read.error());
  if (problems.ends_with('\n')) problems.pop_back();
  return Fail(ErrorCode::kInvalid, "spool.suppression_file: " + problems);
}

Result<void> CheckHost(const Options& options, queue::Files& files) {
  std::string problems;
  for (const std::string& missing : MissingSourceAddresses(options)) problems += missing + "\n";
  if (const Result<void> checked = CheckSuppressionFile(options, files); !checked) {
    problems += checked.error().message + "\n";
  }
  if (problems.empty()) return {};
  problems.pop_back();
  return Fail(ErrorCode::kInvalid, std::move(problems));
}

std::vector<std::string> OptionsThatNeedARestart(const Options& running, const Options& fresh) {
  std::vector<std::string> names;
  const auto compare = [&](const char* name, auto&&... parts) {
    if ((... || !(parts(running) == parts(fresh)))) names.emplace_back(name);
  };
  // The value of one member of one section.
  const auto of = [](auto section, auto member) {
    return [=](const Options& options) -> const auto& { return options.*section.*member; };
  };
  compare("spool.directory", of(&Options::spool, &SpoolOptions::directory));
  compare("queue.directory", of(&Options::queue, &QueueOptions::directory));
  compare("queue.shards", of(&Options::queue, &QueueOptions::shards));
  compare("queue.write_buffer_bytes", of(&Options::queue, &QueueOptions::write_buffer_bytes));
  compare("queue.block_cache_bytes", of(&Options::queue, &QueueOptions::block_cache_bytes));
  compare("queue.commit_interval", of(&Options::queue, &QueueOptions::commit_interval));
  compare("log.directory", of(&Options::log, &LogOptions::directory));
  compare("log.rotate_bytes", of(&Options::log, &LogOptions::rotate_bytes));
  compare("log.rotate_age", of(&Options::log, &LogOptions::rotate_age));
  compare("[accounting]", of(&Options::accounting, &AccountingOptions::enabled),
          of(&Options::accounting, &AccountingOptions::directory),
          of(&Options::accounting, &AccountingOptions::deferrals),
          of(&Options::accounting, &AccountingOptions::rotate_bytes),
          of(&Options::accounting, &AccountingOptions::rotate_age));
  compare("engine.cores", of(&Options::engine, &EngineOptions::cores));
  compare("engine.pin", of(&Options::engine, &EngineOptions::pin));
  compare("[dns]", of(&Options::dns, &DnsOptions::servers), of(&Options::dns, &DnsOptions::timeout),
          of(&Options::dns, &DnsOptions::tries), of(&Options::dns, &DnsOptions::cache_entries),
          of(&Options::dns, &DnsOptions::cache_min_ttl), of(&Options::dns, &DnsOptions::cache_max_ttl),
          of(&Options::dns, &DnsOptions::negative_ttl));
  compare("tls.ca_file", of(&Options::tls, &TlsOptions::ca_file));
  compare("tls.session_cache_entries", of(&Options::tls, &TlsOptions::session_cache_entries));
  compare("admin.listen", of(&Options::admin, &AdminOptions::listen));
  compare("admin.allow_remote", of(&Options::admin, &AdminOptions::allow_remote));
  compare("metrics.named_sites", of(&Options::metrics, &MetricsOptions::named_sites));
  return names;
}

}  // namespace postrider::engine
