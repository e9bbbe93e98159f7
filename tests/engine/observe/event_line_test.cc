#include "engine/observe/event_line.h"

#include <gtest/gtest.h>

#include <cmath>
#include <limits>

#include <nlohmann/json.hpp>

namespace postrider::observe {
namespace {

using queue::Event;
using queue::EventKind;
using std::chrono::milliseconds;

Event Delivered() {
  Event event;
  event.kind = EventKind::kDelivered;
  event.final = true;
  event.time = Wall(milliseconds(1'795'499'045'007));
  event.job = {.campaign = 7, .row = 4711};
  event.attempt = 2;
  event.campaign = "2026-11-24-offer";
  event.row_id = "c-99";
  event.recipient = "ana@example.org";
  event.domain = "example.org";
  event.site = "mx1.example.org";
  event.provider = "google";
  event.mx_host = "mx1.example.org";
  event.mx_address = "192.0.2.7:25";
  event.source = "a";
  event.local_address = "198.51.100.3";
  event.pool = "default";
  event.envelope_from = "bounce@sender.example";
  event.message_id = "<7.4711@sender.example>";
  event.connection = 33;
  event.connection_message = 4;
  event.stage = Stage::kContent;
  event.code = 250;
  event.enhanced = EnhancedCode{2, 0, 0};
  event.reply = "2.0.0 OK";
  event.tls_version = "TLSv1.3";
  event.tls_cipher = "TLS_AES_128_GCM_SHA256";
  event.bytes = 10240;
  event.queued_seconds = 421.5;
  event.smtp_seconds = 0.0123456;
  return event;
}

std::string Line(const Event& event) {
  std::string line;
  EventLine(12).Append(event, line);
  return line;
}

nlohmann::json Parsed(const Event& event) { return nlohmann::json::parse(Line(event), nullptr, false); }

TEST(EventLine, WritesEveryFieldOfADelivery) {
  EXPECT_EQ(Line(Delivered()),
            R"({"v":1,"id":"7-4711-2f-12","time":"2026-11-24T05:44:05.007Z","event":"delivered","final":true,)"
            R"("campaign":"2026-11-24-offer","class":"bulk","row_id":"c-99","recipient":"ana@example.org",)"
            R"("domain":"example.org","site":"mx1.example.org","provider":"google","mx_host":"mx1.example.org",)"
            R"("mx_address":"192.0.2.7:25","source":"a","local_address":"198.51.100.3","pool":"default",)"
            R"("envelope_from":"bounce@sender.example","message_id":"<7.4711@sender.example>","connection":33,)"
            R"("connection_message":4,"attempt":2,"code":250,"enhanced":"2.0.0","reply":"2.0.0 OK",)"
            R"("stage":"content","tls_version":"TLSv1.3","tls_cipher":"TLS_AES_128_GCM_SHA256","bytes":10240,)"
            R"("queued_seconds":421.500000,"smtp_seconds":0.012346,"run":12})"
            "\n");
}

TEST(EventLine, SaysOfADeferralWhomItIsAboutAndWhenItIsDue) {
  Event event = Delivered();
  event.kind = EventKind::kDeferred;
  event.final = false;
  event.code = 451;
  event.enhanced = EnhancedCode{4, 7, 1};
  event.reply = "4.7.1 greylisted\ntry later";
  event.category = Category::kThrottled;
  event.stage = Stage::kRcpt;
  event.next_due = event.time + std::chrono::minutes(7);
  const nlohmann::json line = Parsed(event);
  EXPECT_EQ(line["event"], "deferred");
  EXPECT_EQ(line["final"], false);
  EXPECT_EQ(line["category"], "throttled");
  EXPECT_EQ(line["scope"], "recipient");
  EXPECT_EQ(line["stage"], "rcpt");
  EXPECT_EQ(line["reply"], "4.7.1 greylisted\ntry later");
  EXPECT_EQ(line["next_due"], "2026-11-24T05:51:05.007Z");
}

TEST(EventLine, GivesTheEndWithoutAnAttemptAnotherIdThanTheLastDeferral) {
  Event event = Delivered();
  event.kind = EventKind::kDeferred;
  event.final = false;
  const nlohmann::json deferral = Parsed(event);
  EXPECT_EQ(deferral["id"], "7-4711-2-12");
  for (const EventKind kind : {EventKind::kExpired, EventKind::kCancelled, EventKind::kBounced}) {
    event.kind = kind;
    event.final = true;
    const nlohmann::json end = Parsed(event);
    EXPECT_EQ(end["attempt"], deferral["attempt"]);
    EXPECT_NE(end["id"], deferral["id"]);
  }
}

TEST(EventLine, LeavesOutWhatIsEmpty) {
  Event event;
  event.kind = EventKind::kCancelled;
  event.final = true;
  event.time = Wall(milliseconds(0));
  event.job = {.campaign = 1, .row = 2};
  event.recipient = "b@example.org";
  EXPECT_EQ(Line(event),
            R"({"v":1,"id":"1-2-0f-12","time":"1970-01-01T00:00:00.000Z","event":"cancelled","final":true,)"
            R"("class":"bulk","recipient":"b@example.org","queued_seconds":0.000000,"run":12})"
            "\n");
}

TEST(EventLine, GivesPathEventsNeitherJobNorFate) {
  Event event;
  event.kind = EventKind::kPath;
  event.site = "mx.example.org";
  event.source = "a";
  event.scope = Scope::kHost;
  event.stage = Stage::kConnect;
  event.reply = "connection refused";
  const nlohmann::json line = Parsed(event);
  EXPECT_FALSE(line.contains("id"));
  EXPECT_FALSE(line.contains("final"));
  EXPECT_FALSE(line.contains("class"));
  EXPECT_FALSE(line.contains("queued_seconds"));
  EXPECT_EQ(line["scope"], "host");
  EXPECT_EQ(line["reply"], "connection refused");
}

TEST(EventLine, StaysOneValidLineWhateverAPeerSays) {
  Event event = Delivered();
  for (int byte = 0; byte < 256; ++byte) event.reply += static_cast<char>(byte);
  event.mx_host = "\",\"final\":false,\"x\":\"";
  event.row_id = "a\nb\xff";
  event.campaign = std::string(100'000, '"');
  const std::string line = Line(event);
  EXPECT_EQ(line.find('\n'), line.size() - 1);
  const nlohmann::json parsed = nlohmann::json::parse(line, nullptr, false);
  ASSERT_TRUE(parsed.is_object());
  EXPECT_EQ(parsed["final"], true);
  EXPECT_EQ(parsed["mx_host"], event.mx_host);
  EXPECT_EQ(parsed["campaign"], event.campaign);
}

TEST(EventLine, WritesOnlyRealDurations) {
  Event event = Delivered();
  event.smtp_seconds = 0;
  for (const double seconds : {-1.0, std::nan(""), std::numeric_limits<double>::infinity(), 1e300}) {
    event.queued_seconds = seconds;
    const nlohmann::json line = Parsed(event);
    ASSERT_TRUE(line.is_object()) << seconds;
    EXPECT_FALSE(line.contains("queued_seconds")) << seconds;
    EXPECT_FALSE(line.contains("smtp_seconds")) << seconds;
  }
  event.queued_seconds = 1e9;
  EXPECT_EQ(Parsed(event)["queued_seconds"], 1e9);
}

TEST(EventLine, AllocatesNothingOnceItsBufferIsWarm) {
  EventLine line(12);
  std::string out;
  const Event event = Delivered();
  line.Append(event, out);
  const char* before = out.data();
  const std::size_t capacity = out.capacity();
  out.clear();
  line.Append(event, out);
  EXPECT_EQ(out.data(), before);
  EXPECT_EQ(out.capacity(), capacity);
}

TEST(EventLine, MarksItsRecipientAsNoOtherTextCan) {
  Event event = Delivered();
  event.recipient = "\"o\\\"neil\"@example.org";
  EXPECT_NE(Line(event).find(RecipientMark(event.recipient)), std::string::npos);
  Event other = Delivered();
  other.reply = "\"recipient\":\"eve@example.org\"";
  other.row_id = RecipientMark("eve@example.org");
  EXPECT_EQ(Line(other).find(RecipientMark("eve@example.org")), std::string::npos);
  EXPECT_EQ(Line(Delivered()).find(RecipientMark("na@example.org")), std::string::npos);
}

}  // namespace
}  // namespace postrider::observe
