#pragma once
// One record of a list as a row: address, id and the values of the fields the message asks for. JSON lines: an object
// with "to", perhaps "id", any other keys as fields, and "vars", an object whose keys are fields too and win. CSV: the
// header names the columns in the same way. Columns the message does not ask for are ignored. One thread.

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "config/error.h"
#include "engine/intake/list_reader.h"
#include "engine/message/template.h"

namespace postrider::intake {

// Views live until the next Parse.
struct Row {
  std::string_view to;
  std::string_view id;
  std::vector<std::string_view> values;  // by index of Template::fields(); data() is null where the row has none
};

class RowParser {
 public:
  RowParser(const message::Template& wanted, ListFormat format);
  ~RowParser();

  // The first record of a CSV list, before any other. kInvalid if it names no column "to", or one twice.
  [[nodiscard]] Result<void> ReadHeader(const Record& header);

  // kInvalid with the reason for rejects.jsonl. row.to may be set even then, for whoever looks for it.
  [[nodiscard]] Result<void> Parse(const Record& record, Row& row);

 private:
  class Json;
  class Csv;
  std::unique_ptr<Json> json_;
  std::unique_ptr<Csv> csv_;
};

}  // namespace postrider::intake
