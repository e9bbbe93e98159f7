#include "throttle/state_record.h"

#include <gtest/gtest.h>

#include <limits>
#include <random>

namespace postrider {
namespace {

using namespace std::chrono_literals;

const Now kNow{Monotonic(100h), Wall(490'000h)};

std::string Sample() {
  StateWriter writer;
  writer.Number(1, 42);
  writer.Real(2, 0.5);
  writer.Text(3, "451 later");
  writer.Moment(4, kNow.monotonic + 90min, kNow);
  return writer.Finish('A', 1);
}

TEST(StateRecord, GivesBackWhatWasWritten) {
  const std::string record = Sample();
  Result<StateReader> reader = StateReader::Open(record, 'A', 1);
  ASSERT_TRUE(reader.has_value()) << reader.error().message;
  ASSERT_TRUE(reader->Next());
  EXPECT_EQ(reader->field(), 1);
  EXPECT_EQ(reader->Number(), 42u);
  EXPECT_EQ(reader->Text(), std::nullopt);
  ASSERT_TRUE(reader->Next());
  EXPECT_EQ(reader->Real(), 0.5);
  EXPECT_EQ(reader->Number(), std::nullopt);
  ASSERT_TRUE(reader->Next());
  EXPECT_EQ(reader->Text(), "451 later");
  ASSERT_TRUE(reader->Next());
  EXPECT_EQ(reader->Moment(), kNow.wall + 90min);
  // Half an hour and a reboot later.
  EXPECT_EQ(reader->Moment(Now{Monotonic(1s), kNow.wall + 30min}), Monotonic(1s) + 60min);
  EXPECT_FALSE(reader->Next());
  EXPECT_TRUE(reader->sound());
}

TEST(StateRecord, AnyChangedByteIsNoticed) {
  const std::string record = Sample();
  for (std::size_t i = 0; i < record.size(); ++i) {
    std::string damaged = record;
    damaged[i] = static_cast<char>(damaged[i] ^ 0x10);
    EXPECT_FALSE(StateReader::Open(damaged, 'A', 1).has_value()) << i;
  }
  for (std::size_t length = 0; length < record.size(); ++length) {
    EXPECT_FALSE(StateReader::Open(std::string_view(record).substr(0, length), 'A', 1).has_value()) << length;
  }
}

TEST(StateRecord, SaysWhyItIsNotTaken) {
  const std::string record = Sample();
  EXPECT_NE(StateReader::Open(record, 'B', 1).error().message.find("another kind"), std::string::npos);
  EXPECT_NE(StateReader::Open(StateWriter().Finish('A', 9), 'A', 1).error().message.find("version 9"),
            std::string::npos);
  EXPECT_NE(StateReader::Open("garbage", 'A', 1).error().message.find("checksum"), std::string::npos);
  EXPECT_NE(StateReader::Open("", 'A', 1).error().message.find("too short"), std::string::npos);
}

TEST(StateRecord, FieldsThatDoNotFitEndTheReading) {
  std::mt19937_64 random(5);
  for (int i = 0; i < 20'000; ++i) {
    std::string bytes(random() % 40, '\0');
    for (char& byte : bytes) byte = static_cast<char>(random() % 8 == 0 ? random() : random() % 9);
    StateReader reader(bytes);
    int fields = 0;
    while (reader.Next()) {
      ++fields;
      (void)reader.Number();
      (void)reader.Real();
      (void)reader.Text();
      (void)reader.Moment(kNow);
    }
    EXPECT_LE(fields, 7);
  }
}

TEST(StateRecord, NumbersThatAreNoneAndMomentsOutOfReachAreNotGiven) {
  StateWriter writer;
  writer.Real(1, std::numeric_limits<double>::quiet_NaN());
  writer.Real(2, std::numeric_limits<double>::infinity());
  writer.Moment(3, Wall(std::chrono::milliseconds(std::numeric_limits<std::int64_t>::max())));
  writer.Moment(4, kNow.wall + 24h * 4000);
  StateReader reader(writer.fields());
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.Real(), std::nullopt);
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.Real(), std::nullopt);
  ASSERT_TRUE(reader.Next());
  EXPECT_EQ(reader.Moment(), std::nullopt);
  EXPECT_EQ(reader.Moment(kNow), std::nullopt);
  ASSERT_TRUE(reader.Next());
  // A stop of eleven years is a wrong clock.
  EXPECT_EQ(reader.Moment(kNow), kNow.monotonic + StateReader::kFarthest);
}

}  // namespace
}  // namespace postrider
