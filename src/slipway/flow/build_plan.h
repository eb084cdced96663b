// What a build will do, from the definitions and the state of the home: the input of JobRunner and
// of `build --plan`.
#pragma once

#include <string>
#include <vector>

#include "slipway/base/json_fwd.h"
#include "slipway/base/result.h"
#include "slipway/flow/datasets.h"
#include "slipway/project/definition.h"
#include "slipway/project/graph.h"
#include "slipway/registry/registry.h"

namespace slipway {

struct BuildStep {
  std::string recipe;
  std::string output;
  bool run = true;            // false: up to date
  std::string reason;         // why it runs, or why not
  std::vector<size_t> after;  // steps that must be done first
};

struct BuildPlan {
  ProjectDefinition project;
  std::vector<std::string> targets;  // names within the project
  std::string mode;
  std::vector<BuildStep> steps;  // in an order that respects `after`
  FileCheck check;               // of the files that the job reads
};

// Reads fingerprints (files that changed are hashed) and kept build records. mode: this, upstream,
// all, missing. persist: the registry is open for writing.
Result<BuildPlan> MakeBuildPlan(Registry& registry, const ProjectDefinition& project,
                                const std::vector<std::string>& targets, const std::string& mode,
                                bool persist, const FileCheck& check = {});
Json BuildPlanToJson(const BuildPlan& plan);

// State and reason of every item, for `flow show`.
Result<FlowStates> DescribeFlow(Registry& registry, const ProjectDefinition& project,
                                const FileCheck& check = {});

}  // namespace slipway
