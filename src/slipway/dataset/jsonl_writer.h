// A table as JSON lines: one object per row with every column, in the schema's order.
//   - Numbers to the same bits; NaN and infinities as null; dates and timestamps as ISO strings;
//   bytes that are not
//     UTF-8 as U+FFFD.
//   - `path` ending with .gz or .zst is compressed, every chunk its own member or frame; "-" is
//   standard output.
//   - Written beside the target and renamed by Finish, durably; a device or pipe is written
//   directly.
#pragma once

#include <memory>
#include <string>

#include "slipway/base/result.h"
#include "slipway/table/batch.h"
#include "slipway/table/stream.h"

namespace slipway {

Result<std::unique_ptr<TableWriter>> CreateJsonLinesWriter(const std::string& path,
                                                           const Schema& schema);

// {"a":1,"b":null} without a line end. Columns that were not asked for are left out.
void AppendJsonRow(const Batch& batch, int row, std::string* out);
// The text as a JSON string with its quotes.
void AppendJsonText(std::string_view text, std::string* out);

}  // namespace slipway
