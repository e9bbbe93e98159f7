#include "engine/intake/list_reader.h"

#include <zlib.h>
#include <zstd.h>

#include <algorithm>
#include <random>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "tests/engine/intake/spool_fixture.h"

namespace postrider::intake {
namespace {

using testing::HasSubstr;

constexpr std::uint64_t kRowMax = 1000;

std::string Gzip(std::string_view text) {
  z_stream stream{};
  deflateInit2(&stream, 6, Z_DEFLATED, 16 + MAX_WBITS, 8, Z_DEFAULT_STRATEGY);
  std::string out(deflateBound(&stream, text.size()) + 64, '\0');
  stream.next_in = reinterpret_cast<Bytef*>(const_cast<char*>(text.data()));
  stream.avail_in = static_cast<uInt>(text.size());
  stream.next_out = reinterpret_cast<Bytef*>(out.data());
  stream.avail_out = static_cast<uInt>(out.size());
  EXPECT_EQ(deflate(&stream, Z_FINISH), Z_STREAM_END);
  out.resize(out.size() - stream.avail_out);
  deflateEnd(&stream);
  return out;
}

std::string Zstd(std::string_view text) {
  std::string out(ZSTD_compressBound(text.size()), '\0');
  out.resize(ZSTD_compress(out.data(), out.size(), text.data(), text.size(), 3));
  return out;
}

class ListReaderTest : public SpoolTest {
 protected:
  std::unique_ptr<ListReader> Open(const std::string& name, std::string_view text) {
    Write(root_ / name, text);
    auto reader = ListReader::Open(*files_, root_ / name, kRowMax);
    EXPECT_TRUE(reader) << reader.error().message;
    return reader ? std::move(*reader) : nullptr;
  }

  // "line:text" of each record, "!" where one is too long, then the error if one ends the list.
  std::vector<std::string> Records(const std::string& name, std::string_view text) {
    const std::unique_ptr<ListReader> reader = Open(name, text);
    std::vector<std::string> records;
    Record record;
    nothing_yet_ = 0;
    while (true) {
      const Result<Found> found = reader->Next(record);
      if (!found) records.push_back("error: " + found.error().message);
      if (!found || *found == Found::kEnd) return records;
      if (*found == Found::kNothingYet) {
        ++nothing_yet_;
        continue;
      }
      records.push_back(std::to_string(record.line) + ":" + (record.too_long ? "!" : std::string(record.text)));
    }
  }

