#include "engine/message/transfer_encoding.h"

#include <random>

#include <gtest/gtest.h>

#include "engine/message/charset.h"

namespace postrider::message {
namespace {

std::string Quoted(std::string_view text) {
  std::string out;
  QuotedPrintableWriter writer(out, 0);
  writer.Append(text);
  return out;
}

std::string Base64(std::string_view bytes, std::size_t piece) {
  std::string out;
  Base64Writer writer(out);
  for (; !bytes.empty(); bytes.remove_prefix(std::min(piece, bytes.size()))) writer.Append(bytes.substr(0, piece));
  writer.Finish();
  return out;
}

std::string RandomBytes(std::mt19937& random, std::size_t size) {
  std::string bytes;
  for (std::size_t i = 0; i < size; ++i) bytes += static_cast<char>(random());
  return bytes;
}

TEST(QuotedPrintable, EncodesWhatMailMayChange) {
  EXPECT_EQ(Quoted("Grüße = 1"), "Gr=C3=BC=C3=9Fe =3D 1");
  EXPECT_EQ(Quoted("a-b"), "a-b");
  EXPECT_EQ(Quoted("--boundary"), "=2D-boundary");
  EXPECT_EQ(Quoted("\r\n"), "=0D=0A");
}

TEST(QuotedPrintable, EscapesForHtmlWithoutCuttingAReference) {
  std::string out;
  QuotedPrintableWriter writer(out, 73);
  writer.AppendHtml("<a>&\"'ü");
  EXPECT_EQ(out, "=\r\n&lt;a&gt;&amp;&quot;&#39;=C3=BC");
}

TEST(QuotedPrintable, KeepsEveryLineAt76AndDecodesToTheSame) {
  std::mt19937 random(7);
  for (int round = 0; round < 500; ++round) {
    const std::string bytes = RandomBytes(random, random() % 400);
    const std::string encoded = Quoted(bytes);
    for (std::size_t at = 0; at < encoded.size();) {
      const std::size_t end = std::min(encoded.find("\r\n", at), encoded.size());
      ASSERT_LE(end - at, 76u);
      ASSERT_NE(encoded[at], '-');
      at = end + 2;
    }
    // A blank at the very end would be dropped in decoding: EndLine's to encode.
    ASSERT_EQ(DecodeQuotedPrintable(encoded + "=\r\n").bytes, bytes);
  }
}

TEST(QuotedPrintable, EncodesABlankBeforeALineEndInEveryColumn) {
  for (const char blank : {' ', '\t'}) {
    for (std::size_t length = 0; length < 160; ++length) {
      const std::string text = std::string(length, 'x') + blank;
      std::string out;
      QuotedPrintableWriter writer(out, 0);
      writer.Append(text);
      writer.EndLine();
      EXPECT_EQ(writer.column(), 0u);
      EXPECT_EQ(DecodeQuotedPrintable(out).bytes, text + "\n");
      for (std::size_t at = 0; at < out.size(); at = out.find("\r\n", at) + 2)
        EXPECT_LE(out.find("\r\n", at) - at, 76u);
    }
  }
}

TEST(QuotedPrintable, RemembersTheLineEachDecodedLineBeganOn) {
  const DecodedText decoded = DecodeQuotedPrintable("one=\r\n more\r\ntwo=0Athree \t\r\nfour");
  EXPECT_EQ(decoded.bytes, "one more\ntwo\nthree\nfour");
  EXPECT_EQ(decoded.lines, (std::vector<std::uint32_t>{0, 2, 2, 3}));
}

TEST(QuotedPrintable, ReportsEqualSignsThatEncodeNothing) {
  const DecodedText decoded = DecodeQuotedPrintable("a=zb\n=4\n=");
  ASSERT_EQ(decoded.problems.size(), 2u);
  EXPECT_EQ(decoded.problems[0].offset, 1u);
  EXPECT_EQ(decoded.problems[1].offset, 5u);
}

TEST(Base64, IsTheSameWhateverThePieces) {
  std::mt19937 random(11);
  for (std::size_t size = 0; size < 200; ++size) {
    const std::string bytes = RandomBytes(random, size);
    const std::string whole = Base64(bytes, 1000);
    EXPECT_EQ(whole.size(), Base64Size(size));
    for (const std::size_t piece : {1, 2, 3, 5, 57}) EXPECT_EQ(Base64(bytes, piece), whole);
    std::string decoded;
    EXPECT_FALSE(DecodeBase64(whole, decoded).has_value());
    EXPECT_EQ(decoded, bytes);
  }
  EXPECT_EQ(Base64("Ana", 9), "QW5h\r\n");
  EXPECT_EQ(Base64("An", 9), "QW4=\r\n");
  EXPECT_EQ(Base64("A", 9), "QQ==\r\n");
}

TEST(Base64, RefusesDamage) {
  const auto offset = [](std::string_view text) -> int {
    std::string out;
    const auto problem = DecodeBase64(text, out);
    return problem ? static_cast<int>(problem->offset) : -1;
  };
  EXPECT_EQ(offset(""), -1);
  EXPECT_EQ(offset(" QW\r\n5h "), -1);
  EXPECT_EQ(offset("QW5*"), 3);
  EXPECT_EQ(offset("QW5"), 3);    // padding missing
  EXPECT_EQ(offset("QW5h="), 5);  // and too much
  EXPECT_EQ(offset("Q"), 1);
  EXPECT_EQ(offset("QQ==QQ=="), 4);
  EXPECT_EQ(offset("QW\xc3"), 2);
}

TEST(Charset, ReadsTheCommonOnes) {
  EXPECT_EQ(ToUtf8("ISO-8859-1",
                   "Gr\xfc\xdf"
                   "e \x80")
                .value(),
            "Grüße €");
  EXPECT_EQ(ToUtf8("iso-8859-15", "\xa4\xbd").value(), "€œ");
  EXPECT_EQ(ToUtf8("windows-1252", "\x93hi\x94").value(), "“hi”");
  EXPECT_EQ(ToUtf8("KOI8-R", "\xf0\xd2").value(), "Пр");
  EXPECT_EQ(ToUtf8("Shift_JIS", "\x93\xfa\x96\x7b").value(), "日本");
  EXPECT_EQ(ToUtf8("utf-16be", std::string_view("\x00"
                                                "A\x20\xac",
                                                4))
                .value(),
            "A€");
  EXPECT_EQ(GuessUtf8("Gr\xfc\xdf"
                      "e"),
            "Grüße");
  EXPECT_EQ(GuessUtf8("Grüße"), "Grüße");
  const std::string large(10'000, '\xf0');
  EXPECT_EQ(ToUtf8("koi8-r", large).value().size(), 20'000u);
}

TEST(Charset, RefusesWhatIsNotInIt) {
  EXPECT_EQ(ToUtf8("utf-8", "ab\xff").error().message, "octet 3 is not valid in charset utf-8");
  EXPECT_EQ(ToUtf8("us-ascii", "\x80").error().code, ErrorCode::kInvalid);
  EXPECT_EQ(ToUtf8("euc-jp", "\xa4").error().code, ErrorCode::kInvalid);
  for (const char* name : {"no-such-charset", "", "utf-8//IGNORE", "../x", "koi8-r\nx"}) {
    EXPECT_EQ(ToUtf8(name, "a").error().code, ErrorCode::kUnsupported) << name;
  }
}

TEST(Utf8, KnowsWhatIsWellFormed) {
  for (const char* good : {"", "a", "12345678ü", "€", "😀", "\xf4\x8f\xbf\xbf", "\xed\x9f\xbf"})
    EXPECT_TRUE(IsUtf8(good));
  for (const char* bad : {"\x80", "\xc0\x80", "\xc3", "12345678\xc3", "\xe0\x80\x80", "\xed\xa0\x80",
                          "\xf0\x80\x80\x80", "\xf4\x90\x80\x80", "\xf5\x80\x80\x80", "\xff", "a\xe2\x82"}) {
    EXPECT_FALSE(IsUtf8(bad)) << bad;
  }
}

}  // namespace
}  // namespace postrider::message
