// The key tables of a project (docs/yaml.md). Immutable, made at first use; thread-safe.
#pragma once

#include <string>
#include <vector>

#include "slipway/project/shape.h"

namespace slipway {

const Shape& ProjectShape();
const Shape& DatasetShape();
const Shape& ModelShape();
const Shape& RecipeShape();
const Shape& ScenarioShape();

// Metrics that `activation: {if_better: ...}` may name.
const std::vector<std::string>& ActivationMetrics();

}  // namespace slipway
