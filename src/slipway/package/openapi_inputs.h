// Internal to package: the fields of an endpoint's records, as a description shows them.
#pragma once

#include <string>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/package/openapi.h"
#include "slipway/table/schema.h"

namespace slipway {

struct DescribedField {
  Field field;
  std::string description;
  Json examples = Json::array();  // of the sample rows, and categories seen in training
  bool key = false;               // a record without it may be an error: examples have it
};

// The model's inputs, then the keys of its tables. Empty for a bare model file without tables.
std::vector<DescribedField> DescribePredictionFields(const EndpointDescription& description);
// The keys of a lookup endpoint's tables.
std::vector<DescribedField> DescribeLookupFields(const EndpointDescription& description);
// Up to `most` sample rows as {feature: value}; rows that the model scores.
std::vector<Json> SampleRecords(const EndpointDescription& description, size_t most);

}  // namespace slipway
