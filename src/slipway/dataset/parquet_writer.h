// A table as a Parquet file, written by a DuckDB of its own in a thread of its own: row order kept,
// NULLs and types exact. Rows wait in a bounded queue; memory is bounded by one row group and that
// queue, whatever the row count.
#pragma once

#include <memory>
#include <string>

#include "slipway/base/result.h"
#include "slipway/table/schema.h"
#include "slipway/table/stream.h"

namespace slipway {

// Creates the temporary file beside `path` at once, so that a folder that cannot be written is
// known before any work.
Result<std::unique_ptr<TableWriter>> CreateParquetWriter(const std::string& path,
                                                         const Schema& schema);

// "(FORMAT parquet, ...)": the options of every COPY that writes Parquet here. Row groups shrink
// for wide tables.
std::string ParquetCopyOptions(const Schema& schema);

// An empty file with a new name beside `path` (in its folder, so that a rename can publish it).
// An error when `path` is something that a rename must not replace (a folder, a device).
Result<std::string> CreateFileBeside(const std::string& path);

}  // namespace slipway
