#include "engine/observe/queue_page.h"

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include <fmt/format.h>

namespace postrider::observe {
namespace {

using delivery::CoreSnapshot;
using delivery::SiteMode;
using delivery::SiteSnapshot;
using queue::DomainBacklog;
using std::chrono::seconds;
using testing::ElementsAre;
using testing::IsEmpty;

constexpr Wall kNow{seconds(1000)};

SiteSnapshot PathTo(std::string site, std::string source, double rate, std::vector<std::string> domains) {
  SiteSnapshot path;
  path.site = std::move(site);
  path.source = std::move(source);
  path.mode = SiteMode::kNormal;
  path.messages_per_second = rate;
  path.domain_names = std::move(domains);
  return path;
}

DomainBacklog Waiting(std::string domain, std::uint64_t waiting, std::uint64_t deferred = 0) {
  DomainBacklog backlog;
  backlog.domain = std::move(domain);
  backlog.waiting = waiting;
  backlog.deferred = deferred;
  backlog.by_age[3] = waiting + deferred;
  return backlog;
}

QueuePage PageOf(const std::vector<CoreSnapshot>& cores, const std::vector<DomainBacklog>& backlog,
                 std::size_t most = 100) {
  QueuePageBuilder builder(cores, most);
  for (const DomainBacklog& one : backlog) builder.Add(one);
  return std::move(builder).Finish(kNow);
}

std::vector<std::string> Names(const QueuePage& page) {
  std::vector<std::string> names;
  for (const DomainRow& row : page.domains) names.push_back(row.backlog.domain + "@" + row.site);
  return names;
}

TEST(QueuePage, GivesEachSiteTheMailOfItsDomains) {
  std::vector<CoreSnapshot> cores(1);
  cores[0].sites = {PathTo("mx.a", "s", 10, {"a.test", "aa.test"}), PathTo("mx.b", "s", 0, {"b.test"})};
  DomainBacklog early = Waiting("a.test", 100, 20);
  early.oldest = Wall(seconds(50));
  early.next_due = Wall(seconds(900));  // past
  DomainBacklog late = Waiting("aa.test", 60, 20);
  late.oldest = Wall(seconds(70));
  late.next_due = Wall(seconds(800));
  const QueuePage page = PageOf(cores, {early, late, Waiting("b.test", 5), Waiting("c.test", 7, 1)});
  ASSERT_EQ(page.sites.size(), 2u);
  EXPECT_EQ(page.sites[0].mail.domains, 2u);
  EXPECT_EQ(page.sites[0].mail.waiting, 160u);
  EXPECT_EQ(page.sites[0].mail.deferred, 40u);
  EXPECT_EQ(page.sites[0].mail.oldest, Wall(seconds(50)));
  EXPECT_EQ(page.sites[0].mail.next_due, Wall(seconds(800)));
  EXPECT_EQ(page.sites[0].drain_seconds, 20) << "200 at 10 a second";
  EXPECT_EQ(page.sites[1].mail.waiting, 5u);
  EXPECT_EQ(page.elsewhere.domains, 1u) << "nobody has c.test now";
  EXPECT_EQ(page.elsewhere.total(), 8u);
  EXPECT_EQ(page.total.domains, 4u);
  EXPECT_EQ(page.total.total(), 213u);
  EXPECT_EQ(page.total.by_age[3], 213u);
}

TEST(QueuePage, TellsWhenASiteIsDoneFromTheRateOfAllItsPaths) {
  std::vector<CoreSnapshot> cores(1);
  cores[0].sites = {PathTo("mx.a", "one", 6, {"a.test"}), PathTo("mx.a", "two", 4, {"a.test"})};
  const QueuePage page = PageOf(cores, {Waiting("a.test", 100)});
  ASSERT_EQ(page.sites.size(), 2u);
  EXPECT_EQ(page.sites[0].drain_seconds, 10);
  EXPECT_EQ(page.sites[1].drain_seconds, 10);
  EXPECT_EQ(page.total.waiting, 100u) << "counted once";
}

TEST(QueuePage, TellsItFromTheLimitsOfASiteThatStandsStill) {
  std::vector<CoreSnapshot> cores(1);
  cores[0].sites = {PathTo("mx.a", "one", 0, {"a.test"}), PathTo("mx.a", "two", 0, {"a.test"})};
  cores[0].sites[0].rate_limit = 3;
  cores[0].sites[1].rate_limit = 7;
  EXPECT_EQ(PageOf(cores, {Waiting("a.test", 100)}).sites[0].drain_seconds, 10);
  cores[0].sites[1].mode = SiteMode::kStopped;
  EXPECT_DOUBLE_EQ(PageOf(cores, {Waiting("a.test", 30)}).sites[0].drain_seconds.value_or(0), 10)
      << "a stopped path adds nothing";
  cores[0].sites[0].mode = SiteMode::kBackingOff;
  EXPECT_EQ(PageOf(cores, {Waiting("a.test", 100)}).sites[0].drain_seconds, std::nullopt) << "nobody may send";
}

TEST(QueuePage, IsNotDoneBeforeTheNextRetry) {
  std::vector<CoreSnapshot> cores(1);
  cores[0].sites = {PathTo("mx.a", "one", 10, {"a.test"})};
  DomainBacklog backlog = Waiting("a.test", 90, 10);
  backlog.next_due = kNow + seconds(420);
  EXPECT_EQ(PageOf(cores, {backlog}).sites[0].drain_seconds, 420);
  backlog.next_due = kNow - seconds(5);
  EXPECT_EQ(PageOf(cores, {backlog}).sites[0].drain_seconds, 10);
}

TEST(QueuePage, DoesNotTellWhatItCannotKnow) {
  std::vector<CoreSnapshot> cores(1);
  cores[0].sites = {PathTo("mx.a", "one", 0, {"a.test"}), PathTo("mx.a", "two", 0, {"a.test"})};
  cores[0].sites[0].rate_limit = 3;  // of the other path no limit is known
  EXPECT_EQ(PageOf(cores, {Waiting("a.test", 100)}).sites[0].drain_seconds, std::nullopt);
  cores[0].sites = {PathTo("mx.a", "one", 50, {"a.test"})};
  EXPECT_EQ(PageOf(cores, {}).sites[0].drain_seconds, std::nullopt) << "nothing is left";
}

TEST(QueuePage, KeepsSitesOfOneNameOnTwoCoresApart) {
  std::vector<CoreSnapshot> cores(2);
  cores[1].core = 1;
  cores[0].sites = {PathTo("mx.a", "s", 1, {"a.test"})};
  cores[1].sites = {PathTo("mx.a", "s", 2, {"b.test"})};
  const QueuePage page = PageOf(cores, {Waiting("a.test", 10), Waiting("b.test", 10)});
  EXPECT_EQ(page.sites[0].drain_seconds, 10);
  EXPECT_EQ(page.sites[1].drain_seconds, 5);
  EXPECT_EQ(page.sites[1].core, 1u);
}

TEST(QueuePage, ListsTheDomainsWithTheMostMail) {
  std::vector<CoreSnapshot> cores(1);
  cores[0].sites = {PathTo("mx.a", "s", 1, {"d7.test"})};
  std::vector<DomainBacklog> backlog;
  for (std::uint64_t i = 0; i < 10; ++i)
    backlog.push_back(Waiting(fmt::format("d{}.test", (i * 7) % 10), (i * 7) % 10));
  backlog.push_back(Waiting("deferred.test", 0, 8));
  EXPECT_THAT(Names(PageOf(cores, backlog, 3)), ElementsAre("d9.test@", "d8.test@", "deferred.test@"));
  EXPECT_THAT(Names(PageOf(cores, backlog, 4)), testing::Contains("d7.test@mx.a"));
  EXPECT_THAT(Names(PageOf(cores, backlog, 0)), IsEmpty());
  EXPECT_EQ(PageOf(cores, backlog, 0).total.domains, 11u) << "the sums are of all";
}

}  // namespace
}  // namespace postrider::observe
