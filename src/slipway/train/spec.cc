// The train recipe's keys as JSON, both ways.
#include <algorithm>
#include <cmath>
#include <initializer_list>

#include "slipway/base/json.h"
#include "slipway/base/text.h"
#include "slipway/train/parameters.h"
#include "slipway/train/train.h"

namespace slipway {
namespace {

Status CheckKeys(const Json& json, std::initializer_list<const char*> known,
                 const std::string& where) {
  const std::vector<std::string> names(known.begin(), known.end());
  for (const auto& [key, value] : json.items()) {
    if (std::find(names.begin(), names.end(), key) != names.end()) continue;
    std::string hint = DidYouMean(key, names);
    if (hint.empty()) hint = "the keys are " + QuotedList(names, 20);
    return InvalidArgument(where + ": unknown key '" + key + "'", hint);
  }
  return {};
}

Result<std::string> TextAt(const Json& json, const std::string& path) {
  if (!json.is_string() || json.get_ref<const std::string&>().empty()) {
    return InvalidArgument(path + ": must be a text, not " + DumpJson(json));
  }
  return json.get<std::string>();
}

Result<double> NumberAt(const Json& json, const std::string& path, double low, double high) {
  if (!json.is_number() || !(json.get<double>() >= low && json.get<double>() <= high)) {
    return InvalidArgument(path + ": must be a number from " + FormatDouble(low) + " to " +
                           FormatDouble(high) + ", not " + DumpJson(json));
  }
  return json.get<double>();
}

Result<int64_t> IntegerAt(const Json& json, const std::string& path, int64_t low, int64_t high) {
  const bool fits = json.is_number_integer() &&
                    !(json.is_number_unsigned() && json.get<uint64_t>() > uint64_t{INT64_MAX});
  if (!fits || json.get<int64_t>() < low || json.get<int64_t>() > high) {
    return InvalidArgument(path + ": must be a whole number from " + std::to_string(low) + " to " +
                           std::to_string(high) + ", not " + DumpJson(json));
  }
  return json.get<int64_t>();
}

// 0.05 -> "0.05", true -> "true", [1, 2] -> "1,2", [[0, 1], [2]] -> "[0,1],[2]".
Result<std::string> ParameterText(const Json& value, const std::string& path, int depth = 0) {
  if (value.is_string()) return value.get<std::string>();
  if (value.is_boolean()) return std::string(value.get<bool>() ? "true" : "false");
  if (value.is_number_integer()) return DumpJson(value);
  if (value.is_number()) return FormatDouble(value.get<double>());
  if (value.is_array() && depth < 2) {
    std::vector<std::string> parts;
    for (const Json& item : value) {
      ASSIGN_OR_RETURN(std::string part, ParameterText(item, path, depth + 1));
      parts.push_back(item.is_array() ? "[" + part + "]" : part);
    }
    return Join(parts, ",");
  }
  return InvalidArgument(path + ": must be a number, a text, true, false or a list of them");
}

Status ReadAlgorithm(const Json& json, TrainSpec* spec) {
  std::string name;
  Json parameters = Json::object();
  if (json.is_string()) {
    name = json.get<std::string>();
  } else if (json.is_object() && json.size() == 1) {
    name = json.begin().key();
    if (!json.begin().value().is_null()) parameters = json.begin().value();
  } else {
    return InvalidArgument("algorithm: must be the name of one algorithm with its parameters",
                           "write `algorithm: {lightgbm: {num_iterations: 500}}`");
  }
  if (name == "xgboost" || name == "linear") {
    return InvalidArgument("algorithm: '" + name + "' comes with a later part", "use lightgbm");
  }
  if (name != "lightgbm") {
    const std::vector<std::string> known = {"lightgbm"};
    std::string hint = DidYouMean(name, known);
    return InvalidArgument("algorithm: there is no algorithm '" + name + "'",
                           hint.empty() ? "use lightgbm" : hint);
  }
  if (!parameters.is_object()) {
    return InvalidArgument("algorithm.lightgbm: must be a map of parameters",
                           "write `lightgbm: {num_iterations: 500, learning_rate: 0.05}`");
  }
  spec->algorithm = name;
  for (const auto& [key, value] : parameters.items()) {
    ASSIGN_OR_RETURN(spec->parameters[key], ParameterText(value, "algorithm.lightgbm." + key));
  }
  return {};
}

Status ReadValidation(const Json& json, TrainSpec* spec) {
  if (json.is_string() && json.get_ref<const std::string&>() == "none") {
    spec->holdout = 0;
    return {};
  }
  if (!json.is_object()) {
    return InvalidArgument("validation: must be a map",
                           "write `validation: {holdout: 0.2, seed: 42}`");
  }
  RETURN_IF_ERROR(CheckKeys(json, {"holdout", "seed", "time_column", "k_fold"}, "validation"));
  if (const Json* value = FindMember(json, "holdout")) {
    ASSIGN_OR_RETURN(spec->holdout, NumberAt(*value, "validation.holdout", 0, 0.9));
  }
  if (const Json* value = FindMember(json, "seed")) {
    ASSIGN_OR_RETURN(spec->seed, IntegerAt(*value, "validation.seed", 0, INT64_MAX));
  }
  if (const Json* value = FindMember(json, "time_column")) {
    ASSIGN_OR_RETURN(spec->time_column, TextAt(*value, "validation.time_column"));
    if (spec->holdout == 0) {
      return InvalidArgument("validation: time_column needs a holdout above 0",
                             "write `holdout: 0.2`");
    }
  }
  if (const Json* value = FindMember(json, "k_fold")) {
    ASSIGN_OR_RETURN(int64_t folds, IntegerAt(*value, "validation.k_fold", 2, 50));
    spec->k_fold = static_cast<int>(folds);
    if (FindMember(json, "holdout") != nullptr || !spec->time_column.empty()) {
      return InvalidArgument("validation: k_fold goes with neither holdout nor time_column",
                             "keep one of them");
    }
    spec->holdout = 0;
  }
  return {};
}

Status ReadClassWeights(const Json& json, TrainSpec* spec) {
  if (json.is_string() && json.get_ref<const std::string&>() == "balanced") {
    spec->balanced = true;
    return {};
  }
  if (!json.is_object() || json.empty()) {
    return InvalidArgument("class_weights: must be `balanced` or a map from class to weight",
                           "write `class_weights: {yes: 5, no: 1}`");
  }
  for (const auto& [key, value] : json.items()) {
    ASSIGN_OR_RETURN(spec->class_weights[key], NumberAt(value, "class_weights." + key, 0, 1e9));
  }
  return {};
}

Status CheckTogether(const TrainSpec& spec) {
  if (spec.prediction == PredictionKind::kRegression &&
      (spec.balanced || !spec.class_weights.empty())) {
    return InvalidArgument("class_weights: a regression has no classes",
                           "leave it out, or use `weight: COLUMN`");
  }
  if (spec.early_stopping > 0 && spec.holdout == 0 && spec.k_fold == 0) {
    return InvalidArgument("early_stopping needs held-out rows to watch",
                           "write `validation: {holdout: 0.2}`");
  }
  const std::pair<const char*, const std::string*> roles[] = {{"target", &spec.target},
                                                              {"weight", &spec.weight}};
  for (const auto& [role, column] : roles) {
    if (column->empty()) continue;
    const auto found = spec.features.find(*column);
    if (found != spec.features.end() && found->second.kind != FeatureKind::kIgnore) {
      return InvalidArgument("features." + *column + ": the " + role + " cannot be a feature",
                             "take it out of `features`");
    }
  }
  if (spec.weight == spec.target) return InvalidArgument("weight: the target cannot be the weight");
  if (spec.time_column == spec.target) {
    return InvalidArgument("validation.time_column: the target cannot be the time column");
  }
  return {};
}

}  // namespace

Result<TrainSpec> TrainSpecFromJson(const Json& json) {
  if (!json.is_object()) return InvalidArgument("a train recipe must be a map of keys");
  RETURN_IF_ERROR(CheckKeys(json,
                            {"target", "prediction", "prepare", "features", "algorithm",
                             "validation", "early_stopping", "weight", "class_weights"},
                            "train recipe"));
  TrainSpec spec;
  const Json* target = FindMember(json, "target");
  if (target == nullptr) {
    return InvalidArgument("train recipe: `target` is missing",
                           "name the column to predict: `target: COLUMN`");
  }
  ASSIGN_OR_RETURN(spec.target, TextAt(*target, "target"));
  const Json* prediction = FindMember(json, "prediction");
  if (prediction == nullptr) {
    return InvalidArgument("train recipe: `prediction` is missing",
                           "write `prediction: regression`, `binary` or `multiclass`");
  }
  ASSIGN_OR_RETURN(std::string kind, TextAt(*prediction, "prediction"));
  const std::vector<std::string> kinds = {"regression", "binary", "multiclass"};
  const auto found = std::find(kinds.begin(), kinds.end(), kind);
  if (found == kinds.end()) {
    std::string hint = DidYouMean(kind, kinds);
    return InvalidArgument("prediction: unknown kind '" + kind + "'",
                           hint.empty() ? "use one of " + QuotedList(kinds) : hint);
  }
  spec.prediction = static_cast<PredictionKind>(found - kinds.begin());
  if (const Json* value = FindMember(json, "prepare")) {
    ASSIGN_OR_RETURN(spec.prepare, PrepareFromJson(*value));
  }
  if (const Json* value = FindMember(json, "features")) {
    ASSIGN_OR_RETURN(spec.features, FeaturesFromJson(*value));
  }
  if (const Json* value = FindMember(json, "algorithm"))
    RETURN_IF_ERROR(ReadAlgorithm(*value, &spec));
  if (const Json* value = FindMember(json, "validation"))
    RETURN_IF_ERROR(ReadValidation(*value, &spec));
  if (const Json* value = FindMember(json, "early_stopping")) {
    ASSIGN_OR_RETURN(int64_t rounds, IntegerAt(*value, "early_stopping", 0, 1000000));
    spec.early_stopping = static_cast<int>(rounds);
  }
  if (const Json* value = FindMember(json, "weight")) {
    ASSIGN_OR_RETURN(spec.weight, TextAt(*value, "weight"));
  }
  if (const Json* value = FindMember(json, "class_weights"))
    RETURN_IF_ERROR(ReadClassWeights(*value, &spec));
  RETURN_IF_ERROR(CheckTogether(spec));
  return spec;
}

Json TrainSpecToJson(const TrainSpec& spec) {
  static constexpr const char* kKinds[] = {"regression", "binary", "multiclass"};
  Json json = Json::object();
  json["target"] = spec.target;
  json["prediction"] = kKinds[static_cast<size_t>(spec.prediction)];
  if (!spec.prepare.empty()) json["prepare"] = PrepareToJson(spec.prepare);
  if (!spec.features.empty()) json["features"] = FeaturesToJson(spec.features);
  Json parameters = Json::object();
  for (const auto& [name, value] : spec.parameters) parameters[name] = ParameterValueToJson(value);
  json["algorithm"] = {{spec.algorithm, parameters}};
  Json validation = Json::object();
  if (spec.k_fold > 0) {
    validation["k_fold"] = spec.k_fold;
  } else {
    validation["holdout"] = ParameterValueToJson(FormatDouble(spec.holdout));
    if (!spec.time_column.empty()) validation["time_column"] = spec.time_column;
  }
  validation["seed"] = spec.seed;
  json["validation"] = std::move(validation);
  if (spec.early_stopping > 0) json["early_stopping"] = spec.early_stopping;
  if (!spec.weight.empty()) json["weight"] = spec.weight;
  if (spec.balanced) {
    json["class_weights"] = "balanced";
  } else if (!spec.class_weights.empty()) {
    Json weights = Json::object();
    for (const auto& [name, weight] : spec.class_weights) weights[name] = weight;
    json["class_weights"] = std::move(weights);
  }
  return json;
}

}  // namespace slipway
