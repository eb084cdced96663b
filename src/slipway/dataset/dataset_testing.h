// For this module's tests: small tables as text, written and read through the public functions.
#pragma once

#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "slipway/base/file.h"
#include "slipway/dataset/dataset.h"
#include "slipway/table/cell.h"
#include "slipway/table/stream.h"

namespace slipway {

#define ASSERT_OK(expression)                                                        \
  do {                                                                               \
    const auto& ok_ = (expression);                                                  \
    ASSERT_TRUE(ok_.ok()) << ok_.error().message << " (" << ok_.error().hint << ")"; \
  } while (false)

template <typename T>
Status AsStatus(const Result<T>& result) {
  return result.ok() ? Status() : Status(result.error());
}

inline void WriteText(const std::string& path, std::string_view text) {
  std::ofstream(path, std::ios::binary) << text;
}

using Table = std::vector<std::vector<std::string>>;

// Every cell as text, "NULL" for missing ones (NaN too).
struct Rows {
  Schema schema;
  Table cells;
  std::vector<BadRow> bad;
};

inline void AddRows(const Batch& batch, Rows* out) {
  for (int row = 0; row < batch.rows; ++row) {
    std::vector<std::string> cells;
    for (const ColumnView& column : batch.columns) {
      std::string text;
      if (column.data == nullptr) {
        text = "UNREAD";
      } else if (!column.valid(row)) {
        text = "NULL";
      } else {
        AppendCell(column, row, &text);
        if (text == "nan") text = "NULL";
      }
      cells.push_back(text);
    }
    out->cells.push_back(cells);
  }
}

inline Result<Rows> ReadAll(ChunkSource& source, OnBadRows on_bad_rows = OnBadRows::kFail) {
  Rows out;
  out.schema = source.schema();
  StreamOptions options;
  options.on_bad_rows = on_bad_rows;
  options.quarantine = [&](const BadRow& row) -> Status {
    out.bad.push_back(row);
    return {};
  };
  const auto counts = ForEachBatch(
      source,
      [&](const Batch& batch) -> Status {
        AddRows(batch, &out);
        return {};
      },
      options);
  if (!counts.ok()) return counts.error();
  return out;
}

inline Result<Rows> ReadSpec(const FilesSpec& spec, const ReadOptions& options = {},
                             OnBadRows on_bad_rows = OnBadRows::kFail) {
  ASSIGN_OR_RETURN(const std::unique_ptr<ChunkSource> source, OpenSource(spec, options));
  return ReadAll(*source, on_bad_rows);
}

inline FilesSpec SpecOf(std::vector<std::string> paths) {
  FilesSpec spec;
  spec.paths = std::move(paths);
  return spec;
}

inline Result<Rows> ReadPath(const std::string& path) {
  ASSIGN_OR_RETURN(const Inspection inspection, Inspect(SpecOf({path})));
  return ReadSpec(inspection.spec);
}

// Copies a source into a writer on `threads` threads, unchanged.
inline Result<StreamCounts> CopyAll(ChunkSource& source, TableWriter& writer, int threads = 2) {
  StreamOptions options;
  options.threads = threads;
  return RunOrdered(
      source,
      [] { return [](const Batch& batch, const BatchConsumer& emit) { return emit(batch); }; },
      &writer, options);
}

// Writes rows of text cells ("NULL": missing) of the schema's types.
inline Status WriteRows(const std::string& path, Format format, const Schema& schema,
                        const std::vector<std::vector<std::string>>& rows) {
  ASSIGN_OR_RETURN(const std::unique_ptr<TableWriter> writer,
                   CreateWriter(path, format, schema, {}));
  const std::unique_ptr<ChunkEncoder> encoder = writer->NewEncoder();
  EncodedChunk chunk;
  for (size_t begin = 0; begin < rows.size(); begin += kBatchRows) {
    OwnedBatch batch(schema);
    batch.rows = static_cast<int>(std::min<size_t>(kBatchRows, rows.size() - begin));
    for (int row = 0; row < batch.rows; ++row) {
      for (int c = 0; c < schema.size(); ++c) {
        const std::string& cell = rows[begin + static_cast<size_t>(row)][static_cast<size_t>(c)];
        if (cell == "NULL") continue;
        Column& column = batch.column(c);
        if (schema.fields[static_cast<size_t>(c)].type == Type::kDouble && cell == "nan") {
          column.doubles()[row] = std::numeric_limits<double>::quiet_NaN();
          column.SetValid(row);
        } else if (!ParseCellInto(cell, row, &column)) {
          return Internal("bad cell in test: " + cell);
        }
      }
    }
    RETURN_IF_ERROR(encoder->Encode(batch.View(), &chunk));
  }
  RETURN_IF_ERROR(writer->Append(std::move(chunk)));
  return writer->Finish();
}

}  // namespace slipway
