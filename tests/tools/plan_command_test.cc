#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <atomic>
#include <filesystem>
#include <fstream>
#include <string>
#include <thread>
#include <vector>

#include <fmt/format.h>
#include <nlohmann/json.hpp>

#include "tests/engine/observe/temporary_directory.h"
#include "tests/tools/run_program.h"
#include "tools/command.h"
#include "tools/mx_lookup.h"

namespace postrider::tools {
namespace {

using nlohmann::json;
using testing::HasSubstr;

// A name server that knows one MX for every domain that asks for it: "mx.<domain>".
class OneMxServer {
 public:
  OneMxServer() {
    socket_ = socket(AF_INET, SOCK_DGRAM, 0);
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    EXPECT_EQ(bind(socket_, reinterpret_cast<sockaddr*>(&address), sizeof address), 0);
    socklen_t length = sizeof address;
    getsockname(socket_, reinterpret_cast<sockaddr*>(&address), &length);
    port_ = ntohs(address.sin_port);
    thread_ = std::thread([this] { Serve(); });
  }
  ~OneMxServer() {
    // A datagram of nothing ends the thread.
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_port = htons(port_);
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    sendto(socket_, "", 0, 0, reinterpret_cast<sockaddr*>(&address), sizeof address);
    thread_.join();
    close(socket_);
  }
  [[nodiscard]] std::uint16_t port() const { return port_; }

 private:
  void Serve() {
    while (true) {
      char query[512];
      sockaddr_in from{};
      socklen_t length = sizeof from;
      const ssize_t size = recvfrom(socket_, query, sizeof query, 0, reinterpret_cast<sockaddr*>(&from), &length);
      if (size <= 12) return;
      // Header, the question up to its class, one answer: "mx" before the name that was asked for.
      std::string answer(query, static_cast<std::size_t>(size));
      const std::size_t end = answer.find('\0', 12) + 5;
      answer.resize(end);
      answer[2] = '\x81';
      answer[3] = '\x80';
      answer.replace(4, 8, std::string("\0\1\0\1\0\0\0\0", 8));
      answer += std::string("\xc0\x0c\0\x0f\0\1\0\0\1\0\0\x07\0\x0a\x02mx\xc0\x0c", 19);
      sendto(socket_, answer.data(), answer.size(), 0, reinterpret_cast<sockaddr*>(&from), length);
    }
  }

  int socket_ = -1;
  std::uint16_t port_ = 0;
  std::thread thread_;
};

class PlanCommandTest : public testing::Test {
 protected:
  PlanCommandTest() {
    Write("postrider.toml", Config(""));
    Write("offer/campaign.toml", Manifest(""));
    Write("offer/message.eml", "From: a@sender.example.org\r\nTo: {{to}}\r\nSubject: hi\r\n\r\nhello\r\n");
    std::string rows;
    for (int i = 0; i < 3600; ++i) rows += fmt::format("{{\"to\":\"user{}@one.test\"}}\n", i);
    for (int i = 0; i < 10; ++i) rows += fmt::format("{{\"to\":\"user{}@two.test\"}}\n", i);
    rows += "{\"to\":\"user1@one.test\"}\nnonsense\n";
    Write("offer/recipients.jsonl", rows);
  }
  static std::string Config(const std::string& more) {
    return "host_name = \"sender.example.org\"\n[[source]]\nname = \"a\"\nipv4 = \"127.0.0.1\"\n"
           "ehlo_name = \"sender.example.org\"\n[[rule]]\nmatch = \"one.test\"\nmessage_rate = \"1/s\"\n" +
           more;
  }
  static std::string Manifest(const std::string& more) {
    return "format = 1\nclass = \"bulk\"\nenvelope_from = \"b@sender.example.org\"\nmax_reject_share = 0.5\n" + more;
  }
  void Write(const std::string& name, std::string_view text) const {
    const std::filesystem::path file = directory_.path() / name;
    std::filesystem::create_directories(file.parent_path());
    std::ofstream(file, std::ios::binary) << text;
  }
  Outcome Plan(std::vector<std::string> arguments) const {
    arguments.insert(arguments.begin(), "plan");
    arguments.insert(arguments.end(), {"--config", (directory_.path() / "postrider.toml").string()});
    return RunProgram(arguments);
  }
  [[nodiscard]] std::string Offer() const { return (directory_.path() / "offer").string(); }

