#include "throttle/reply_classifier.h"

#include <algorithm>
#include <memory>
#include <utility>

#include <fmt/format.h>
#include <re2/filtered_re2.h>
#include <re2/re2.h>

#include "config/check.h"
#include "throttle/classify.h"
#include "throttle/literal_finder.h"
#include "throttle/reply_text.h"

namespace postrider {
namespace {

// RE2's automata grow with what they see, up to this for each pattern. The longest shipped one takes 100 KB; what does
// not fit is matched more slowly, never wrongly.
constexpr std::int64_t kPatternMemoryBytes = 512 << 10;
// Shorter literals stand in nearly every reply and rule nothing out.
constexpr int kLiteralBytesLeast = 3;

RE2::Options PatternOptions() {
  RE2::Options options;
  options.set_case_sensitive(false);
  options.set_dot_nl(true);  // lines are joined before anyway
  options.set_log_errors(false);
  options.set_max_mem(kPatternMemoryBytes);
  return options;
}

bool IsAscii(char c) { return static_cast<unsigned char>(c) < 0x80; }

// RE2 gives each literal in lower case; we lower only ASCII. So of a literal with other letters the longest part in
// ASCII is looked for: where the whole occurs, the part does.
std::string_view AsciiPart(std::string_view literal) {
  std::string_view longest;
  while (!literal.empty()) {
    const auto end = std::ranges::find_if_not(literal, IsAscii);
    const std::string_view run = literal.substr(0, static_cast<std::size_t>(end - literal.begin()));
    if (run.size() > longest.size()) longest = run;
    literal.remove_prefix(run.size() == literal.size() ? run.size() : run.size() + 1);
  }
  return longest;
}

// Memory that one thread's calls use again and again.
struct Scratch {
  std::string joined;
  std::string lowered;
  std::vector<int> found;
  std::vector<int> literals;
  std::vector<int> candidates;
};

Scratch& ThisThreadsScratch() {
  thread_local Scratch scratch;
  return scratch;
}

// Before a recipient was named, nothing that is said is about one, and before MAIL nothing about a message, however
// much the words look so. Some servers do say already in the banner that their domain takes no mail (RFC 7504).
bool MayBounce(Scope scope, Stage stage) {
  switch (scope) {
    case Scope::kRecipient:
      return stage == Stage::kNone || stage == Stage::kRcpt || stage == Stage::kData || stage == Stage::kContent;
    case Scope::kMessage:
      return MayBounce(Scope::kRecipient, stage) || stage == Stage::kMail;
    case Scope::kDomain:
      return true;
    default:
      return false;
  }
}

Fate FateOf(const ReplyRule& rule, const Reply& reply, Stage stage) {
  if (!MayBounce(rule.scope, stage)) return Fate::kDeferred;
  if (rule.fate) return *rule.fate;
  return reply.Permanent() && rule.category != Category::kThrottled ? Fate::kBounced : Fate::kDeferred;
}

template <typename T, typename Matches>
bool AnyOrNone(const std::vector<T>& wanted, const Matches& matches) {
  return wanted.empty() || std::ranges::any_of(wanted, matches);
}

// All conditions but the pattern; empty if they hold, else which one does not.
std::string_view FailedCondition(const ReplyRule& rule, int code, const std::optional<EnhancedCode>& enhanced,
                                 Stage stage, std::string_view provider) {
  if (!AnyOrNone(rule.codes, [&](const CodePattern& wanted) { return wanted.Matches(code); })) return "code";
  if (stage != Stage::kNone && !AnyOrNone(rule.stages, [&](Stage wanted) { return wanted == stage; })) return "stage";
  if (!AnyOrNone(rule.enhanced, [&](const EnhancedPattern& wanted) { return enhanced && wanted.Matches(*enhanced); })) {
    return "enhanced";
  }
  if (!AnyOrNone(rule.providers, [&](const std::string& wanted) { return wanted == provider; })) return "provider";
  return {};
}

class RuleClassifier final : public ReplyClassifier {
 public:
  explicit RuleClassifier(std::vector<ReplyRule> rules) : rules_(std::move(rules)) {}

