// Finds a request in a query log (docs/query-log.md): the way back from an answer to what gave it.
// Reads a log's folder or one of its files, newest first, as a stream; what a log holds is foreign
// bytes here. Free functions; thread-safe as such.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/base/result.h"

namespace slipway {

// What the nodes take of X-Request-Id: up to 128 letters, digits and -_.:/+=@.
bool IsRequestId(std::string_view id);

struct QueryLogSearch {
  std::string request_id;
  size_t most_lines = 100;
  double seconds = 0;  // 0: as long as it takes
};

struct FoundQueries {
  // As they stand in the log, masked where it is, of the newest file that has any, in its order.
  // Features and answers of a very long line are left out, and "left_out" is true in it.
  std::vector<Json> lines;
  int64_t count = 0;     // with those beyond most_lines
  int files = 0;         // searched
  int64_t bytes = 0;     // of their text
  bool complete = true;  // false: the time was over first
  std::string since;     // the time of the oldest line that was looked at; "" without any
  std::string damaged;   // a file that could not be read to its end, and why
};

// Of lines of one id the last request's: clients choose ids, and may use one twice.
std::vector<Json> LastRequest(const std::vector<Json>& lines);
// kNotFound: no such file or folder. A folder without files: nothing is found.
Result<FoundQueries> FindInQueryLog(const std::string& path, const QueryLogSearch& search);

}  // namespace slipway
