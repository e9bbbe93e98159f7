#include "queue/record.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <algorithm>
#include <functional>
#include <random>
#include <string>
#include <vector>

#include "queue/codec.h"
#include "queue/job_store.h"

namespace postrider::queue {
namespace {

using std::string_literals::operator""s;

Wall Moment(std::int64_t milliseconds) { return Wall(std::chrono::milliseconds(milliseconds)); }

CampaignRecord FullCampaign() {
  CampaignRecord record;
  Campaign& campaign = record.campaign;
  campaign.id = 77;
  campaign.spec.name = "2026-11-offer";
  campaign.spec.digest = std::string(64, 'f');
  campaign.spec.mail_class = MailClass::kTransactional;
  campaign.spec.standing = true;
  campaign.spec.from = "Shop <shop@example.org>";
  campaign.spec.envelope_from = "bounces@example.org";
  campaign.spec.pool = "warm";
  campaign.spec.list = "newsletter";
  campaign.spec.start = StartMode::kStreaming;
  campaign.spec.not_before = Moment(1'800'000'000'001);
  campaign.spec.expires = Moment(1'800'000'000'002);
  campaign.spec.messages_per_second = 12.5;
  campaign.spec.priority = -100;
  campaign.spec.skip_duplicates = false;
  campaign.spec.on_unknown = OnUnknown::kReport;
  campaign.spec.eight_bit = true;
  campaign.spec.weight = 1000;
  campaign.spec.canary_share = 0.015;
  campaign.spec.canary_wait = std::chrono::minutes(90);
  campaign.spec.time_zone = "Europe/Paris";
  campaign.spec.windows = {SendWindow::Parse("Mon-Fri 08:00-20:00").value(), SendWindow::Parse("22:00-06:00").value()};
  campaign.spec.headers = {{"List-Unsubscribe", "<https://example.org/u/{{id}}>"}, {"X-Empty", ""}};
  campaign.state = CampaignState::kPaused;
  campaign.totals = {.rows = 1,
                     .accepted = 2,
                     .rejected = 3,
                     .duplicate = 4,
                     .suppressed_at_intake = 5,
                     .delivered = 6,
                     .bounced = 7,
                     .expired = 8,
                     .suppressed = 9,
                     .cancelled = 10,
                     .unknown = 11,
                     .deferrals = std::numeric_limits<std::uint64_t>::max()};
  campaign.position = {.bytes = 1'000'000'000'000, .line = 12};
  campaign.accepted_at = Moment(1'800'000'000'000);
  campaign.released_at = Moment(1'800'000'000'003);
  campaign.expires_at = Moment(1'800'000'000'004);
  campaign.paused_at = Moment(-5);
  campaign.ended_at = Moment(0);
  campaign.canary = {
      .phase = CanaryPhase::kWaiting, .recipients = 1'000, .untried = 77, .rest_at = Moment(1'800'000'000'007)};
  campaign.note = "11 of 20 rows were rejected";
  record.next_sequence = 99;
  record.next_template = 4'294'967'295;
  return record;
}

Job FullRetry() {
  Job job;
  job.template_number = 3;
  job.mail_class = MailClass::kTransactional;
  job.needs_smtputf8 = true;
  job.address = "jos\xc3\xa9@example.org";
  job.row_id = "4711";
  job.fields = std::string_view("a\0b", 3);
  job.attempt = {.attempts = 65'535,
                 .first_attempt = Moment(1'800'000'000'005),
                 .source = "source-b",
                 .stage = Stage::kContent,
                 .category = Category::kOther,
                 .code = 452,
                 .enhanced = EnhancedCode{4, 2, 65'535},
                 .reply_text = "over quota",
                 .unknown_count = 255,
                 .bad_mailbox_count = 2,
                 .last_bad_mailbox = Moment(1'800'000'000'006)};
  return job;
}

std::string FullBlock(std::size_t rows) {
  BlockBuilder builder(7);
  for (std::size_t i = 0; i < rows; ++i) builder.Add({10 + i, i % 2 == 1, "ana@example.org", "id", "fields"});
  return builder.Finish();
}

DoneRecord SomeDone(std::uint16_t rows) {
  DoneRecord done;
  done.rows = rows;
  done.Set(0);
  done.Set(rows - 1u);
  return done;
}

TEST(Record, KeepsEverythingOfACampaign) {
  const CampaignRecord record = FullCampaign();
  const std::string value = EncodeCampaign(record);
  const auto read = DecodeCampaign(value);
  ASSERT_TRUE(read) << read.error().message;
  // Encoding is a function of every field, so equal bytes mean equal fields.
  EXPECT_EQ(EncodeCampaign(*read), value);
  EXPECT_EQ(read->campaign.spec.headers, record.campaign.spec.headers);
  EXPECT_EQ(read->campaign.spec.priority, -100);
  EXPECT_EQ(read->campaign.spec.messages_per_second, 12.5);
  EXPECT_EQ(read->campaign.spec.weight, 1000u);
  EXPECT_EQ(read->campaign.spec.canary_share, 0.015);
  EXPECT_EQ(read->campaign.spec.canary_wait, std::chrono::minutes(90));
  EXPECT_EQ(read->campaign.spec.time_zone, "Europe/Paris");
  EXPECT_EQ(read->campaign.spec.windows, record.campaign.spec.windows);
  EXPECT_EQ(read->campaign.canary, record.campaign.canary);
  EXPECT_EQ(read->campaign.totals.deferrals, record.campaign.totals.deferrals);
  EXPECT_EQ(read->campaign.paused_at, Moment(-5));
  EXPECT_EQ(read->campaign.ended_at, Moment(0));
  EXPECT_EQ(read->campaign.note, record.campaign.note);
  EXPECT_EQ(read->campaign.position.bytes, 1'000'000'000'000u);
  EXPECT_EQ(read->next_template, 4'294'967'295u);

  const auto plain = DecodeCampaign(EncodeCampaign({}));
  ASSERT_TRUE(plain);
  EXPECT_FALSE(plain->campaign.released_at);
}

// A campaign record of version 2 as a program of that time wrote it: FullCampaign() without what version 3 added. That
// is the list's name, "newsletter", before the state; version 1 had neither that nor the note at the end.
constexpr std::string_view kVersion2 =
    "024d0d323032362d31312d6f666665724066666666666666666666666666666666666666666666666666666666666666666666666666"
    "66666666666666666666666666666666666666666666666666666601011753686f70203c73686f70406578616d706c652e6f72673e13"
    "626f756e636573406578616d706c652e6f7267047761726d010182c0e285e3680184c0e285e3684029000000000000c7010001010210"
    "4c6973742d556e7375627363726962651e3c68747470733a2f2f6578616d706c652e6f72672f752f7b7b69647d7d3e07582d456d7074"
    "79000a6e6577736c6574746572030102030405060708090a0bffffffffffffffffff0180a094a58d1d0c80c0e285e3680186c0e285e3"
    "680188c0e285e3680109010063ffffffff0f1b3131206f6620323020726f777320776572652072656a6563746564";

// The same of version 3, which did not say where a canary stands.
constexpr std::string_view kVersion3 =
    "034d0d323032362d31312d6f666665724066666666666666666666666666666666666666666666666666666666666666666666666666"
    "66666666666666666666666666666666666666666666666666666601011753686f70203c73686f70406578616d706c652e6f72673e13"
    "626f756e636573406578616d706c652e6f7267047761726d010182c0e285e3680184c0e285e3684029000000000000c7010001010210"
    "4c6973742d556e7375627363726962651e3c68747470733a2f2f6578616d706c652e6f72672f752f7b7b69647d7d3e07582d456d7074"
    "79000a6e6577736c6574746572e8073f8eb851eb851eb8809793050c4575726f70652f5061726973021f01e004b07f05280168030102"
    "030405060708090a0bffffffffffffffffff0180a094a58d1d0c80c0e285e3680186c0e285e3680188c0e285e3680109010063ffffff"
    "ff0f1b3131206f6620323020726f777320776572652072656a6563746564";

std::string FromHex(std::string_view hex) {
  const auto digit = [](char c) { return c <= '9' ? c - '0' : c - 'a' + 10; };
  std::string bytes;
  for (std::size_t i = 0; i + 1 < hex.size(); i += 2) {
    bytes += static_cast<char>(digit(hex[i]) * 16 + digit(hex[i + 1]));
  }
  return bytes;
}

void ExpectOldCampaign(const Result<CampaignRecord>& read, bool with_list) {
  ASSERT_TRUE(read) << read.error().message;
  const CampaignRecord written = FullCampaign();
  const CampaignSpec& spec = read->campaign.spec;
  EXPECT_EQ(spec.list, with_list ? "newsletter" : "");
  EXPECT_EQ(read->campaign.note, with_list ? written.campaign.note : "");
  EXPECT_EQ(spec.headers, written.campaign.spec.headers);
  EXPECT_EQ(spec.messages_per_second, 12.5);
  EXPECT_EQ(read->campaign.state, CampaignState::kPaused);
  EXPECT_EQ(read->campaign.totals.deferrals, written.campaign.totals.deferrals);
  EXPECT_EQ(read->campaign.ended_at, Moment(0));
  EXPECT_EQ(read->next_template, written.next_template);
  // What came later has the value it would have had without a word about it.
  EXPECT_EQ(spec.weight, 100u);
  EXPECT_EQ(spec.canary_share, 0);
  EXPECT_EQ(spec.time_zone, "UTC");
  EXPECT_TRUE(spec.windows.empty());
}

TEST(Record, ReadsCampaignsOfEarlierVersions) {
  std::string value = FromHex(kVersion2);
  ExpectOldCampaign(DecodeCampaign(value), true);

  constexpr std::string_view kList = "\nnewsletter";
  const std::string note = FullCampaign().campaign.note;
  value.erase(value.find(kList), kList.size());
  value.resize(value.size() - note.size() - 1);
  value[0] = 1;
  ExpectOldCampaign(DecodeCampaign(value), false);

  value[0] = 5;
  EXPECT_FALSE(DecodeCampaign(value));
}

TEST(Record, ReadsCampaignsOfTheVersionWithoutTheStandOfACanary) {
  const auto read = DecodeCampaign(FromHex(kVersion3));
  ASSERT_TRUE(read) << read.error().message;
  CampaignRecord expected = FullCampaign();
  expected.campaign.canary = {};  // all of it goes at once, as it did then
  EXPECT_EQ(EncodeCampaign(*read), EncodeCampaign(expected));
}

TEST(Record, RefusesACanaryThatCannotStandSo) {
  const auto refused = [](const auto& change) {
    CampaignRecord record = FullCampaign();
    change(record.campaign.canary);
    return !DecodeCampaign(EncodeCampaign(record)).has_value();
  };
  EXPECT_FALSE(refused([](Canary&) {}));
  EXPECT_FALSE(refused([](Canary& canary) { canary = {}; }));
  EXPECT_TRUE(refused([](Canary& canary) { canary.rest_at.reset(); }));
  EXPECT_TRUE(refused([](Canary& canary) { canary.phase = CanaryPhase::kStopped; })) << "it has no moment then";
  EXPECT_TRUE(refused([](Canary& canary) { canary.untried = 1'001; }));
  EXPECT_TRUE(refused([](Canary& canary) { canary.phase = static_cast<CanaryPhase>(5); }));
}

TEST(Record, KeepsTheRestAndTheSiteOfADomainAndReadsThoseThatHadNeither) {
  DomainRecord record{.first_sequence = 3,
                      .next_sequence = 9,
                      .waiting = 700,
                      .rest = 0,
                      .deferred = 5,
                      .retry_from = Moment(1'800'000'000'000),
                      .retry_stamp = 12,
                      .site = ""};
  const std::string plain = EncodeDomain(record);
  EXPECT_EQ(plain[0], 1) << "longer than need be";
  EXPECT_EQ(DecodeDomain(plain).value(), record);
  record.rest = 700;
  EXPECT_EQ(DecodeDomain(EncodeDomain(record)).value(), record);
  record.site = "mx.example.org";
  EXPECT_EQ(DecodeDomain(EncodeDomain(record)).value(), record);
  record.rest = 701;
  EXPECT_FALSE(DecodeDomain(EncodeDomain(record))) << "more than wait";
}

TEST(Record, NumbersBlocksOfTheRestAfterAllOthers) {
  const std::uint64_t rest = kRestBlock | BlockNumber(3, 256);
  EXPECT_EQ(BlockSequence(rest), 3u);
  EXPECT_EQ(BlockRows(rest), 256u);
  EXPECT_TRUE(IsRestBlock(rest));
  EXPECT_FALSE(IsRestBlock(BlockNumber(std::uint64_t{1} << 50, 256)));
  EXPECT_LT(BlockKey(1, "a.test", BlockNumber(std::uint64_t{1} << 50, 256)), BlockKey(1, "a.test", rest));
}

TEST(Record, RefusesSendingThatNoManifestSays) {
  const auto refused = [](const auto& change) {
    CampaignRecord record = FullCampaign();
    change(record.campaign.spec);
    return !DecodeCampaign(EncodeCampaign(record)).has_value();
  };
  EXPECT_FALSE(refused([](CampaignSpec&) {}));
  EXPECT_TRUE(refused([](CampaignSpec& spec) { spec.weight = 0; }));
  EXPECT_TRUE(refused([](CampaignSpec& spec) { spec.weight = 1001; }));
  EXPECT_TRUE(refused([](CampaignSpec& spec) { spec.canary_share = -0.1; }));
  EXPECT_TRUE(refused([](CampaignSpec& spec) { spec.canary_share = 1.1; }));
  EXPECT_TRUE(refused([](CampaignSpec& spec) { spec.canary_share = std::numeric_limits<double>::quiet_NaN(); }));
  EXPECT_TRUE(refused([](CampaignSpec& spec) { spec.canary_wait = std::chrono::milliseconds(-1); }));
  EXPECT_TRUE(refused([](CampaignSpec& spec) { spec.windows[0].days = 0; }));
  EXPECT_TRUE(refused([](CampaignSpec& spec) { spec.windows[0].days = 0x80; }));
  EXPECT_TRUE(refused([](CampaignSpec& spec) { spec.windows[0].from = 1440; }));
  EXPECT_TRUE(refused([](CampaignSpec& spec) { spec.windows[1].to = 1441; }));
  EXPECT_TRUE(refused([](CampaignSpec& spec) { spec.windows[1].to = spec.windows[1].from; }));
}

TEST(Record, KeepsEverythingOfARetry) {
  const Job job = FullRetry();
  const std::string value = EncodeRetry(job);
  const auto read = DecodeRetry(value);
  ASSERT_TRUE(read) << read.error().message;
  EXPECT_EQ(EncodeRetry(*read), value);
  EXPECT_EQ(read->fields, job.fields);
  EXPECT_EQ(read->attempt.attempts, 65'535);
  EXPECT_EQ(read->attempt.enhanced, job.attempt.enhanced);
  EXPECT_EQ(read->attempt.category, Category::kOther);
  EXPECT_EQ(read->attempt.last_bad_mailbox, job.attempt.last_bad_mailbox);
}

TEST(Record, ShortensALongReplyBetweenCharacters) {
  Job job = FullRetry();
  const std::string reply = std::string(kReplyTextMax - 1, 'x') + "\xc3\xa9 and more";
  job.attempt.reply_text = reply;
  const std::string value = EncodeRetry(job);
  const auto read = DecodeRetry(value);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->attempt.reply_text, std::string(kReplyTextMax - 1, 'x'));
  EXPECT_EQ(Shortened("\x80\x80\x80", 2), "");
}

TEST(Record, KeepsTheRowsOfABlock) {
  for (const std::size_t rows : {std::size_t{1}, std::size_t{255}, kBlockRowsMax}) {
    const std::string value = FullBlock(rows);
    const auto block = DecodeBlock(value);
    ASSERT_TRUE(block) << block.error().message;
    EXPECT_EQ(block->template_number, 7u);
    ASSERT_EQ(block->rows.size(), rows);
    EXPECT_EQ(block->rows.back().row, 9 + rows);
    EXPECT_EQ(block->rows.back().needs_smtputf8, rows % 2 == 0);
    EXPECT_EQ(block->rows.front().address, "ana@example.org");
  }
  BlockBuilder builder(0);
  // A standing campaign's rows need not rise.
  for (const std::uint64_t row : {std::uint64_t{5}, std::uint64_t{1}, std::numeric_limits<std::uint64_t>::max()}) {
    builder.Add({row, false, "", "", ""});
  }
  const std::string value = builder.Finish();
  const auto block = DecodeBlock(value);
  ASSERT_TRUE(block);
  EXPECT_EQ(block->rows[1].row, 1u);
  EXPECT_EQ(block->rows[2].row, std::numeric_limits<std::uint64_t>::max());
}

TEST(Record, TellsABlocksSizeByItsNumber) {
  for (const std::size_t rows : {1u, 2u, 256u}) {
    EXPECT_EQ(BlockRows(BlockNumber(12, rows)), rows);
    EXPECT_EQ(BlockSequence(BlockNumber(12, rows)), 12u);
  }
  EXPECT_LT(BlockNumber(12, 256), BlockNumber(13, 1));
}

TEST(Record, StoresNoMoreOfABitmapThanTheBlockHasRows) {
  for (const std::uint16_t rows : std::initializer_list<std::uint16_t>{1, 8, 9, 64, 65, 255, 256}) {
    const DoneRecord done = SomeDone(rows);
    const std::string value = EncodeDone(done);
    EXPECT_EQ(value.size(), 3u + (rows + 7u) / 8);
    const auto read = DecodeDone(value);
    ASSERT_TRUE(read) << rows;
    EXPECT_EQ(*read, done);
    EXPECT_EQ(read->Count(), rows == 1 ? 1u : 2u);
  }
}

TEST(Record, RefusesABitBeyondTheBlock) {
  std::string value = EncodeDone(SomeDone(9));
  value.back() = '\x02';
  EXPECT_EQ(DecodeDone(value).error().code, ErrorCode::kCorrupt);
}

TEST(Record, OrdersKeysAsTheQueueReadsThem) {
  EXPECT_LT(CampaignKey(255), CampaignKey(256));
  EXPECT_LT(BlockKey(1, "a.test", 2), BlockKey(1, "a.test", 256));
  EXPECT_LT(BlockKey(1, "a.test", ~0ull), BlockKey(1, "aa.test", 0));
  EXPECT_LT(RetryKey(1, "a.test", {2, 9}, Moment(10)), RetryKey(1, "a.test", {2, 1}, Moment(11)));
  EXPECT_LT(RetryKey(1, "a.test", {2, 9}, Moment(99)), RetryKey(1, "a.test", {3, 1}, Moment(1)));
  // All of one domain is between its prefix and the end of that, and nothing of another.
  const std::string prefix = DomainPrefix(3, "a.test");
  EXPECT_TRUE(DomainKey(3, "a.test", ~0ull).starts_with(prefix));
  EXPECT_LT(DomainKey(3, "a.test", ~0ull), PrefixEnd(prefix));
  EXPECT_FALSE(DomainKey(3, "a.test.example", 1).starts_with(prefix));
  // A retry key starts as the domain key of its campaign does.
  EXPECT_TRUE(RetryKey(3, "a.test", {5, 1}, Moment(1)).starts_with(DomainKey(3, "a.test", 5)));
}

TEST(Record, ReadsItsOwnKeys) {
  const auto domain = ParseDomainKey(DomainKey(65'535, "a.test", 258));
  ASSERT_TRUE(domain);
  EXPECT_EQ(domain->shard, 65'535u);
  EXPECT_EQ(domain->campaign, 258u);
  const std::string block_key = BlockKey(256, "a.test", 0);
  const auto block = ParseBlockKey(block_key);
  ASSERT_TRUE(block);
  EXPECT_EQ(block->campaign, 256u);
  EXPECT_EQ(block->domain, "a.test");
  const std::string retry_key = RetryKey(0, "[192.0.2.1]", {1, 2}, Moment(3));
  const auto retry = ParseRetryKey(retry_key);
  ASSERT_TRUE(retry);
  EXPECT_EQ(retry->domain, "[192.0.2.1]");
  EXPECT_EQ(retry->job, (JobId{1, 2}));
  EXPECT_EQ(retry->due, Moment(3));
  EXPECT_EQ(ParseRetryKey(RetryKey(0, "a.test", {1, 2}, Moment(-3)))->due, Moment(0));
  EXPECT_EQ(*ParseCampaignKey(CampaignKey(9)), 9u);
}

TEST(Record, EndsAPrefixAfterAllThatStartsWithIt) {
  EXPECT_EQ(PrefixEnd("ab"), "ac");
  EXPECT_EQ(PrefixEnd("a\xff"), "b");
  EXPECT_EQ(PrefixEnd("\xff\xff"), "");
}

struct Kind {
  std::string name;
  std::string value;
  std::function<bool(std::string_view)> decodes;
};

template <typename Decode>
std::function<bool(std::string_view)> Checked(Decode decode) {
  return [decode](std::string_view value) {
    const auto result = decode(value);
    EXPECT_TRUE(result || result.error().code == ErrorCode::kCorrupt);
    return result.has_value();
  };
}

std::vector<Kind> AllKinds() {
  return {
      {"campaign", EncodeCampaign(FullCampaign()), Checked(DecodeCampaign)},
      {"totals", EncodeTotals(FullCampaign().campaign.totals), Checked(DecodeTotals)},
      {"template", EncodeTemplate({Moment(5), "Subject: x\r\n\r\nbody", "mail.a.test"}), Checked(DecodeTemplate)},
      {"domain", EncodeDomain({1, 2, 300, 0, 4, Moment(5), 6, ""}), Checked(DecodeDomain)},
      {"domain with a rest", EncodeDomain({1, 2, 300, 200, 4, Moment(5), 6, "mx.a.test"}), Checked(DecodeDomain)},
      {"block", FullBlock(3), Checked(DecodeBlock)},
      {"done", EncodeDone(SomeDone(20)), Checked(DecodeDone)},
      {"retry", EncodeRetry(FullRetry()), Checked(DecodeRetry)},
      {"count", EncodeCount(300), Checked(DecodeCount)},
      {"campaign key", CampaignKey(1), Checked(ParseCampaignKey)},
      {"domain key", DomainKey(1, "a.test", 2), Checked(ParseDomainKey)},
      {"block key", BlockKey(1, "a.test", 2), Checked(ParseBlockKey)},
      {"retry key", RetryKey(1, "a.test", {2, 3}, Moment(4)), Checked(ParseRetryKey)},
  };
}

TEST(Record, KeepsTheHostOfATemplateAndReadsOneThatWasWrittenWithoutIt) {
  const std::string value = EncodeTemplate({Moment(5), "message", "mail.a.test"});
  const auto read = DecodeTemplate(value);
  ASSERT_TRUE(read);
  EXPECT_EQ(read->message, "message");
  EXPECT_EQ(read->host_name, "mail.a.test");
  std::string first_version = EncodeTemplate({Moment(5), "message", ""});
  first_version.front() = '\x01';
  first_version.pop_back();  // the empty name's length
  const auto old = DecodeTemplate(first_version);
  ASSERT_TRUE(old);
  EXPECT_EQ(old->accepted_at, Moment(5));
  EXPECT_EQ(old->message, "message");
  EXPECT_EQ(old->host_name, "");
}

TEST(Record, RefusesEveryValueThatIsCutShort) {
  for (const Kind& kind : AllKinds()) {
    ASSERT_TRUE(kind.decodes(kind.value)) << kind.name;
    for (std::size_t length = 0; length < kind.value.size(); ++length) {
      EXPECT_FALSE(kind.decodes(kind.value.substr(0, length))) << kind.name << " cut to " << length;
    }
  }
}

TEST(Record, RefusesWhatStandsAfterAValue) {
  for (const Kind& kind : AllKinds()) {
    // A longer key is another key; of values nothing may be left over.
    EXPECT_FALSE(kind.decodes(kind.value + "\0"s)) << kind.name;
  }
}

TEST(Record, RefusesAnotherVersion) {
  for (const Kind& kind : AllKinds()) {
    if (kind.name.ends_with("key")) continue;
    std::string value = kind.value;
    for (const char version : {'\0', 'c'}) {
      value[0] = version;
      EXPECT_FALSE(kind.decodes(value)) << kind.name;
    }
  }
}

TEST(Record, RefusesNumbersThatNothingHas) {
  Job job = FullRetry();
  job.attempt.stage = static_cast<Stage>(200);
  EXPECT_FALSE(DecodeRetry(EncodeRetry(job)));
  job = FullRetry();
  job.attempt.category = static_cast<Category>(200);
  EXPECT_FALSE(DecodeRetry(EncodeRetry(job)));
  CampaignRecord record = FullCampaign();
  record.campaign.state = static_cast<CampaignState>(200);
  EXPECT_FALSE(DecodeCampaign(EncodeCampaign(record)));
  BlockBuilder empty(1);
  EXPECT_FALSE(DecodeBlock(empty.Finish()));
  // 257 rows said, and 0.
  std::string block = FullBlock(2);
  block[5] = 1;
  EXPECT_FALSE(DecodeBlock(block));
  // A length of 2^64 - 1.
  EXPECT_FALSE(DecodeTemplate("\x01\x00\xff\xff\xff\xff\xff\xff\xff\xff\xff\x01"s));
  // A number of more than 64 bits.
  EXPECT_FALSE(DecodeCount("\x01\xff\xff\xff\xff\xff\xff\xff\xff\xff\x02"s));
}

TEST(Record, SurvivesAnyBytes) {
  std::mt19937_64 random(20'261'123);
  for (const Kind& kind : AllKinds()) {
    for (int round = 0; round < 3000; ++round) {
      std::string value = kind.value;
      const std::size_t changes = 1 + random() % 4;
      for (std::size_t i = 0; i < changes; ++i) value[random() % value.size()] = static_cast<char>(random());
      if (random() % 4 == 0) value.resize(random() % (value.size() + 1));
      // Whatever the answer: no crash, no read beyond the bytes (the sanitizers watch), and kCorrupt if none.
      (void)kind.decodes(value);
    }
  }
}

TEST(Record, KnowsWhatMayBePartOfAKey) {
  EXPECT_TRUE(IsStorableDomain("a"));
  EXPECT_TRUE(IsStorableDomain(std::string(255, 'a')));
  EXPECT_FALSE(IsStorableDomain(std::string(256, 'a')));
  EXPECT_FALSE(IsStorableDomain(""));
  EXPECT_FALSE(IsStorableDomain(std::string_view("a\0b", 3)));
}

TEST(Record, KeepsADomainInItsShardForEver) {
  // These must never change: they are on disks.
  EXPECT_EQ(ShardOf("gmail.com", 64), 58u);
  EXPECT_EQ(ShardOf("example.org", 64), 39u);
  EXPECT_EQ(ShardOf("", 64), 63u);
  std::vector<int> counts(64);
  for (int i = 0; i < 64'000; ++i) ++counts[ShardOf("domain" + std::to_string(i) + ".example", 64)];
  EXPECT_GT(*std::min_element(counts.begin(), counts.end()), 800);
  EXPECT_LT(*std::max_element(counts.begin(), counts.end()), 1200);
}

TEST(Codec, KeepsNumbersOfEverySize) {
  for (const std::uint64_t number : {0ull, 127ull, 128ull, 1ull << 32, ~0ull}) {
    std::string bytes;
    Encoder out(bytes);
    out.Varint(number);
    out.Signed(static_cast<std::int64_t>(number));
    out.Fixed64(number);
    Decoder in(bytes);
    EXPECT_EQ(in.Varint(), number);
    EXPECT_EQ(in.Signed(), static_cast<std::int64_t>(number));
    EXPECT_EQ(in.Fixed64(), number);
    EXPECT_TRUE(in.Complete());
    (void)in.Byte();
    EXPECT_FALSE(in.ok());
  }
}

}  // namespace
}  // namespace postrider::queue
