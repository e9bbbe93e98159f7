#include "engine/delivery/buffer_pool.h"

#include <gtest/gtest.h>

#include <string>
#include <vector>

namespace postrider::delivery {
namespace {

TEST(BufferPool, HandsTheRoomOfOneMessageToTheNext) {
  BufferPool pool;
  std::string first(20'000, 'a');
  const char* room = first.data();
  pool.Return(first);
  EXPECT_TRUE(first.empty());
  EXPECT_LT(first.capacity(), 100u);

  std::string second = "DATA\r\n";
  pool.Lend(second, 15'000);
  EXPECT_EQ(second, "DATA\r\n");
  EXPECT_EQ(second.data(), room);
}

TEST(BufferPool, LendsNothingForAFewCommands) {
  BufferPool pool;
  std::string first(20'000, 'a');
  pool.Return(first);
  std::string commands = "MAIL FROM:<a@example.org>\r\n";
  pool.Lend(commands, 100);
  EXPECT_LT(commands.capacity(), 100u);
}

TEST(BufferPool, LeavesABufferThatHasRoomAlone) {
  BufferPool pool;
  std::string first(20'000, 'a');
  pool.Return(first);
  std::string own(10'000, 'b');
  const char* room = own.data();
  pool.Lend(own, 5'000);
  EXPECT_EQ(own.data(), room);
  EXPECT_EQ(own.size(), 10'000u);
}

TEST(BufferPool, KeepsNeitherTheLargestNorAllOfThem) {
  BufferPool pool;
  std::string large(1 << 20, 'a');
  pool.Return(large);
  EXPECT_LT(large.capacity(), 100u);
  std::string asks;
  pool.Lend(asks, 15'000);
  EXPECT_LT(asks.capacity(), 100u) << "the large one must not be kept";

  std::vector<std::string> many(2000, std::string(10'000, 'a'));
  for (std::string& one : many) pool.Return(one);
  std::size_t lent = 0;
  for (std::string& one : many) {
    pool.Lend(one, 10'000);
    lent += one.capacity() >= 10'000 ? 1 : 0;
  }
  EXPECT_GT(lent, 100u);
  EXPECT_LT(lent, 1000u);
}

}  // namespace
}  // namespace postrider::delivery
