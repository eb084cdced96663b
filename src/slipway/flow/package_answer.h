// What an endpoint answers to records, computed here the way batch scoring does it: records become
// typed columns, tables are looked into, Model::Score does the rest. It fills the expected answers
// of test queries, so it owes nothing to the API node's code. Immutable; thread-safe.
#pragma once

#include <map>
#include <span>
#include <string>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/base/result.h"
#include "slipway/bundle/model.h"
#include "slipway/lookup/lookup_table.h"
#include "slipway/package/package.h"

namespace slipway {

struct RecordAnswer {
  // The members of `result` (prediction: prediction, probas, ignored, ignoreReason) or of the
  // answer's data (lookup). Null: what it will be is left open.
  Json result;
  std::string failure;    // not empty: the record's answer is this error
  bool complete = false;  // predicted; of a lookup: every table had a match
};

class EndpointAnswerer {
 public:
  // Borrows all; `model` of a prediction endpoint, `tables` by part.
  EndpointAnswerer(const PackageEndpoint& endpoint, const Model* model,
                   std::map<std::string, const LookupTable*> tables);

  // Records as requests hold them (`features`, `data`): at most kBatchRows.
  std::vector<RecordAnswer> Answer(std::span<const Json> records) const;

 private:
  struct Lookups;
  void Look(const TableUse& use, std::span<const Json> records, Lookups* state) const;
  void Predict(std::span<const Json> records, Lookups* state) const;
  void CollectData(std::span<const Json> records, Lookups* state) const;
  const PackageEndpoint& endpoint_;
  const Model* model_;
  std::map<std::string, const LookupTable*> tables_;
};

// A cell as requests and answers hold it: numbers and booleans as such, dates, timestamps and texts
// as text; null for a missing one and for NaN.
Json CellAsJson(const ColumnView& column, int row);

}  // namespace slipway
