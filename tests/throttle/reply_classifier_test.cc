#include "throttle/reply_classifier.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <chrono>
#include <thread>

namespace postrider {
namespace {

using testing::HasSubstr;

const ProviderTable& Providers() { return *ProviderTable::Shipped(); }

std::expected<ReplyClassifierPtr, Diagnostics> Make(std::string_view rules, std::string_view name = "rules.toml") {
  auto read = ParseReplyRules("format = 1\n" + std::string(rules), name, Providers());
  if (!read) return std::unexpected(read.error());
  return ReplyClassifier::Make(*std::move(read));
}

std::string Errors(std::string_view rules) {
  const auto made = Make(rules);
  if (made) return "";
  std::string all;
  for (const Diagnostic& diagnostic : made.error()) all += ToString(diagnostic) + "\n";
  return all;
}

// A rule with its last key, samples, in lines.
std::string Rule(std::string_view name, std::string_view lines, std::string_view scope = "recipient",
                 std::string_view category = "bad-mailbox") {
  return "[[rule]]\nname = \"" + std::string(name) + "\"\ncategory = \"" + std::string(category) + "\"\nscope = \"" +
         std::string(scope) + "\"\n" + std::string(lines) + "\n";
}

// The name of the rule that decides; "" for the codes alone.
std::string Decides(const ReplyClassifier& classifier, std::string_view reply, Stage stage = Stage::kRcpt,
                    std::string_view provider = "") {
  const Judgement judgement = classifier.Classify(ParseReplyText(reply).value(), stage, provider);
  return judgement.rule == nullptr ? "" : judgement.rule->name;
}

TEST(ReplyClassifier, TakesTheFirstRuleInOrderWhoseConditionsAllHold) {
  const ReplyClassifierPtr classifier =
      Make(Rule("google", "provider = \"google\"\npattern = 'full'\nsamples = [\"450 full\"]") +
           Rule("after-data", "stage = [\"data\", \"content\"]\npattern = 'full'\nsamples = [\"550 full\"]") +
           Rule("mailbox-code", "enhanced = \"x.2.2\"\npattern = 'full'\nsamples = [\"552 5.2.2 full\"]") +
           Rule("temporary", "code = [\"450\", \"452\"]\npattern = 'full'\nsamples = [\"450 full\"]") +
           Rule("full", "pattern = ['is full', 'full box']\nsamples = [\"550 it is full\"]") +
           Rule("code-only", "code = \"55x\"\nenhanced = \"5.9.x\"\nsamples = [\"552 5.9.9 x\"]"))
          .value();
  EXPECT_EQ(Decides(*classifier, "550 Full", Stage::kRcpt, "google"), "google");
  EXPECT_EQ(Decides(*classifier, "550 FULL", Stage::kContent, "yahoo"), "after-data");
  EXPECT_EQ(Decides(*classifier, "452 4.2.2 full"), "mailbox-code");
  EXPECT_EQ(Decides(*classifier, "552 mailbox full (#5.2.2)"), "mailbox-code");
  EXPECT_EQ(Decides(*classifier, "452 full"), "temporary");
  EXPECT_EQ(Decides(*classifier, "550 is full"), "full");
  EXPECT_EQ(Decides(*classifier, "550 full box"), "full");
  EXPECT_EQ(Decides(*classifier, "550 5.9.1 what"), "code-only");
  EXPECT_EQ(Decides(*classifier, "560 5.9.1 what"), "");
  EXPECT_EQ(Decides(*classifier, "550 half empty"), "");
  // A stage that is not known meets every condition.
  EXPECT_EQ(Decides(*classifier, "550 full", Stage::kNone), "after-data");
}

TEST(ReplyClassifier, SeesTheJoinedText) {
  const ReplyClassifierPtr classifier =
      Make(
          Rule("r", "pattern = '^5\\.1\\.1 account does not exist$'\nsamples = [\"550 5.1.1 account does not exist\"]"))
          .value();
  EXPECT_EQ(Decides(*classifier, "550-5.1.1 Account does\n550-5.1.1   not\n550 5.1.1 exist"), "r");
  // As the conversation gives it.
  const Reply reply{550, EnhancedCode{5, 1, 1}, "5.1.1 account\n5.1.1 does not exist"};
  EXPECT_NE(classifier->Classify(reply, Stage::kRcpt, "").rule, nullptr);
}

TEST(ReplyClassifier, MatchesOtherAlphabetsWithoutRegardToCase) {
  const ReplyClassifierPtr classifier = Make(Rule("cyrillic", "pattern = 'ящик'\nsamples = [\"550 ЯЩИК\"]") +
                                             Rule("accent", "pattern = 'refusé|запрет'\nsamples = [\"550 REFUSÉ\"]") +
                                             Rule("short", "pattern = '满了'\nsamples = [\"550 邮箱满了\"]") +
                                             Rule("long", "pattern = 'boîte pleine'\nsamples = [\"550 Boîte pleine\"]"))
                                            .value();
  EXPECT_EQ(Decides(*classifier, "550 Ящик закрыт"), "cyrillic");
  EXPECT_EQ(Decides(*classifier, "550 Refusé"), "accent");
  EXPECT_EQ(Decides(*classifier, "550 ЗАПРЕТ"), "accent");
  EXPECT_EQ(Decides(*classifier, "550 满了"), "short");
  EXPECT_EQ(Decides(*classifier, "550 la BOÎTE PLEINE"), "long");
  EXPECT_EQ(Decides(*classifier, "550 plain"), "");
}

TEST(ReplyClassifier, GivesAFateByScopeAndCode) {
  struct Case {
    const char* scope;
    const char* category;
    const char* fate;
    const char* reply;
    Stage stage;
    Fate expected;
  };
  for (const Case& test : {
           Case{"recipient", "bad-mailbox", "", "550 word", Stage::kRcpt, Fate::kBounced},
           Case{"message", "content-related", "", "550 word", Stage::kContent, Fate::kBounced},
           Case{"domain", "bad-domain", "", "550 word", Stage::kRcpt, Fate::kBounced},
           Case{"domain", "bad-domain", "", "521 word", Stage::kBanner, Fate::kBounced},
           Case{"recipient", "bad-mailbox", "", "450 word", Stage::kRcpt, Fate::kDeferred},
           // A 5xx about us never bounces anybody.
           Case{"path", "spam-block", "", "550 word", Stage::kRcpt, Fate::kDeferred},
           Case{"sender", "auth-failure", "", "550 word", Stage::kContent, Fate::kDeferred},
           Case{"host", "bad-configuration", "", "550 word", Stage::kRcpt, Fate::kDeferred},
           Case{"connection", "protocol-errors", "", "550 word", Stage::kRcpt, Fate::kDeferred},
           Case{"recipient", "throttled", "", "550 word", Stage::kRcpt, Fate::kDeferred},
           // A rule may say otherwise.
           Case{"recipient", "bad-mailbox", "deferred", "550 word", Stage::kRcpt, Fate::kDeferred},
           Case{"recipient", "bad-mailbox", "bounced", "450 word", Stage::kRcpt, Fate::kBounced},
           // Before a recipient or message was named, the words are about something else.
           Case{"recipient", "bad-mailbox", "", "550 word", Stage::kMail, Fate::kDeferred},
           Case{"recipient", "bad-mailbox", "bounced", "550 word", Stage::kBanner, Fate::kDeferred},
           Case{"message", "content-related", "", "552 word", Stage::kMail, Fate::kBounced},
           Case{"message", "content-related", "", "552 word", Stage::kEhlo, Fate::kDeferred},
       }) {
    std::string lines = "pattern = 'word'\nsamples = [\"" + std::string(test.reply) + "\"]\n";
    if (*test.fate != '\0') lines += "fate = \"" + std::string(test.fate) + "\"\n";
    const ReplyClassifierPtr classifier = Make(Rule("r", lines, test.scope, test.category)).value();
    const Judgement judgement = classifier->Classify(ParseReplyText(test.reply).value(), test.stage, "");
    ASSERT_NE(judgement.rule, nullptr);
    EXPECT_EQ(ToString(judgement.verdict.fate), ToString(test.expected)) << test.scope << ' ' << test.reply;
    EXPECT_EQ(ToString(judgement.verdict.scope), test.scope);
    EXPECT_EQ(ToString(judgement.verdict.category), test.category);
  }
}

TEST(ReplyClassifier, LeavesSilenceAndYesToTheCodes) {
  const ReplyClassifierPtr classifier = Make(Rule("all", "pattern = '.?'\nsamples = [\"550 x\"]")).value();
  EXPECT_EQ(Decides(*classifier, "550 x"), "all");
  const Judgement delivered = classifier->Classify(ParseReplyText("250 ok").value(), Stage::kContent, "");
  EXPECT_EQ(delivered.rule, nullptr);
  EXPECT_EQ(delivered.verdict.fate, Fate::kDelivered);
  EXPECT_EQ(classifier->Classify(Reply(), Stage::kTls, "").verdict.category, Category::kTlsFailure);
}

TEST(ReplyClassifier, WithoutRulesTheCodesDecide) {
  const ReplyClassifierPtr classifier = Make("").value();
  EXPECT_TRUE(classifier->rules().empty());
  const Judgement judgement = classifier->Classify(ParseReplyText("550 5.1.1 no").value(), Stage::kNone, "");
  EXPECT_EQ(judgement.verdict, (Verdict{Category::kBadMailbox, Fate::kBounced, Scope::kRecipient}));
}

TEST(ReplyClassifier, RefusesPatternsThatDoNotCompile) {
  const std::string errors = Errors(Rule("broken", "pattern = ['fine', 'a(b']\nsamples = [\"550 fine\"]") +
                                    Rule("ahead", "pattern = 'a(?=b)'\nsamples = [\"550 ab\"]") +
                                    Rule("large", "pattern = '((a{1,99}){1,9}){1,99}'\nsamples = [\"550 a\"]"));
  EXPECT_THAT(errors, HasSubstr("rules.toml:2: rule broken: the pattern 'a(b' does not compile: missing )"));
  EXPECT_THAT(errors, HasSubstr("rules.toml:8: rule ahead: the pattern 'a(?=b)' does not compile"));
  EXPECT_THAT(errors, HasSubstr("rules.toml:14: rule large: the pattern"));
}

TEST(ReplyClassifier, RefusesARuleThatMatchesNoneOfItsSamples) {
  const std::string errors =
      Errors(Rule("dead", "code = \"550\"\npattern = 'ful'\nsamples = [\n\"550 empty\",\n\"551 full\"]"));
  EXPECT_EQ(
      errors,
      "rules.toml:2: rule dead is dead: it decides none of its 2 samples\n"
      "rules.toml:9: rule dead: its sample \"550 empty\" does not meet its condition pattern (no rule decides it); "
      "correct the one or the other\n"
      "rules.toml:10: rule dead: its sample \"551 full\" does not meet its condition code (no rule decides it); "
      "correct the one or the other\n");
}

TEST(ReplyClassifier, RefusesARuleThatAnEarlierOneHides) {
  const std::string errors = Errors(Rule("wide", "pattern = 'full'\nsamples = [\"550 full\"]") +
                                    Rule("hidden", "pattern = 'very full'\nsamples = [\"550 very full\"]"));
  EXPECT_THAT(errors, HasSubstr("rules.toml:8: rule hidden is dead"));
  EXPECT_THAT(errors,
              HasSubstr("is decided by the earlier rule wide of line 2; narrow that one or move this one before it"));
}

TEST(ReplyClassifier, RefusesEachSampleThatIsNotDecidedByItsOwnRule) {
  const std::string errors = Errors(Rule("wide", "pattern = 'full'\nsamples = [\"550 full\"]") +
                                    Rule("other", "pattern = 'box'\nsamples = [\n\"550 box\", \"550 full box\"]"));
  EXPECT_EQ(
      errors,
      "rules.toml:14: rule other: its sample \"550 full box\" is decided by the earlier rule wide of line 2; narrow "
      "that one or move this one before it\n");
  EXPECT_THAT(
      Errors(Rule("staged", "stage = \"mail\"\npattern = 'x'\nsamples = [{ reply = \"550 x\", stage = \"rcpt\" }]")),
      HasSubstr("does not meet its condition stage"));
  EXPECT_THAT(
      Errors(Rule("named",
                  "provider = \"google\"\npattern = 'x'\nsamples = [{ reply = \"550 x\", provider = \"yahoo\" }]")),
      HasSubstr("does not meet its condition provider"));
  EXPECT_THAT(Errors(Rule("coded", "enhanced = \"5.1.1\"\nsamples = [\"550 5.1.2 x\"]")),
              HasSubstr("does not meet its condition enhanced"));
}

TEST(ReplyClassifier, LetsTheOperatorTakeWhatAShippedRuleIsFor) {
  std::vector<ReplyRule> rules =
      ParseReplyRules("format = 1\n" + Rule("own", "pattern = 'full'\nsamples = [\"550 full\"]"), "own.toml",
                      Providers())
          .value();
  const std::vector<ReplyRule> shipped =
      ParseReplyRules("format = 1\n" + Rule("shipped", "pattern = 'very full'\nsamples = [\"550 very full\"]"),
                      "shipped.toml", Providers())
          .value();
  rules.insert(rules.end(), shipped.begin(), shipped.end());
  const ReplyClassifierPtr classifier = ReplyClassifier::Make(rules).value();
  EXPECT_EQ(Decides(*classifier, "550 very full"), "own");
}

class ShippedReplyRulesTest : public testing::Test {
 protected:
  static ReplyClassifierPtr Classifier() {
    return ReplyClassifier::Make(LoadReplyRules("", Providers()).value()).value();
  }
};

TEST_F(ShippedReplyRulesTest, EachDecidesAllItsSamples) {
  auto rules = LoadReplyRules("", Providers());
  ASSERT_TRUE(rules) << ToString(rules.error().front());
  const auto made = ReplyClassifier::Make(*rules);
  ASSERT_TRUE(made) << ToString(made.error().front());
  for (const ReplyRule& rule : (*made)->rules()) {
    EXPECT_FALSE(rule.samples.empty()) << rule.name;
    for (const ReplySample& sample : rule.samples) {
      EXPECT_EQ(Decides(**made, sample.reply, sample.stage, sample.provider), rule.name) << sample.reply;
    }
  }
}

TEST_F(ShippedReplyRulesTest, NeverBounceForWhatIsSaidBeforeTheRecipient) {
  const ReplyClassifierPtr classifier = Classifier();
  for (const ReplyRule& rule : classifier->rules()) {
    for (const ReplySample& sample : rule.samples) {
      for (const Stage stage : {Stage::kBanner, Stage::kEhlo, Stage::kStartTls, Stage::kAuth, Stage::kMail}) {
        const Verdict verdict = classifier->Classify(ParseReplyText(sample.reply).value(), stage, "").verdict;
        const bool named =
            verdict.scope == Scope::kDomain || (verdict.scope == Scope::kMessage && stage == Stage::kMail);
        EXPECT_TRUE(verdict.fate == Fate::kDeferred || named) << sample.reply << " at " << ToString(stage);
      }
    }
  }
}

TEST_F(ShippedReplyRulesTest, TakeAnyReplyWithoutHarm) {
  const ReplyClassifierPtr classifier = Classifier();
  std::vector<std::string> texts = {"",
                                    std::string(1 << 20, 'a'),
                                    std::string(1 << 20, '\n'),
                                    std::string(4096, '\0'),
                                    "\xff\xfe\xc3\x28",
                                    std::string(2000, '\xe2')};
  std::string words;
  for (int i = 0; i < 2000; ++i) words += "user mailbox account over quota not found ";
  texts.push_back(words);
  for (const std::string& text : texts) {
    for (const int code : {0, 200, 399, 400, 421, 550, 599, 999, -1}) {
      const Verdict verdict = classifier->Classify({code, std::nullopt, text}, Stage::kRcpt, "google").verdict;
      EXPECT_TRUE(verdict.fate != Fate::kBounced || code >= 500) << code;
    }
  }
}

TEST_F(ShippedReplyRulesTest, AnswerManyThreadsAtOnce) {
  const ReplyClassifierPtr classifier = Classifier();
  const auto all = [&] {
    std::vector<const ReplyRule*> decided;
    for (const ReplyRule& rule : classifier->rules()) {
      for (const ReplySample& sample : rule.samples) {
        decided.push_back(
            classifier->Classify(ParseReplyText(sample.reply).value(), sample.stage, sample.provider).rule);
      }
    }
    return decided;
  };
  std::vector<const ReplyRule*> here;
  std::vector<const ReplyRule*> there;
  std::thread other([&] { there = all(); });
  here = all();
  other.join();
  EXPECT_EQ(here, there);
}

}  // namespace
}  // namespace postrider
