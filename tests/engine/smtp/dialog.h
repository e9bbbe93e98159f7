#pragma once
// Runs .dialog files: scripts of what a server says, what the client must say, and what must come of it. One file holds
// several cases, each after a line "== name". See dialogs/README for the words.

#include <deque>
#include <filesystem>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/smtp/conversation.h"

namespace postrider::smtp {

struct DialogLine {
  int number = 0;
  std::string text;
};

struct DialogCase {
  std::string file;
  std::string name;
  std::vector<DialogLine> lines;
};

[[nodiscard]] std::vector<DialogCase> LoadDialogs(const std::filesystem::path& directory);

class DialogRunner final : public ConversationOwner {
 public:
  // What went wrong, with file and line; nullopt: nothing.
  [[nodiscard]] static std::optional<std::string> Run(const DialogCase& dialog);

  std::optional<Envelope> NextMessage() override;
  bool RenderContent(std::string& content) override;
  void MessageDone(const MessageResult& result) override;
  void StartTls() override { ++tls_asked_; }

 private:
  struct Message {
    std::string from;
    std::string to;
    std::string content;
    Envelope envelope;
    bool renders = true;
  };

  [[nodiscard]] std::optional<std::string> Step(std::string_view line);
  [[nodiscard]] std::optional<std::string> ClientSays(std::string_view expected);
  [[nodiscard]] std::optional<std::string> Event(std::string_view word, std::string_view rest);
  [[nodiscard]] std::optional<std::string> Expectation(std::string_view rest);
  [[nodiscard]] std::optional<std::string> ExpectResult(std::string_view rest);
  [[nodiscard]] std::optional<std::string> ExpectEnd(std::string_view rest);
  [[nodiscard]] std::optional<std::string> Settle();
  void Configure(std::string_view rest);
  void AddMessage(std::string_view rest);
  Conversation& conversation();
  void Collect();
  bool Take();

  ConversationSettings settings_;
  Monotonic now_{};
  std::unique_ptr<Conversation> conversation_;
  std::string server_says_;  // S: lines not yet delivered
  std::string client_said_;  // not yet expected
  bool flushes_ = true;
  bool unflushed_ = false;  // taken while stuck
  int tls_asked_ = 0;
  std::deque<Message> queued_;
  std::deque<Message> open_;
  std::size_t rendered_ = 0;  // of open_
  std::deque<MessageResult> results_;
};

}  // namespace postrider::smtp
