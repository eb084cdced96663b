// API services as a definition states them: the key tables of `services:` (docs/yaml.md), and the
// same as values with every short form written out. Pure; tables are immutable and thread-safe.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/base/result.h"
#include "slipway/project/shape.h"

namespace slipway {

const Shape& ServiceShape();
// Its parts, for those that are changed one by one.
const Shape& EndpointShape();
const Shape& TestQueriesShape();  // {test_queries: ...}, as in an endpoint
const Shape& TestQueryShape();    // one that is written by hand

// An enrichment of a prediction endpoint, or one table of a lookup endpoint.
struct TableUseDefinition {
  struct Pair {
    std::string column;  // of the dataset
    std::string field;   // of the record (key), of the enriched record or the answer (column)
  };
  std::string dataset;
  std::vector<Pair> keys;     // empty: the dataset's first column, under its own name
  std::vector<Pair> columns;  // empty: the others, under their own names
  // "error", "ignore" or "continue".
  std::string missing_key = "continue", no_match = "continue", several_matches = "error";
  std::string at;  // where it stands in the endpoint, for messages: "enrich/0", "lookup/tables/1"
};

// Where test queries come from: rows of a dataset, or one written by hand.
struct TestQueryDefinition {
  std::string dataset;  // not empty: `rows` rows of it, drawn with `seed`
  int64_t rows = 0;
  int64_t seed = 42;
  std::string name;  // by hand; may be empty
  Json request;      // by hand: the body of predict or lookup
  Json expect;       // null: filled when the service is packaged
  double tolerance = 0;
  std::string at;  // "test_queries/2"
};

struct EndpointDefinition {
  std::string id, description;
  bool lookup = false;
  std::string model;  // prediction: "fare", "fare@3"
  bool explain = false;
  int explanations = 5;
  std::vector<TableUseDefinition> tables;  // enrichments, or what a lookup endpoint looks into
  std::vector<TestQueryDefinition> queries;
};

struct ServiceDefinition {
  std::string name, description;
  std::string auth;                           // "", "public" or "api_keys"
  std::vector<EndpointDefinition> endpoints;  // by id
};

// REQUIRES: a definition that ServiceShape() passed.
ServiceDefinition ReadService(const std::string& name, const Json& definition);

// "from_dataset(NAME, 5)" -> NAME, 5; false: not of that form.
bool ParseFromDataset(std::string_view text, std::string* dataset, int64_t* rows);

}  // namespace slipway
