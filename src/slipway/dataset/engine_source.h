// Rows that DuckDB reads (Parquet, CSV that is not plain) as a ChunkSource: file by file, in file
// order, through a bounded buffer. Numbers, dates and timestamps reach the Batch without a copy;
// strings as views into DuckDB's vectors. An empty string is missing, as in CSV.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/dataset/duckdb_connection.h"
#include "slipway/table/batch.h"
#include "slipway/table/stream.h"

namespace slipway {

// One file's query. Its result columns are the wanted columns, in the order of EngineScan::wanted.
struct EngineFile {
  std::string path;
  std::string sql;
  std::vector<TypeMapping> native;  // of each result column
  int64_t rows = -1;                // -1: not known
};

struct EngineScan {
  Schema schema;            // the batches' schema: target types
  std::vector<int> wanted;  // indexes into schema
  std::vector<EngineFile> files;
  bool rows_are_lines = false;
};

std::unique_ptr<ChunkSource> MakeEngineSource(std::shared_ptr<DuckConnection> connection,
                                              EngineScan scan);

// Indexes of `columns` in the schema (all when empty), in the schema's order; an unknown name is an
// error.
Result<std::vector<int>> WantedColumns(const Schema& schema,
                                       const std::vector<std::string>& columns);

// Appends the rows of `batch` whose `bad` flag is not set to *out, which gets them from row 0 on.
void CopyGoodRows(const Batch& batch, const std::vector<bool>& bad, OwnedBatch* out);

// "types" over the pinned schema: the pinned columns with the types that `types` names. Its names
// must exist and convert.
Result<Schema> WithTypes(const Schema& pinned, const Schema& types, std::string_view where);

}  // namespace slipway
