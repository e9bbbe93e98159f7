#include "queue/event.h"

#include <gtest/gtest.h>

#include <set>

#include "queue/outcome.h"

namespace postrider::queue {
namespace {

TEST(Event, HasANameOfItsOwnForEveryKindAndState) {
  std::set<std::string_view> kinds;
  for (int kind = 0; kind <= static_cast<int>(EventKind::kCampaign); ++kind) {
    kinds.insert(ToString(static_cast<EventKind>(kind)));
  }
  EXPECT_EQ(kinds.size(), 9u);
  EXPECT_FALSE(kinds.contains(""));
  std::set<std::string_view> states;
  for (int state = 0; state <= static_cast<int>(CampaignState::kDone); ++state) {
    states.insert(ToString(static_cast<CampaignState>(state)));
  }
  EXPECT_EQ(states.size(), 7u);
  EXPECT_FALSE(states.contains(""));
}

TEST(Outcome, IsAsNewAfterClearAndKeepsItsCapacity) {
  Outcome outcome;
  Event& event = outcome.event;
  std::string* const texts[] = {&event.campaign,   &event.row_id,        &event.recipient,   &event.domain,
                                &event.site,       &event.provider,      &event.mx_host,     &event.mx_address,
                                &event.source,     &event.local_address, &event.pool,        &event.envelope_from,
                                &event.message_id, &event.reply,         &event.tls_version, &event.tls_cipher,
                                &outcome.fields};
  for (std::string* text : texts) text->assign(100, 'x');
  event.kind = EventKind::kBounced;
  event.final = true;
  event.job = {1, 2};
  event.attempt = 3;
  event.code = 550;
  event.enhanced = EnhancedCode{5, 1, 1};
  event.next_due = Wall{};
  event.stage = Stage::kRcpt;
  event.category = Category::kBadMailbox;
  event.scope = Scope::kPath;
  event.bytes = 5;
  outcome.place.retry_due = Wall{};
  outcome.template_number = 4;
  outcome.unknown_count = 1;

  outcome.Clear();

  for (const std::string* text : texts) {
    EXPECT_TRUE(text->empty());
    EXPECT_GE(text->capacity(), 100u);
  }
  EXPECT_EQ(event.kind, EventKind::kDelivered);
  EXPECT_FALSE(event.final);
  EXPECT_EQ(event.job, JobId{});
  EXPECT_EQ(event.attempt, 0);
  EXPECT_EQ(event.code, 0);
  EXPECT_FALSE(event.enhanced);
  EXPECT_FALSE(event.next_due);
  EXPECT_EQ(event.stage, Stage::kNone);
  EXPECT_EQ(event.category, Category::kNone);
  EXPECT_EQ(event.scope, Scope::kRecipient);
  EXPECT_EQ(event.bytes, 0u);
  EXPECT_FALSE(outcome.place.retry_due);
  EXPECT_EQ(outcome.template_number, 0u);
  EXPECT_EQ(outcome.unknown_count, 0);
}

}  // namespace
}  // namespace postrider::queue
