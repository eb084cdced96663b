#include "slipway/project/keys.h"

#include <algorithm>

#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/project/service.h"
#include "slipway/project/train_keys.h"
#include "slipway/table/schema.h"

namespace slipway {
namespace {

const std::vector<std::string>& TypeNames() {
  static const std::vector<std::string> names = {"boolean", "int64", "double",
                                                 "string",  "date",  "timestamp"};
  return names;
}

Key DescriptionKey() {
  return {.name = "description", .kind = KeyKind::kText, .description = "free text for people"};
}

// ---- datasets ----

void CheckCharacter(const Json& value, const std::string& pointer, Problems* problems) {
  const auto& text = value.get_ref<const std::string&>();
  const std::string key = pointer.substr(pointer.rfind('/') + 1);
  bool optional = key != "delimiter";
  if (text.size() == 1 || (optional && text.empty())) return;
  problems->Add(pointer, "'" + key + "' must be one ASCII character" +
                             (optional ? " or empty" : " (a tab is \"\\t\")") + ", not " +
                             DescribeValue(value));
}

void CheckColumnType(const std::string& column, const Json& type, const std::string& pointer,
                     Problems* problems) {
  if (!type.is_string()) {
    problems->Add(pointer,
                  "the type of column '" + column + "' must be text, not " + DescribeValue(type));
    return;
  }
  const auto& name = type.get_ref<const std::string&>();
  if (TypeFromName(name)) return;
  std::string suggestion = DidYouMean(name, TypeNames());
  problems->Add(pointer, "unknown type '" + name + "' of column '" + column + "'; types are " +
                             QuotedList(TypeNames()) +
                             (suggestion.empty() ? "" : "; " + suggestion));
}

void CheckSchemaList(const Json& list, const std::string& pointer, Problems* problems) {
  std::vector<std::string> seen;
  for (size_t i = 0; i < list.size(); ++i) {
    const std::string at = PointerJoin(pointer, i);
    const Json* name = FindMember(list[i], "name");
    const Json* type = FindMember(list[i], "type");
    if (!list[i].is_object() || list[i].size() != 2 || name == nullptr || type == nullptr ||
        !name->is_string()) {
      problems->Add(at, "an item of 'schema' must be {name: COLUMN, type: TYPE}");
      continue;
    }
    const auto column = name->get<std::string>();
    if (std::find(seen.begin(), seen.end(), column) != seen.end()) {
      problems->Add(at, "column '" + column + "' stands twice in 'schema'");
    }
    seen.push_back(column);
    CheckColumnType(column, *type, PointerJoin(at, "type"), problems);
  }
}

void CheckSchema(const Json& value, const std::string& pointer, Problems* problems) {
  if ((!value.is_array() && !value.is_object()) || value.empty()) {
    problems->Add(pointer,
                  "'schema' must be a map {column: type} or a list of {name, type}, not " +
                      (value.empty() && !value.is_null() ? "an empty one" : DescribeValue(value)));
  } else if (value.is_array()) {
    CheckSchemaList(value, pointer, problems);
  } else {
    for (const auto& [column, type] : value.items()) {
      CheckColumnType(column, type, PointerJoin(pointer, column), problems);
    }
  }
}

Json SchemaSchema() {
  Json type = {{"enum", TypeNames()}};
  Json item = {{"type", "object"},
               {"properties", {{"name", {{"type", "string"}}}, {"type", type}}},
               {"required", Json::array({"name", "type"})},
               {"additionalProperties", false}};
  Json map = {{"type", "object"}, {"additionalProperties", type}};
  Json list = {{"type", "array"}, {"items", item}};
  return {{"anyOf", Json::array({map, list})}};
}

void CheckPaths(const Json& value, const std::string& pointer, Problems* problems) {
  auto check = [&](const Json& item, const std::string& at) {
    if (item.get_ref<const std::string&>().empty()) problems->Add(at, "a path must not be empty");
  };
  if (value.is_string()) {
    check(value, pointer);
    return;
  }
  for (size_t i = 0; i < value.size(); ++i) check(value[i], PointerJoin(pointer, i));
}

Shape MakeDatasetShape() {
  Variant files = {
      .type = "files",
      .keys = {{.name = "path",
                .kind = KeyKind::kTexts,
                .description = "file, glob or list of them; relative to this file's folder",
                .required = true,
                .check = CheckPaths},
               {.name = "format",
                .kind = KeyKind::kWord,
                .description = "by the path's extension when absent",
                .words = {"csv", "parquet", "jsonl"}},
               {.name = "delimiter",
                .kind = KeyKind::kText,
                .description = "CSV: sniffed when absent",
                .check = CheckCharacter},
               {.name = "quote",
                .kind = KeyKind::kText,
                .description = "CSV: \" when absent, empty for none",
                .check = CheckCharacter},
               {.name = "escape",
                .kind = KeyKind::kText,
                .description = "CSV: the quote itself when absent",
                .check = CheckCharacter},
               {.name = "header",
                .kind = KeyKind::kBoolean,
                .description = "CSV: the first line names the columns; sniffed when absent"},
               {.name = "encoding",
                .kind = KeyKind::kWord,
                .description = "CSV",
                .words = {"utf-8", "latin-1", "utf-16"}},
               {.name = "skip_lines",
                .kind = KeyKind::kInteger,
                .description = "CSV: lines before the header",
                .minimum = 0,
                .maximum = 1e6},
               {.name = "schema",
                .description = "the columns' types; inferred when absent",
                .check = CheckSchema,
                .schema = SchemaSchema},
               {.name = "on_bad_rows",
                .kind = KeyKind::kWord,
                .description = "what happens to rows that cannot be read",
                .words = {"fail", "skip", "quarantine"}}}};
  return {.noun = "dataset",
          .description = "named tabular data",
          .keys = {DescriptionKey()},
          .variants = {std::move(files), {.type = "managed"}},
          .later = {"postgresql"}};
}

// ---- models ----

void CheckActivation(const Json& value, const std::string& pointer, Problems* problems) {
  const std::string wanted = "'activation' must be always, never or {if_better: METRIC}";
  if (value == "always" || value == "never") return;
  if (!value.is_object()) {
    problems->Add(pointer, wanted + ", not " + DescribeValue(value));
    return;
  }
  for (const auto& [name, metric] : value.items()) {
    const std::string at = PointerJoin(pointer, name);
    const std::vector<std::string> known = {"if_better"};
    if (name != "if_better") {
      std::string suggestion = DidYouMean(name, known);
      problems->AddAtKey(at, "unknown key '" + name + "' in activation" +
                                 (suggestion.empty() ? "" : "; " + suggestion));
    } else if (!metric.is_string()) {
      problems->Add(at, "'if_better' must be the name of a metric, not " + DescribeValue(metric));
    } else if (const auto& word = metric.get_ref<const std::string&>();
               std::find(ActivationMetrics().begin(), ActivationMetrics().end(), word) ==
               ActivationMetrics().end()) {
      std::string suggestion = DidYouMean(word, ActivationMetrics());
      problems->Add(at,
                    "unknown metric '" + word + "'; " +
                        (suggestion.empty() ? "metrics are " + QuotedList(ActivationMetrics(), 40)
                                            : suggestion));
    }
  }
  if (value.empty()) problems->Add(pointer, wanted + ", not an empty map");
}

Json ActivationSchema() {
  Json better = {{"type", "object"},
                 {"properties", {{"if_better", {{"enum", ActivationMetrics()}}}}},
                 {"required", Json::array({"if_better"})},
                 {"additionalProperties", false}};
  return {{"anyOf", Json::array({{{"enum", Json::array({"always", "never"})}}, better})}};
}

Shape MakeModelShape() {
  return {.noun = "model",
          .description = "a saved model: the output of a train recipe",
          .keys = {{.name = "activation",
                    .description = "when a newly trained version becomes the active one",
                    .check = CheckActivation,
                    .schema = ActivationSchema},
                   {.name = "keep_versions",
                    .kind = KeyKind::kInteger,
                    .description = "older ones are deleted unless active or used; 0: all are kept",
                    .minimum = 0,
                    .maximum = 1e6},
                   DescriptionKey()}};
}

// ---- recipes ----

Key OutputKey(std::string what) {
  return {
      .name = "output", .kind = KeyKind::kText, .description = std::move(what), .required = true};
}

void CheckInputKeys(const Json& recipe, const std::string& pointer, Problems* problems) {
  if (recipe.contains("input") == recipe.contains("inputs")) {
    problems->Add(pointer, recipe.contains("input")
                               ? "give either 'input' or 'inputs', not both"
                               : "missing key 'input' (or 'inputs', a list of datasets)");
  }
}

void CheckSql(const Json& recipe, const std::string& pointer, Problems* problems) {
  CheckInputKeys(recipe, pointer, problems);
  if (recipe.contains("query") == recipe.contains("query_file")) {
    problems->Add(pointer, recipe.contains("query")
                               ? "give either 'query' or 'query_file', not both"
                               : "missing key 'query' (or 'query_file')");
  } else if (recipe.contains("query_file")) {
    problems->AddAtKey(PointerJoin(pointer, "query_file"),
                       "'query_file' is for YAML files; give the text as 'query'");
  } else if (Trim(recipe["query"].get_ref<const std::string&>()).empty()) {
    problems->Add(PointerJoin(pointer, "query"), "'query' is empty");
  }
}

const Shape& ScoreInputsShape() {
  static const Shape shape = {
      .noun = "inputs",
      .keys = {{.name = "model",
                .kind = KeyKind::kText,
                .description = "MODEL, MODEL@N, MODEL@active or MODEL@latest",
                .required = true},
               {.name = "data",
                .kind = KeyKind::kText,
                .description = "the dataset to score",
                .required = true}}};
  return shape;
}

Shape MakeRecipeShape() {
  const Key input = {
      .name = "input", .kind = KeyKind::kText, .description = "dataset", .required = true};
  Key one_input = input;
  one_input.required = false;
  Variant sql = {.type = "sql",
                 .keys = {one_input,
                          {.name = "inputs",
                           .kind = KeyKind::kTexts,
                           .description = "datasets, readable under their names"},
                          {.name = "query",
                           .kind = KeyKind::kText,
                           .description = "one SELECT over the inputs"},
                          {.name = "query_file",
                           .kind = KeyKind::kText,
                           .description = "the query in a file beside this one"},
                          OutputKey("a managed dataset")},
                 .check = CheckSql};
  Variant sync = {.type = "sync", .keys = {input, OutputKey("a managed dataset")}};
  Variant train = {.type = "train", .keys = {input, OutputKey("a model")}, .check = CheckTrain};
  for (const Key& key : TrainKeys()) train.keys.push_back(key);
  Variant score = {.type = "score",
                   .keys = {{.name = "inputs",
                             .kind = KeyKind::kObject,
                             .required = true,
                             .shape = &ScoreInputsShape()},
                            OutputKey("a managed dataset"),
                            {.name = "threshold",
                             .kind = KeyKind::kNumber,
                             .description = "binary: class 1 when p is above it",
                             .minimum = 0,
                             .maximum = 1},
                            {.name = "keep",
                             .kind = KeyKind::kTexts,
                             .description = "input columns in the output; all when absent"},
                            {.name = "explain",
                             .kind = KeyKind::kInteger,
                             .description = "the K largest contributions per row",
                             .minimum = 0,
                             .maximum = 10000}}};
  return {.noun = "recipe",
          .description = "a step from inputs to an output",
          .keys = {DescriptionKey()},
          .variants = {std::move(sql), std::move(sync), std::move(train), std::move(score)},
          .later = {"evaluate"}};
}

// ---- scenarios: shape only, later parts use them ----

void CheckListOfMaps(const Json& value, const std::string& pointer, Problems* problems) {
  const std::string key = pointer.substr(pointer.rfind('/') + 1);
  if (!value.is_array()) {
    problems->Add(pointer, "'" + key + "' must be a list of maps, not " + DescribeValue(value));
    return;
  }
  for (size_t i = 0; i < value.size(); ++i) {
    if (!value[i].is_object())
      problems->Add(PointerJoin(pointer, i),
                    "an item of '" + key + "' must be a map, not " + DescribeValue(value[i]));
  }
}

Json ListOfMapsSchema() { return {{"type", "array"}, {"items", {{"type", "object"}}}}; }

}  // namespace

const std::vector<std::string>& ActivationMetrics() {
  static const std::vector<std::string> names = {"rmse",
                                                 "mae",
                                                 "mape",
                                                 "r2",
                                                 "explained_variance",
                                                 "median_absolute_error",
                                                 "max_error",
                                                 "auc",
                                                 "log_loss",
                                                 "accuracy",
                                                 "precision",
                                                 "recall",
                                                 "f1",
                                                 "average_precision",
                                                 "brier",
                                                 "mcc",
                                                 "precision_weighted",
                                                 "recall_weighted",
                                                 "f1_weighted",
                                                 "auc_weighted"};
  return names;
}

const Shape& DatasetShape() {
  static const Shape shape = MakeDatasetShape();
  return shape;
}

const Shape& ModelShape() {
  static const Shape shape = MakeModelShape();
  return shape;
}

const Shape& RecipeShape() {
  static const Shape shape = MakeRecipeShape();
  return shape;
}

const Shape& ScenarioShape() {
  static const Shape shape = {
      .noun = "scenario",
      .description = "triggers and steps",
      .keys = {{.name = "triggers", .check = CheckListOfMaps, .schema = ListOfMapsSchema},
               {.name = "steps", .check = CheckListOfMaps, .schema = ListOfMapsSchema},
               {.name = "enabled", .kind = KeyKind::kBoolean},
               DescriptionKey()}};
  return shape;
}

const Shape& ProjectShape() {
  static const Shape shape = {
      .noun = "project",
      .description = "a Slipway project",
      .keys = {
          {.name = "project", .kind = KeyKind::kText, .description = "its name", .required = true},
          DescriptionKey(),
          {.name = "datasets", .kind = KeyKind::kNamed, .shape = &DatasetShape()},
          {.name = "models", .kind = KeyKind::kNamed, .shape = &ModelShape()},
          {.name = "recipes", .kind = KeyKind::kNamed, .shape = &RecipeShape()},
          {.name = "services", .kind = KeyKind::kNamed, .shape = &ServiceShape()},
          {.name = "scenarios", .kind = KeyKind::kNamed, .shape = &ScenarioShape()}}};
  return shape;
}

}  // namespace slipway
