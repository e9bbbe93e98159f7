#pragma once
// c-ares on the ring of one core: sends questions, tries again and elsewhere, falls back to TCP, and hands out the
// bytes of the reply. The only file that knows c-ares is channel.cc. Single-threaded; calls back on a later turn of the
// loop.

#include <cstddef>
#include <cstdint>
#include <memory>
#include <span>
#include <string>
#include <vector>

#include "config/error.h"
#include "config/options.h"
#include "engine/dns/record_set.h"
#include "engine/io/loop.h"

namespace postrider::dns {

class Channel;

// One question under way, owned by whoever asked; must live until it is answered or the channel is gone.
class Question {
 public:
  Question(RecordType question_type, std::string question_name) : type(question_type), name(std::move(question_name)) {}

  const RecordType type;
  std::string name;  // canonical; whoever follows a CNAME changes it between two Sends

 private:
  friend class Channel;
  Channel* channel_ = nullptr;
};

class ReplyHandler {
 public:
  virtual ~ReplyHandler() = default;
  // The bytes of a reply, valid during the call; or none, and why. Must only take note: neither ask nor answer.
  virtual void OnReply(Question& question, std::span<const std::byte> reply, std::string problem) = 0;
  // All replies of this turn have been noted; now anything may be done.
  virtual void OnRepliesNoted() = 0;
};

class Channel {
 public:
  static Result<std::unique_ptr<Channel>> Make(const DnsOptions& options, io::Loop& loop, std::uint64_t seed,
                                               ReplyHandler& handler);
  virtual ~Channel() = default;  // questions under way stay unanswered

  virtual void Send(Question& question) = 0;

 protected:
  static void SetChannel(Question& question, Channel* channel) { question.channel_ = channel; }
  static Channel* ChannelOf(const Question& question) { return question.channel_; }
};

}  // namespace postrider::dns
