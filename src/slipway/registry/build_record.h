// BuildRecord: how a dataset's data or a model version came to be: what "out of date" and lineage
// are decided on.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "slipway/base/result.h"

namespace slipway {

struct BuildInput {
  std::string name;         // the dataset's name, within the project
  std::string fingerprint;  // of its content when it was read
};

struct BuildRecord {
  std::string recipe;       // name; empty: not made by a recipe
  std::string recipe_hash;  // of what the recipe said
  std::string recipe_json;  // what it said, JSON text
  std::vector<BuildInput> inputs;
  std::string model;          // score recipes: the model used
  int64_t model_version = 0;  // 0: none
  std::string job;            // "job-000012"
  std::string extra_json;     // further lineage (library versions, files of the inputs), JSON text;
                              // may be empty
};

// JSON text, as stored.
std::string BuildRecordToText(const BuildRecord& record);
Result<BuildRecord> BuildRecordFromText(std::string_view text);

}  // namespace slipway
