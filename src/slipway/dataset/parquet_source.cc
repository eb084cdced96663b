#include "slipway/dataset/parquet_source.h"

#include <utility>

#include "slipway/base/text.h"
#include "slipway/dataset/engine_source.h"
#include "slipway/table/cell.h"

namespace slipway {
namespace {

std::string ReadParquetSql(const std::string& file) {
  return "read_parquet(" + SqlPath(file) + ", hive_partitioning=false)";
}

// With one thread the caller of Fetch() decodes; with more, DuckDB's caller spins on a core while
// another thread decodes, and that core is one that our workers need.
Result<std::unique_ptr<DuckConnection>> ConnectToParquet(const std::vector<std::string>& files,
                                                         int64_t memory_limit) {
  EngineOptions options;
  options.files = files;
  options.memory_limit = memory_limit;
  return DuckConnection::Open(options);
}

// The query of one file, or what is wrong with the file.
Result<EngineFile> PlanFile(DuckConnection* connection, const std::string& path,
                            const EngineScan& scan) {
  ASSIGN_OR_RETURN(std::vector<ParquetColumn> columns, ParquetColumns(connection, path));
  EngineFile file;
  file.path = path;
  std::string select;
  std::vector<std::string> missing;
  for (int i : scan.wanted) {
    const Field& field = scan.schema.fields[static_cast<size_t>(i)];
    const ParquetColumn* column = nullptr;
    for (const ParquetColumn& candidate : columns) {
      if (candidate.name == field.name) column = &candidate;
    }
    if (column == nullptr) {
      missing.push_back(field.name);
      continue;
    }
    if (!CanConvert(column->mapping.type, field.type)) {
      return InvalidArgument(path + ": column '" + field.name + "' is " +
                             std::string(TypeName(column->mapping.type)) +
                             ", which cannot be read as " + std::string(TypeName(field.type)));
    }
    if (!select.empty()) select += ", ";
    select += CastColumn(column->mapping, column->name);
    file.native.push_back(column->mapping);
  }
  if (!missing.empty()) {
    return InvalidArgument(
        path + " has no column " + QuotedList(missing),
        "it was described with other columns; inspect the dataset again if it has changed");
  }
  file.sql = "SELECT " + select + " FROM " + ReadParquetSql(path);
  Result<int64_t> rows = connection->QueryInt(
      "SELECT CAST(sum(num_rows) AS BIGINT) FROM parquet_file_metadata(" + SqlPath(path) + ")");
  if (!rows.ok()) return rows.error().Within(path);
  file.rows = *rows;
  return file;
}

}  // namespace

Result<std::vector<ParquetColumn>> ParquetColumns(DuckConnection* connection,
                                                  const std::string& file) {
  Result<DuckPrepared> prepared = connection->Prepare("SELECT * FROM " + ReadParquetSql(file));
  if (!prepared.ok()) return prepared.error().Within(file);
  std::vector<ParquetColumn> out;
  const idx_t count = Duck().prepared_statement_column_count(**prepared);
  for (idx_t i = 0; i < count; ++i) {
    const DuckType type(Duck().prepared_statement_column_logical_type(**prepared, i));
    const char* name = Duck().prepared_statement_column_name(**prepared, i);
    out.push_back({name, MapDuckType(type.id())});
    Duck().free(const_cast<char*>(name));
  }
  return out;
}

Result<std::unique_ptr<ChunkSource>> OpenParquet(const ParquetReadOptions& options) {
  std::shared_ptr<DuckConnection> connection = options.engine;
  if (!connection || connection->files() != options.files) {
    ASSIGN_OR_RETURN(connection, ConnectToParquet(options.files, options.memory_limit));
  }
  EngineScan scan;
  scan.schema = options.schema;
  ASSIGN_OR_RETURN(scan.wanted, WantedColumns(options.schema, options.columns));
  for (const std::string& path : options.files) {
    ASSIGN_OR_RETURN(EngineFile file, PlanFile(connection.get(), path, scan));
    scan.files.push_back(std::move(file));
  }
  return MakeEngineSource(std::move(connection), std::move(scan));
}

Result<int64_t> CountParquetRows(const std::vector<std::string>& files) {
  ASSIGN_OR_RETURN(std::unique_ptr<DuckConnection> connection, ConnectToParquet(files, 128 << 20));
  return connection->QueryInt("SELECT CAST(sum(num_rows) AS BIGINT) FROM parquet_file_metadata(" +
                              SqlPaths(files) + ")");
}

}  // namespace slipway
