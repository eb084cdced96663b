// Batches from texts, for this module's tests.
#pragma once

#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/table/batch.h"
#include "slipway/table/cell.h"

namespace slipway {

// "a:double b:string"
inline Schema TestSchema(std::string_view text) {
  Schema schema;
  while (!text.empty()) {
    const size_t end = std::min(text.find(' '), text.size());
    const std::string_view field = text.substr(0, end);
    const size_t colon = field.rfind(':');
    schema.fields.push_back(
        {std::string(field.substr(0, colon)), *TypeFromName(field.substr(colon + 1))});
    text.remove_prefix(std::min(end + 1, text.size()));
  }
  return schema;
}

// Each cell as table/cell.h reads it: "" is missing.
inline std::unique_ptr<OwnedBatch> TestRows(const Schema& schema,
                                            const std::vector<std::vector<std::string>>& rows) {
  auto batch = std::make_unique<OwnedBatch>(schema);
  for (const auto& row : rows) {
    for (int c = 0; c < schema.size(); ++c) {
      Column& column = batch->column(c);
      const std::string_view text = column.Intern(row.at(static_cast<size_t>(c)));
      if (!ParseCellInto(text, batch->rows, &column)) ADD_FAILURE() << "bad cell " << text;
    }
    ++batch->rows;
  }
  return batch;
}

// The cells of one column as texts; "" for missing.
inline std::vector<std::string> TestTexts(const Batch& batch, int column) {
  std::vector<std::string> out;
  for (int r = 0; r < batch.rows; ++r) {
    std::string text;
    AppendCell(batch.columns[static_cast<size_t>(column)], r, &text);
    out.push_back(std::move(text));
  }
  return out;
}

}  // namespace slipway
