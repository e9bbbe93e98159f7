#pragma once
// The octets of a recipients file, decompressed as they are asked for: plain, .gz (RFC 1952) or .zst (RFC 8878), by the
// end of its name. Memory is bounded whatever the file unpacks to. A compressed file that ends too early, or is
// damaged, is a clear error with the position in what came out of it. One thread.

#include <cstdint>
#include <filesystem>
#include <memory>
#include <string>
#include <string_view>

#include "config/error.h"
#include "queue/files.h"

namespace postrider::intake {

class ListInput {
 public:
  virtual ~ListInput() = default;
  // Up to size octets; 0 is the end.
  [[nodiscard]] virtual Result<std::size_t> Read(char* to, std::size_t size) = 0;
};

[[nodiscard]] Result<std::unique_ptr<ListInput>> OpenListInput(queue::Files& files, const std::filesystem::path& file);

}  // namespace postrider::intake