  // To be called once, before anything is classified.
  Diagnostics CompilePatterns() {
    Diagnostics diagnostics;
    const RE2::Options options = PatternOptions();
    for (const ReplyRule& rule : rules_) {
      first_pattern_.push_back(static_cast<int>(patterns_count_));
      for (const std::string& pattern : rule.patterns) {
        // Asked first, because the set would only say that something is wrong.
        const RE2 alone(pattern, options);
        int id = 0;
        if (alone.ok() && patterns_.Add(pattern, options, &id) == RE2::NoError) {
          CHECK(static_cast<std::size_t>(id) == patterns_count_);
          ++patterns_count_;
          continue;
        }
        const bool too_large = alone.ok() || alone.error_code() == RE2::ErrorPatternTooLarge;
        diagnostics.push_back(
            {{rule.file, rule.line, 0},
             fmt::format("rule {}: the pattern '{}' {}", rule.name, pattern,
                         too_large ? std::string("needs too much memory; use smaller counts")
                                   : fmt::format("does not compile: {} (RE2 has no look-around and no "
                                                 "back references)",
                                                 alone.error()))});
      }
    }
    first_pattern_.push_back(static_cast<int>(patterns_count_));
    if (patterns_count_ > 0 && diagnostics.empty()) CompileLiterals();
    return diagnostics;
  }

  Judgement Classify(const Reply& reply, Stage stage, std::string_view provider) const override {
    // No rule speaks about a silence or a yes.
    if (reply.code >= 400) {
      const std::optional<std::size_t> index = FirstMatch(reply, stage, provider, {});
      if (index) {
        const ReplyRule& rule = rules_[*index];
        return {{rule.category, FateOf(rule, reply, stage), rule.scope}, &rule};
      }
    }
    return {postrider::Classify(reply, stage == Stage::kNone ? Stage::kRcpt : stage), nullptr};
  }

  const std::vector<ReplyRule>& rules() const override { return rules_; }

  Diagnostics CheckSamples() const {
    Diagnostics diagnostics;
    for (std::size_t i = 0; i < rules_.size(); ++i) CheckSamplesOf(i, diagnostics);
    return diagnostics;
  }

 private:
  void CompileLiterals() {
    std::vector<std::string> literals;
    patterns_.Compile(&literals);
    for (std::string& literal : literals) {
      const std::string_view part = AsciiPart(literal);
      if (part.size() < kLiteralBytesLeast) {
        literal.clear();
      } else if (part.size() < literal.size()) {
        literal = std::string(part);
      }
    }
    for (std::size_t i = 0; i < literals.size(); ++i) {
      if (literals[i].empty()) foreign_literals_.push_back(static_cast<int>(i));
    }
    literals_.emplace(literals);
  }

  // The first rule in order that matches, leaving out those of other files than file, unless that is empty.
  std::optional<std::size_t> FirstMatch(const Reply& reply, Stage stage, std::string_view provider,
                                        std::string_view file) const {
    Scratch& scratch = ThisThreadsScratch();
    JoinReplyText(reply.text, scratch.joined);
    FindCandidates(scratch);
    const std::optional<EnhancedCode> enhanced =
        reply.enhanced ? reply.enhanced : FindEnhancedCode(reply.code, reply.text);
    auto candidate = scratch.candidates.cbegin();
    for (std::size_t i = 0; i < rules_.size(); ++i) {
      const ReplyRule& rule = rules_[i];
      const auto begin = candidate;
      while (candidate != scratch.candidates.cend() && *candidate < first_pattern_[i + 1]) ++candidate;
      if (!rule.patterns.empty() && begin == candidate) continue;
      if (!file.empty() && rule.file != file) continue;
      if (!FailedCondition(rule, reply.code, enhanced, stage, provider).empty()) continue;
      if (rule.patterns.empty() || MatchesAny(scratch.joined, begin, candidate)) return i;
    }
    return std::nullopt;
  }

  // The patterns all of whose necessary literals occur, ascending: a dozen of hundreds.
  void FindCandidates(Scratch& scratch) const {
    scratch.candidates.clear();
    if (!literals_) return;
    scratch.lowered = scratch.joined;
    bool all_ascii = true;
    for (char& c : scratch.lowered) {
      if (c >= 'A' && c <= 'Z') c = static_cast<char>(c | 0x20);
      all_ascii = all_ascii && IsAscii(c);
    }
    literals_->Find(scratch.lowered, scratch.found);
    // Literals in other alphabets may stand wherever such letters do.
    scratch.literals.clear();
    if (!all_ascii) scratch.literals = foreign_literals_;
    scratch.literals.insert(scratch.literals.end(), scratch.found.begin(), scratch.found.end());
    patterns_.AllPotentials(scratch.literals, &scratch.candidates);
    std::ranges::sort(scratch.candidates);
  }

