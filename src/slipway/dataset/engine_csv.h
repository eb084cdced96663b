// CSV that is not plain (backslash escapes, latin-1, UTF-16), read by DuckDB as text with a stated
// dialect (never its sniffer); our own cell parsing gives the values, so that a text means the same
// as in plain CSV. Limit: a ragged row stops the reading, whatever on_bad_rows says.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/csv/dialect.h"
#include "slipway/table/stream.h"

namespace slipway {

struct EngineCsvOptions {
  std::vector<std::string> files;
  CsvDialect dialect;
  Schema schema;                     // all columns, in the files' order
  std::vector<std::string> columns;  // wanted; empty: all
  int threads = 1;
  int64_t memory_limit = 400 << 20;
};
Result<std::unique_ptr<ChunkSource>> OpenEngineCsv(const EngineCsvOptions& options);

Result<int64_t> CountEngineCsvRows(const EngineCsvOptions& options);

// Sniffs what is not stated of such a file's delimiter and header into `dialect`.
Status SniffEngineCsv(const std::string& file, const KnownDialect& known, CsvDialect* dialect);

// The column names of the first record of a file (column1, ... without a header).
Result<std::vector<std::string>> EngineCsvNames(const std::string& file, const CsvDialect& dialect);

// The text in UTF-8. Encodings: utf-8, latin-1 (iso-8859-1), utf-16 (little-endian, or as its byte
// order mark says). An odd or cut end is left out.
Result<std::string> ToUtf8(std::string_view bytes, const std::string& encoding);

}  // namespace slipway
