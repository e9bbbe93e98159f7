#include "engine/intake/duplicate_filter.h"

#include <filesystem>
#include <set>

#include <gtest/gtest.h>

namespace postrider::intake {
namespace {

AddressHash Numbered(std::uint64_t number) { return HashAddress("user" + std::to_string(number) + "@example.org"); }

bool Insert(DuplicateFilter& filter, const AddressHash& hash) {
  const Result<void> room = filter.Reserve(1);
  EXPECT_TRUE(room) << room.error().message;
  const Result<bool> is_new = filter.Insert(hash);
  EXPECT_TRUE(is_new) << is_new.error().message;
  return is_new.value_or(false);
}

TEST(AddressHash, DoesNotCareForCase) {
  EXPECT_EQ(HashAddress("Ana.LIMA-42@Example.ORG"), HashAddress("ana.lima-42@example.org"));
  EXPECT_EQ(HashAddress("[]@{}`"), HashAddress("[]@{}`"));
  // Neighbours of the letters stay what they are.
  EXPECT_NE(HashAddress("@@@@@@@@"), HashAddress("````````"));
  EXPECT_NE(HashAddress("[[[[[[[["), HashAddress("{{{{{{{{"));
  EXPECT_NE(HashAddress("\xc3\x80xxxxxx"), HashAddress("\xc3\xa0xxxxxx"));
}

TEST(AddressHash, TellsAddressesApart) {
  std::set<AddressHash> all;
  for (std::uint64_t i = 0; i < 200'000; ++i) all.insert(Numbered(i));
  EXPECT_EQ(all.size(), 200'000u);
  for (std::size_t size = 0; size < 64; ++size) all.insert(HashAddress(std::string(size, '\0')));
  EXPECT_EQ(all.size(), 200'064u);
}

TEST(DuplicateFilter, FindsEveryDuplicateAcrossSpillsAndMerges) {
  constexpr std::uint64_t kCount = 60'000;
  DuplicateFilter filter(std::filesystem::temp_directory_path(), 1024);
  for (std::uint64_t i = 0; i < kCount; ++i) {
    ASSERT_TRUE(Insert(filter, Numbered(i))) << i;
    ASSERT_FALSE(Insert(filter, Numbered(i / 2))) << i;
  }
  for (std::uint64_t i = 0; i < kCount; ++i) ASSERT_FALSE(Insert(filter, Numbered(i)));
  EXPECT_EQ(filter.size(), kCount);
  EXPECT_LE(filter.runs(), 8u);
}

TEST(DuplicateFilter, KeepsTheHashThatMeansEmpty) {
  DuplicateFilter filter(std::filesystem::temp_directory_path(), 64);
  EXPECT_TRUE(Insert(filter, AddressHash{}));
  EXPECT_FALSE(Insert(filter, AddressHash{}));
  for (std::uint64_t i = 0; i < 500; ++i) EXPECT_TRUE(Insert(filter, Numbered(i)));
  EXPECT_FALSE(Insert(filter, AddressHash{}));
}

TEST(DuplicateFilter, IsBounded) {
  DuplicateFilter filter(std::filesystem::temp_directory_path(), 1 << 14);
  for (std::uint64_t i = 0; i < 1'000'000; ++i) ASSERT_TRUE(Insert(filter, Numbered(i)));
  // Table, filter, and one hash in 256 of what was spilled.
  EXPECT_LE(filter.memory_bytes(), (16u << 14) + (16u << 20) + 2 * 16 * (1'000'000u / 256));
}

TEST(DuplicateFilter, SaysWhyItCannotSpillAndLosesNothing) {
  DuplicateFilter filter("/nonexistent", 64);
  std::uint64_t kept = 0;
  Result<void> room;
  while ((room = filter.Reserve(1))) {
    ASSERT_TRUE(filter.Insert(Numbered(kept)).value());
    ++kept;
  }
  EXPECT_EQ(room.error().code, ErrorCode::kIo);
  EXPECT_NE(room.error().message.find("/nonexistent"), std::string::npos);
  EXPECT_FALSE(filter.Reserve(1).has_value());
  for (std::uint64_t i = 0; i < kept; ++i) EXPECT_FALSE(filter.Insert(Numbered(i)).value());
}

}  // namespace
}  // namespace postrider::intake
