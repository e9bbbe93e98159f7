// The texts of the receivers that are met here, as the shipped rules understand them.

#include <gtest/gtest.h>

#include <map>
#include <string>
#include <string_view>

#include "throttle/reply_classifier.h"
#include "tools/sink/personality.h"

namespace postrider::simulation {
namespace {

Judgement Understand(const sink::ReplyText& text, Stage stage, const std::string& personality) {
  static const ReplyClassifierPtr kShipped = ReplyClassifier::Load({}, *ProviderTable::Shipped()).value();
  static const std::map<std::string, std::string, std::less<>> kProviders{{"gmail", "google"},
                                                                          {"microsoft", "microsoft365"}};
  const auto renamed = kProviders.find(personality);
  std::string reply;
  text.Append(reply, {.id = "7f.2",
                      .from = "news@sender.test",
                      .to = "ana@receiver.test",
                      .client = "192.0.2.1",
                      .host = "mx.receiver.test",
                      .hello = "sender.test",
                      .date = "",
                      .bytes = 1000});
  return kShipped->Classify(ParseReplyText(reply).value(), stage,
                            renamed != kProviders.end() ? renamed->second : personality);
}

Stage StageOf(sink::Point point) {
  if (point == sink::Point::kMail) return Stage::kMail;
  return point == sink::Point::kRcpt ? Stage::kRcpt : Stage::kContent;
}

TEST(Replies, AboutOurPaceAreNeverHeldAgainstTheAddress) {
  for (const std::string_view name : sink::PersonalityNames()) {
    const sink::Personality p = sink::MakePersonality(name).value();
    const std::pair<const sink::ReplyText*, Stage> about_us[] = {
        {&p.too_many_connections, Stage::kBanner},
        {&p.too_many_connects, Stage::kBanner},
        {&p.message_cap, Stage::kMail},
        {&p.too_many_messages, StageOf(p.too_many_messages_at)}};
    for (const auto& [text, stage] : about_us) {
      const Judgement judgement = Understand(*text, stage, p.name);
      EXPECT_EQ(judgement.verdict.fate, Fate::kDeferred) << name << " at " << ToString(stage);
      EXPECT_NE(judgement.verdict.scope, Scope::kRecipient) << name << " at " << ToString(stage);
      EXPECT_NE(judgement.verdict.scope, Scope::kSender) << name << " at " << ToString(stage);
    }
    const Judgement too_fast = Understand(p.too_many_messages, StageOf(p.too_many_messages_at), p.name);
    EXPECT_EQ(too_fast.verdict.category, Category::kThrottled) << name;
    EXPECT_EQ(too_fast.verdict.scope, Scope::kPath) << name;
    ASSERT_NE(too_fast.rule, nullptr) << name;
    EXPECT_NE(too_fast.rule->action.kind, ActionKind::kNone) << name;
  }
}

TEST(Replies, AboutTheAddressAreBelieved) {
  for (const std::string_view name : sink::PersonalityNames()) {
    const sink::Personality p = sink::MakePersonality(name).value();
    for (const sink::ReplyText& text : p.permanent.at_rcpt) {
      const Judgement judgement = Understand(text, Stage::kRcpt, p.name);
      EXPECT_EQ(judgement.verdict.fate, Fate::kBounced) << name;
      EXPECT_EQ(judgement.verdict.scope, Scope::kRecipient) << name;
    }
    EXPECT_EQ(Understand(p.greylisted, Stage::kRcpt, p.name).verdict.fate, Fate::kDeferred) << name;
  }
}

}  // namespace
}  // namespace postrider::simulation
