#pragma once
// What Compile leaves and Render walks: a list of steps over one arena of bytes. Literal text is there as it will be
// sent, encoded and with CRLF; only fields, and the few headers they stand in, are worked out per recipient.

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "engine/message/merge.h"

namespace postrider::message {

inline constexpr std::size_t kFieldsMax = 1000;  // names a row may bring; Render keeps a table of so many on its stack
inline constexpr std::size_t kFieldUsesMax = 10'000;  // places where fields stand
inline constexpr std::size_t kNone = static_cast<std::size_t>(-1);

// A stretch of the arena.
struct Stretch {
  std::uint32_t begin = 0;
  std::uint32_t size = 0;
};

enum class FieldSource : std::uint8_t { kRow, kTo, kId, kDomain, kCampaign };

// One place where a field stands.
struct FieldUse {
  FieldSource source = FieldSource::kRow;
  std::uint16_t row_field = 0;  // index into row_fields if source is kRow
  bool has_default = false;
  bool escape = false;  // in an HTML part or a URI, and not the raw form
  Stretch default_text;
};

// Part of a header's value.
struct Piece {
  bool is_field = false;
  std::uint32_t use = 0;  // index into uses
  Stretch literal;        // UTF-8
};
struct PieceRange {
  std::uint32_t begin = 0;
  std::uint32_t end = 0;
};

// How a header's value is put together from text that a row brings.
enum class HeaderKind : std::uint8_t {
  kUnstructured,  // Subject, X-...: non-ASCII becomes encoded-words
  kAddress,       // From, To, ...: display names and addresses
  kUri,           // List-Unsubscribe, ...: inside <>, values are percent-encoded
  kToken,         // Message-ID, References, ...: a value must be plain already
  kFixed,         // Date, Content-...: no fields
};

struct Mailbox {
  PieceRange name;
  PieceRange address;
  bool check_address = false;  // a row's value is in it
};

struct HeaderLayout {
  HeaderKind kind = HeaderKind::kUnstructured;
  Stretch name;
  PieceRange text;                  // of all kinds but kAddress
  std::uint32_t mailbox_begin = 0;  // of kAddress
  std::uint32_t mailbox_end = 0;
};

enum class StepKind : std::uint8_t {
  kLiteral,      // stretch, as it stands; column: octets then on the line, for a quoted-printable step after it
  kHeader,       // index into headers
  kToAddress,    // "To: <address>"
  kDate,         // "Date: ..."
  kMessageId,    // "Message-ID: ..."
  kQuotedField,  // index into uses
  kQuotedHead,   // stretch: encoded text without line end, at most 75 octets, moved to a new line if it does not fit
  kQuotedEnd,    // a hard line end
  kQuotedClose,  // a hard line end if the line is not empty
  kBase64Field,
  kBase64Text,  // stretch: plain text
  kBase64Close,
  kPlainOpen,  // an 8-bit part with fields begins: its lines are checked at kPlainClose
  kPlainField,
  kPlainClose,
};

struct Step {
  StepKind kind = StepKind::kLiteral;
  std::uint8_t column = 0;
  std::uint32_t index = 0;
  Stretch stretch;
};

struct RowField {
  bool required = false;     // stands somewhere without default
  bool in_header = false;    // then control characters are refused
  std::uint32_t growth = 0;  // octets rendered per octet of value, at most, over all uses
};

struct MessageLayout {
  std::string arena;
  std::vector<Step> steps;
  std::vector<FieldUse> uses;
  std::vector<Piece> pieces;
  std::vector<Mailbox> mailboxes;
  std::vector<HeaderLayout> headers;

  std::vector<std::string> field_names;  // by first appearance
  std::vector<RowField> row_fields;      // in the same order
  std::vector<std::uint16_t> by_name;    // indexes of field_names, sorted by name

  std::vector<std::string> boundaries;         // for the check of kPlainClose
  std::vector<std::uint32_t> checked_headers;  // whose rendering can fail: addresses, URIs, tokens
  bool has_plain_fields = false;
  bool id_required = false;
  std::uint64_t fixed_size = 0;  // an upper estimate of all but the row's values
  std::uint64_t size_max = 0;

  std::size_t own_message_id = kNone;  // index into headers
  std::string literal_message_id;      // or as text
  std::string from_address;
  bool needs_8bit = false;
  bool needs_smtputf8 = false;

  [[nodiscard]] std::string_view View(Stretch stretch) const {
    return std::string_view(arena).substr(stretch.begin, stretch.size);
  }
  [[nodiscard]] std::size_t FindField(std::string_view name) const;
};

// Which built-in field a name is; kRow if none.
[[nodiscard]] FieldSource SourceOf(std::string_view name);

}  // namespace postrider::message