  bool MatchesAny(std::string_view text, std::vector<int>::const_iterator begin,
                  std::vector<int>::const_iterator end) const {
    return std::any_of(begin, end, [&](int pattern) {
      return RE2::PartialMatch(re2::StringPiece(text.data(), text.size()), patterns_.GetRE2(pattern));
    });
  }

  // A rule of the operator's may well take what a shipped one is there for: a sample is the affair of one file.
  void CheckSamplesOf(std::size_t index, Diagnostics& diagnostics) const {
    const ReplyRule& rule = rules_[index];
    std::vector<Diagnostic> found;
    for (const ReplySample& sample : rule.samples) {
      const std::optional<Reply> reply = ParseReplyText(sample.reply);
      std::string problem = "is no reply with a code";
      if (reply) {
        const std::optional<std::size_t> first = FirstMatch(*reply, sample.stage, sample.provider, rule.file);
        if (first == index) continue;
        problem = WhyNot(rule, *reply, sample, first ? &rules_[*first] : nullptr);
      }
      const int line = sample.line > 0 ? sample.line : rule.line;
      found.push_back({{rule.file, line, 0},
                       fmt::format("rule {}: its sample \"{}\" {}", rule.name, sample.reply.substr(0, 120), problem)});
    }
    if (!found.empty() && found.size() == rule.samples.size()) {
      diagnostics.push_back(
          {{rule.file, rule.line, 0},
           fmt::format("rule {} is dead: it decides none of its {} samples", rule.name, found.size())});
    }
    std::ranges::move(found, std::back_inserter(diagnostics));
  }

  std::string WhyNot(const ReplyRule& rule, const Reply& reply, const ReplySample& sample,
                     const ReplyRule* decider) const {
    std::string_view failed = FailedCondition(rule, reply.code, reply.enhanced, sample.stage, sample.provider);
    if (failed.empty()) {
      const std::size_t index = static_cast<std::size_t>(&rule - rules_.data());
      std::vector<int> own;
      for (int i = first_pattern_[index]; i < first_pattern_[index + 1]; ++i) own.push_back(i);
      std::string joined;
      JoinReplyText(reply.text, joined);
      if (!own.empty() && !MatchesAny(joined, own.begin(), own.end())) failed = "pattern";
    }
    std::string by = decider == nullptr ? "no rule decides it"
                                        : fmt::format("rule {} of line {} decides it", decider->name, decider->line);
    if (failed.empty()) {
      return fmt::format("is decided by the earlier rule {} of line {}; narrow that one or move this one before it",
                         decider->name, decider->line);
    }
    return fmt::format("does not meet its condition {} ({}); correct the one or the other", failed, by);
  }

  std::vector<ReplyRule> rules_;
  std::vector<int> first_pattern_;  // of each rule, and one more
  std::size_t patterns_count_ = 0;
  re2::FilteredRE2 patterns_{kLiteralBytesLeast};
  std::optional<LiteralFinder> literals_;
  std::vector<int> foreign_literals_;  // that hold too little ASCII to be looked for
};

}  // namespace

std::expected<std::shared_ptr<const ReplyClassifier>, Diagnostics> ReplyClassifier::Make(std::vector<ReplyRule> rules) {
  auto classifier = std::make_shared<RuleClassifier>(std::move(rules));
  Diagnostics diagnostics = classifier->CompilePatterns();
  if (diagnostics.empty()) diagnostics = classifier->CheckSamples();
  if (!diagnostics.empty()) return std::unexpected(std::move(diagnostics));
  return classifier;
}

std::expected<std::shared_ptr<const ReplyClassifier>, Diagnostics> ReplyClassifier::Load(
    const std::filesystem::path& operators_file, const ProviderTable& providers) {
  auto rules = LoadReplyRules(operators_file, providers);
  if (!rules) return std::unexpected(std::move(rules.error()));
  return Make(*std::move(rules));
}

}  // namespace postrider
