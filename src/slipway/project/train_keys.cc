#include "slipway/project/train_keys.h"

#include <utility>

#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/features/expression.h"
#include "slipway/features/spec.h"

namespace slipway {
namespace {

// The position of what an error of features/spec.h speaks of: "PREFIX.filter: ..." is at that key's
// value, "unknown key 'x'" at the key itself.
void AddSpecError(const Error& error, const std::string& prefix, const std::string& label,
                  const Json& value, const std::string& pointer, Problems* problems) {
  std::string message = error.message;
  std::string at = pointer;
  if (message.starts_with(prefix)) {
    std::string rest = message.substr(prefix.size());
    size_t colon = rest.find(": ");
    if (rest.starts_with(".") && colon != std::string::npos) {
      for (const std::string& part : Split(std::string_view(rest).substr(1, colon - 1), '.')) {
        const std::string deeper = PointerJoin(at, part);
        if (problems->positions().Has(deeper)) at = deeper;
      }
    }
    message = label + rest;
  }
  if (!error.hint.empty()) message += "; " + error.hint;
  if (value.is_object()) {
    for (const auto& item : value.items()) {
      if (error.message.find("unknown key '" + item.key() + "'") != std::string::npos) {
        problems->AddAtKey(PointerJoin(pointer, item.key()), message);
        return;
      }
    }
  }
  problems->Add(at, message);
}

void CheckSyntax(const Json& step, size_t index, const std::string& pointer, Problems* problems) {
  for (const char* key : {"expr", "filter"}) {
    const Json* text = FindMember(step, key);
    if (text == nullptr || !text->is_string()) continue;
    const Status status = CheckExpressionSyntax(text->get<std::string>());
    if (status.ok()) continue;
    const Error& error = status.error();
    problems->Add(PointerJoin(PointerJoin(pointer, index), key),
                  "prepare step " + std::to_string(index + 1) + ": " + error.message +
                      (error.hint.empty() ? "" : "; " + error.hint));
  }
}

// Step by step, so that every step that is wrong is told with its own position.
void CheckPrepare(const Json& value, const std::string& pointer, Problems* problems) {
  if (!value.is_array()) {
    problems->Add(pointer, "'prepare' must be a list of steps, not " + DescribeValue(value));
    return;
  }
  const size_t before = problems->size();
  for (size_t i = 0; i < value.size(); ++i) {
    auto steps = PrepareFromJson(Json::array({value[i]}));
    if (steps.ok()) {
      CheckSyntax(value[i], i, pointer, problems);
      continue;
    }
    AddSpecError(steps.error(), "prepare step 1", "prepare step " + std::to_string(i + 1), value[i],
                 PointerJoin(pointer, i), problems);
  }
  if (problems->size() > before) return;
  if (auto all = PrepareFromJson(value); !all.ok()) problems->Add(pointer, all.error().message);
}

void CheckFeatures(const Json& value, const std::string& pointer, Problems* problems) {
  if (!value.is_object()) {
    problems->Add(pointer, "'features' must be a map of columns, not " + DescribeValue(value));
    return;
  }
  const size_t before = problems->size();
  for (const auto& [column, spec] : value.items()) {
    Json one = Json::object();
    one[column] = spec;
    auto features = FeaturesFromJson(one);
    if (features.ok()) continue;
    AddSpecError(features.error(), "features." + column, "feature '" + column + "'", spec,
                 PointerJoin(pointer, column), problems);
  }
  if (problems->size() > before) return;
  if (auto all = FeaturesFromJson(value); !all.ok()) problems->Add(pointer, all.error().message);
}

bool IsScalar(const Json& value) {
  return value.is_string() || value.is_number() || value.is_boolean();
}

// Names are the library's to check; here only that values can be passed on.
void CheckParameters(const Json& parameters, const std::string& pointer, Problems* problems) {
  if (!parameters.is_object()) {
    if (parameters.is_null()) return;
    problems->Add(pointer,
                  "'lightgbm' must be a map of parameters, not " + DescribeValue(parameters));
    return;
  }
  for (const auto& [name, value] : parameters.items()) {
    bool right = IsScalar(value) || (value.is_array() && !value.empty());
    for (const Json& item : value.is_array() ? value : Json::array()) right &= IsScalar(item);
    if (!right) {
      problems->Add(PointerJoin(pointer, name),
                    "parameter '" + name +
                        "' must be a number, text, true or false, or a list of them, not " +
                        DescribeValue(value));
    }
  }
}

void CheckAlgorithmName(const std::string& name, const std::string& pointer, bool is_key,
                        Problems* problems) {
  if (name == "lightgbm") return;
  std::string message;
  if (name == "xgboost" || name == "linear") {
    message = "algorithm '" + name + "' comes with a later part of Slipway";
  } else {
    const std::vector<std::string> known = {"lightgbm"};
    std::string suggestion = DidYouMean(name, known);
    message = "unknown algorithm '" + name + "'; " +
              (suggestion.empty() ? "the algorithm is 'lightgbm'" : suggestion);
  }
  if (is_key) {
    problems->AddAtKey(pointer, message);
  } else {
    problems->Add(pointer, message);
  }
}

void CheckAlgorithm(const Json& value, const std::string& pointer, Problems* problems) {
  if (value.is_string()) {
    CheckAlgorithmName(value.get<std::string>(), pointer, /*is_key=*/false, problems);
    return;
  }
  if (!value.is_object() || value.size() != 1) {
    problems->Add(pointer,
                  "'algorithm' must be {lightgbm: {PARAMETERS}}, not " +
                      (value.is_object() ? "a map of " + std::to_string(value.size()) + " keys"
                                         : DescribeValue(value)));
    return;
  }
  const std::string& name = value.begin().key();
  const std::string at = PointerJoin(pointer, name);
  const size_t before = problems->size();
  CheckAlgorithmName(name, at, /*is_key=*/true, problems);
  if (problems->size() == before) CheckParameters(value.begin().value(), at, problems);
}

Json AlgorithmSchema() {
  Json scalar = {{"type", Json::array({"number", "string", "boolean"})}};
  Json parameter = {{"anyOf", Json::array({scalar, {{"type", "array"}, {"items", scalar}}})}};
  Json lightgbm = {{"type", Json::array({"object", "null"})}, {"additionalProperties", parameter}};
  Json map = {{"type", "object"},
              {"properties", {{"lightgbm", lightgbm}}},
              {"required", Json::array({"lightgbm"})},
              {"additionalProperties", false}};
  return {{"anyOf", Json::array({{{"const", "lightgbm"}}, map})}};
}

void CheckValidationRules(const Json& value, const std::string& pointer, Problems* problems) {
  if (!value.contains("k_fold")) return;
  for (const char* other : {"holdout", "time_column"}) {
    if (value.contains(other)) {
      problems->AddAtKey(PointerJoin(pointer, other),
                         "'" + std::string(other) + "' and 'k_fold' exclude each other");
    }
  }
}

const Shape& ValidationShape() {
  static const Shape shape = {
      .noun = "validation",
      .keys = {{.name = "holdout",
                .kind = KeyKind::kNumber,
                .description = "part of the rows that is held out",
                .minimum = 0,
                .maximum = 1,
                .open = true},
               {.name = "seed",
                .kind = KeyKind::kInteger,
                .description = "decides which rows; 42 when absent",
                .minimum = 0},
               {.name = "time_column",
                .kind = KeyKind::kText,
                .description = "the latest rows by this column are held out"},
               {.name = "k_fold",
                .kind = KeyKind::kInteger,
                .description = "number of folds",
                .minimum = 2,
                .maximum = 100}},
      .check = CheckValidationRules};
  return shape;
}

void CheckValidation(const Json& value, const std::string& pointer, Problems* problems) {
  if (value == "none") return;
  if (!value.is_object()) {
    problems->Add(pointer,
                  "'validation' must be none or a map such as {holdout: 0.2, seed: 42}, not " +
                      DescribeValue(value));
    return;
  }
  CheckShape(ValidationShape(), value, pointer, "validation", problems);
}

Json ValidationSchema() {
  return {{"anyOf", Json::array({{{"const", "none"}}, ShapeSchema(ValidationShape())})}};
}

void CheckClassWeights(const Json& value, const std::string& pointer, Problems* problems) {
  if (value == "balanced") return;
  if (!value.is_object() || value.empty()) {
    problems->Add(pointer, "'class_weights' must be balanced or a map {class: weight}, not " +
                               DescribeValue(value));
    return;
  }
  for (const auto& [label, weight] : value.items()) {
    if (!weight.is_number() || weight.get<double>() <= 0) {
      problems->Add(PointerJoin(pointer, label), "the weight of class '" + label +
                                                     "' must be a number greater than 0, not " +
                                                     DescribeValue(weight));
    }
  }
}

Json ClassWeightsSchema() {
  Json map = {{"type", "object"},
              {"additionalProperties", {{"type", "number"}, {"exclusiveMinimum", 0}}}};
  return {{"anyOf", Json::array({{{"const", "balanced"}}, map})}};
}

Json FeaturesSchema() {
  Json word = {{"enum", Json::array({"numeric", "category", "timestamp", "ignore"})}};
  return {{"type", "object"},
          {"additionalProperties", {{"anyOf", Json::array({word, {{"type", "object"}}})}}}};
}

Json PrepareSchema() {
  Json text = {{"type", "string"}};
  Json texts = {{"type", "object"}, {"additionalProperties", text}};
  Json properties = {
      {"filter", text},
      {"column", text},
      {"expr", text},
      {"drop", {{"anyOf", Json::array({text, {{"type", "array"}, {"items", text}}})}}},
      {"rename", texts},
      {"cast", texts}};
  Json step = {{"type", "object"}, {"properties", properties}, {"additionalProperties", false}};
  return {{"type", "array"}, {"items", step}};
}

}  // namespace

const std::vector<Key>& TrainKeys() {
  static const std::vector<Key> keys = {
      {.name = "target",
       .kind = KeyKind::kText,
       .description = "the column to predict",
       .required = true},
      {.name = "prediction",
       .kind = KeyKind::kWord,
       .required = true,
       .words = {"regression", "binary", "multiclass"}},
      {.name = "prepare",
       .description = "steps before the features",
       .check = CheckPrepare,
       .schema = PrepareSchema},
      {.name = "features",
       .description = "how columns are handled; inferred where silent",
       .check = CheckFeatures,
       .schema = FeaturesSchema},
      {.name = "algorithm",
       .description = "lightgbm and its parameters",
       .check = CheckAlgorithm,
       .schema = AlgorithmSchema},
      {.name = "validation",
       .description = "how rows are held out; {holdout: 0.2, seed: 42} when absent",
       .check = CheckValidation,
       .schema = ValidationSchema},
      {.name = "early_stopping",
       .kind = KeyKind::kInteger,
       .description = "rounds without progress; 0: off",
       .minimum = 0,
       .maximum = 1e6},
      {.name = "weight", .kind = KeyKind::kText, .description = "the column of sample weights"},
      {.name = "class_weights", .check = CheckClassWeights, .schema = ClassWeightsSchema}};
  return keys;
}

void CheckTrain(const Json& recipe, const std::string& pointer, Problems* problems) {
  const Json* validation = FindMember(recipe, "validation");
  const Json* rounds = FindMember(recipe, "early_stopping");
  if (validation != nullptr && *validation == "none" && rounds != nullptr && *rounds > 0) {
    problems->Add(PointerJoin(pointer, "early_stopping"),
                  "'early_stopping' needs held-out rows; give 'validation' a holdout");
  }
  if (recipe.contains("class_weights") && recipe["prediction"] == "regression") {
    problems->AddAtKey(PointerJoin(pointer, "class_weights"),
                       "'class_weights' are for binary and multiclass, not regression");
  }
  const Json* weight = FindMember(recipe, "weight");
  if (weight != nullptr && *weight == recipe["target"]) {
    problems->Add(PointerJoin(pointer, "weight"), "'weight' and 'target' are the same column");
  }
}

}  // namespace slipway
