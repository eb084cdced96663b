// A project's definition as values: what YAML describes, what the registry stores (as JSON), what the Flow is made of.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/base/result.h"

namespace slipway {

// Where a value stood in the YAML, for messages. Empty file: it did not come from YAML.
struct SourcePosition {
  std::string file;
  int line = 0;  // 1-based
  int column = 0;
};

enum class DatasetType { kFiles, kManaged };
struct DatasetDefinition {
  DatasetType type = DatasetType::kManaged;
  std::vector<std::string> paths;  // as written; resolved against the YAML file's folder by the loader
  Json settings = Json::object();  // format, dialect keys, schema, on_bad_rows: checked
  std::string description;
  SourcePosition position;
};

struct ModelDefinition {
  std::string activation = "always";  // always | never | if_better
  std::string activation_metric;      // if_better
  int keep_versions = 0;              // 0: all
  std::string description;
  SourcePosition position;
};

enum class RecipeType { kSql, kSync, kTrain, kScore };
struct RecipeDefinition {
  RecipeType type = RecipeType::kSync;
  std::vector<std::string> inputs;  // dataset names, in order
  std::string model;                // score: "fare" or "fare@3"
  std::string output;               // dataset, or model for train
  std::string query;                // sql
  Json settings = Json::object();   // train: TrainSpec keys; score: threshold, keep, ...; checked
  std::string description;
  SourcePosition position;
};

struct ProjectDefinition {
  std::string name;
  std::string description;
  std::map<std::string, DatasetDefinition> datasets;
  std::map<std::string, ModelDefinition> models;
  std::map<std::string, RecipeDefinition> recipes;
  Json services = Json::object();   // validated for shape, used by later parts
  Json scenarios = Json::object();
  SourcePosition position;
};

// One canonical JSON form: the registry's storage, the API's body and the base of diff. Positions are not kept.
Json ProjectToJson(const ProjectDefinition& project);
Result<ProjectDefinition> ProjectFromJson(const Json& json);

}  // namespace slipway
