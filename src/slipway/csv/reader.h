// CSV files of one plain dialect as a ChunkSource. Next() only cuts the bytes at record ends
// (serial, fast); the decoders tokenise and convert in worker threads. Memory: one block per chunk
// in flight.
//
// Rules, equal whatever the chunk size:
//   - Records end with LF or CRLF; a quoted cell may hold both. A quote opens a quoted cell only as
//   the cell's first
//     byte; elsewhere it is text. Quoted or not, an empty cell is missing.
//   - A UTF-8 byte order mark, dialect.skip_lines lines and blank lines before the header are
//   skipped.
//   - Blank lines are skipped; in a file of ONE column a blank line is a missing value, except one
//   at the end.
//   - Several files: columns are matched by name, file by file, in any order; each file must have
//   exactly the
//     schema's columns. All headers are checked by OpenCsv. Without a header: by position.
//   - A row is bad, and left out, when it has too few or too many cells, a wanted cell that is not
//   of its type,
//     bytes that are not UTF-8, a NUL byte, text after a closing quote, or a quote that nothing
//     closes.
//   - A record above max_record_bytes stops the reading with its line: mostly that is a quote never
//   closed.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"
#include "slipway/csv/byte_source.h"
#include "slipway/csv/dialect.h"
#include "slipway/table/stream.h"

namespace slipway {

struct CsvReadOptions {
  std::vector<std::string> files;  // "-": standard input, at most once
  CsvDialect dialect;              // must be plain
  Schema schema;                   // all columns of the files, with the pinned types
  std::vector<std::string>
      columns;  // wanted; empty: all. The others have ColumnView.data == nullptr
  // For "-" when its head was looked at (ByteSource::Peek, SniffCsvSource) before; else it is
  // opened here.
  std::shared_ptr<ByteSource> standard_input;
  size_t chunk_bytes = size_t{1} << 20;
  size_t max_record_bytes = size_t{16} << 20;
};

// Batches have Batch::row_text (row_text_columns = all) where a file's columns are the schema's in
// its order. Batch::first_row is -1. Chunks and decoders must not outlive the source.
Result<std::unique_ptr<ChunkSource>> OpenCsv(CsvReadOptions options);

// Appends cells of a good record (Batch::row_text), by place and in the order asked for, as they
// stand with their quotes and with delimiters between.
void AppendRecordCells(std::string_view record, const CsvDialect& dialect,
                       const std::vector<int>& cells, std::string* out);

// Data records (bad ones count, skipped blank lines do not).
Result<int64_t> CountCsvRecords(const std::vector<std::string>& files, const CsvDialect& dialect);

// An error when the reader and writer do not take the dialect: not plain, or characters that cannot
// work.
Status CheckCsvDialect(const CsvDialect& dialect);

}  // namespace slipway