  int nothing_yet_ = 0;  // times, in the last Records
};

TEST_F(ListReaderTest, ReadsLines) {
  EXPECT_THAT(Records("a.jsonl", ""), testing::ElementsAre());
  EXPECT_THAT(Records("a.jsonl", "a\nb"), testing::ElementsAre("1:a", "2:b"));
  EXPECT_THAT(Records("a.jsonl",
                      "\xef\xbb\xbf"
                      "a\r\n\r\n \t\nb\r\n"),
              testing::ElementsAre("1:a", "4:b"));
  EXPECT_THAT(Records("a.jsonl", "\xef\xbb"), testing::ElementsAre("1:\xef\xbb"));
}

TEST_F(ListReaderTest, PassesOverLinesBeyondTheLimit) {
  const std::string fits(kRowMax, 'x');
  for (const std::size_t longer : {kRowMax + 1, std::uint64_t{300'000}, std::uint64_t{2'000'000}}) {
    EXPECT_THAT(Records("a.jsonl", fits + "\n" + std::string(longer, 'y') + "\nlast\n"),
                testing::ElementsAre("1:" + fits, "2:!", "3:last"));
    EXPECT_THAT(Records("a.jsonl", std::string(longer, 'y')), testing::ElementsAre("1:!"));
    EXPECT_THAT(Records("a.csv", "to\n" + std::string(longer, 'y') + "\nlast\n"),
                testing::ElementsAre("1:to", "2:!", "3:last"));
  }
}

TEST_F(ListReaderTest, KeepsQuotedLineEndsInACsvRecord) {
  EXPECT_THAT(Records("a.csv", "to,x\r\n\"a\r\nb\",\"c\"\"\n\"\r\n\r\nd,e"),
              testing::ElementsAre("1:to,x", "2:\"a\r\nb\",\"c\"\"\n\"", "6:d,e"));
}

TEST_F(ListReaderTest, EndsAtAQuoteThatNeverCloses) {
  EXPECT_THAT(Records("a.csv", "to\n\"a\nb\nc\n"),
              testing::ElementsAre("1:to", HasSubstr("error: line 2: a quote that opens in this record never closes")));
  EXPECT_THAT(Records("a.csv", "to\n\"a\n" + std::string(2 * kRowMax, 'x') + "\n"),
              testing::ElementsAre(
                  "1:to", HasSubstr("error: line 2: a quote that opens in this record does not close within")));
}

TEST_F(ListReaderTest, TakesNoRowsOutOfACellThatIsOpenBeyondTheLimit) {
  for (const std::size_t longer : {std::uint64_t{2} * kRowMax, std::uint64_t{300'000}, std::uint64_t{2'000'000}}) {
    const std::string cell = "a@x,\"" + std::string(longer, 'y') + "\nvictim@y,";
    EXPECT_THAT(Records("a.csv", "to,x\n" + cell + "\"\nlast,z\n"),
                testing::ElementsAre("1:to,x", HasSubstr("error: line 2: a quote that opens in this record does not "
                                                         "close within 1000 octets")));
    EXPECT_THAT(Records("a.csv", "to,x\na@x,\"" + std::string(longer, 'y') + "\"\"\"\nlast,z\n"),
                testing::ElementsAre("1:to,x", "2:!", "3:last,z"));
    EXPECT_THAT(Records("a.jsonl", std::string(longer, 'y') + "\"\nlast\n"), testing::ElementsAre("1:!", "2:last"));
  }
}

TEST_F(ListReaderTest, SaysThePositionBehindEachRecord) {
  const std::string text = "one\r\n\ntwo\n" + std::string(kRowMax + 5, 'x') + "\nlast";
  const std::unique_ptr<ListReader> reader = Open("a.jsonl", text);
  Record record;
  std::vector<std::pair<std::uint64_t, std::uint64_t>> positions;
  while (reader->Next(record).value() == Found::kRecord)
    positions.emplace_back(reader->position().bytes, reader->position().line);
  EXPECT_THAT(positions, testing::ElementsAre(testing::Pair(5, 1), testing::Pair(10, 3), testing::Pair(kRowMax + 16, 4),
                                              testing::Pair(text.size(), 5)));
}

TEST_F(ListReaderTest, ReadsCompressedListsInSeveralPieces) {
  std::string text;
  for (int i = 0; i < 40'000; ++i) text += "{\"to\":\"user" + std::to_string(i * 7919) + "@example.org\"}\n";
  const std::vector<std::string> plain = Records("a.jsonl", text);
  ASSERT_EQ(plain.size(), 40'000u);
  const std::size_t half = text.size() / 2;
  EXPECT_EQ(Records("b.jsonl.gz", Gzip(text)), plain);
  EXPECT_EQ(Records("c.jsonl.zst", Zstd(text)), plain);
  EXPECT_EQ(Records("d.jsonl.gz", Gzip(text.substr(0, half)) + Gzip(text.substr(half))), plain);
  EXPECT_EQ(Records("e.jsonl.zst", Zstd(text.substr(0, half)) + Zstd(text.substr(half))), plain);
  EXPECT_THAT(Records("f.jsonl.gz", Gzip("")), testing::ElementsAre());
  EXPECT_THAT(Records("g.jsonl.zst", Zstd("")), testing::ElementsAre());
}

TEST_F(ListReaderTest, SaysWhereACompressedListIsCutOrDamaged) {
  std::string text;
  std::mt19937 random(3);
  for (int i = 0; i < 20'000; ++i) text += std::to_string(random()) + "\n";
  for (const auto& [name, packed] : {std::pair("a.jsonl.gz", Gzip(text)), std::pair("a.jsonl.zst", Zstd(text))}) {
    for (std::size_t size = 0; size < packed.size(); size += packed.size() / 50 + 1) {
      const std::vector<std::string> records = Records(name, packed.substr(0, size));
      ASSERT_FALSE(records.empty());
      EXPECT_THAT(records.back(),
                  testing::ContainsRegex("error: a.jsonl.(gz|zst) is cut short.* after [0-9]+ octets of list"));
    }
    EXPECT_THAT(Records(name, packed.substr(0, packed.size() - 1)).back(), HasSubstr("cut short"));
    std::string damaged = packed;
    for (std::size_t i = damaged.size() / 2; i < damaged.size() / 2 + 40; ++i)
      damaged[i] = static_cast<char>(~damaged[i]);
    EXPECT_THAT(Records(name, damaged).back(), HasSubstr("is damaged"));
    EXPECT_THAT(Records(name, "{\"to\":\"a@b.example\"}\n").back(), HasSubstr("is damaged"));
    EXPECT_THAT(Records(name, packed + "trailing rubbish").back(), HasSubstr("error"));
  }
}

TEST_F(ListReaderTest, StaysSmallWhateverTheFileUnpacksTo) {
  // 64 MiB of blank lines in a few KiB: read through one buffer, as one list without rows.
  EXPECT_THAT(Records("bomb.jsonl.zst", Zstd(std::string(64 << 20, '\n'))), testing::ElementsAre());
  EXPECT_GE(nothing_yet_, 10) << "and the caller can do something else meanwhile";
  EXPECT_THAT(Records("bomb.csv.zst", Zstd(std::string(64 << 20, '\n') + "to\n" + std::string(64 << 20, 'x'))),
              testing::ElementsAre(std::to_string((64 << 20) + 1) + ":to", std::to_string((64 << 20) + 2) + ":!"));
  EXPECT_GE(nothing_yet_, 20);
  EXPECT_THAT(Records("bomb.jsonl.gz", Gzip(std::string(8 << 20, 'x'))), testing::ElementsAre("1:!"));
}

TEST_F(ListReaderTest, TheBehindOfTheLastRecordIsWhereAListGoesOnWhateverIsPassedOver) {
  const std::unique_ptr<ListReader> reader = Open("a.jsonl", "one\n" + std::string(20 << 20, '\n') + "two\n\n\n");
  Record record;
  ASSERT_EQ(reader->Next(record).value(), Found::kRecord);
  ASSERT_EQ(reader->Next(record).value(), Found::kNothingYet);
  EXPECT_EQ(reader->position().bytes, 4u);
  EXPECT_EQ(reader->position().line, 1u);
  while (reader->Next(record).value() == Found::kNothingYet) {
  }
  EXPECT_EQ(reader->position().bytes, 8u + (20 << 20));
  ASSERT_EQ(reader->Next(record).value(), Found::kEnd);
  EXPECT_EQ(reader->position().bytes, 10u + (20 << 20));
}

TEST_F(ListReaderTest, RefusesNamesItDoesNotKnow) {
  for (const char* name : {"a.txt", "a.json", "a.gz", "jsonl", "a.jsonl.bz2"}) {
    Write(root_ / name, "x");
    EXPECT_FALSE(ListReader::Open(*files_, root_ / name, kRowMax).has_value()) << name;
  }
  EXPECT_EQ(ListReader::Open(*files_, root_ / "none.jsonl", kRowMax).error().code, ErrorCode::kNotFound);
}

}  // namespace
}  // namespace postrider::intake
