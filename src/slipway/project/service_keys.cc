// The key tables of `services:`.
#include <algorithm>

#include "slipway/base/text.h"
#include "slipway/project/service.h"

namespace slipway {
namespace {

constexpr int64_t kMaxQueryRows = 1000;

const std::vector<std::string>& Policies() {
  static const std::vector<std::string> names = {"error", "ignore", "continue"};
  return names;
}

Json Listed(const Json& value) { return value.is_array() ? value : Json::array({value}); }

// ---- keys and columns: {dataset_column: field}, or a list (or one text) when the names are equal

void CheckPairs(const Json& value, const std::string& pointer, Problems* problems) {
  const std::string key = pointer.substr(pointer.rfind('/') + 1);
  const std::string wanted =
      "'" + key + "' must be a map {dataset_column: field} or a list of columns";
  if (value.is_object()) {
    for (const auto& [column, field] : value.items()) {
      if (!field.is_string() || field.get_ref<const std::string&>().empty()) {
        problems->Add(PointerJoin(pointer, column),
                      "column '" + column + "' of '" + key +
                          "' must be given the name of a field, not " + DescribeValue(field));
      }
    }
  } else if (value.is_array() || value.is_string()) {
    std::vector<std::string> seen;
    for (const Json& item : Listed(value)) {
      if (!item.is_string() || item.get_ref<const std::string&>().empty()) {
        problems->Add(pointer, wanted + "; " + DescribeValue(item) + " names no column");
        return;
      }
      const auto column = item.get<std::string>();
      if (std::find(seen.begin(), seen.end(), column) != seen.end())
        problems->Add(pointer, "column '" + column + "' stands twice in '" + key + "'");
      seen.push_back(column);
    }
  } else {
    problems->Add(pointer, wanted + ", not " + DescribeValue(value));
    return;
  }
  if (value.empty()) problems->Add(pointer, "'" + key + "' names no column; leave it out");
}

Json PairsSchema() {
  return {
      {"anyOf", Json::array({{{"type", "object"},
                              {"additionalProperties", {{"type", "string"}}},
                              {"minProperties", 1}},
                             {{"type", "array"}, {"items", {{"type", "string"}}}, {"minItems", 1}},
                             {{"type", "string"}}})}};
}

const Shape& TableUseShape() {
  static const Shape shape = [] {
    const auto policy = [](const char* name, const char* about) {
      return Key{.name = name, .kind = KeyKind::kWord, .description = about, .words = Policies()};
    };
    return Shape{
        .noun = "table",
        .keys = {{.name = "table",
                  .kind = KeyKind::kText,
                  .description = "the dataset that is looked into; it travels in the package",
                  .required = true},
                 {.name = "keys",
                  .description = "dataset column -> field of the record; a list when the names are "
                                 "equal. The dataset's first column when absent",
                  .check = CheckPairs,
                  .schema = PairsSchema},
                 {.name = "columns",
                  .description = "dataset column -> name in the enriched record or the answer; a "
                                 "list when the names are equal. Those that are not keys when "
                                 "absent",
                  .check = CheckPairs,
                  .schema = PairsSchema},
                 policy("missing_key", "a record without the key: continue when absent"),
                 policy("no_match", "a key that the table does not have: continue when absent"),
                 policy("several_matches", "a key that several rows have: error when absent")}};
  }();
  return shape;
}

void CheckTableUse(const Json& value, const std::string& pointer, const std::string& label,
                   Problems* problems) {
  CheckShape(TableUseShape(), value, pointer, label, problems);
}

void CheckEnrich(const Json& value, const std::string& pointer, Problems* problems) {
  if (!value.is_array() || value.empty()) {
    problems->Add(pointer, "'enrich' must be a list of {table, keys, columns}, not " +
                               (value.is_array() ? "an empty one" : DescribeValue(value)));
    return;
  }
  for (size_t i = 0; i < value.size(); ++i)
    CheckTableUse(value[i], PointerJoin(pointer, i), "enrichment " + std::to_string(i + 1),
                  problems);
}

Json EnrichSchema() {
  return {{"type", "array"}, {"items", ShapeSchema(TableUseShape())}, {"minItems", 1}};
}

// ---- lookup: DATASET, one table, a list of them, or {tables: [...]}

void CheckTableList(const Json& list, const std::string& pointer, Problems* problems) {
  if (!list.is_array() || list.empty()) {
    problems->Add(pointer, "'tables' must be a list of {table, keys, columns}, not " +
                               (list.is_array() ? "an empty one" : DescribeValue(list)));
    return;
  }
  for (size_t i = 0; i < list.size(); ++i) {
    if (list[i].is_string()) continue;
    CheckTableUse(list[i], PointerJoin(pointer, i), "table " + std::to_string(i + 1), problems);
  }
}

void CheckLookup(const Json& value, const std::string& pointer, Problems* problems) {
  if (value.is_string()) return;
  if (value.is_array()) {
    CheckTableList(value, pointer, problems);
  } else if (!value.is_object()) {
    problems->Add(pointer,
                  "'lookup' must be the name of a dataset, {table, keys, columns} or {tables: "
                  "[...]}, not " +
                      DescribeValue(value));
  } else if (value.contains("tables")) {
    for (const auto& [name, member] : value.items()) {
      if (name == "tables") {
        CheckTableList(member, PointerJoin(pointer, name), problems);
      } else {
        problems->AddAtKey(PointerJoin(pointer, name),
                           "unknown key '" + name + "' beside 'tables'; it belongs to one of them");
      }
    }
  } else {
    CheckTableUse(value, pointer, "lookup", problems);
  }
}

Json LookupSchema() {
  Json table = ShapeSchema(TableUseShape());
  Json list = {{"type", "array"},
               {"items", {{"anyOf", Json::array({{{"type", "string"}}, table})}}},
               {"minItems", 1}};
  Json tables = {{"type", "object"},
                 {"properties", {{"tables", list}}},
                 {"required", Json::array({"tables"})},
                 {"additionalProperties", false}};
  return {{"anyOf", Json::array({{{"type", "string"}}, table, list, tables})}};
}

// ---- explanations

const Shape& ExplanationsShape() {
  static const Shape shape = {
      .noun = "explanations",
      .keys = {{.name = "enabled",
                .kind = KeyKind::kBoolean,
                .description = "answers carry explanations unless the request says otherwise"},
               {.name = "count",
                .kind = KeyKind::kInteger,
                .description = "how many features, the largest first; 5 when absent",
                .minimum = 1,
                .maximum = 10000}}};
  return shape;
}

// ---- test queries

const char* const kQueriesWanted =
    "'test_queries' must be \"from_dataset(DATASET, ROWS)\", a map with 'from_dataset' or a list "
    "of "
    "queries, not ";

void CheckMap(const Json& value, const std::string& pointer, Problems* problems) {
  if (value.is_object()) return;
  problems->Add(pointer, "'" + pointer.substr(pointer.rfind('/') + 1) + "' must be a map, not " +
                             DescribeValue(value));
}
Json MapSchema() { return {{"type", "object"}}; }

const Shape& DrawnQueriesShape() {
  static const Shape shape = {
      .noun = "test queries",
      .keys = {{.name = "from_dataset",
                .kind = KeyKind::kText,
                .description = "the dataset that rows are drawn from",
                .required = true},
               {.name = "rows",
                .kind = KeyKind::kInteger,
                .description = "how many; 5 when absent",
                .minimum = 1,
                .maximum = kMaxQueryRows},
               {.name = "seed",
                .kind = KeyKind::kInteger,
                .description = "another one draws other rows; 42 when absent",
                .minimum = 0,
                .maximum = 1e15},
               {.name = "tolerance",
                .kind = KeyKind::kNumber,
                .description = "of numbers, relative; 0 (the same bits) when absent",
                .minimum = 0,
                .maximum = 0.999}}};
  return shape;
}

void CheckRequestKeys(const Json& query, const std::string& pointer, Problems* problems) {
  int given = 0;
  for (const char* key : {"features", "data", "request"}) given += query.contains(key) ? 1 : 0;
  if (given == 1) return;
  problems->Add(pointer, given == 0 ? "a test query needs 'features' (of a prediction endpoint), "
                                      "'data' (of a lookup endpoint) or 'request' (the whole body)"
                                    : "give one of 'features', 'data' and 'request', not several");
}

const Shape& WrittenQueryShape() {
  static const Shape shape = {
      .noun = "test query",
      .keys = {{.name = "name", .kind = KeyKind::kText, .description = "for people"},
               {.name = "features",
                .description = "of a prediction endpoint: the record",
                .check = CheckMap,
                .schema = MapSchema},
               {.name = "data",
                .description = "of a lookup endpoint: the record",
                .check = CheckMap,
                .schema = MapSchema},
               {.name = "request",
                .description = "the whole body of predict or lookup",
                .check = CheckMap,
                .schema = MapSchema},
               {.name = "expect",
                .description = "members of the answer that must be equal; filled from scoring when "
                               "absent",
                .check = CheckMap,
                .schema = MapSchema},
               {.name = "tolerance",
                .kind = KeyKind::kNumber,
                .description = "of numbers, relative; 0 (the same bits) when absent",
                .minimum = 0,
                .maximum = 0.999}},
      .check = CheckRequestKeys};
  return shape;
}

void CheckDrawnText(const Json& value, const std::string& pointer, Problems* problems) {
  std::string dataset;
  int64_t rows = 0;
  if (!ParseFromDataset(value.get_ref<const std::string&>(), &dataset, &rows)) {
    problems->Add(pointer, kQueriesWanted + DescribeValue(value));
  } else if (rows > kMaxQueryRows) {
    problems->Add(pointer, "at most " + std::to_string(kMaxQueryRows) +
                               " test queries are drawn from a dataset, not " +
                               std::to_string(rows));
  }
}

void CheckOneSource(const Json& value, const std::string& pointer, const std::string& label,
                    Problems* problems) {
  if (value.is_string()) {
    CheckDrawnText(value, pointer, problems);
  } else if (value.is_object() && value.contains("from_dataset")) {
    CheckShape(DrawnQueriesShape(), value, pointer, label, problems);
  } else if (value.is_object()) {
    CheckShape(WrittenQueryShape(), value, pointer, label, problems);
  } else {
    problems->Add(pointer, label + " must be a map, not " + DescribeValue(value));
  }
}

void CheckTestQueries(const Json& value, const std::string& pointer, Problems* problems) {
  if (value.is_array()) {
    for (size_t i = 0; i < value.size(); ++i)
      CheckOneSource(value[i], PointerJoin(pointer, i), "test query " + std::to_string(i + 1),
                     problems);
  } else if (value.is_string() || (value.is_object() && value.contains("from_dataset"))) {
    CheckOneSource(value, pointer, "test_queries", problems);
  } else {
    problems->Add(pointer, kQueriesWanted + DescribeValue(value));
  }
}

Json TestQueriesSchema() {
  Json text = {{"type", "string"}, {"pattern", "^from_dataset\\(.+,.+\\)$"}};
  Json drawn = ShapeSchema(DrawnQueriesShape());
  Json item = {{"anyOf", Json::array({text, drawn, ShapeSchema(WrittenQueryShape())})}};
  return {{"anyOf", Json::array({text, drawn, {{"type", "array"}, {"items", item}}})}};
}

// ---- endpoints

void CheckEndpoint(const Json& endpoint, const std::string& pointer, Problems* problems) {
  const bool prediction = endpoint.contains("prediction");
  if (prediction == endpoint.contains("lookup")) {
    problems->Add(pointer, "an endpoint has exactly one of 'prediction' and 'lookup'");
    return;
  }
  for (const char* key : {"explanations", "enrich"}) {
    if (prediction || !endpoint.contains(key)) continue;
    problems->AddAtKey(PointerJoin(pointer, key),
                       "'" + std::string(key) + "' is for prediction endpoints");
  }
  const Json* queries = FindMember(endpoint, "test_queries");
  if (queries == nullptr || !queries->is_array()) return;
  const char* const other = prediction ? "data" : "features";
  for (size_t i = 0; i < queries->size(); ++i) {
    if (!(*queries)[i].is_object() || !(*queries)[i].contains(other)) continue;
    problems->AddAtKey(PointerJoin(PointerJoin(PointerJoin(pointer, "test_queries"), i), other),
                       prediction ? "a prediction endpoint takes 'features', not 'data'"
                                  : "a lookup endpoint takes 'data', not 'features'");
  }
}

Key TestQueriesKey(bool required) {
  return {.name = "test_queries",
          .description = "requests with expected answers that travel in the package",
          .required = required,
          .check = CheckTestQueries,
          .schema = TestQueriesSchema};
}

Shape MakeEndpointShape() {
  return {.noun = "endpoint",
          .keys = {{.name = "prediction",
                    .kind = KeyKind::kText,
                    .description = "MODEL, MODEL@N, MODEL@active or MODEL@latest: the version is "
                                   "taken when the service is packaged"},
                   {.name = "explanations",
                    .kind = KeyKind::kObject,
                    .description = "what moved the prediction, with each answer",
                    .shape = &ExplanationsShape()},
                   {.name = "enrich",
                    .description = "columns that the node looks up before it predicts",
                    .check = CheckEnrich,
                    .schema = EnrichSchema},
                   {.name = "lookup",
                    .description = "a dataset, or tables with keys and columns",
                    .check = CheckLookup,
                    .schema = LookupSchema},
                   TestQueriesKey(false),
                   {.name = "description",
                    .kind = KeyKind::kText,
                    .description = "free text for people"}},
          .check = CheckEndpoint};
}

}  // namespace

const Shape& EndpointShape() {
  static const Shape shape = MakeEndpointShape();
  return shape;
}

const Shape& TestQueriesShape() {
  static const Shape shape = {.noun = "test queries", .keys = {TestQueriesKey(true)}};
  return shape;
}

const Shape& TestQueryShape() { return WrittenQueryShape(); }

const Shape& ServiceShape() {
  static const Shape shape = {
      .noun = "service",
      .description = "an API service: the unit that is packaged and deployed",
      .keys = {
          {.name = "endpoints",
           .kind = KeyKind::kNamed,
           .required = true,
           .shape = &EndpointShape()},
          {.name = "auth",
           .kind = KeyKind::kWord,
           .description = "who may call it; the API node's rule when absent",
           .words = {"public", "api_keys"}},
          {.name = "description", .kind = KeyKind::kText, .description = "free text for people"}}};
  return shape;
}

}  // namespace slipway
