#include "engine/observe/accounting.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <limits>
#include <map>
#include <set>
#include <vector>

namespace postrider::observe {
namespace {

using queue::Event;
using queue::EventKind;
using std::chrono::milliseconds;

// Reads CSV as RFC 4180 has it and nothing laxer; a fault is a failed test.
std::vector<std::vector<std::string>> ReadCsv(std::string_view text) {
  std::vector<std::vector<std::string>> records;
  std::size_t at = 0;
  while (at < text.size()) {
    std::vector<std::string>& record = records.emplace_back();
    for (bool more = true; more;) {
      std::string field;
      if (text[at] == '"') {
        for (++at; at < text.size(); ++at) {
          if (text[at] != '"') {
            field += text[at];
          } else if (at + 1 < text.size() && text[at + 1] == '"') {
            field += text[at++];
          } else {
            break;
          }
        }
        ++at;  // the closing quote
      } else {
        while (at < text.size() && text[at] != ',' && text[at] != '\r') {
          EXPECT_TRUE(text[at] != '"' && text[at] != '\n') << "must be quoted at octet " << at;
          field += text[at++];
        }
      }
      record.push_back(std::move(field));
      more = at < text.size() && text[at] == ',';
      at += more ? 1 : 2;
      if (!more) {
        EXPECT_EQ(text.substr(at - 2, 2), "\r\n") << "at octet " << at;
      }
    }
  }
  return records;
}

std::map<std::string, std::string> Record(const Event& event, bool deferrals = true) {
  std::string text(kAccountingHeader);
  AccountingLine(deferrals).Append(event, text);
  const auto records = ReadCsv(text);
  std::map<std::string, std::string> fields;
  if (records.size() != 2) return fields;
  EXPECT_EQ(records[1].size(), records[0].size());
  for (std::size_t i = 0; i < records[0].size(); ++i) fields[records[0][i]] = records[1][i];
  return fields;
}

Event Delivered() {
  Event event;
  event.kind = EventKind::kDelivered;
  event.final = true;
  event.time = Wall(milliseconds(1'795'499'045'007));
  event.campaign = "2026-11-24-offer";
  event.row_id = "c-99";
  event.recipient = "ana@example.org";
  event.domain = "example.org";
  event.mx_host = "mx1.example.org";
  event.mx_address = "192.0.2.7:25";
  event.source = "a";
  event.local_address = "198.51.100.3";
  event.pool = "default";
  event.envelope_from = "bounce@sender.example";
  event.code = 250;
  event.enhanced = EnhancedCode{2, 0, 0};
  event.reply = "2.0.0 OK, queued";
  event.bytes = 10240;
  event.queued_seconds = 60;
  event.smtp_seconds = 2.5;
  return event;
}

Event Refused(std::string_view reply, int code, std::optional<EnhancedCode> enhanced, Category category) {
  Event event = Delivered();
  event.kind = EventKind::kBounced;
  event.code = static_cast<std::uint16_t>(code);
  event.enhanced = enhanced;
  event.reply = reply;
  event.category = category;
  return event;
}

TEST(Accounting, WritesADeliveryAsPowerMtaDoes) {
  std::string text;
  AccountingLine(false).Append(Delivered(), text);
  EXPECT_EQ(text,
            "d,2026-11-24 05:44:05+0000,2026-11-24 05:43:02+0000,bounce@sender.example,ana@example.org,,relayed,"
            "2.0.0 (success),\"smtp;250 2.0.0 OK, queued\",mx1.example.org (192.0.2.7),success,api,,smtp,198.51.100.3,"
            "192.0.2.7,,10240,a,2026-11-24-offer,c-99,example.org/a,default\r\n");
}

TEST(Accounting, WritesABounceWithTheReceiversOwnStatus) {
  const auto record =
      Record(Refused("5.1.1 no such user\nsee http://x.example", 550, EnhancedCode{5, 1, 1}, Category::kBadMailbox));
  EXPECT_EQ(record.at("type"), "b");
  EXPECT_EQ(record.at("dsnAction"), "failed");
  EXPECT_EQ(record.at("dsnStatus"), "5.1.1 (bad destination mailbox address)");
  EXPECT_EQ(record.at("dsnDiag"), "smtp;550 5.1.1 no such user see http://x.example");
  EXPECT_EQ(record.at("bounceCat"), "bad-mailbox");
}

TEST(Accounting, GivesEachEndAStatusWhereTheReceiverGaveNone) {
  struct Case {
    int code;
    std::optional<EnhancedCode> enhanced;
    Category category;
    std::string_view status;
  };
  const Case cases[] = {
      {550, std::nullopt, Category::kBadMailbox, "5.0.0 (undefined status)"},
      {452, std::nullopt, Category::kQuotaIssues, "4.0.0 (undefined status)"},
      {550, EnhancedCode{5, 7, 606}, Category::kSpamBlock, "5.7.606 (other or undefined security status)"},
      {550, EnhancedCode{5, 99, 1}, Category::kOther, "5.99.1 (undefined status)"},
      {0, std::nullopt, Category::kBadDomain, "5.1.2 (bad destination system: no such domain)"},
      {0, std::nullopt, Category::kDnsFailure, "5.4.4 (unable to route)"},
      {0, std::nullopt, Category::kNoAnswerFromHost, "5.4.1 (no answer from host)"},
      {0, std::nullopt, Category::kBadConnection, "5.4.2 (bad connection)"},
      {0, std::nullopt, Category::kOther, "5.0.0 (undefined status)"},
  };
  for (const Case& one : cases) {
    EXPECT_EQ(Record(Refused("x", one.code, one.enhanced, one.category)).at("dsnStatus"), one.status);
  }
}

TEST(Accounting, KnowsEveryKindOfEvent) {
  struct Case {
    EventKind kind;
    bool final;
    std::string_view type, action, status, category;
  };
  const Case cases[] = {
      {EventKind::kDelivered, true, "d", "relayed", "2.0.0 (success)", "success"},
      {EventKind::kBounced, true, "b", "failed", "5.0.0 (undefined status)", "other"},
      {EventKind::kExpired, true, "b", "failed", "4.4.7 (delivery time expired)", "message-expired"},
      {EventKind::kSuppressed, true, "b", "failed", "5.0.0 (undefined status)", "other"},
      {EventKind::kCancelled, true, "b", "failed", "5.0.0 (undefined status)", "other"},
      {EventKind::kUnknown, true, "b", "failed", "4.4.2 (bad connection)", "other"},
      {EventKind::kUnknown, false, "t", "delayed", "4.4.2 (bad connection)", "other"},
      {EventKind::kDeferred, false, "t", "delayed", "4.0.0 (undefined status)", "other"},
  };
  for (const Case& one : cases) {
    Event event = Delivered();
    event.kind = one.kind;
    event.final = one.final;
    event.code = 0;
    event.enhanced.reset();
    event.reply = "our own words";
    const auto record = Record(event);
    ASSERT_TRUE(record.contains("type")) << ToString(one.kind);
    EXPECT_EQ(record.at("type"), one.type) << ToString(one.kind);
    EXPECT_EQ(record.at("dsnAction"), one.action) << ToString(one.kind);
    EXPECT_EQ(record.at("dsnStatus"), one.status) << ToString(one.kind);
    EXPECT_EQ(record.at("bounceCat"), one.category) << ToString(one.kind);
    EXPECT_EQ(record.at("dsnDiag"), "x-postrider;our own words") << ToString(one.kind);
  }
  Event expired = Delivered();
  expired.kind = EventKind::kExpired;
  expired.code = 452;
  expired.enhanced = EnhancedCode{4, 2, 2};
  expired.reply = "the campaign's time is over after 9 attempts; the last reply was: full";
  EXPECT_EQ(Record(expired).at("dsnStatus"), "4.4.7 (delivery time expired)");
  EXPECT_EQ(Record(expired).at("dsnDiag"), "x-postrider;" + expired.reply);
}

TEST(Accounting, LeavesOutWhatIsNoEndOfARecipientUnlessAsked) {
  Event event = Delivered();
  for (const EventKind kind : {EventKind::kPath, EventKind::kCampaign}) {
    event.kind = kind;
    EXPECT_TRUE(Record(event).empty());
  }
  event.kind = EventKind::kDeferred;
  event.final = false;
  EXPECT_TRUE(Record(event, false).empty());
  EXPECT_EQ(Record(event, true).at("type"), "t");
}

TEST(Accounting, UsesNoCategoryButPowerMtasSeventeen) {
  const std::set<std::string_view> known = {
      "bad-mailbox",       "bad-domain",     "inactive-mailbox", "quota-issues",    "spam-related",
      "virus-related",     "policy-related", "content-related",  "message-expired", "bad-connection",
      "bad-configuration", "invalid-sender", "relaying-issues",  "routing-errors",  "no-answer-from-host",
      "protocol-errors",   "other"};
  ASSERT_EQ(known.size(), 17u);
  std::set<std::string_view> used;
  for (auto category = Category::kNone; category <= Category::kOther;
       category = static_cast<Category>(static_cast<int>(category) + 1)) {
    EXPECT_TRUE(known.contains(BounceCategory(category))) << ToString(category);
    used.insert(BounceCategory(category));
  }
  EXPECT_EQ(used, known);
  EXPECT_EQ(BounceCategory(Category::kSpamBlock), "spam-related");
  EXPECT_EQ(BounceCategory(Category::kDnsFailure), "routing-errors");
  EXPECT_EQ(BounceCategory(Category::kThrottled), "policy-related");
  EXPECT_EQ(BounceCategory(Category::kAuthFailure), "policy-related");
  EXPECT_EQ(BounceCategory(Category::kTlsFailure), "bad-connection");
}

TEST(Accounting, KeepsHostileTextInItsFieldAndItsRecordOnOneLine) {
  const std::pair<std::string, std::string> cases[] = {
      {"=HYPERLINK(\"http://x\",\"y\")", "=HYPERLINK(\"http://x\",\"y\")"},
      {"\"", "\""},
      {"\"\"\",\"", "\"\"\",\""},
      {",,,,", ",,,,"},
      {"a\r\nd,forged", "a  d,forged"},
      {"\n", " "},
      {"\r", " "},
      {std::string("nul\0nul", 7), "nul nul"},
      {"esc\x1b[2J\x7f", "esc [2J "},
      {"\xff\xc0\x80", "\xEF\xBF\xBD\xEF\xBF\xBD\xEF\xBF\xBD"},
      {"nel\xc2\x85ls\xe2\x80\xa8ps\xe2\x80\xa9", "nel ls ps "},
      {"caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x99\x82", "caf\xc3\xa9 \xe6\x97\xa5 \xf0\x9f\x99\x82"},
      {" blank at both ends ", " blank at both ends "},
      {std::string(100'000, '"'), std::string(100'000, '"')},
  };
  for (const auto& [hostile, kept] : cases) {
    Event event = Refused(hostile, 550, std::nullopt, Category::kOther);
    event.campaign = event.row_id = event.recipient = event.envelope_from = hostile;
    event.mx_host = event.source = event.pool = event.domain = event.local_address = hostile;
    std::string text;
    AccountingLine(true).Append(event, text);
    EXPECT_EQ(text.find('\n'), text.size() - 1) << "one line: " << testing::PrintToString(hostile.substr(0, 40));
    EXPECT_EQ(text.find('\r'), text.size() - 2);
    const auto record = Record(event);
    for (const char* field : {"jobId", "envId", "rcpt", "orig", "vmta", "vmtaPool", "dlvSourceIp"}) {
      EXPECT_EQ(record.at(field), kept) << field;
    }
    EXPECT_EQ(record.at("dsnDiag"), "smtp;550 " + kept);
    EXPECT_EQ(record.at("dsnMta"), kept + " (192.0.2.7)");
    EXPECT_EQ(record.at("queue"), kept + "/" + kept);
  }
}

TEST(Accounting, NamesTheHostAsFarAsItIsKnown) {
  struct Case {
    std::string host, address;
    std::string_view mta, destination;
  };
  const Case cases[] = {
      {"", "", "", ""},
      {"mx.example", "", "mx.example", ""},
      {"", "192.0.2.7:25", "192.0.2.7", "192.0.2.7"},
      {"mx.example", "192.0.2.7", "mx.example (192.0.2.7)", "192.0.2.7"},
      {"mx.example", "[2001:db8::1]:25", "mx.example (2001:db8::1)", "2001:db8::1"},
      {"mx.example", "2001:db8::1", "mx.example (2001:db8::1)", "2001:db8::1"},
      {"mx.example", "[2001:db8::1", "mx.example (2001:db8::1)", "2001:db8::1"},
  };
  for (const Case& one : cases) {
    Event event = Delivered();
    event.mx_host = one.host;
    event.mx_address = one.address;
    EXPECT_EQ(Record(event).at("dsnMta"), one.mta);
    EXPECT_EQ(Record(event).at("dlvDestinationIp"), one.destination);
  }
}

TEST(Accounting, WritesTimesThatAreNone) {
  Event event = Delivered();
  event.smtp_seconds = 0;
  for (const double seconds :
       {-1.0, std::numeric_limits<double>::quiet_NaN(), std::numeric_limits<double>::infinity(), 1e300}) {
    event.queued_seconds = seconds;
    EXPECT_EQ(Record(event).at("timeQueued"), "2026-11-24 05:44:05+0000");
  }
  event.queued_seconds = 0;
  event.time = Wall(milliseconds(-1));
  EXPECT_EQ(Record(event).at("timeLogged"), "1969-12-31 23:59:59+0000");
}

TEST(Accounting, AllocatesNothingOnceItsBufferIsWarm) {
  AccountingLine line(true);
  Event event = Refused("5.1.1 \"no\" such, user", 550, EnhancedCode{5, 1, 1}, Category::kBadMailbox);
  std::string out;
  line.Append(event, out);
  const char* buffer = out.data();
  const std::size_t capacity = out.capacity();
  for (int i = 0; i < 1000; ++i) {
    out.clear();
    event.time += milliseconds(700);
    line.Append(event, out);
  }
  EXPECT_EQ(out.data(), buffer);
  EXPECT_EQ(out.capacity(), capacity);
}

}  // namespace
}  // namespace postrider::observe
