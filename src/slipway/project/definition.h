// A project's definition as values: what YAML describes, what the registry stores (as JSON), what
// the Flow is made of.
#pragma once

#include <map>
#include <string>
#include <vector>

#include "slipway/base/json.h"
#include "slipway/base/result.h"
#include "slipway/project/position.h"

namespace slipway {

enum class DatasetType { kFiles, kManaged };
struct DatasetDefinition {
  DatasetType type = DatasetType::kManaged;
  std::vector<std::string>
      paths;  // as written; resolved against the YAML file's folder by the loader
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
  Json services = Json::object();  // validated for shape, used by later parts
  Json scenarios = Json::object();
  SourcePosition position;
  // Of every value that came from YAML, by its JSON pointer there ("/recipes/train_fare/target").
  PositionIndex positions;
};

// One canonical JSON form: the registry's storage, the API's body and the base of diff. Positions
// are not kept.
Json ProjectToJson(const ProjectDefinition& project);
// Checks the shape (names, keys, types, ranges); references are for Validate.
Result<ProjectDefinition> ProjectFromJson(const Json& json);
// The same with positions for the messages; the loader's way in. Takes what YAML may say: `input:`
// for `inputs:`, ...
Result<ProjectDefinition> ProjectFromJson(const Json& json, PositionIndex positions);

// The members of ProjectToJson's maps. They hold only what differs from the defaults, so that what
// was left out stays out.
Json DatasetToJson(const DatasetDefinition& dataset);
Json ModelToJson(const ModelDefinition& model);
Json RecipeToJson(const RecipeDefinition& recipe);

// Equal but for positions.
bool SameProject(const ProjectDefinition& a, const ProjectDefinition& b);

// "sql", "sync", "train", "score".
std::string_view RecipeTypeName(RecipeType type);
std::string_view DatasetTypeName(DatasetType type);  // "files", "managed"

// Changes when what the recipe does changes: SHA-256 of its canonical JSON without the description.
std::string RecipeHash(const RecipeDefinition& recipe);

// "fare@3" -> {"fare", "3"}; "fare" -> {"fare", ""}.
struct ModelReference {
  std::string name;
  std::string version;  // "", "active", "latest" or a number
};
ModelReference ParseModelReference(const std::string& text);

}  // namespace slipway
