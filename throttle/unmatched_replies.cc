#include "throttle/unmatched_replies.h"

#include <algorithm>
#include <tuple>

#include <fmt/format.h>

#include "config/ip_address.h"
#include "throttle/reply_text.h"

namespace postrider {
namespace {

constexpr std::size_t kTextBytesMax = 240;
constexpr std::size_t kExampleBytesMax = 500;
// "S3140", "TSS04" and "OFR005_104" say something; longer words with digits number one message.
constexpr std::size_t kMarkBytesMax = 10;
constexpr std::size_t kWordBytesMax = 24;  // no word of a language in ASCII that servers use is longer

bool IsDigit(char c) { return c >= '0' && c <= '9'; }
bool IsLetter(char c) { return (c >= 'a' && c <= 'z') || (c >= 'A' && c <= 'Z'); }
bool IsAscii(char c) { return static_cast<unsigned char>(c) < 0x80; }

// What a word may be made of; the rest stands for itself.
bool IsOfWord(char c) {
  constexpr std::string_view kInside = ".-_@+=/:%~?&$!#*";
  return IsDigit(c) || IsLetter(c) || !IsAscii(c) || kInside.find(c) != kInside.npos;
}

bool IsHost(std::string_view word) {
  const std::size_t dot = word.rfind('.');
  if (dot == word.npos || dot == 0) return false;
  const std::string_view top = word.substr(dot + 1);
  return top.size() >= 2 && std::ranges::all_of(top, IsLetter) && std::ranges::all_of(word, [](char c) {
           return IsDigit(c) || IsLetter(c) || c == '.' || c == '-' || c == '_';
         });
}

// Empty: the word stays as it is.
std::string_view PlaceholderOf(std::string_view word) {
  if (word.find("://") != word.npos) return "<url>";
  if (const std::size_t at = word.find('@'); at != word.npos && at > 0 && at + 1 < word.size()) return "<address>";
  if (ParseEnhancedCode(word)) return {};
  if (IpAddress::Parse(word)) return "<ip>";
  const auto digits = std::ranges::count_if(word, IsDigit);
  const bool letters = std::ranges::any_of(word, [](char c) { return IsLetter(c) || !IsAscii(c); });
  if (digits > 0 && !letters) return "<n>";
  if (IsHost(word)) return "<host>";
  if (digits > 0 && word.size() > kMarkBytesMax) return "<id>";
  if (word.size() > kWordBytesMax && std::ranges::all_of(word, IsAscii)) return "<id>";
  return {};
}

void AppendNormalized(std::string_view word, std::string& out) {
  // A full stop or colon ends a sentence, not a word; a sign before it may belong to the sentence too.
  constexpr std::string_view kEdges = ".:-_=/?!#*";
  const std::size_t begin = std::min(word.find_first_not_of(kEdges), word.size());
  const std::size_t end = word.find_last_not_of(kEdges) + 1;
  if (begin >= end) {
    out += word;
    return;
  }
  const std::string_view core = word.substr(begin, end - begin);
  const std::string_view placeholder = PlaceholderOf(core);
  out += word.substr(0, begin);
  // "<ana@example.org>" had its brackets already.
  const bool bracketed = !placeholder.empty() && out.ends_with('<');
  out += placeholder.empty() ? core : bracketed ? placeholder.substr(1, placeholder.size() - 2) : placeholder;
  out += word.substr(end);
}

// Not in the middle of a character.
void Cut(std::string& text, std::size_t bytes_max) {
  if (text.size() <= bytes_max) return;
  std::size_t end = bytes_max;
  while (end > 0 && (static_cast<unsigned char>(text[end]) & 0xc0) == 0x80) --end;
  text.resize(end);
}

}  // namespace

std::string NormalizeReply(const Reply& reply) {
  std::string joined;
  JoinReplyText(reply.text, joined);
  std::string out = std::to_string(reply.code);
  if (!joined.empty()) out += ' ';
  std::string_view rest = joined;
  while (!rest.empty() && out.size() <= kTextBytesMax) {
    const auto length = static_cast<std::size_t>(std::ranges::find_if_not(rest, IsOfWord) - rest.begin());
    if (length > 0) {
      AppendNormalized(rest.substr(0, length), out);
    } else {
      out += rest.front();
    }
    rest.remove_prefix(std::max<std::size_t>(length, 1));
  }
  Cut(out, kTextBytesMax);
  return out;
}

void UnmatchedReplies::Add(const Reply& reply, Stage stage, std::string_view provider, Wall now) {
  ++total_;
  if (clusters_max_ == 0) return;
  Key key(provider, NormalizeReply(reply));
  auto found = clusters_.find(key);
  if (found == clusters_.end()) {
    if (clusters_.size() >= clusters_max_) MakeRoom();
    Cluster cluster{.provider = key.first, .text = key.second, .example = {}, .stage = stage, .first = now};
    JoinReplyText(reply.text, cluster.example);
    cluster.example.insert(0, fmt::format("{} ", reply.code));
    Cut(cluster.example, kExampleBytesMax);
    found = clusters_.emplace(std::move(key), std::move(cluster)).first;
  }
  ++found->second.count;
  found->second.last = std::max(found->second.last, now);
}

void UnmatchedReplies::Merge(const UnmatchedReplies& other) {
  total_ += other.total_;
  for (const auto& [key, cluster] : other.clusters_) {
    const auto [own, fresh] = clusters_.emplace(key, cluster);
    if (fresh) continue;
    own->second.count += cluster.count;
    own->second.first = std::min(own->second.first, cluster.first);
    own->second.last = std::max(own->second.last, cluster.last);
  }
  while (clusters_.size() > clusters_max_) MakeRoom();
}

// A search over all, because a new kind of reply is rare and a thousand clusters are few.
void UnmatchedReplies::MakeRoom() {
  const auto least = std::ranges::min_element(
      clusters_, {}, [](const auto& entry) { return std::tuple(entry.second.count, entry.second.last); });
  if (least != clusters_.end()) clusters_.erase(least);
}

std::vector<UnmatchedReplies::Cluster> UnmatchedReplies::Top(std::size_t count) const {
  std::vector<Cluster> top;
  top.reserve(clusters_.size());
  for (const auto& [key, cluster] : clusters_) top.push_back(cluster);
  std::ranges::stable_sort(top, std::ranges::greater(),
                           [](const Cluster& cluster) { return std::tuple(cluster.count, cluster.last); });
  if (top.size() > count) top.resize(count);
  return top;
}

}  // namespace postrider
