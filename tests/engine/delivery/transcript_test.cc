#include "engine/delivery/transcript.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <cctype>
#include <random>
#include <string>
#include <vector>

namespace postrider::delivery {
namespace {

using std::chrono::milliseconds;
using testing::ElementsAre;

constexpr Now kBegin{Monotonic(std::chrono::seconds(100)), Wall(std::chrono::seconds(1'000'000))};

std::vector<std::string> TextsOf(const Transcript& transcript) {
  std::vector<std::string> texts;
  for (const TraceLine& line : transcript.Lines(7, "a")) texts.push_back(ToMark(line.direction) + (" " + line.text));
  return texts;
}

Transcript Opened() {
  Transcript transcript;
  transcript.Begin(kBegin);
  transcript.Add(kBegin.monotonic, TraceDirection::kNote, 0, "connected");
  transcript.Add(kBegin.monotonic, TraceDirection::kReceived, 220, "mx");
  transcript.Opened();
  return transcript;
}

void Say(Transcript& transcript, std::string_view text) {
  transcript.Add(kBegin.monotonic, TraceDirection::kSent, 0, text);
}

TEST(WithCode, IsTheReplyAsItStoodOnTheWire) {
  EXPECT_EQ(WithCode(250, "mx\nSIZE\nHELP"), "250-mx\n250-SIZE\n250 HELP");
  EXPECT_EQ(WithCode(354, ""), "354 ");
  EXPECT_EQ(WithCode(0, "QUIT"), "QUIT");
}

TEST(Transcript, GivesTimeConnectionSourceAndText) {
  Transcript transcript;
  transcript.Begin(kBegin);
  transcript.Add(kBegin.monotonic + milliseconds(1234), TraceDirection::kReceived, 599, "a\nb");
  const std::vector<TraceLine> lines = transcript.Lines(7, "first");
  ASSERT_EQ(lines.size(), 1u);
  EXPECT_EQ(lines[0].time, kBegin.wall + milliseconds(1234));
  EXPECT_EQ(lines[0].connection, 7u);
  EXPECT_EQ(lines[0].source, "first");
  EXPECT_EQ(lines[0].direction, TraceDirection::kReceived);
  EXPECT_EQ(lines[0].text, "599-a\n599 b");
}

TEST(Transcript, ForgetsAMessageThatEndedWellButNotTheOneBehindIt) {
  Transcript transcript = Opened();
  transcript.MessageBegins();
  Say(transcript, "MAIL 1");
  Say(transcript, "content 1");
  transcript.MessageBegins();
  Say(transcript, "MAIL 2");
  transcript.MessageEnds(false);
  EXPECT_THAT(TextsOf(transcript),
              ElementsAre("* connected", "< 220 mx", "* 1 messages that ended well are left out", "> MAIL 2"));
  transcript.MessageEnds(false);
  Say(transcript, "QUIT");
  EXPECT_THAT(TextsOf(transcript),
              ElementsAre("* connected", "< 220 mx", "* 2 messages that ended well are left out", "> QUIT"));
}

TEST(Transcript, KeepsAMessageThatWasRefusedAndForgetsThoseAfterIt) {
  Transcript transcript = Opened();
  for (const std::string_view one : {"MAIL 1", "MAIL 2", "MAIL 3"}) {
    transcript.MessageBegins();
    Say(transcript, one);
    transcript.MessageEnds(one == "MAIL 1");
  }
  transcript.MessageBegins();
  Say(transcript, "MAIL 4");
  EXPECT_THAT(TextsOf(transcript), ElementsAre("* connected", "< 220 mx", "* 2 messages that ended well are left out",
                                               "> MAIL 1", "> MAIL 4"));
}

TEST(Transcript, StaysWithinItsBoundAndKeepsTheOpeningAndTheLatest) {
  Transcript transcript = Opened();
  for (int i = 0; i < 1000; ++i) {
    transcript.MessageBegins();
    Say(transcript, "refused " + std::to_string(i));
    transcript.MessageEnds(true);
    ASSERT_LE(transcript.bytes(), Transcript::kBytes);
  }
  const std::vector<std::string> texts = TextsOf(transcript);
  EXPECT_EQ(texts[1], "< 220 mx");
  EXPECT_EQ(texts.back(), "> refused 999");
  EXPECT_GT(texts.size(), 100u);
}

TEST(Transcript, CutsLongLinesAndAnOpeningWithoutEnd) {
  Transcript transcript;
  transcript.Begin(kBegin);
  for (int i = 0; i < 100; ++i) {
    transcript.Add(kBegin.monotonic, TraceDirection::kReceived, 250,
                   std::string(16384, static_cast<char>('a' + i % 26)));
    ASSERT_LE(transcript.bytes(), Transcript::kBytes);
    transcript.Opened();
  }
  EXPECT_EQ(transcript.Lines(1, "a").back().text.size(), 4 + Transcript::kTextBytes);
}

TEST(Transcript, BeginsAnewForTheNextUse) {
  Transcript transcript = Opened();
  transcript.MessageBegins();
  transcript.MessageEnds(false);
  transcript.Begin(kBegin);
  Say(transcript, "EHLO");
  EXPECT_THAT(TextsOf(transcript), ElementsAre("> EHLO"));
}

// Whatever comes in whatever order, what is read is whole lines, and what was said last is among them.
TEST(Transcript, HoldsForRandomConversations) {
  std::mt19937_64 random(11);
  for (int round = 0; round < 200; ++round) {
    Transcript transcript;
    transcript.Begin(kBegin);
    int open = 0;
    for (int step = 0; step < 300; ++step) {
      switch (random() % 8) {
        case 0:
          if (open < 4) {
            transcript.MessageBegins();
            ++open;
          }
          break;
        case 1:
          if (open > 0) {
            transcript.MessageEnds(random() % 3 == 0);
            --open;
          }
          break;
        case 2:
          if (open == 0 && random() % 20 == 0) transcript.Opened();
          break;
        default: {
          const std::string text = std::to_string(step) + std::string(random() % 700, 'x');
          Say(transcript, text);
          ASSERT_EQ(transcript.Lines(1, "").back().text, text.substr(0, Transcript::kTextBytes));
        }
      }
      ASSERT_LE(transcript.bytes(), Transcript::kBytes);
      for (const TraceLine& line : transcript.Lines(1, "")) {
        ASSERT_TRUE(line.direction == TraceDirection::kSent || line.direction == TraceDirection::kNote);
        ASSERT_TRUE(std::isdigit(static_cast<unsigned char>(line.text[0])) != 0);
      }
    }
  }
}

}  // namespace
}  // namespace postrider::delivery
