// What changes between two definitions of a project: for `apply`, `apply --plan`, `diff`. Pure;
// thread-safe.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "slipway/base/json_fwd.h"
#include "slipway/project/definition.h"

namespace slipway {

enum class ChangeKind { kAdd, kChange, kRemove };

struct Change {
  ChangeKind change = ChangeKind::kChange;
  std::string kind;  // project, dataset, model, recipe, service, scenario
  std::string name;
  std::vector<std::string> details;  // of kChange: "algorithm.lightgbm.num_leaves: 31 -> 63"
};

// In the order project, datasets, models, recipes, services, scenarios; by name within each.
// `before` absent: all is new.
std::vector<Change> Diff(const std::optional<ProjectDefinition>& before,
                         const ProjectDefinition& after);

// "+ dataset trips", "~ recipe train_fare" with its details indented below, "- model fare".
std::string ChangesText(const std::vector<Change>& changes);
// [{"change": "add", "kind", "name", "details"}]
Json ChangesToJson(const std::vector<Change>& changes);

}  // namespace slipway
