// What it costs to say what a reply means, with all shipped rules.

#include <benchmark/benchmark.h>

#include <random>
#include <string>
#include <vector>

#include "config/check.h"
#include "throttle/classify.h"
#include "throttle/reply_classifier.h"
#include "throttle/unmatched_replies.h"

namespace postrider {
namespace {

ReplyClassifierPtr MakeShipped() {
  auto made = ReplyClassifier::Load("", *ProviderTable::Shipped());
  CHECK(made.has_value());
  return *std::move(made);
}

// The samples of all shipped rules, each with another address, host and number behind it, as real replies have them.
std::vector<Reply> Replies(const ReplyClassifier& classifier, unsigned seed) {
  std::mt19937 random(seed);
  const auto word = [&](std::size_t length) {
    std::string text;
    for (std::size_t i = 0; i < length; ++i) text += static_cast<char>('a' + random() % 26);
    return text;
  };
  std::vector<Reply> replies;
  for (const ReplyRule& rule : classifier.rules()) {
    for (const ReplySample& sample : rule.samples) {
      Reply reply = ParseReplyText(sample.reply).value();
      reply.text += " <" + word(8) + "@" + word(10) + ".example> " + std::to_string(random()) + " " + word(12);
      replies.push_back(std::move(reply));
    }
  }
  return replies;
}

void ClassifyByShippedRules(benchmark::State& state) {
  const ReplyClassifierPtr classifier = MakeShipped();
  std::vector<Reply> replies;
  for (unsigned seed = 0; seed < 16; ++seed) {
    for (Reply& reply : Replies(*classifier, seed)) replies.push_back(std::move(reply));
  }
  std::size_t next = 0;
  for (auto _ : state) {
    benchmark::DoNotOptimize(classifier->Classify(replies[next], Stage::kRcpt, ""));
    next = next + 1 < replies.size() ? next + 1 : 0;
  }
  state.counters["rules"] = static_cast<double>(classifier->rules().size());
}
BENCHMARK(ClassifyByShippedRules);

// The same reply again and again, as a receiver that is full says it.
void ClassifyOneReply(benchmark::State& state) {
  const ReplyClassifierPtr classifier = MakeShipped();
  const Reply reply = ParseReplyText("452 4.2.2 The email account that you tried to reach is over quota").value();
  for (auto _ : state) benchmark::DoNotOptimize(classifier->Classify(reply, Stage::kRcpt, "google"));
}
BENCHMARK(ClassifyOneReply);

// As long as a reply may be, of words that many rules look for.
void ClassifyHostileReply(benchmark::State& state) {
  const ReplyClassifierPtr classifier = MakeShipped();
  Reply reply{550, std::nullopt, ""};
  while (reply.text.size() < 4096) reply.text += "user mailbox account message from ip address recipient was not over ";
  for (auto _ : state) benchmark::DoNotOptimize(classifier->Classify(reply, Stage::kRcpt, ""));
}
BENCHMARK(ClassifyHostileReply)->Unit(benchmark::kMicrosecond);

void ClassifyByCodesAlone(benchmark::State& state) {
  const Reply reply = ParseReplyText("550 5.1.1 no such user").value();
  for (auto _ : state) benchmark::DoNotOptimize(Classify(reply, Stage::kRcpt));
}
BENCHMARK(ClassifyByCodesAlone);

// A reload does this once.
void MakeShippedClassifier(benchmark::State& state) {
  for (auto _ : state) benchmark::DoNotOptimize(MakeShipped());
}
BENCHMARK(MakeShippedClassifier)->Unit(benchmark::kMillisecond);

void CollectUnmatchedReply(benchmark::State& state) {
  UnmatchedReplies collected;
  const Reply reply = ParseReplyText("550 5.9.9 <ana@example.org>: nothing of that kind, id=wFHMeGMHMYJ41234").value();
  for (auto _ : state) collected.Add(reply, Stage::kRcpt, "google", Wall());
}
BENCHMARK(CollectUnmatchedReply);

}  // namespace
}  // namespace postrider
