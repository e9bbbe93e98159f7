#include "engine/intake/suppression_list.h"

#include <algorithm>
#include <string>

#include <fmt/format.h>

#include "config/email_address.h"
#include "engine/intake/address_hash.h"
#include "engine/message/charset.h"

namespace postrider::intake {
namespace {

constexpr std::size_t kProblemsMax = 100;
constexpr std::size_t kChunk = 256 << 10;
constexpr std::size_t kLineMax = 4096;
// The byte order mark that some programs put before UTF-8: it would make another address of the first one.
constexpr std::string_view kMark = "\xef\xbb\xbf";

// One line of the file; its hash is added, or what is wrong is returned.
Result<void> ReadLine(std::string_view line, std::vector<std::uint64_t>& hashes) {
  line = message::Trim(line);
  if (line.empty() || line.front() == '#') return {};
  const bool is_domain = line.front() == '@' || line.find('@') == std::string_view::npos;
  if (is_domain) {
    if (line.front() == '@') line.remove_prefix(1);
    const Result<std::string> domain = ParseMailDomain(line);
    if (!domain) return std::unexpected(domain.error());
    hashes.push_back(HashAddress("@" + *domain).low);
    return {};
  }
  const Result<EmailAddress> address = EmailAddress::Parse(line);
  if (!address) return std::unexpected(address.error());
  hashes.push_back(HashAddress(ToString(*address)).low);
  return {};
}

}  // namespace

std::expected<std::shared_ptr<const SuppressionList>, Diagnostics> SuppressionList::Read(
    queue::Files& files, const std::filesystem::path& file) {
  Diagnostics problems;
  const auto report = [&](int line, std::string message) {
    if (problems.size() < kProblemsMax) problems.push_back({{file.string(), line, 0}, std::move(message)});
  };
  auto list = std::make_shared<SuppressionList>();
  Result<std::unique_ptr<queue::FileReader>> reader = files.OpenReader(file);
  if (!reader) {
    report(0, reader.error().message);
    return std::unexpected(std::move(problems));
  }
  std::string text;
  int number = 0;
  bool begun = false;
  for (bool ended = false; !ended;) {
    const Result<std::size_t> read = (*reader)->Read(text, kChunk);
    if (!read) {
      report(0, read.error().message);
      break;
    }
    ended = *read == 0;
    if (ended && !text.empty() && text.back() != '\n') text += '\n';
    std::size_t at = 0;
    if (!begun && (ended || text.size() >= kMark.size())) {
      begun = true;
      if (text.starts_with(kMark)) at = kMark.size();
    }
    for (std::size_t end; (end = text.find('\n', at)) != std::string::npos; at = end + 1) {
      ++number;
      const Result<void> line = ReadLine(std::string_view(text).substr(at, end - at), list->hashes_);
      if (!line) report(number, fmt::format("expected an address or a domain: {}", line.error().message));
    }
    text.erase(0, at);
    if (text.size() > kLineMax) {
      report(number + 1, "the line is too long for an address or a domain");
      break;
    }
  }
  if (!problems.empty()) return std::unexpected(std::move(problems));
  std::ranges::sort(list->hashes_);
  list->hashes_.erase(std::unique(list->hashes_.begin(), list->hashes_.end()), list->hashes_.end());
  list->hashes_.shrink_to_fit();
  return list;
}

bool SuppressionList::Holds(std::string_view address, std::string_view domain) const {
  if (hashes_.empty()) return false;
  const std::size_t at = address.size() - domain.size();
  // address is local@domain: the domain with its "@" is the end of it.
  const std::string_view with_at = address.substr(at - 1);
  return std::ranges::binary_search(hashes_, HashAddress(address).low) ||
         std::ranges::binary_search(hashes_, HashAddress(with_at).low);
}

}  // namespace postrider::intake
