#include "engine/message/header_compiler.h"

#include <algorithm>
#include <array>

#include <fmt/format.h>

#include "config/email_address.h"
#include "engine/message/address_list.h"
#include "engine/message/charset.h"
#include "engine/message/encoded_word.h"
#include "engine/message/header_writer.h"
#include "engine/message/render.h"

namespace postrider::message {
namespace {

constexpr std::size_t kShortLine = 78;

// A message has each of these at most once (RFC 5322 section 3.6, RFC 2045, RFC 2369); receivers refuse it otherwise.
constexpr std::array<std::string_view, 18> kSingles = {"Date",
                                                       "From",
                                                       "Sender",
                                                       "Reply-To",
                                                       "To",
                                                       "Cc",
                                                       "Message-ID",
                                                       "In-Reply-To",
                                                       "References",
                                                       "Subject",
                                                       "MIME-Version",
                                                       "Content-Type",
                                                       "Content-Transfer-Encoding",
                                                       "Content-ID",
                                                       "Content-Disposition",
                                                       "List-Unsubscribe",
                                                       "List-Unsubscribe-Post",
                                                       "List-Id"};

// Not for the recipient's eyes, or the receiving server's to write.
constexpr std::array<std::string_view, 6> kRemoved = {"Bcc",        "Resent-Bcc", "Return-Path",
                                                      "X-Receiver", "X-Sender",   "X-Campaign"};

constexpr std::array<std::string_view, 12> kAddressHeaders = {"From",
                                                              "Sender",
                                                              "Reply-To",
                                                              "To",
                                                              "Cc",
                                                              "Resent-From",
                                                              "Resent-Sender",
                                                              "Resent-To",
                                                              "Resent-Cc",
                                                              "Errors-To",
                                                              "Disposition-Notification-To",
                                                              "Return-Receipt-To"};
constexpr std::array<std::string_view, 6> kUriHeaders = {"List-Unsubscribe", "List-Help",  "List-Subscribe",
                                                         "List-Post",        "List-Owner", "List-Archive"};
constexpr std::array<std::string_view, 4> kTokenHeaders = {"Message-ID", "In-Reply-To", "References", "Content-ID"};
constexpr std::array<std::string_view, 6> kFixedHeaders = {"Date",     "Resent-Date",    "MIME-Version",
                                                           "Received", "DKIM-Signature", "List-Unsubscribe-Post"};

template <std::size_t kSize>
bool Contains(const std::array<std::string_view, kSize>& names, std::string_view name) {
  return std::any_of(names.begin(), names.end(),
                     [&](std::string_view known) { return EqualsIgnoringCase(known, name); });
}

bool IsContentHeader(std::string_view name) {
  return name.size() > 8 && EqualsIgnoringCase(name.substr(0, 8), "Content-") &&
         !EqualsIgnoringCase(name, "Content-Description") && !EqualsIgnoringCase(name, "Content-ID");
}

HeaderKind KindOf(std::string_view name) {
  if (Contains(kAddressHeaders, name)) return HeaderKind::kAddress;
  if (Contains(kUriHeaders, name)) return HeaderKind::kUri;
  if (Contains(kTokenHeaders, name)) return HeaderKind::kToken;
  if (Contains(kFixedHeaders, name) || IsContentHeader(name)) return HeaderKind::kFixed;
  return HeaderKind::kUnstructured;
}

bool HasControl(std::string_view text) {
  return std::any_of(text.begin(), text.end(), [](char c) {
    const auto octet = static_cast<unsigned char>(c);
    return (octet < 32 && c != '\t') || octet == 127;
  });
}

bool HasField(const std::vector<MergePiece>& pieces) {
  return std::any_of(pieces.begin(), pieces.end(), [](const MergePiece& piece) { return piece.is_field; });
}

// Lines as written may stay: none too long, none blank (which would end the header section for some readers).
bool LinesAreFine(std::string_view name, std::string_view raw) {
  std::size_t before = name.size() + 1;
  while (true) {
    const std::size_t end = raw.find("\r\n");
    const std::string_view line = raw.substr(0, end);
    if (line.size() + before > kShortLine) return false;
    if (end == std::string_view::npos) return true;
    if (before == 0 && Trim(line).empty()) return false;
    raw.remove_prefix(end + 2);
    before = 0;
    if (Trim(raw.substr(0, raw.find("\r\n"))).empty()) return false;
  }
}

// Fields outside "<...>" of a URI header could bring their own angle brackets.
bool FieldsStandInAngles(const std::vector<MergePiece>& pieces) {
  bool inside = false;
  for (const MergePiece& piece : pieces) {
    if (piece.is_field) {
      if (!inside) return false;
      continue;
    }
    for (const char c : piece.text) {
      if (c == '<') inside = true;
      if (c == '>') inside = false;
    }
  }
  return true;
}

}  // namespace

void HeaderCompiler::Problem(const Source& source, std::size_t value_offset, std::string_view what) {
  std::string message = fmt::format("header {}: {}", source.field->name, what);
  if (source.from_manifest) {
    findings_.AddWithoutPlace(message + " (set in the manifest)");
  } else {
    findings_.Add(source.field->SourceOffset(value_offset), std::move(message));
  }
}

std::vector<HeaderField> HeaderCompiler::ManifestHeaders() {
  std::vector<HeaderField> fields;
  for (const auto& [name, value] : options_.headers) {
    const auto refuse = [&](std::string_view reason) {
      findings_.AddWithoutPlace(fmt::format("header {} of the manifest: {}", name, reason));
    };
    constexpr std::size_t kNameMax = 76;
    const bool named = !name.empty() && name.size() <= kNameMax &&
                       std::all_of(name.begin(), name.end(), [](char c) { return c > 32 && c < 127 && c != ':'; });
    if (!named) {
      refuse("this cannot be a header's name");
    } else if (IsContentHeader(name) || EqualsIgnoringCase(name, "MIME-Version") || Contains(kRemoved, name)) {
      refuse("it cannot be set there");
    } else if (HasControl(value) || !IsUtf8(value)) {
      refuse("its value must be one line of UTF-8 without control characters");
    } else {
      HeaderField field;
      field.name = name;
      field.value = Trim(value);
      field.raw = " " + field.value;
      field.value_offsets.push_back(0);
      field.source_offsets.push_back(0);
      fields.push_back(std::move(field));
    }
  }
  return fields;
}

void HeaderCompiler::CheckSingles(const std::vector<Source>& sources) {
  for (std::size_t i = 0; i < sources.size(); ++i) {
    const std::string_view name = sources[i].field->name;
    if (!Contains(kSingles, name)) continue;
    const bool repeated = std::any_of(sources.begin(), sources.begin() + static_cast<std::ptrdiff_t>(i),
                                      [&](const Source& other) { return EqualsIgnoringCase(other.field->name, name); });
    if (repeated) Problem(sources[i], 0, "it may stand only once, and this is another");
  }
}

void HeaderCompiler::CompileMessageHeaders(const Entity& entity, const ContentHeaders& content) {
  const std::vector<HeaderField> manifest = ManifestHeaders();
  std::vector<Source> sources;
  std::vector<bool> placed(manifest.size(), false);
  for (const HeaderField& field : entity.headers) {
    if (Contains(kRemoved, field.name)) continue;
    bool replaced = false;
    for (std::size_t i = 0; i < manifest.size(); ++i) {
      if (!EqualsIgnoringCase(manifest[i].name, field.name)) continue;
      replaced = true;
      if (!placed[i]) sources.push_back({&manifest[i], true});
      placed[i] = true;
    }
    if (!replaced) sources.push_back({&field, false});
  }
  for (std::size_t i = 0; i < manifest.size(); ++i) {
    if (!placed[i]) sources.push_back({&manifest[i], true});
  }
  // An address header with nothing in it says nothing, and is not allowed.
  std::erase_if(sources, [](const Source& source) {
    return source.field->value.empty() && KindOf(source.field->name) != HeaderKind::kUnstructured;
  });
  CheckSingles(sources);
  for (const Source& source : sources) Compile(source, content);
  AddMissing(sources, content);
}

void HeaderCompiler::CompilePartHeaders(const Entity& entity, const ContentHeaders& content) {
  std::vector<Source> sources;
  for (const HeaderField& field : entity.headers) sources.push_back({&field, false});
  CheckSingles(sources);
  for (const Source& source : sources) Compile(source, content);
  if (content.type && !entity.has_type) ContentHeader("Content-Type", content.type->ToText());
  const bool encoded = content.encoding && *content.encoding != TransferEncoding::kSevenBit;
  if (encoded && entity.Find("Content-Transfer-Encoding") == nullptr) {
    ContentHeader("Content-Transfer-Encoding", ToString(*content.encoding));
  }
}

void HeaderCompiler::AddMissing(const std::vector<Source>& sources, const ContentHeaders& content) {
  const auto has = [&](std::string_view name) {
    return std::any_of(sources.begin(), sources.end(),
                       [&](const Source& source) { return EqualsIgnoringCase(source.field->name, name); });
  };
  if (!has("From")) {
    if (options_.default_from.empty()) {
      findings_.AddAt(1, 1,
                      options_.has_manifest ? "the message has no From header; write one, or \"from\" in the manifest"
                                            : "the message has no From header; write one");
    } else {
      HeaderField from;
      from.name = "From";
      from.value = Trim(options_.default_from);
      from.raw = " " + from.value;
      from.value_offsets.push_back(0);
      from.source_offsets.push_back(0);
      Compile({&from, true}, content);
    }
  }
  MessageLayout& layout = builder_.layout();
  if (!has("To")) builder_.AddStep(StepKind::kToAddress);
  if (!has("Date")) builder_.AddStep(StepKind::kDate);
  if (!has("Message-ID")) builder_.AddStep(StepKind::kMessageId);
  if (!has("MIME-Version")) builder_.Literal("MIME-Version: 1.0\r\n");
  if (content.type && !has("Content-Type")) ContentHeader("Content-Type", content.type->ToText());
  const bool encoded = content.encoding && *content.encoding != TransferEncoding::kSevenBit;
  if (encoded && !has("Content-Transfer-Encoding")) {
    ContentHeader("Content-Transfer-Encoding", ToString(*content.encoding));
  }
  for (const HeaderLayout& header : layout.headers) {
    const auto index = static_cast<std::uint32_t>(&header - layout.headers.data());
    if (EqualsIgnoringCase(layout.View(header.name), "Message-ID")) layout.own_message_id = index;
  }
}

void HeaderCompiler::Compile(const Source& source, const ContentHeaders& content) {
  const HeaderField& field = *source.field;
  if (HasControl(field.value)) {
    Problem(source, 0, "it holds a control character");
    return;
  }
  const HeaderKind kind = KindOf(field.name);
  const bool ascii = IsAscii(field.value);
  const std::string value = ascii ? field.value : GuessUtf8(field.value);
  switch (kind) {
    case HeaderKind::kFixed:
      if (HasMerge(value)) Problem(source, value.find("{{"), "merge fields cannot stand here");
      if (IsContentHeader(field.name)) {
        CompileContentHeader(source, content);
      } else if (!ascii) {
        Problem(source, 0, "only ASCII may stand here");
      } else {
        Verbatim(source);
      }
      return;
    case HeaderKind::kAddress:
      CompileAddresses(source, value);
      return;
    case HeaderKind::kToken:
      if (!ascii) {
        Problem(source, 0, "only ASCII may stand here");
        return;
      }
      if (EqualsIgnoringCase(field.name, "Message-ID") && !HasMerge(value)) {
        const bool formed = value.starts_with('<') && value.ends_with('>') && value.find('@') != std::string::npos &&
                            value.find_first_of(" \t") == std::string::npos;
        if (!formed) Problem(source, 0, "expected \"<left@right>\"");
        builder_.layout().literal_message_id = value;
      }
      CompileText(source, kind, value);
      return;
    case HeaderKind::kUri:
    case HeaderKind::kUnstructured:
      CompileText(source, kind, value);
      return;
  }
}

void HeaderCompiler::CompileContentHeader(const Source& source, const ContentHeaders& content) {
  const HeaderField& field = *source.field;
  if (EqualsIgnoringCase(field.name, "Content-Type") && content.type) {
    ContentHeader(field.name, content.type->ToText());
    return;
  }
  if (EqualsIgnoringCase(field.name, "Content-Transfer-Encoding") && content.encoding) {
    ContentHeader(field.name, ToString(*content.encoding));
    return;
  }
  if (IsAscii(field.value)) {
    Verbatim(source);
    return;
  }
  const std::optional<ParameterizedValue> parsed = ParameterizedValue::Parse(field.value);
  if (!parsed || !IsAscii(parsed->value)) {
    Problem(source, 0, "only ASCII may stand here");
    return;
  }
  ContentHeader(field.name, parsed->ToText());
}

void HeaderCompiler::ContentHeader(std::string_view name, std::string_view value) {
  std::string line = fmt::format("{}: ", name);
  if (!AppendFolded(value, line.size(), line)) {
    findings_.AddWithoutPlace(
        fmt::format("header {}: a parameter is too long for a line of {} octets", name, kLineLimit));
  }
  builder_.Literal(line);
  builder_.Literal("\r\n");
}

void HeaderCompiler::Verbatim(const Source& source) {
  const HeaderField& field = *source.field;
  std::string line = field.name + ":";
  if (LinesAreFine(field.name, field.raw)) {
    line += field.raw;
  } else {
    line += ' ';
    if (!AppendFolded(field.value, line.size(), line)) {
      Problem(source, 0, fmt::format("a line would pass {} octets, and no blank allows to fold it", kLineLimit));
    }
  }
  builder_.Literal(line);
  builder_.Literal("\r\n");
}

std::vector<MergePiece> HeaderCompiler::ParsePieces(const Source& source, std::string_view value) {
  std::vector<MergeProblem> problems;
  std::vector<MergePiece> pieces = ParseMerge(value, problems);
  for (const MergeProblem& problem : problems) Problem(source, problem.offset, problem.message);
  return pieces;
}

void HeaderCompiler::CompileText(const Source& source, HeaderKind kind, std::string_view value) {
  // Fields may stand inside encoded-words, which mail programs make of any text that is not ASCII.
  const std::string decoded = kind == HeaderKind::kUnstructured ? DecodeEncodedWords(value) : std::string(value);
  const bool as_written = IsAscii(value) && !HasMerge(value) && !HasMerge(decoded);
  if (as_written) {
    Verbatim(source);
    return;
  }
  if (HasControl(decoded) || !IsUtf8(decoded)) {
    Problem(source, 0, "decoded, it holds a control character or is not valid in its charset");
    return;
  }
  const std::vector<MergePiece> pieces = ParsePieces(source, decoded);
  if (kind == HeaderKind::kUri && !FieldsStandInAngles(pieces)) {
    Problem(source, 0, "a merge field must stand between \"<\" and \">\" here");
  }
  HeaderLayout header;
  header.kind = kind;
  header.name = builder_.Store(source.field->name);
  header.text = builder_.AddPieces(pieces, kind == HeaderKind::kUri);
  AddHeader(source, header, HasField(pieces));
}

void HeaderCompiler::CompileAddresses(const Source& source, std::string_view value) {
  const Result<AddressList> parsed = ParseAddressList(value);
  if (!parsed) {
    Problem(source, 0, parsed.error().message);
    return;
  }
  if (parsed->entries.empty() && !parsed->has_groups) {
    Problem(source, 0, "expected an address");
    return;
  }
  const bool any_merge = std::any_of(parsed->entries.begin(), parsed->entries.end(), [](const AddressListEntry& entry) {
    return HasMerge(entry.name) || HasMerge(entry.address);
  });
  const bool as_written = IsAscii(value) && !any_merge;
  if (!as_written && (parsed->has_groups || parsed->has_comments)) {
    Problem(source, 0, "groups and comments cannot stand together with merge fields or text outside ASCII");
    return;
  }

  HeaderLayout header;
  header.kind = HeaderKind::kAddress;
  header.name = builder_.Store(source.field->name);
  std::vector<Mailbox> mailboxes;
  bool has_fields = false;
  for (const AddressListEntry& entry : parsed->entries) {
    const std::vector<MergePiece> name = ParsePieces(source, entry.name);
    std::vector<MergePiece> address = ParsePieces(source, entry.address);
    if (HasControl(entry.name) || !IsUtf8(entry.name)) {
      Problem(source, 0, "a display name, decoded, holds a control character or is not valid in its charset");
    }
    Mailbox mailbox;
    if (!HasField(address)) {
      const Result<EmailAddress> literal = EmailAddress::Parse(entry.address);
      if (!literal) {
        Problem(source, 0, literal.error().message);
        continue;
      }
      builder_.layout().needs_smtputf8 |= literal->needs_smtputf8;
      if (!address.empty()) address.front().text = ToString(*literal);
    } else {
      // {{to}} alone is an address already.
      mailbox.check_address = address.size() > 1 || SourceOf(address.front().name) != FieldSource::kTo;
    }
    has_fields |= HasField(name) || HasField(address);
    mailbox.name = builder_.AddPieces(name);
    mailbox.address = builder_.AddPieces(address);
    mailboxes.push_back(mailbox);
  }
  if (EqualsIgnoringCase(source.field->name, "From")) CheckFrom(source, mailboxes);
  if (as_written) {
    Verbatim(source);
    return;
  }
  MessageLayout& layout = builder_.layout();
  header.mailbox_begin = static_cast<std::uint32_t>(layout.mailboxes.size());
  layout.mailboxes.insert(layout.mailboxes.end(), mailboxes.begin(), mailboxes.end());
  header.mailbox_end = static_cast<std::uint32_t>(layout.mailboxes.size());
  AddHeader(source, header, has_fields);
}

void HeaderCompiler::CheckFrom(const Source& source, const std::vector<Mailbox>& mailboxes) {
  if (mailboxes.size() != 1) {
    Problem(source, 0, fmt::format("expected one address, found {}; receivers refuse others", mailboxes.size()));
    return;
  }
  MessageLayout& layout = builder_.layout();
  const PieceRange address = mailboxes.front().address;
  if (address.end - address.begin != 1 || layout.pieces[address.begin].is_field) return;
  layout.from_address = layout.View(layout.pieces[address.begin].literal);
}

void HeaderCompiler::AddHeader(const Source& source, HeaderLayout header, bool has_fields) {
  MessageLayout& layout = builder_.layout();
  if (has_fields) {
    layout.headers.push_back(header);
    builder_.StepWithIndex(StepKind::kHeader, layout.headers.size() - 1);
    return;
  }
  const RenderJob nobody;
  const Values no_values(layout, nobody);
  std::string rendered;
  if (Result<void> done = RenderHeader(layout, header, no_values, rendered); !done) {
    Problem(source, 0, done.error().message);
    return;
  }
  builder_.Literal(rendered);
}

}  // namespace postrider::message
