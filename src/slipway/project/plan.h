// What a build does: which recipes run, in which order, and why. Decides from values alone: the
// caller gathers the state, and runs the steps. Pure; thread-safe. (The types are named Flow...
// because the registry has records of its own.)
#pragma once

#include <map>
#include <optional>
#include <set>
#include <string>
#include <vector>

#include "slipway/base/json_fwd.h"
#include "slipway/base/result.h"
#include "slipway/project/definition.h"
#include "slipway/project/graph.h"

namespace slipway {

// How an output was made.
struct FlowBuild {
  std::string recipe;
  std::string recipe_hash;                    // RecipeHash then
  std::map<std::string, std::string> inputs;  // dataset -> fingerprint read
  int model_version = 0;                      // score: the version used
};

struct FlowDataset {
  bool exists = false;      // files: something matches; managed: built or filled
  std::string fingerprint;  // now
  std::optional<FlowBuild> built;
};

struct FlowModel {
  int active_version = 0;  // 0: none
  std::set<int> versions;
  std::optional<FlowBuild> trained;  // of the last trained version
};

struct FlowState {
  std::map<std::string, FlowDataset> datasets;
  std::map<std::string, FlowModel> models;
};

enum class BuildMode { kThis, kUpstream, kAll, kMissing };
std::optional<BuildMode> BuildModeFromName(
    std::string_view name);  // "this", "upstream", "all", "missing"

struct PlanStep {
  std::string recipe;
  std::string output;
  bool trains = false;  // the output is a model
  bool run = false;     // else: skipped
  std::string
      reason;  // "never built", "recipe changed", "input 'trips' changed", "up to date", ...
  std::vector<int>
      after;  // steps of this plan (earlier ones) whose outputs it reads; others may run beside it
};
struct FlowPlan {
  std::vector<PlanStep> steps;
};

// Targets are names of managed datasets, models or recipes.
Result<FlowPlan> MakePlan(const ProjectDefinition& project, const FlowState& state,
                          const std::vector<std::string>& targets, BuildMode mode);
Json PlanToJson(const FlowPlan& plan);

// For `flow show`: "up to date", "out of date", "not built", "no files"; models "version 3 active",
// "no version".
FlowStates DescribeFlow(const ProjectDefinition& project, const FlowState& state);

// The version that a reference means now; 0: none (yet).
int ReferencedVersion(const std::string& model_reference, const FlowState& state);

}  // namespace slipway
