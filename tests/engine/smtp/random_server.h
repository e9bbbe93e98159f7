#pragma once
// A server for property tests: understands what it is sent as a real one does, and answers with codes, closings and
// (if mad) nonsense drawn from a seed. Remembers every content it accepted.

#include <random>
#include <string>
#include <string_view>
#include <vector>

namespace postrider::smtp {

class RandomServer {
 public:
  struct Habits {
    bool pipelining = true;
    double refuse = 0.1;             // a share of 4xx and 5xx
    double close = 0.01;             // per command
    double closing = 0.01;           // 421, then close
    double mad = 0.0;                // something that no server should say
    bool data_without_rcpt = false;  // answers 354 although no recipient was accepted
  };

  RandomServer(Habits habits, std::uint64_t seed) : habits_(habits), random_(seed) { Say("220 mx.example ESMTP"); }

  void Receive(std::string_view bytes) {
    input_ += bytes;
    for (std::size_t end; !closed_ && (end = input_.find("\r\n")) != std::string::npos;) {
      const std::string line = input_.substr(0, end);
      input_.erase(0, end + 2);
      in_content_ ? ContentLine(line) : CommandLine(line);
    }
  }

  // What it says, to be taken by the test.
  std::string& output() { return output_; }
  [[nodiscard]] bool closed() const { return closed_; }  // once output is taken
  // Contents answered with 250, with dots unstuffed, and the recipient of each.
  struct Accepted {
    std::string to;
    std::string content;
  };
  [[nodiscard]] const std::vector<Accepted>& accepted() const { return accepted_; }
  [[nodiscard]] const std::string& complaint() const { return complaint_; }  // what the client did wrong
  [[nodiscard]] int empty_contents() const { return empty_contents_; }

 private:
  bool Chance(double share) { return std::uniform_real_distribution<>(0, 1)(random_) < share; }

  void Say(std::string_view line) {
    if (Chance(0.1)) output_ += std::string(line.substr(0, 3)) + "-more\r\n";
    output_ += std::string(line) + "\r\n";
  }

  // True: the command is done with already.
  bool Whim() {
    if (Chance(habits_.close)) {
      closed_ = true;
      return true;
    }
    if (Chance(habits_.closing)) {
      Say("421 4.3.2 closing");
      closed_ = true;
      return true;
    }
    if (Chance(habits_.mad)) {
      switch (random_() % 6) {
        case 0:
          Say("250 for nothing");
          break;
        case 1:
          Say("354 go on");
          break;
        case 2:
          output_ += std::string("\0\xff garbage\r\n", 12);
          break;
        case 3:
          output_ += std::string(random_() % 9000, '2');
          break;
        case 4:
          return true;  // says nothing
        default:
          Say(std::to_string(random_() % 1000 + 100) + " what");
          break;
      }
    }
    if (Chance(habits_.refuse)) {
      Say(Chance(0.5) ? "451 4.3.0 later" : "550 5.7.1 no");
      return true;
    }
    return false;
  }

  void CommandLine(std::string_view line) {
    if (line.starts_with("EHLO")) {
      if (Whim()) return;
      output_ += habits_.pipelining ? "250-mx.example\r\n250 PIPELINING\r\n" : "250 mx.example\r\n";
    } else if (line.starts_with("HELO")) {
      if (!Whim()) Say("250 mx.example");
    } else if (line == "RSET") {
      mail_ = rcpt_ = false;
      Say("250 reset");
    } else if (line.starts_with("MAIL FROM:<")) {
      if (mail_) complaint_ = "nested MAIL";
      if (Whim()) return;
      mail_ = true;
      rcpt_ = false;
      Say("250 sender ok");
    } else if (line.starts_with("RCPT TO:<") && line.ends_with(">")) {
      if (!mail_) return Say("503 MAIL first");
      if (Whim()) return;
      rcpt_ = true;
      to_ = line.substr(9, line.size() - 10);
      Say("250 recipient ok");
    } else if (line == "DATA") {
      if (!rcpt_ && !(mail_ && habits_.data_without_rcpt)) return Say("503 RCPT first");
      if (Whim()) return;
      in_content_ = true;
      content_.clear();
      Say("354 go");
    } else if (line == "QUIT") {
      Say("221 bye");
      closed_ = true;
    } else {
      complaint_ = "not a command: " + std::string(line);
      Say("500 what?");
    }
  }

  void ContentLine(std::string_view line) {
    if (line != ".") {
      if (line.starts_with('.')) line.remove_prefix(1);
      content_ += std::string(line) + "\r\n";
      return;
    }
    in_content_ = false;
    const bool had_recipient = rcpt_;
    mail_ = rcpt_ = false;
    if (!had_recipient) {
      ++empty_contents_;
      if (!content_.empty()) complaint_ = "content without a recipient";
      return Say("554 no recipients");
    }
    if (Whim()) return;
    accepted_.push_back({to_, content_});
    Say("250 taken");
  }

  Habits habits_;
  std::mt19937_64 random_;
  std::string input_;
  std::string output_;
  bool closed_ = false;
  bool in_content_ = false;
  bool mail_ = false;
  bool rcpt_ = false;
  std::string to_;
  std::string content_;
  std::vector<Accepted> accepted_;
  std::string complaint_;
  int empty_contents_ = 0;
};

}  // namespace postrider::smtp
