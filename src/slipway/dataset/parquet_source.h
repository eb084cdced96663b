// Parquet files as a table, read by DuckDB: schema, exact row count, and rows in file order with
// the wanted columns only.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/dataset/duckdb_connection.h"
#include "slipway/table/stream.h"

namespace slipway {

struct ParquetColumn {
  std::string name;
  TypeMapping mapping;
};
// The columns of one file. The connection must be allowed to read it.
Result<std::vector<ParquetColumn>> ParquetColumns(DuckConnection* connection,
                                                  const std::string& file);

struct ParquetReadOptions {
  std::vector<std::string> files;
  Schema schema;                     // the columns to give, with the types to give them in
  std::vector<std::string> columns;  // wanted; empty: all
  int64_t memory_limit = 400 << 20;
  std::shared_ptr<DuckConnection> engine;  // taken when it is open for these files
};
// Columns are matched by name; all files are checked here. Rows that do not convert to the schema's
// types are bad rows.
Result<std::unique_ptr<ChunkSource>> OpenParquet(const ParquetReadOptions& options);

Result<int64_t> CountParquetRows(const std::vector<std::string>& files);

}  // namespace slipway
