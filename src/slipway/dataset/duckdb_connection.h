// The one door to a DuckDB connection: an in-memory database of its own with a memory limit, that
// may touch only the files and folders named at its opening; then external access is off and the
// configuration is locked. Confined to one thread, except Interrupt() and Progress().
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/dataset/duckdb_api.h"
#include "slipway/table/schema.h"

namespace slipway {

struct EngineOptions {
  int64_t memory_limit = 256 << 20;  // bytes
  int threads = 1;
  std::string temp_dir;                // where it may spill; empty: it never spills
  std::vector<std::string> files;      // that it may read or write, absolute
  int64_t streaming_buffer = 8 << 20;  // bytes of results waiting to be fetched
};

class DuckConnection {
 public:
  static Result<std::unique_ptr<DuckConnection>> Open(const EngineOptions& options);
  ~DuckConnection();
  DuckConnection(const DuckConnection&) = delete;
  DuckConnection& operator=(const DuckConnection&) = delete;

  Result<DuckResult> Query(const std::string& sql);
  Result<DuckPrepared> Prepare(const std::string& sql);
  // Rows come in the query's order, chunk by chunk, through a bounded buffer.
  Result<DuckResult> Stream(const std::string& sql);
  // The next chunk of a result; an empty one at the end.
  Result<DuckChunk> Fetch(DuckResult* result);
  // The single BIGINT of a one-row query; 0 for NULL.
  Result<int64_t> QueryInt(const std::string& sql);

  void Interrupt();   // thread-safe
  double Progress();  // 0 to 1, negative when not known; thread-safe

  duckdb_connection get() const { return connection_; }
  const std::vector<std::string>& files() const { return files_; }

 private:
  DuckConnection() = default;
  Status Configure(const EngineOptions& options);

  duckdb_database database_ = nullptr;
  duckdb_connection connection_ = nullptr;
  std::vector<std::string> files_;
};

// DuckDB's message as our error: its kind stripped, its LINE part kept, with the code that fits.
Error TranslateDuckError(std::string_view message);

// "'it''s'", "\"a\"\"b\"", "['a', 'b']".
std::string QuotedSqlText(std::string_view text);
std::string SqlName(std::string_view name);
std::string SqlTexts(const std::vector<std::string>& texts);
// The path as a literal that DuckDB does not take for a glob.
std::string SqlPath(const std::string& path);
std::string SqlPaths(const std::vector<std::string>& paths);

// How a DuckDB type is read: which of our types, and the SQL that casts a column to what `Fetch`
// hands out
// ("" : as it stands).
struct TypeMapping {
  Type type = Type::kString;
  std::string cast;           // "CAST(% AS BIGINT)"; % is the column
  bool unsigned_int = false;  // UBIGINT: read as it stands, a value above 2^63-1 is bad
};
TypeMapping MapDuckType(duckdb_type id);
// The expression of `mapping` over a column name.
std::string CastColumn(const TypeMapping& mapping, const std::string& name);
// "BIGINT", "VARCHAR", ...
std::string_view DuckTypeName(Type type);
duckdb_type DuckTypeId(Type type);

}  // namespace slipway
