#pragma once
// A campaign's message.eml, read once and rendered per recipient. Compile decodes quoted-printable and base64 text
// parts, turns them into UTF-8, finds the {{merge}} fields in headers and bodies (HTML parts escape), decides each
// part's transfer encoding, and lays the whole out as a list of literal pieces and fields; Render walks that list.
// Immutable once compiled and shared between threads as shared_ptr<const Template>. Pure: no clock, no sockets.
//
// Merge syntax: {{name}}, {{name|default}}, {{{name}}} (raw: as it is also in HTML and in URIs), {{{name|default}}}.
// Names: letters, digits, _ . - Built in for every row: {{to}} (the address), {{id}} (the row's own id), {{domain}},
// {{campaign}}. The default stands for a missing and for an empty value, and is taken as it is written, in HTML and in
// URIs too. "\{{" is text.

#include <chrono>
#include <cstdint>
#include <memory>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "config/time.h"

namespace postrider::message {

struct CompileOptions {
  std::string file = "message.eml";  // for diagnostics
  bool eight_bit = false;            // leave 8-bit parts as they are; needs 8BITMIME of every receiver
  std::uint64_t size_max = 50u << 20;
  // From the manifest: set or replaced in the message before it is compiled; they may hold merge fields.
  std::vector<std::pair<std::string, std::string>> headers;
  std::string default_from;  // "From" if neither the message nor headers has one; empty: that is an error
  bool has_manifest = true;  // else nothing can be mended there
};

// The merge values of one row, packed as a job keeps them: for each of Template::fields() in order, a varint n and then
// n - 1 bytes of UTF-8; n = 0 says the row has no such field (so its default is used).
class FieldPacker {
 public:
  explicit FieldPacker(std::string& out) : out_(out) {}
  void Add(std::string_view value);
  void AddMissing();

 private:
  std::string& out_;
};

// Reads packed values back, in the order of packing.
class FieldUnpacker {
 public:
  explicit FieldUnpacker(std::string_view packed) : packed_(packed) {}
  // The next value; an empty optional says the row has no such field. kCorrupt if the bytes end too early.
  [[nodiscard]] Result<std::optional<std::string_view>> Next();
  [[nodiscard]] bool at_end() const { return packed_.empty(); }

 private:
  std::string_view packed_;
};

// What a message needs to know of its job; the same for every attempt, so that a repeat is byte for byte the same.
struct RenderJob {
  std::uint64_t campaign_id = 0;
  std::uint64_t row = 0;
  std::string_view campaign;  // its name
  std::string_view to;        // the address
  std::string_view row_id;
  std::string_view fields;     // packed
  Wall accepted_at;            // for Date
  std::string_view host_name;  // right of the @ in Message-ID
};

class Template {
 public:
  // All that is wrong is reported, with line and column in the file. message is the file's bytes; LF or CRLF lines.
  static std::expected<std::shared_ptr<const Template>, Diagnostics> Compile(std::string_view message,
                                                                             const CompileOptions& options);
  ~Template();

  // Names of the fields a row should bring (built-in ones left out), in the order of packing.
  [[nodiscard]] std::span<const std::string> fields() const;
  // Index into fields(), or nullopt.
  [[nodiscard]] std::optional<std::size_t> FindField(std::string_view name) const;

  // Says why this row cannot be rendered: a field without value or default, CR or LF or NUL in a header's value, a line
  // over 998 octets. Looks at the values alone, and renders only headers that can fail (addresses, URIs) and 8-bit
  // bodies with fields: a third of what Render costs.
  [[nodiscard]] Result<void> Check(const RenderJob& job) const;

  // Appends the message to out: CRLF lines, not dot-stuffed. Allocates nothing but growth of out. A job that passed
  // Check cannot fail.
  [[nodiscard]] Result<void> Render(const RenderJob& job, std::string& out) const;

  // "<...@host_name>" as Render writes it, derived from the job alone; or the template's own Message-ID if it has one.
  void AppendMessageId(const RenderJob& job, std::string& out) const;

  [[nodiscard]] std::uint64_t EstimateSize(std::string_view fields) const;  // an upper estimate for SIZE
  [[nodiscard]] bool needs_8bit() const;
  [[nodiscard]] bool needs_smtputf8() const;  // headers hold raw UTF-8 that cannot be encoded (addresses)
  // The addresses of the From header's literal text, for envelope_from when the manifest names none; "" if merged.
  [[nodiscard]] std::string_view from_address() const;

 private:
  struct Layout;
  explicit Template(std::unique_ptr<Layout> layout);
  std::unique_ptr<Layout> layout_;
};

}  // namespace postrider::message
