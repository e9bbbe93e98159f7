#include "tools/queue_text.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <sstream>

namespace postrider::tools {
namespace {

using std::chrono::seconds;
using testing::EndsWith;
using testing::HasSubstr;
using testing::Not;

constexpr Wall kNow{std::chrono::milliseconds(1'795'499'045'007)};

QueueView Slow() {
  QueueView queue;
  SiteView& site = queue.sites.emplace_back();
  site.site = "gmail-smtp-in.l.google.com";
  site.provider = "google";
  site.source = "a";
  site.mode = "stopped";
  site.ready = 256;
  site.connections = 2;
  site.messages_per_second = 3.25;
  site.binding_limit = "back-off";
  site.blocked_until = kNow + seconds(89);
  site.last_reply = "421 4.7.28\nslow \x1b[2Jdown";
  site.mail.waiting = 1200;
  site.mail.deferred = 34;
  site.mail.oldest = kNow - seconds(7200);
  site.mail.next_due = kNow + seconds(5);
  site.drain_seconds = 369.2;
  DomainView& domain = queue.domains.emplace_back();
  domain.domain = "gmail.com";
  domain.site = "gmail-smtp-in.l.google.com";
  domain.mail = site.mail;
  domain.mail.by_age = {1000, 0, 0, 0, 0, 234, 0, 0, 0, 0};
  queue.total = domain.mail;
  queue.total.waiting = 1205;
  queue.total.domains = 2;
  queue.elsewhere.domains = 1;
  queue.elsewhere.waiting = 5;
  queue.elsewhere.next_due = kNow - seconds(1);
  queue.age_limits_minutes = {5, 10, 20, 40, 80, 160, 320, 640, 1280};
  return queue;
}

std::vector<std::string> Lines(const std::string& text) {
  std::vector<std::string> lines;
  std::istringstream stream(text);
  for (std::string line; std::getline(stream, line);) lines.push_back(line);
  return lines;
}

TEST(QueueText, SaysWhyASiteIsSlow) {
  const std::vector<std::string> lines = Lines(RenderQueue(Slow(), kNow, Terminal{}));
  EXPECT_EQ(lines[0],
            "site                        provider  source  mode     waiting  deferred     oldest  conns   rate  "
            "bound by           next     done in");
  EXPECT_EQ(lines[1],
            "gmail-smtp-in.l.google.com  google    a       stopped    1,200        34  2 h 0 min      2  3.2/s  "
            "back-off  in 1 min 29 s  6 min 10 s");
  EXPECT_EQ(lines[2], "    421 4.7.28 | slow ?[2Jdown");
}

TEST(QueueText, ShowsTheMailOfASiteOnItsFirstPathAlone) {
  QueueView queue = Slow();
  queue.sites[0].last_reply.clear();
  queue.sites.push_back(queue.sites[0]);
  queue.sites[1].source = "b";
  queue.sites.push_back(queue.sites[0]);
  queue.sites[2].core = 1;
  const std::vector<std::string> lines = Lines(RenderQueue(queue, kNow, Terminal{}));
  EXPECT_EQ(lines[2],
            "gmail-smtp-in.l.google.com  google    b       stopped                                    2  3.2/s  "
            "back-off  in 1 min 29 s");
  EXPECT_EQ(lines[3], lines[1]) << "another core's is another site";
}

TEST(QueueText, ShowsDomainsTotalsAndWhatNoPathHas) {
  const std::string text = RenderQueue(Slow(), kNow, Terminal{});
  EXPECT_THAT(text, HasSubstr("\ngmail.com    1,200        34  2 h 0 min    in 5 s  gmail-smtp-in.l.google.com\n"));
  EXPECT_THAT(text, HasSubstr("\n1,205 waiting, 34 deferred in 2 domains, the oldest for 2 h 0 min\n"));
  EXPECT_THAT(text, EndsWith("of these no path has 5 waiting, 0 deferred in 1 domain: not due yet, paused, or their MX "
                             "not known; next now\n"));
  QueueView all_at_work = Slow();
  all_at_work.elsewhere = {};
  EXPECT_THAT(RenderQueue(all_at_work, kNow, Terminal{}), Not(HasSubstr("no path has")));
  EXPECT_EQ(RenderQueue({}, kNow, Terminal{}), "the queue is empty\n");
}

TEST(QueueText, FitsOnANarrowTerminalAndKeepsTheAnswer) {
  QueueView queue = Slow();
  queue.sites[0].last_reply = std::string(300, 'x');
  const Terminal narrow{.interactive = true, .colours = false, .columns = 90};
  const std::vector<std::string> lines = Lines(RenderQueue(queue, kNow, narrow));
  EXPECT_EQ(lines[1], "gmail-smtp-in.l.googl...  stopped    1,234  3.2/s  back-off  6 min 10 s");
  EXPECT_LE(lines[2].size(), 90u);
  EXPECT_THAT(lines[2], EndsWith("..."));
}

TEST(QueueText, SaysNothingOfATimeThatNobodyKnows) {
  QueueView queue = Slow();
  queue.sites[0].drain_seconds.reset();
  EXPECT_THAT(Lines(RenderQueue(queue, kNow, Terminal{}))[1], EndsWith("in 1 min 29 s"));
  queue.sites[0].drain_seconds = 1e300;
  EXPECT_THAT(Lines(RenderQueue(queue, kNow, Terminal{}))[1], EndsWith("> 30 d"));
  queue.sites[0].blocked_until.reset();
  EXPECT_THAT(Lines(RenderQueue(queue, kNow, Terminal{}))[1], HasSubstr("in 5 s")) << "else the next retry";
}

TEST(QueueText, ShowsTheAgeOfMailByDomain) {
  EXPECT_EQ(RenderAges(Slow(), Terminal{}),
            "minutes    total     <5  <10  <20  <40  <80  <160  <320  <640  <1280  older\n"
            "TOTAL      1,239  1,000    .    .    .    .   234     .     .      .      .\n"
            "gmail.com  1,234  1,000    .    .    .    .   234     .     .      .      .\n");
  EXPECT_EQ(RenderAges({}, Terminal{}), "the queue is empty\n");
}

}  // namespace
}  // namespace postrider::tools
