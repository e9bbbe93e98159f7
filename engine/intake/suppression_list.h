#pragma once
// Addresses and domains that get no mail: the operator's file, one a line, "#" for comments, domains also as
// "@example.org"; a domain stands for itself, not for what is below it. Case does not matter. Kept as sorted hashes,
// eight octets each; immutable once read.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "queue/files.h"

namespace postrider::intake {

class SuppressionList {
 public:
  // Every line that is neither an address nor a domain is reported, with its number.
  static std::expected<std::shared_ptr<const SuppressionList>, Diagnostics> Read(queue::Files& files,
                                                                                 const std::filesystem::path& file);

  [[nodiscard]] bool Holds(std::string_view address, std::string_view domain) const;
  [[nodiscard]] std::size_t size() const { return hashes_.size(); }

 private:
  std::vector<std::uint64_t> hashes_;
};

}  // namespace postrider::intake
