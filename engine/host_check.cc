#include "engine/host_check.h"

#include <unistd.h>

#include <algorithm>
#include <cerrno>
#include <cstring>
#include <filesystem>
#include <optional>
#include <string_view>
#include <utility>

#include <fmt/format.h>
#include <fmt/ranges.h>

#include "engine/intake/campaign_source.h"
#include "engine/intake/suppression_list.h"
#include "engine/io/local_address.h"
#include "engine/override_book.h"
#include "engine/tls/tls.h"

namespace postrider::engine {

namespace {

bool Has(const Options& options, const IpAddress& address) {
  return std::ranges::any_of(options.sources, [&address](const SourceOptions& source) {
    return source.ipv4 == address || source.ipv6 == address;
  });
}

void LookAtSources(const Options& options, const Options* running, HostFindings& findings) {
  for (const SourceOptions& source : options.sources) {
    for (const std::optional<IpAddress>& address : {source.ipv4, source.ipv6}) {
      if (!address) continue;
      const Result<void> checked = io::CheckLocalAddress(*address);
      if (checked) continue;
      const bool lost = running != nullptr && Has(*running, *address);
      (lost ? findings.warnings : findings.missing)
          .push_back(fmt::format("[[source]] \"{}\": {}; give the host that address, or the source another (`ip "
                                 "address` shows them)",
                                 source.name, checked.error().message));
    }
  }
}

// Directories are made as far as they are missing, so it is the last one that exists that decides.
void LookAtDirectory(std::string_view option, const std::filesystem::path& directory, HostFindings& findings) {
  std::error_code error;
  std::filesystem::path there = std::filesystem::absolute(directory, error);
  while (!std::filesystem::exists(there, error) && there.has_relative_path()) there = there.parent_path();
  if (!std::filesystem::is_directory(there, error)) {
    findings.missing.push_back(
        fmt::format("{}: {} is not a directory; move it away, or name another place", option, there.string()));
  } else if (::access(there.c_str(), W_OK | X_OK) != 0) {
    findings.missing.push_back(
        fmt::format("{}: {} cannot be written by uid {} ({}); try as the user that the daemon runs as, give it to that "
                    "user, or name another place",
                    option, there.string(), ::geteuid(), std::strerror(errno)));
  }
}

void LookAtSuppressionFile(const Options& options, queue::Files& files, HostFindings& findings) {
  const std::filesystem::path& file = options.spool.suppression_file;
  if (file.empty()) return;
  // Whether it can be opened depends on the host and the user, what stands in it does not.
  if (const auto opened = files.OpenReader(file); !opened) {
    findings.missing.push_back("spool.suppression_file: " + opened.error().message);
    return;
  }
  const auto read = intake::SuppressionList::Read(files, file);
  if (read) return;
  std::string problems = intake::ToText(read.error());
  if (problems.ends_with('\n')) problems.pop_back();
  findings.wrong.push_back("spool.suppression_file: " + problems);
}

void LookAtSecrets(const Options& options, queue::Files& files, HostFindings& findings) {
  for (const RouteOptions& route : options.routes) {
    if (route.auth_user.empty()) continue;
    if (const auto opened = files.OpenReader(route.auth_secret_file); !opened) {
      findings.warnings.push_back(
          fmt::format("auth_secret_file of {}: {}; the mail of that route is held until it can "
                      "be read",
                      route.auth_user, opened.error().message));
    }
  }
}

}  // namespace

HostFindings LookAtHost(const Options& options, queue::Files& files, const Options* running) {
  HostFindings findings;
  LookAtSources(options, running, findings);
  LookAtDirectory("spool.directory", options.spool.directory, findings);
  LookAtDirectory("queue.directory", options.queue.directory, findings);
  LookAtDirectory("log.directory", options.log.directory, findings);
  if (options.accounting.enabled && !options.accounting.directory.empty()) {
    LookAtDirectory("accounting.directory", options.accounting.directory, findings);
  }
  if (const auto tls = tls::MakeTls(options.tls); !tls) findings.missing.push_back("tls: " + tls.error().message);
  LookAtSuppressionFile(options, files, findings);
  LookAtSecrets(options, files, findings);
  // A daemon that runs has read them, and writes that file itself.
  if (running == nullptr) {
    if (auto read = OverrideBook(options.queue.directory, files).Read(); !read) {
      findings.missing.push_back(std::move(read).error().message);
    }
  }
  return findings;
}

Result<void> ToResult(HostFindings findings) {
  findings.wrong.insert(findings.wrong.end(), findings.missing.begin(), findings.missing.end());
  if (findings.wrong.empty()) return {};
  return Fail(ErrorCode::kInvalid, fmt::format("{}", fmt::join(findings.wrong, "\n")));
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
