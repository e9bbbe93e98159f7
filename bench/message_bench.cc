// What a message costs: rendering a 10 KB multipart/alternative with six fields, checking a row against it, and the
// same with values that need encoding, with 8-bit bodies, and with a base64 body.

#include <benchmark/benchmark.h>

#include <memory>
#include <string>

#include "engine/message/template.h"

namespace postrider::message {
namespace {

std::string Paragraphs(std::size_t bytes, std::string_view line) {
  std::string text;
  while (text.size() < bytes) text.append(line).append("\n");
  return text;
}

std::string Alternative(std::string_view line) {
  return "From: Shop <shop@example.com>\nTo: {{name}} <{{to}}>\nSubject: {{name}}, your order {{order}}\n"
         "List-Unsubscribe: <https://example.com/u/{{token}}>\nMIME-Version: 1.0\n"
         "Content-Type: multipart/alternative; boundary=\"part-1\"\n\n--part-1\n"
         "Content-Type: text/plain; charset=utf-8\n\nDear {{name}},\n\n" +
         Paragraphs(3000, line) + "Order {{order}} goes to {{city|you}}.\n--part-1\n" +
         "Content-Type: text/html; charset=utf-8\n\n<p>Dear {{name}},</p>\n" + Paragraphs(6500, line) +
         "<p>Order <b>{{order}}</b> goes to {{city|you}}: <a href=\"https://example.com/{{token}}\">here</a></p>\n"
         "<p>{{note|}}</p>\n--part-1--\n";
}

constexpr std::string_view kAsciiLine = "<p>The quick brown fox jumps over the lazy dog, twelve times a day.</p>";
constexpr std::string_view kJapaneseLine = "いろはにほへとちりぬるをわかよたれそつねならむ";

struct Sample {
  std::shared_ptr<const Template> compiled;
  std::string fields;
  RenderJob job;
};

Sample Make(std::string_view line, bool eight_bit, std::string_view name) {
  CompileOptions options;
  options.eight_bit = eight_bit;
  Sample sample;
  sample.compiled = Template::Compile(Alternative(line), options).value();
  FieldPacker packer(sample.fields);
  for (const std::string& field : sample.compiled->fields()) {
    if (field == "name") {
      packer.Add(name);
    } else if (field == "note") {
      packer.AddMissing();
    } else {
      packer.Add(field == "token" ? "c29tZS10b2tlbi1vZi10aGlydHktY2hhcnM" : "A-123456");
    }
  }
  sample.job.campaign_id = 1;
  sample.job.row = 123'456;
  sample.job.campaign = "2026-11-23-offer";
  sample.job.to = "ana.lima@example.org";
  sample.job.row_id = "4711";
  sample.job.accepted_at = Wall(std::chrono::milliseconds(1'795'000'000'000));
  sample.job.host_name = "out.example.com";
  return sample;
}

void Render(benchmark::State& state, const Sample& sample) {
  RenderJob job = sample.job;
  job.fields = sample.fields;
  std::string out;
  for (auto _ : state) {
    out.clear();
    const Result<void> rendered = sample.compiled->Render(job, out);
    benchmark::DoNotOptimize(rendered.has_value());
  }
  state.counters["bytes"] = static_cast<double>(out.size());
}

void Check(benchmark::State& state, const Sample& sample) {
  RenderJob job = sample.job;
  job.fields = sample.fields;
  for (auto _ : state) {
    const Result<void> checked = sample.compiled->Check(job);
    benchmark::DoNotOptimize(checked.has_value());
  }
}

void RenderPlain(benchmark::State& state) { Render(state, Make(kAsciiLine, false, "Ana Lima")); }
void RenderUnicodeValues(benchmark::State& state) { Render(state, Make(kAsciiLine, false, "José Álvarez Müller")); }
void RenderBase64(benchmark::State& state) { Render(state, Make(kJapaneseLine, false, "山田太郎")); }
void RenderEightBit(benchmark::State& state) { Render(state, Make(kJapaneseLine, true, "山田太郎")); }
void CheckPlain(benchmark::State& state) { Check(state, Make(kAsciiLine, false, "Ana Lima")); }
void CheckUnicodeValues(benchmark::State& state) { Check(state, Make(kAsciiLine, false, "José Álvarez Müller")); }
void CheckEightBit(benchmark::State& state) { Check(state, Make(kJapaneseLine, true, "山田太郎")); }
void Compile(benchmark::State& state) {
  const std::string message = Alternative(kAsciiLine);
  for (auto _ : state) benchmark::DoNotOptimize(Template::Compile(message, {}));
}

BENCHMARK(RenderPlain);
BENCHMARK(RenderUnicodeValues);
BENCHMARK(RenderBase64);
BENCHMARK(RenderEightBit);
BENCHMARK(CheckPlain);
BENCHMARK(CheckUnicodeValues);
BENCHMARK(CheckEightBit);
BENCHMARK(Compile);

}  // namespace
}  // namespace postrider::message
