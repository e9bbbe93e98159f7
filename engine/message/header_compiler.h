#pragma once
// Compiles header sections into a layout: what the manifest sets, what the message says, what is made if missing.
// Headers without fields and in ASCII stay as they were written; the others are put together anew. While compiling
// only.

#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "engine/message/layout_builder.h"
#include "engine/message/mime_parser.h"
#include "engine/message/template.h"

namespace postrider::message {

// Content headers as a part is sent, where they differ from what its submitter wrote.
struct ContentHeaders {
  std::optional<ParameterizedValue> type;
  std::optional<TransferEncoding> encoding;  // written if it is there, or is not 7bit
};

class HeaderCompiler {
 public:
  HeaderCompiler(const CompileOptions& options, LayoutBuilder& builder, Findings& findings)
      : options_(options), builder_(builder), findings_(findings) {}

  // The message's own headers, with CRLF, without the empty line after them.
  void CompileMessageHeaders(const Entity& entity, const ContentHeaders& content);
  void CompilePartHeaders(const Entity& entity, const ContentHeaders& content);

 private:
  // A header and where it came from.
  struct Source {
    const HeaderField* field;
    bool from_manifest;
  };

  std::vector<HeaderField> ManifestHeaders();
  void CheckSingles(const std::vector<Source>& sources);
  void Compile(const Source& source, const ContentHeaders& content);
  void CompileContentHeader(const Source& source, const ContentHeaders& content);
  void AddMissing(const std::vector<Source>& sources, const ContentHeaders& content);
  void CompileText(const Source& source, HeaderKind kind, std::string_view value);
  void CompileAddresses(const Source& source, std::string_view value);
  void CheckFrom(const Source& source, const std::vector<Mailbox>& mailboxes);
  void Verbatim(const Source& source);
  void AddHeader(const Source& source, HeaderLayout header, bool has_fields);
  void ContentHeader(std::string_view name, std::string_view value);
  std::vector<MergePiece> ParsePieces(const Source& source, std::string_view value);
  void Problem(const Source& source, std::size_t value_offset, std::string_view what);

  const CompileOptions& options_;
  LayoutBuilder& builder_;
  Findings& findings_;
};

}  // namespace postrider::message
