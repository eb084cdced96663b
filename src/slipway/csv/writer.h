// A table as a CSV file of a plain dialect: header, then a line per row ending with LF.
//   - Cells as AppendCell writes them. Quoted only where needed: delimiter, quote, CR or LF inside,
//   or a blank at
//     either end. A null and an empty string are both written as nothing (empty is missing when
//     read back); in a table of one column as "" because a blank line would be skipped.
//   - `path` ending with .gz or .zst is compressed, in the encoders' threads: every batch is its
//   own gzip member
//     or zstd frame, which readers of those formats take as one stream. "-" is standard output,
//     uncompressed.
//   - A regular file is written under a temporary name beside the target, then fsync and rename in
//   Finish(); the
//     temporary file goes when the writer is destroyed unfinished. A device or pipe is written
//     directly.
//   - A full disk is kUnavailable and names the path.
#pragma once

#include <memory>
#include <optional>
#include <string>

#include "slipway/base/result.h"
#include "slipway/csv/dialect.h"
#include "slipway/table/schema.h"
#include "slipway/table/stream.h"

namespace slipway {

// `schema` is that of the batches to come. `row_text_dialect` is the dialect of the CSV source that
// the batches' row_text comes from: when its delimiter and quote are this dialect's, row_text is
// written as it stands and only the columns after row_text_columns are formatted. nullopt: row_text
// is not looked at. Creates the file at once, so that a folder that cannot be written is known
// before any work.
Result<std::unique_ptr<TableWriter>> CreateCsvWriter(
    const std::string& path, const CsvDialect& dialect, Schema schema,
    const std::optional<CsvDialect>& row_text_dialect = std::nullopt);

// One record with its line end, by the rules above (header lines, quarantine files, tests).
void AppendCsvRecord(const std::vector<std::string>& cells, const CsvDialect& dialect,
                     std::string* out);

}  // namespace slipway
