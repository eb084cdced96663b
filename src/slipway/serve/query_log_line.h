// The lines of the query log, as text (docs/query-log.md).
#pragma once

#include <cstdint>
#include <span>
#include <string>
#include <string_view>

#include "slipway/serve/query_log.h"

namespace slipway {

// Appends a JSON text on one line: blanks outside of texts dropped, the bare tokens NaN, Infinity
// and -Infinity (which clients send) and numbers beyond a double as null, the values of members
// named in `redact` (ASCII case aside), at any depth, as "***". False, and nothing appended, when
// it is no JSON.
bool AppendCompactJson(std::string_view json, std::span<const std::string_view> redact,
                       std::string* out);

// Appends a query string ("a=1&b=x%20y") as an object of texts; of a name that comes twice, the
// last value. Bytes that are not UTF-8 become U+FFFD.
void AppendQueryAsJson(std::string_view query, std::span<const std::string_view> redact,
                       std::string* out);

// Appends one line with its '\n'. `query.records` is not read: `record` is number `index` of
// `batch`; nullptr: a request without records (refused, or an error as a whole).
void AppendQueryLine(const LoggedQuery& query, const LoggedRecord* record, int64_t index,
                     int64_t batch, std::span<const std::string_view> redact, std::string* out);
// {"time":..,"dropped":N}
void AppendDroppedLine(int64_t time_micros, int64_t dropped, std::string* out);

}  // namespace slipway
