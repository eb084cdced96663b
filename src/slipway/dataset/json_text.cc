#include <array>
#include <cmath>
#include <cstdio>

#include "slipway/base/text.h"
#include "slipway/dataset/jsonl_writer.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

void AppendValue(const ColumnView& column, int row, std::string* out) {
  if (!column.valid(row)) {
    out->append("null");
    return;
  }
  switch (column.type) {
    case Type::kDouble:
      if (!std::isfinite(column.doubles()[row])) {
        out->append("null");
        return;
      }
      AppendCell(column, row, out);
      return;
    case Type::kBoolean:
    case Type::kInt64:
      AppendCell(column, row, out);
      return;
    case Type::kString:
      AppendJsonText(column.strings()[row], out);
      return;
    case Type::kDate:
    case Type::kTimestamp:
      out->push_back('"');
      AppendCell(column, row, out);
      out->push_back('"');
      return;
  }
}

// The length of the well-formed UTF-8 character at the front; 0: there is none.
size_t CharacterLength(std::string_view text) {
  const auto lead = static_cast<unsigned char>(text.front());
  const size_t length = lead < 0x80 ? 1 : lead < 0xC0 ? 0 : lead < 0xE0 ? 2 : lead < 0xF0 ? 3 : 4;
  return length > 0 && length <= text.size() && IsValidUtf8(text.substr(0, length)) ? length : 0;
}

}  // namespace

void AppendJsonText(std::string_view text, std::string* out) {
  out->push_back('"');
  const bool valid = IsValidUtf8(text);
  for (size_t i = 0; i < text.size();) {
    const char c = text[i];
    const auto byte = static_cast<unsigned char>(c);
    if (byte >= 0x80 && !valid) {
      const size_t length = CharacterLength(text.substr(i));
      out->append(length > 0 ? text.substr(i, length) : std::string_view("\xEF\xBF\xBD"));
      i += length > 0 ? length : 1;
      continue;
    }
    if (c == '"' || c == '\\') {
      out->push_back('\\');
      out->push_back(c);
    } else if (c == '\n') {
      out->append("\\n");
    } else if (c == '\t') {
      out->append("\\t");
    } else if (c == '\r') {
      out->append("\\r");
    } else if (byte < 0x20) {
      std::array<char, 8> escape{};
      std::snprintf(escape.data(), escape.size(), "\\u%04x", byte);
      out->append(escape.data());
    } else {
      out->push_back(c);
    }
    ++i;
  }
  out->push_back('"');
}

void AppendJsonRow(const Batch& batch, int row, std::string* out) {
  char before = '{';
  for (size_t i = 0; i < batch.columns.size(); ++i) {
    if (batch.columns[i].data == nullptr) continue;
    out->push_back(before);
    before = ',';
    AppendJsonText(batch.schema->fields[i].name, out);
    out->push_back(':');
    AppendValue(batch.columns[i], row, out);
  }
  if (before == '{') out->push_back('{');
  out->push_back('}');
}

}  // namespace slipway
