#include "engine/delivery/transcript.h"

#include <fmt/format.h>

#include <algorithm>
#include <cstring>

#include "config/check.h"

namespace postrider::delivery {
namespace {

constexpr int kDirectionShift = 12;
constexpr std::uint16_t kCodeMask = (1 << kDirectionShift) - 1;

}  // namespace

char ToMark(TraceDirection direction) {
  switch (direction) {
    case TraceDirection::kNote:
      return '*';
    case TraceDirection::kSent:
      return '>';
    case TraceDirection::kReceived:
      return '<';
  }
  return '?';
}

std::string WithCode(int code, std::string_view text) {
  if (code == 0) return std::string(text);
  std::string out;
  for (;;) {
    const std::size_t end = text.find('\n');
    const bool last = end == std::string_view::npos;
    fmt::format_to(std::back_inserter(out), "{:03}{}{}", code, last ? ' ' : '-', text.substr(0, end));
    if (last) return out;
    out.push_back('\n');
    text.remove_prefix(end + 1);
  }
}

void Transcript::Begin(const Now& now) {
  began_ = now;
  bytes_.clear();
  opening_end_ = kept_end_ = open_ = 0;
  forgotten_ = 0;
}

void Transcript::Add(Monotonic now, TraceDirection direction, int code, std::string_view text) {
  if (text.size() > kTextBytes) text = text.substr(0, kTextBytes);
  if (bytes_.size() + sizeof(Header) + text.size() > kBytes) MakeRoom(sizeof(Header) + text.size());
  const auto since = std::chrono::duration_cast<std::chrono::milliseconds>(now - began_.monotonic).count();
  Header header;
  header.milliseconds = static_cast<std::uint32_t>(since);
  header.length = static_cast<std::uint16_t>(text.size());
  header.code = static_cast<std::uint16_t>((static_cast<unsigned>(code) & kCodeMask) |
                                           (static_cast<unsigned>(direction) << kDirectionShift));
  bytes_.append(reinterpret_cast<const char*>(&header), sizeof header).append(text);
}

void Transcript::MessageBegins() {
  CHECK(open_ < kMessages);
  starts_[open_++] = bytes_.size();
}

// What lies before the next open message belonged to this one, or to one that was kept.
void Transcript::MessageEnds(bool keep) {
  CHECK(open_ > 0);
  std::copy(starts_.begin() + 1, starts_.end(), starts_.begin());
  --open_;
  const std::size_t end = open_ == 0 ? bytes_.size() : starts_[0];
  if (keep) {
    kept_end_ = end;
    return;
  }
  Erase(kept_end_, end);
  ++forgotten_;
}

// The opening stays as long as there is anything else to give up.
void Transcript::MakeRoom(std::size_t length) {
  const std::size_t from = opening_end_ < bytes_.size() ? opening_end_ : 0;
  std::size_t to = from;
  while (to < bytes_.size() && bytes_.size() - (to - from) + length > kBytes) {
    Header header;
    std::memcpy(&header, bytes_.data() + to, sizeof header);
    to += sizeof header + header.length;
  }
  Erase(from, to);
  if (bytes_.size() + length > kBytes) {  // the opening alone is too long
    bytes_.clear();
    opening_end_ = kept_end_ = 0;
    starts_.fill(0);
  }
}

void Transcript::Erase(std::size_t from, std::size_t to) {
  bytes_.erase(from, to - from);
  const auto moved = [&](std::size_t place) { return place >= to ? place - (to - from) : std::min(place, from); };
  opening_end_ = moved(opening_end_);
  kept_end_ = moved(kept_end_);
  for (std::size_t i = 0; i < open_; ++i) starts_[i] = moved(starts_[i]);
}

std::vector<TraceLine> Transcript::Lines(std::uint64_t connection, std::string_view source) const {
  std::vector<TraceLine> lines;
  Wall time = began_.wall;
  for (std::size_t place = 0; place < bytes_.size();) {
    if (place == opening_end_ && forgotten_ != 0) {
      lines.push_back({time, connection, TraceDirection::kNote, std::string(source),
                       fmt::format("{} messages that ended well are left out", forgotten_)});
    }
    Header header;
    std::memcpy(&header, bytes_.data() + place, sizeof header);
    const std::string_view text(bytes_.data() + place + sizeof header, header.length);
    time = began_.wall + std::chrono::milliseconds(header.milliseconds);
    lines.push_back({time, connection, static_cast<TraceDirection>(header.code >> kDirectionShift), std::string(source),
                     WithCode(header.code & kCodeMask, text)});
    place += sizeof header + header.length;
  }
  return lines;
}

}  // namespace postrider::delivery
