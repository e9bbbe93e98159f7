#pragma once
// Builds DNS messages for tests, right and wrong ones.

#include <algorithm>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

namespace postrider::dns {

// "a.b" as labels with the root at the end; "" is the root.
inline std::string WireName(std::string_view text) {
  std::string wire;
  while (!text.empty()) {
    const std::string_view label = text.substr(0, text.find('.'));
    wire.push_back(static_cast<char>(label.size()));
    wire.append(label);
    text.remove_prefix(std::min(text.size(), label.size() + 1));
  }
  wire.push_back('\0');
  return wire;
}

inline std::string Two(unsigned value) {
  return {static_cast<char>(value >> 8 & 0xff), static_cast<char>(value & 0xff)};
}
inline std::string Four(std::uint32_t value) { return Two(value >> 16) + Two(value & 0xffff); }

inline constexpr unsigned kTypeA = 1, kTypeCname = 5, kTypeSoa = 6, kTypeMx = 15, kTypeAaaa = 28;

inline std::string MakeRecord(std::string_view owner, unsigned type, std::uint32_t ttl, const std::string& data) {
  return WireName(owner) + Two(type) + Two(1) + Four(ttl) + Two(static_cast<unsigned>(data.size())) + data;
}
inline std::string Mx(std::string_view owner, unsigned preference, std::string_view host, std::uint32_t ttl = 600) {
  return MakeRecord(owner, kTypeMx, ttl, Two(preference) + WireName(host));
}
inline std::string A(std::string_view owner, std::initializer_list<int> bytes, std::uint32_t ttl = 600) {
  std::string data;
  for (const int byte : bytes) data.push_back(static_cast<char>(byte));
  return MakeRecord(owner, kTypeA, ttl, data);
}
// An address of ::last.
inline std::string Aaaa(std::string_view owner, int last, std::uint32_t ttl = 600) {
  std::string data(16, '\0');
  data.back() = static_cast<char>(last);
  return MakeRecord(owner, kTypeAaaa, ttl, data);
}
inline std::string Cname(std::string_view owner, std::string_view target, std::uint32_t ttl = 600) {
  return MakeRecord(owner, kTypeCname, ttl, WireName(target));
}
inline std::string Soa(std::string_view owner, std::uint32_t ttl, std::uint32_t minimum) {
  return MakeRecord(
      owner, kTypeSoa, ttl,
      WireName("ns." + std::string(owner)) + WireName("root") + Four(1) + Four(2) + Four(3) + Four(4) + Four(minimum));
}

struct MessageOptions {
  unsigned id = 0;
  unsigned code = 0;
  bool truncated = false;
  bool authentic = false;
};

struct Sections {
  std::string answers;
  unsigned answer_count = 0;
  std::string authorities;
  unsigned authority_count = 0;

  Sections& Answer(const std::string& record) {
    answers += record;
    ++answer_count;
    return *this;
  }
  Sections& Authority(const std::string& record) {
    authorities += record;
    ++authority_count;
    return *this;
  }
};

inline std::string MakeReply(std::string_view name, unsigned type, const Sections& sections,
                             const MessageOptions& options = {}) {
  const unsigned flags = 0x8180U | (options.truncated ? 0x0200U : 0U) | (options.authentic ? 0x20U : 0U) | options.code;
  return Two(options.id) + Two(flags) + Two(1) + Two(sections.answer_count) + Two(sections.authority_count) + Two(0) +
         WireName(name) + Two(type) + Two(1) + sections.answers + sections.authorities;
}

}  // namespace postrider::dns
