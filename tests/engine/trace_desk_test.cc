#include "engine/trace_desk.h"

#include <gtest/gtest.h>

#include <memory>
#include <vector>

namespace postrider::engine {
namespace {

using std::chrono::seconds;

// Goes on by a second at each look, so that nobody waits for ever.
class HurryingClock final : public io::Clock {
 public:
  Now Read() override {
    now_.monotonic += seconds(1);
    return now_;
  }

 private:
  Now now_{};
};

// Cores that answer at once.
struct Desk {
  explicit Desk(std::size_t cores) {
    for (std::size_t core = 0; core < cores; ++core) {
      boxes.push_back(std::make_unique<io::Mailbox<delivery::TraceAnswer>>(4, desk.waker()));
      desk.Add(*boxes.back());
    }
    answers.resize(cores);
  }

  bool Hear(std::size_t core, const delivery::CoreCommand& command) {
    asked.push_back(command.trace);
    EXPECT_EQ(command.kind, delivery::CoreCommand::Kind::kTrace);
    if (core == deaf) return false;
    if (core == slow) return true;
    delivery::TraceAnswer* slot = boxes[core]->Reserve();
    EXPECT_NE(slot, nullptr);
    *slot = answers[core];
    slot->number = command.trace.number;
    boxes[core]->Publish();
    return true;
  }

  HurryingClock clock;
  TraceDesk desk{clock, [this](std::size_t core, const delivery::CoreCommand& command) { return Hear(core, command); }};
  std::vector<std::unique_ptr<io::Mailbox<delivery::TraceAnswer>>> boxes;
  std::vector<delivery::TraceAnswer> answers;
  std::vector<delivery::TraceRequest> asked;
  std::size_t deaf = 100;
  std::size_t slow = 100;
};

delivery::TraceLine Line(int second, std::string text) {
  delivery::TraceLine line;
  line.time = Wall(seconds(second));
  line.text = std::move(text);
  return line;
}

delivery::FailedConversation Failure(int second) {
  delivery::FailedConversation failure;
  failure.time = Wall(seconds(second));
  return failure;
}

TEST(TraceDesk, PutsTheAnswersOfAllCoresInTheOrderOfTime) {
  Desk cores(2);
  cores.answers[0].lines = {Line(1, "first"), Line(3, "third"), Line(3, "fourth")};
  cores.answers[0].next = 7;
  cores.answers[0].lost = 2;
  cores.answers[1].lines = {Line(2, "second")};
  cores.answers[1].next = 9;
  cores.answers[1].site_known = true;
  cores.answers[1].more = true;
  const auto view = cores.desk.Ask({.site = "mx.one.test", .source = "a", .after = {5, 6}});
  ASSERT_TRUE(view.has_value());
  std::string texts;
  for (const delivery::TraceLine& line : view->lines) texts += line.text + " ";
  EXPECT_EQ(texts, "first second third fourth ");
  EXPECT_EQ(view->next, (std::vector<std::uint64_t>{7, 9}));
  EXPECT_EQ(view->lost, 2u);
  EXPECT_TRUE(view->site_known);
  EXPECT_TRUE(view->more);
  ASSERT_EQ(cores.asked.size(), 2u);
  EXPECT_EQ(cores.asked[0].site, "mx.one.test");
  EXPECT_EQ(cores.asked[1].source, "a");
  EXPECT_TRUE(cores.asked[0].live);
  EXPECT_EQ(cores.asked[0].after, 5u);
  EXPECT_EQ(cores.asked[1].after, 6u);
}

TEST(TraceDesk, GivesTheNewestFailuresOfAllCores) {
  Desk cores(2);
  cores.answers[0].failures = {Failure(9), Failure(2)};
  cores.answers[1].failures = {Failure(5), Failure(1)};
  const auto view = cores.desk.Ask({.site = "mx.one.test", .failures = 3});
  ASSERT_TRUE(view.has_value());
  ASSERT_EQ(view->failures.size(), 3u);
  EXPECT_EQ(view->failures[0].time, Wall(seconds(9)));
  EXPECT_EQ(view->failures[1].time, Wall(seconds(5)));
  EXPECT_EQ(view->failures[2].time, Wall(seconds(2)));
  EXPECT_FALSE(cores.asked[0].live);
  EXPECT_EQ(cores.asked[0].failures, 3u);
}

TEST(TraceDesk, DoesWithoutACoreThatHearsNothing) {
  Desk cores(2);
  cores.deaf = 0;
  cores.answers[1].lines = {Line(2, "second")};
  const auto view = cores.desk.Ask({.site = "mx.one.test"});
  ASSERT_TRUE(view.has_value());
  EXPECT_EQ(view->lines.size(), 1u);
  EXPECT_EQ(view->next.size(), 2u) << "a place for each core, whoever answers";
}

TEST(TraceDesk, GivesUpOnASlowCoreAndThrowsItsLateAnswerAway) {
  Desk cores(2);
  cores.slow = 1;
  const auto none = cores.desk.Ask({.site = "mx.one.test"});
  ASSERT_FALSE(none.has_value());
  EXPECT_EQ(none.error().code, ErrorCode::kUnavailable);
  delivery::TraceAnswer* late = cores.boxes[1]->Reserve();
  ASSERT_NE(late, nullptr);
  late->number = cores.asked.back().number;
  late->lines = {Line(1, "late")};
  cores.boxes[1]->Publish();
  cores.slow = 100;
  cores.answers[1].lines = {Line(2, "in time")};
  const auto view = cores.desk.Ask({.site = "mx.one.test"});
  ASSERT_TRUE(view.has_value());
  ASSERT_EQ(view->lines.size(), 1u);
  EXPECT_EQ(view->lines[0].text, "in time");
}

}  // namespace
}  // namespace postrider::engine
