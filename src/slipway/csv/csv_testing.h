// Helpers of module csv's tests and fuzzer: whole tables as plain values.
#pragma once

#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "slipway/csv/reader.h"
#include "slipway/table/cell.h"

namespace slipway {

// What a source gave: rows as texts ("<null>" for a missing value, "<unread>" for a column not
// asked for).
struct CsvContent {
  std::vector<std::vector<std::string>> rows;
  std::vector<std::string> row_text;
  std::vector<BadRow> bad;
  int chunks = 0;
  int largest_batch = 0;
};

inline void AppendRows(const Batch& batch, CsvContent* out) {
  for (int r = 0; r < batch.rows; ++r) {
    std::vector<std::string> row;
    for (const ColumnView& column : batch.columns) {
      std::string text;
      if (column.data == nullptr) {
        text = "<unread>";
      } else if (!column.valid(r)) {
        text = "<null>";
      } else {
        AppendCell(column, r, &text);
      }
      row.push_back(std::move(text));
    }
    out->rows.push_back(std::move(row));
    if (batch.row_text_columns > 0) {
      out->row_text.emplace_back(batch.row_text[static_cast<size_t>(r)]);
    }
  }
  out->largest_batch = std::max(out->largest_batch, batch.rows);
}

inline Result<CsvContent> ReadAllCsv(CsvReadOptions options) {
  ASSIGN_OR_RETURN(auto source, OpenCsv(std::move(options)));
  auto decoder = source->NewDecoder();
  CsvContent content;
  for (Chunk chunk;; ++content.chunks) {
    ASSIGN_OR_RETURN(const bool more, source->Next(&chunk));
    if (!more) return content;
    RETURN_IF_ERROR(decoder->Decode(
        chunk,
        [&](const Batch& batch) -> Status {
          AppendRows(batch, &content);
          return {};
        },
        &content.bad));
  }
}

inline Schema Strings(const std::vector<std::string>& names) {
  Schema schema;
  for (const std::string& name : names) schema.fields.push_back({name, Type::kString});
  return schema;
}

}  // namespace slipway
