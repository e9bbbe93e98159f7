// What the lowest floors cost per recipient: reading an address at intake, reading a reply's meaning by its codes at
// delivery, resolving rules when a domain becomes known.

#include <benchmark/benchmark.h>

#include <string>
#include <vector>

#include "config/email_address.h"
#include "config/provider.h"
#include "config/rules.h"
#include "throttle/classify.h"

namespace postrider {
namespace {

void ParseAddress(benchmark::State& state, std::string_view text) {
  for (auto _ : state) benchmark::DoNotOptimize(EmailAddress::Parse(text));
}
BENCHMARK_CAPTURE(ParseAddress, plain, "ana.maria@example.org");
BENCHMARK_CAPTURE(ParseAddress, long_plain, "firstname.lastname+newsletter@mail-gateway.example.com");
BENCHMARK_CAPTURE(ParseAddress, quoted, "\"ana maria\"@example.org");
BENCHMARK_CAPTURE(ParseAddress, utf8_local, "jürgen@example.org");
BENCHMARK_CAPTURE(ParseAddress, utf8_domain, "ana@bücher.example");
BENCHMARK_CAPTURE(ParseAddress, refused, "ana..maria@example.org");

void ClassifyReply(benchmark::State& state, int code, std::string_view text) {
  const Reply reply{code, ParseEnhancedCode(text), std::string(text)};
  for (auto _ : state) benchmark::DoNotOptimize(Classify(reply, Stage::kRcpt));
}
BENCHMARK_CAPTURE(ClassifyReply, with_code, 550, "5.1.1 The email account that you tried to reach does not exist");
BENCHMARK_CAPTURE(ClassifyReply, without_code, 550, "The email account that you tried to reach does not exist");

void ResolveRules(benchmark::State& state) {
  Options options;
  for (int i = 0; i < state.range(0); ++i) {
    RuleOptions& rule = options.rules.emplace_back();
    rule.match = *DomainPattern::Parse("mx:.provider" + std::to_string(i) + ".example");
    rule.connections = 5;
  }
  const std::vector<std::string> mx_hosts = {"alt1.aspmx.l.google.com", "aspmx.l.google.com"};
  for (auto _ : state) {
    benchmark::DoNotOptimize(options.Providers().OfMx(mx_hosts[0]));
    benchmark::DoNotOptimize(ResolveRule(options, "example.org", mx_hosts));
  }
}
BENCHMARK(ResolveRules)->Arg(0)->Arg(20)->Arg(200);

}  // namespace
}  // namespace postrider