  observe::TemporaryDirectory directory_;
};

TEST_F(PlanCommandTest, SaysWhenItIsDoneAndWhichLimitDecides) {
  const Outcome plan = Plan({Offer(), "--no-dns"});
  EXPECT_EQ(plan.exit_code, 0) << plan.err;
  EXPECT_THAT(plan.out, HasSubstr("offer: 3,610 recipients, begins "));
  EXPECT_THAT(plan.out, HasSubstr("after 1 h"));
  EXPECT_THAT(plan.out, HasSubstr("what decides is message-rate at one.test\n"));
  EXPECT_THAT(plan.out, HasSubstr("This takes for granted that\n- nothing else is sent"));
  EXPECT_THAT(plan.out, HasSubstr("--no-dns"));
  const json told = json::parse(Plan({Offer(), "--no-dns", "--json"}).out);
  EXPECT_EQ(told.at("decided_by"), "message-rate");
  EXPECT_EQ(told.at("receivers").at(0).at("recipients"), 3600);
  EXPECT_EQ(told.at("receivers").at(1).at("name"), "two.test");
}

TEST_F(PlanCommandTest, CountsTheDomainsOfOneMxTogether) {
  const OneMxServer server;
  Write("postrider.toml", Config(fmt::format("[dns]\nservers = [\"127.0.0.1:{}\"]\n", server.port())));
  const Outcome plan = Plan({Offer(), "--json"});
  ASSERT_EQ(plan.exit_code, 0) << plan.err;
  const json told = json::parse(plan.out);
  EXPECT_EQ(told.at("receivers").at(1).at("name"), "mx.two.test");
  // Only the larger one is looked up: the smaller is one of the others.
  const json top = json::parse(Plan({Offer(), "--json", "--top", "1"}).out);
  EXPECT_EQ(top.at("receivers").at(1).at("name"), "other domains");
}

TEST_F(PlanCommandTest, TakesAPathAsItWasGiven) {
  const std::filesystem::path before = std::filesystem::current_path();
  std::filesystem::current_path(directory_.path());
  EXPECT_THAT(Plan({"offer/", "--no-dns"}).out, HasSubstr("offer: 3,610 recipients"));
  std::filesystem::current_path(before);
}

TEST_F(PlanCommandTest, WarnsIfItWouldExpireBefore) {
  const auto soon =
      std::chrono::floor<std::chrono::seconds>(std::chrono::system_clock::now()) + std::chrono::minutes(10);
  const auto day = std::chrono::floor<std::chrono::days>(soon);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss time(soon - day);
  Write("offer/campaign.toml",
        Manifest(fmt::format("expires = {:04}-{:02}-{:02}T{:02}:{:02}:{:02}Z\n", static_cast<int>(date.year()),
                             static_cast<unsigned>(date.month()), static_cast<unsigned>(date.day()),
                             time.hours().count(), time.minutes().count(), time.seconds().count())));
  EXPECT_THAT(Plan({Offer(), "--no-dns"}).out, HasSubstr("too late: it expires "));
}

TEST_F(PlanCommandTest, SaysWhatIsWrongWithACampaign) {
  Write("offer/campaign.toml", "format = 1\nrate = \"fast\"\n");
  const Outcome bad = Plan({Offer(), "--no-dns"});
  EXPECT_EQ(bad.exit_code, 1);
  EXPECT_THAT(bad.err, HasSubstr("campaign.toml:2"));
  EXPECT_EQ(bad.out, "");
  EXPECT_EQ(Plan({(directory_.path() / "nothing").string(), "--no-dns"}).exit_code, 1);
  EXPECT_EQ(Plan({"welcome.eml", "--no-dns"}).exit_code, 2);
  EXPECT_EQ(Plan({}).exit_code, 2);
  EXPECT_EQ(Plan({Offer(), "--top", "0"}).exit_code, 2);
}

TEST(MxLookup, AnswersInTheOrderOfTheDomains) {
  const OneMxServer server;
  DnsOptions options;
  options.servers = {SocketAddress::Parse(fmt::format("127.0.0.1:{}", server.port())).value()};
  std::vector<std::string> domains;
  for (int i = 0; i < 200; ++i) domains.push_back(fmt::format("d{}.test", i));
  std::size_t last = 0;
  const auto answers = LookUpMx(options, domains, [&](std::size_t done) { last = done; });
  ASSERT_TRUE(answers) << answers.error().message;
  EXPECT_EQ(last, 200u);
  for (std::size_t i = 0; i < domains.size(); ++i) {
    ASSERT_EQ((*answers)[i].status, dns::MxStatus::kFound) << i << (*answers)[i].problem;
    EXPECT_EQ((*answers)[i].hosts.at(0).name, "mx." + domains[i]);
  }
  EXPECT_TRUE(LookUpMx(options, {}, [](std::size_t) {})->empty());
}

}  // namespace
}  // namespace postrider::tools
