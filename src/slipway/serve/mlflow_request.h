// The bodies that MLflow's scoring protocol knows, read but not yet scored: dataframe_split,
// dataframe_records, instances, inputs, and CSV.
#pragma once

#include <cstdint>
#include <memory>
#include <string_view>

#include "slipway/base/result.h"
#include "slipway/serve/request_scan.h"
#include "slipway/serve/tabular_answers.h"
#include "slipway/serve/tabular_rows.h"

namespace slipway {

// The rows of a JSON body. kInvalidArgument in MLflow's words: no JSON, not exactly one of the four
// members, lists of different length, a column of the model that no row has. Columns that the model
// does not know are passed over. REQUIRES: kHttpPadding readable bytes after `body`; `body`,
// `arena` and `columns` outlive the rows.
Result<std::unique_ptr<TabularRows>> ParseMlflowJson(std::string_view body,
                                                     const EndpointColumns& columns,
                                                     TextArena* arena);

// The same from CSV: a line of names, then rows. Quotes as RFC 4180; both line ends.
Result<std::unique_ptr<TabularRows>> ParseMlflowCsv(std::string_view body,
                                                    const EndpointColumns& columns);

}  // namespace slipway
