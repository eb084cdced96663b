// Files as tables: what a `files` dataset (and any path given to `slipway score`) is. Inspect
// sniffs once; its result is pinned by whoever defines the dataset; OpenSource reads with the
// pinned description, never a fresh sniff.
#pragma once

#include <atomic>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "slipway/base/json_fwd.h"
#include "slipway/base/result.h"
#include "slipway/csv/dialect.h"
#include "slipway/table/schema.h"
#include "slipway/table/stream.h"

namespace slipway {

enum class Format { kCsv, kParquet, kJsonLines };
std::string_view FormatName(Format format);  // "csv", "parquet", "jsonl"
std::optional<Format> FormatFromName(std::string_view name);
// By extension: .csv .tsv .txt .parquet .jsonl .ndjson .json, each also with .gz or .zst (not
// Parquet).
std::optional<Format> FormatFromPath(std::string_view path);

// A description of files. As a person writes it, parts may be absent; pinned, all but `paths` are
// set.
struct FilesSpec {
  std::vector<std::string> paths;  // files or globs, absolute; "-": standard input
  std::optional<Format> format;
  std::optional<CsvDialect> dialect;  // CSV
  // Of a dialect that is not pinned: the parts nobody stated, which Inspect sniffs.
  bool sniff_delimiter = false;
  bool sniff_header = false;
  Schema schema;  // empty: infer. Stated: checked against the files
  OnBadRows on_bad_rows = OnBadRows::kFail;
};
Json FilesSpecToJson(const FilesSpec& spec);
Result<FilesSpec> FilesSpecFromJson(const Json& json);

class DuckConnection;

struct Inspection {
  FilesSpec spec;                  // pinned
  std::vector<std::string> files;  // the paths that the globs gave, sorted
  int64_t bytes = 0;
  std::vector<std::string> warnings;
  // Of Parquet: the data engine that looked at the files, for who reads them next.
  std::shared_ptr<DuckConnection> engine;
};

// Resolves globs, sniffs format, dialect and types from the first ~20,000 rows of the first file
// and the heads of the others. Errors: nothing matches; empty file; a header that another common
// delimiter splits; duplicate column names; wrong encoding.
Result<Inspection> Inspect(const FilesSpec& spec);

struct ReadOptions {
  std::vector<std::string> columns;  // decode only these; empty: all
  int threads = 1;
  int64_t memory_limit = 400 << 20;  // of the data engine
  // Read the columns with these types instead of the pinned ones (the version's schema); the names
  // must exist.
  Schema types;
  // An Inspection's, which saves opening another one; taken when it is of the same files.
  std::shared_ptr<DuckConnection> engine;
};

// REQUIRES: a pinned spec. Globs are resolved now; several files are one table in sorted order,
// columns matched by name.
Result<std::unique_ptr<ChunkSource>> OpenSource(const FilesSpec& spec, const ReadOptions& options);

// Changes when content changes: for each file its name, size and either a known (size, mtime,
// inode) -> hash from `previous` or a fresh XXH3 of its bytes. `state` is what to pass as
// `previous` next time.
struct Fingerprint {
  std::string value;  // 32 hex characters
  std::string state;  // JSON text
  int64_t bytes = 0;
};
Result<Fingerprint> FingerprintFiles(const FilesSpec& spec, const std::string& previous_state);

// Exact number of rows (Parquet: from metadata; text: a scan).
Result<int64_t> CountRows(const FilesSpec& spec);

struct WriteOptions {
  CsvDialect dialect;
  int threads = 1;
  // The dialect of the CSV source that the batches' row_text comes from: it is then copied where
  // the dialects agree.
  std::optional<CsvDialect> row_text_dialect;
};
// By `format`; gzip/zstd by the path's extension; "-" writes text formats to standard output.
// Written beside the target and renamed by Finish (durably).
Result<std::unique_ptr<TableWriter>> CreateWriter(const std::string& path, Format format,
                                                  const Schema& schema,
                                                  const WriteOptions& options);

// sql recipe: `query` (one SELECT) over named inputs on a locked-down connection that may read only
// the inputs' files.
struct SqlTask {
  std::string query;
  std::vector<std::pair<std::string, FilesSpec>> inputs;  // view name -> pinned spec
  std::string output;                                     // Parquet path
  std::string temp_dir;                                   // for spilling
  int threads = 2;
  int64_t memory_limit = int64_t{1} << 30;
  std::function<void(double)> progress;
  const std::atomic<bool>* cancel = nullptr;
};
struct SqlOutcome {
  int64_t rows = 0;
  Schema schema;
};
Result<SqlOutcome> RunSql(const SqlTask& task);
// Checks the query against the inputs without running it; gives the output's schema.
Result<Schema> CheckSql(const SqlTask& task);

}  // namespace slipway
