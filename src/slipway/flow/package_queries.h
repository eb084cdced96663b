// The test queries of a package being made: rows drawn from datasets and queries written by hand,
// with their expected answers. Confined to one thread.
#pragma once

#include <atomic>
#include <functional>
#include <map>
#include <string>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/base/result.h"
#include "slipway/dataset/dataset.h"
#include "slipway/flow/package_answer.h"
#include "slipway/package/test_query.h"
#include "slipway/project/service.h"

namespace slipway {

// What the queries of one endpoint are made with. Borrows all.
struct QueryContext {
  const EndpointDefinition* definition = nullptr;
  const PackageEndpoint* endpoint = nullptr;
  const Model* model = nullptr;  // prediction
  const EndpointAnswerer* answerer = nullptr;
  const std::map<std::string, FilesSpec>* datasets = nullptr;
  std::function<void(const std::string& dataset, double part, int64_t rows)> progress;
  const std::atomic<bool>* cancel = nullptr;
};

struct MadeQueries {
  std::vector<TestQuery> queries;
  std::vector<std::string> mismatches;  // written expectations that do not hold: "price 'a': ..."
  std::vector<std::string> warnings;
};

// kInvalidArgument: a dataset lacks a column that the endpoint reads, or none of its rows has an
// answer.
Status MakeTestQueries(const QueryContext& context, MadeQueries* out);

struct DrawnRow {
  int64_t number = 0;  // 1-based, in the dataset
  Json record;         // by column, in the order of `types`
};
// `count` rows, every one equally likely, the same ones for the same rows and seed; the likeliest
// first (callers that need fewer take the first ones). Columns and their types: `types`. Memory
// grows with `count` only.
Result<std::vector<DrawnRow>> DrawRows(const FilesSpec& spec, const Schema& types, int64_t count,
                                       int64_t seed, const QueryContext& context,
                                       const std::string& dataset);

}  // namespace slipway
