// Test queries: stored requests with their expected answers; the gate before traffic moves.
// test_queries.json: [{"endpoint", "name", "request": {the body of predict or lookup},
// "expected": {..}, "tolerance": 0}]. `expected` holds the members of the answer's `result` (or
// results[0].data of a lookup) that must be equal: numbers within `tolerance` (relative to the
// larger magnitude; 0: the same bits), all else equal. What it does not name is not compared.
#pragma once

#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/base/result.h"

namespace slipway {

struct TestQuery {
  std::string endpoint, name;
  Json request;
  Json expected;  // null: any answer that is no error will do
  double tolerance = 0;
};
Json TestQueryToJson(const TestQuery& query);
Result<std::vector<TestQuery>> TestQueriesFromJson(const Json& json);
Result<std::vector<TestQuery>> ReadTestQueries(
    const std::string& folder);  // of an unpacked package

struct TestOutcome {
  std::string endpoint, name;
  bool ok = false;
  Json answer, expected;
  std::string difference;  // what differs, for people; empty when ok
  double milliseconds = 0;
};
Json TestOutcomeToJson(const TestOutcome& outcome);

// Compares an answer's result with what the query expects: the difference, or empty.
std::string CompareAnswer(const TestQuery& query, const Json& result);

}  // namespace slipway
